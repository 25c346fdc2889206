"""Several sessions of one participant side by side."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, save
from spinalprep.reports.facts import ReportFacts, SessionRunFacts
from spinalprep.reports.participant import write_participant_report
from spinalprep.reports.visits import Visit, are_several, visit_of, visit_plot, visit_rows

NAMES = {"a": "sub-01_ses-a", "b": "sub-01_ses-b"}


def table(scale: float) -> pd.DataFrame:
    rows = {"vertebral_level": ["C2", "C3", "T1"], "area_mm2": np.array([80.0, 70.0, 60.0]) * scale}
    made = pd.DataFrame(rows)
    return made.assign(
        area_mm2_lower=made["area_mm2"] - 4, area_mm2_upper=[84 * scale, np.nan, 60 * scale + 4]
    )


def lesions(*levels: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {"vertebral_level": levels, "volume_mm3": [40.0, 20.0, 10.0][: len(levels)]}
    )


def run(session: str, contrast: str = "T2w", sought: bool = True) -> SessionRunFacts:
    source = f"sub-01/ses-{session}/anat/sub-01_ses-{session}_{contrast}.nii.gz"
    return SessionRunFacts(source, lesions_sought=sought)


@pytest.fixture
def visits() -> list[Visit]:
    total = pd.DataFrame({"vertebral_level": ["all", "C2-C3"], "area_mm2": [70.0, 75.0]})
    return [
        visit_of(run("a"), table(1.0), total, lesions("C3", "C3", None)),
        visit_of(run("b"), table(0.8).iloc[:2], total, None),
    ]


def test_areas_and_lesions_of_a_level_are_in_one_row(visits: list[Visit]) -> None:
    rows = {row["level"]: row for row in visit_rows(visits)}
    assert list(rows) == ["C2", "C3", "T1", "whole image"]
    assert rows["C2"]["ses-a area (mm²)"] == "80 [76, 84]"
    assert rows["C2"]["ses-b area (mm²)"] == "64 [60, 67.2]"
    assert rows["C2"]["change (%)"] == "-20.0"
    assert rows["C3"]["ses-a lesions"] == "2, 60 mm³"
    assert rows["C2"]["ses-a lesions"] == rows["C3"]["ses-b lesions"] == "0"
    assert rows["T1"]["ses-b area (mm²)"] == rows["T1"]["change (%)"] == "n/a"
    assert rows["whole image"]["ses-a lesions"] == "3, 70 mm³"  # one is in no level
    assert rows["whole image"]["change (%)"] == "n/a"  # images need not cover the same


def test_a_change_within_the_intervals_is_named() -> None:
    first = Visit("ses-a", "T2w", {"C2": (80.0, 76.0, 84.0)})
    for area, said in ((78.0, "-2.5 (intervals overlap)"), (60.0, "-25.0")):
        last = Visit("ses-b", "T2w", {"C2": (area, area - 4, area + 4)})
        assert visit_rows([first, last])[0]["change (%)"] == said
    other = Visit("ses-b", "T1w", {"C2": (60.0, 59.0, 61.0)})
    assert "change (%)" not in visit_rows([first, other])[0]


def test_what_was_not_searched_is_no_zero() -> None:
    visit = visit_of(run("b", "T1w", sought=False), table(1.0), None, None)
    rows = visit_rows([visit, visit])
    assert rows[0]["ses-b lesions"] == "not searched"


def test_one_session_is_not_compared(visits: list[Visit]) -> None:
    assert are_several(visits, ["a", "b"])
    assert not are_several(visits, ["a", "a"])  # two runs
    assert not are_several([visits[0], Visit("ses-b", "T2w")], ["a", "b"])  # no cord
    assert not are_several(visits, [None, None])


def test_without_levels_there_is_no_plot() -> None:
    assert visit_plot([Visit("ses-a", "T2w", {"all": (70.0, 69.0, 71.0)})] * 2) is None


def write(tmp_path: Path, level: str = "C2") -> None:
    """Write tables of two sessions, without a cord."""
    for name in NAMES.values():
        anat = tmp_path / "sub-01" / name.rpartition("_")[2] / "anat"
        anat.mkdir(parents=True)
        stem = f"{name}_space-T2w_label-SC_desc-perlevel_morph.tsv"
        rows = table(1.0).replace({"vertebral_level": {"C2": level}})
        rows.to_csv(anat / stem, sep="\t", index=False, na_rep="n/a", quoting=csv.QUOTE_NONE)
        save(Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), anat / f"{name}_T2w.nii.gz")


@pytest.mark.slow
def test_the_page_shows_both(tmp_path: Path) -> None:
    write(tmp_path)
    runs = (run("a"), run("b"))
    text = write_participant_report(
        tmp_path, "01", ReportFacts(runs, "", "1", tmp_path)
    ).read_text()
    assert text.count('id="visits"') == 1
    assert re.search(r'alt="Cord area and lesion volume[^>]*', text)
    alone = ReportFacts(runs[:1], "", "1", tmp_path)
    assert 'id="visits"' not in write_participant_report(tmp_path, "01", alone).read_text()


@pytest.mark.slow
def test_markup_in_a_level_is_text_in_a_browser(tmp_path: Path, drive: Any) -> None:
    level = "C9\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
    write(tmp_path, level)
    facts = ReportFacts((run("a"), run("b")), "", "1", tmp_path)
    page = write_participant_report(tmp_path, "01", facts)
    script = """return {
      foreign: document.querySelectorAll("img[src=x], main script").length,
      rows: [...document.querySelectorAll("#visits tbody tr")]
        .map((row) => row.cells[0].textContent),
    };"""
    told, console = drive(page, script)
    assert told == {
        "foreign": 0,
        "rows": ["C3", "T1", level, "whole image"],  # what is no vertebra comes last
        "fetched": [],
        "seen": [],
    }
    assert console == []
