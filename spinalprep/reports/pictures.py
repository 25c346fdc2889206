"""Plots of a report, one picture each."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from spinalprep.reports import charts
from spinalprep.reports.charts import Panel
from spinalprep.tables import is_true

if TYPE_CHECKING:  # it takes most of a second to load, and few reports need it
    from matplotlib.figure import Figure

DOUBT = "#ff9f1c"

AREA = "#c0392b"
DIAMETERS = {
    "diameter_rl_mm": ("right-left", "#2874a6"),
    "diameter_ap_mm": ("anteroposterior", "#b9770e"),
}

Span = tuple[float, float]  # lower and upper end, mm


def to_uri(figure: "Figure", dpi: int = 80) -> str:
    """Return a figure as a ``data:`` address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def area_plot(table: pd.DataFrame) -> str:
    """Draw area with its interval, and diameters, along the cord; levels as bands.

    Where the outline is doubtful the plot is hatched.
    """
    z = table["z_mm"].to_numpy(float)
    whole = is_true(table["complete"])
    shown = {
        name: np.where(whole, table[name].to_numpy(float), np.nan)
        for name in ("area_mm2", "area_mm2_lower", "area_mm2_upper", *DIAMETERS)
        if name in table
    }
    areas = [values for name, values in shown.items() if name.startswith("area")]
    area = _along(table, 70.0, 1.05 * charts.top_of(*areas))
    width = _along(table, 610.0, 1.05 * charts.top_of(*(shown[name] for name in DIAMETERS)))
    if "area_mm2_lower" in shown:
        area.band(z, shown["area_mm2_lower"], shown["area_mm2_upper"], AREA, 0.15)
    area.line(z, shown["area_mm2"], AREA, dots=True)
    area.axes("area (mm²)", grid=True)
    beside = []
    for n, (name, (label, colour)) in enumerate(DIAMETERS.items()):
        width.line(z, shown[name], colour, dots=True)
        beside.append(charts.words(810 + 110 * n, 16, label, anchor="start"))
        beside.append(
            Markup('<path d="M{} 12h24" stroke="{}" stroke-width="2"/>').format(
                780 + 110 * n, colour
            )
        )
    width.axes("diameter (mm)", grid=True)
    beside += [charts.words(x, 302, "z (mm), superior to the left") for x in (300, 840)]
    return charts.chart(1080, 310, [area, width], beside)


def _along(table: pd.DataFrame, left: float, top: float) -> Panel:
    """Return an empty panel along the cord, superior to the left, with levels and doubt."""
    z = table["z_mm"].to_numpy(float)
    room = max(0.03 * float(np.ptp(z)), 1.0) if len(z) else 1.0
    ends = (float(z.max()) + room, float(z.min()) - room) if len(z) else (1.0, 0.0)
    panel = Panel((left, 26.0, 460.0, 236.0), ends, (0.0, top))
    known = table.dropna(subset=["vertebral_level"])
    for n, (level, rows) in enumerate(known.groupby("vertebral_level", sort=False)):
        low, high = rows["z_mm"].min(), rows["z_mm"].max()
        if n % 2:
            panel.span((low, high), "#000000", 0.05)
        panel.name((low + high) / 2, str(level))
    for span in doubtful_spans(table):
        panel.hatch(span, DOUBT)
    return panel


def doubtful_spans(table: pd.DataFrame) -> list[Span]:
    """Return the stretches of a table of slices whose outline is doubtful, z in mm."""
    ordered = table.sort_values("z_mm")
    z, half = ordered["z_mm"].to_numpy(float), ordered["length_mm"].to_numpy(float) / 2
    spans: list[Span] = []
    before = -2
    for n in np.flatnonzero(is_true(ordered["doubtful"])):
        low, high = float(z[n] - half[n]), float(z[n] + half[n])
        if n == before + 1:
            low = spans.pop()[0]
        spans.append((low, high))
        before = n
    return spans
