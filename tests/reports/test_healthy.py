"""The cord of a person among healthy adults: the band that is drawn, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.normative.calibration import Calibration
from spinalprep.normative.table import Subject, load_norms
from spinalprep.reports.healthy import calibration_note, healthy_caption, healthy_plot


@pytest.fixture
def table() -> pd.DataFrame:
    k = np.arange(900, 800, -1)
    table = pd.DataFrame({"template_slice": k, "vertebral_level": np.where(k > 850, "C3", "C4")})
    table["area_mm2"], table["diameter_ap_mm"], table["diameter_rl_mm"] = 70.0, 7.5, 12.0
    return table.assign(area_mm2_lower=66.0, area_mm2_upper=74.0, doubtful=k < 810)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (Subject(30.0, "F"), "healthy women aged 20 to 50 (at most 98 subjects)"),
        (Subject(30.0, "M"), "healthy men aged 19 to 52 (at most 105 subjects)"),
        (
            Subject(70.0, "F"),
            "because the age of 70 is outside this range",
        ),
        (Subject(30.0, None), "there are no z-scores, because participants.tsv lacks age or sex"),
        (Subject(None, "M"), "there are no z-scores, because participants.tsv lacks age or sex"),
    ],
)
def test_the_band_says_whose_it_is(subject: Subject, said: str, table: pd.DataFrame) -> None:
    assert said in healthy_caption(load_norms(), subject)
    picture = healthy_plot(table, load_norms(), subject)
    assert picture is not None
    assert picture.startswith("data:image/png;base64,")


def test_no_picture_without_levels_or_healthy_people(table: pd.DataFrame) -> None:
    woman = Subject(30.0, "F")
    assert healthy_plot(table.assign(vertebral_level=np.nan), load_norms(), woman) is None
    lumbar = table.assign(template_slice=table["template_slice"] - 700, vertebral_level="L1")
    assert healthy_plot(lumbar, load_norms(), woman) is None


def test_the_note_says_who_calibrated_or_why_nobody_is_compared() -> None:
    rows = [
        {"measure": "area_mm2", "vertebral_level": n, "spread": spread, "usable": spread < 0.1}
        for n, spread in ((3, 0.062), (4, 0.081), (9, 0.2))
    ]
    network = {"name": "cord", "version": "9.1"}
    found = Calibration(4, "2026-02-03", "T2w", (0.7, 1.3), network, pd.DataFrame(rows))
    said = calibration_note(found, "")
    for words in (
        "in 4 subjects",
        "2026-02-03",
        "cord 9.1",
        "6 to 8 %",
        "No z-score of the area at T2",
    ):
        assert words in said
    refused = calibration_note(found, "the cord was drawn by hand")
    assert refused.startswith("No z-scores: the cord was drawn by hand.")
    assert "2026" not in refused
    assert "not comparable" in healthy_caption(load_norms(), Subject(30.0, "F"), "other weights")
