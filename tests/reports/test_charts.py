"""Charts: where points land, what gaps do, round numbers, and that text can't break out."""

import base64
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from spinalprep.reports import charts
from spinalprep.reports.charts import Panel


def _panel() -> Panel:
    """Return axes of 100 x 50 pixels at (10, 20): 30 to -20 from left to right, 0 to 5 upwards."""
    return Panel((10.0, 20.0, 100.0, 50.0), (30.0, -20.0), (0.0, 5.0))


def test_values_land_where_the_axes_say() -> None:
    panel = _panel()
    np.testing.assert_allclose(panel.x([30.0, 5.0, -20.0]), [10.0, 60.0, 110.0])
    np.testing.assert_allclose(panel.y([0.0, 2.5, 5.0]), [70.0, 45.0, 20.0])
    panel.line([30.0, -20.0], [0.0, 5.0], "#000000")
    assert 'd="M10.0 70.0L110.0 20.0"' in panel.drawn[0]


def test_unknown_values_interrupt_lines_and_bands() -> None:
    panel = _panel()
    y = np.array([1.0, 1.0, np.nan, 2.0, 2.0])
    panel.line(np.linspace(30, -20, 5), y, "#000000", dots=True)
    panel.band(np.linspace(30, -20, 5), y - 0.5, y + 0.5, "#000000", 0.2)
    line, dots, band = panel.drawn
    assert line.count("M") == band.count("M") == band.count("Z") == 2
    assert dots.count("h0") == 4
    assert "nan" not in line + dots + band


def test_a_hatch_stays_in_its_stretch() -> None:
    panel = _panel()
    panel.hatch((20.0, 10.0), "#ff9f1c")
    found = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", panel.drawn[0])
    x, y = np.array(found, float).T
    assert x.min() >= 30
    assert x.max() <= 50
    assert y.min() >= 20
    assert y.max() <= 70


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0.0, 92.0), [0, 20, 40, 60, 80]), ((-19.0, 36.0), [-10, 0, 10, 20, 30]), ((3.0, 3.0), [3])],
)
def test_ticks_are_round(ends: tuple[float, float], expected: list[float]) -> None:
    assert charts.nice(*ends) == expected


def test_a_chart_is_one_whole_picture_and_escapes_text() -> None:
    panel = _panel()
    panel.name(0.0, "<script>C3</script>")
    panel.axes("area", grid=True)
    address = charts.chart(200, 100, [panel], [charts.words(5, 5, "a & b")])
    kind, _, packed = address.partition(",")
    assert kind == "data:image/svg+xml;base64"
    root = ET.fromstring(base64.b64decode(packed))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>C3</script>" in texts
    assert "a & b" in texts
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_the_top_of_nothing_is_one() -> None:
    assert charts.top_of([np.nan, np.nan], []) == 1.0
    assert charts.top_of([np.nan, 2.0], [3.0]) == 3.0
