"""The line of findings on top of a participant's page."""

from dataclasses import replace

import pandas as pd

from spinalprep.reports.facts import FailureFacts, SessionRunFacts
from spinalprep.reports.findings import failed, findings

RUN = SessionRunFacts("sub-01/anat/sub-01_T2w.nii.gz", level_source="manual")
TOTAL = pd.DataFrame({"vertebral_level": ["all"], "area_mm2": [70.0], "slices": [55]})


def levels(**more: object) -> pd.DataFrame:
    rows = {"vertebral_level": ["C2", "C3", "C4"], "slices": [1, 3, 9]}
    return pd.DataFrame(rows | {"area_mm2": [80.0, 72.0, 10.0]} | more)


def test_the_area_at_c2_c3_is_told_where_it_is_known() -> None:
    both = pd.DataFrame({"vertebral_level": ["all", "C2-C3"], "area_mm2": [70.0, 74.0]})
    both = both.assign(slices=[55, 20])
    assert findings(RUN, levels(), both, None, None)[0] == "cord area at C2-C3 74.0 mm²"
    scored = findings(RUN, levels(area_z=[0.5, -1.25, 0.0]), both, None, None)[0]
    assert scored.endswith("(z at C2 +0.5, z at C3 -1.2)")
    lacking = findings(RUN, levels(area_z=[0.5, None, 0.0]), both, None, None)[0]
    assert lacking.endswith("74.0 mm²")


def test_without_that_range_the_whole_cord_is_told() -> None:
    assert findings(RUN, levels(), TOTAL, None, None)[0] == "mean cord area 70.0 mm² over 55 slices"
    assert findings(RUN, None, None, None, None)[0] == "no lesion"


def test_lesions_are_told_by_number_volume_and_level() -> None:
    table = pd.DataFrame({"vertebral_level": ["C3", "C3", None], "volume_mm3": [10.0, 20.4, 5.0]})
    assert "3 lesions, 35 mm³, at C3" in findings(RUN, None, TOTAL, table, None)
    quiet = replace(RUN, lesions_sought=False)
    assert "lesions were not segmented" in findings(quiet, None, TOTAL, None, None)


def test_levels_gates_and_failures() -> None:
    gates = pd.DataFrame({"metric": ["edge", "coverage"], "result": ["WARN", "PASS"]})
    said = findings(replace(RUN, level_source="unknown"), None, TOTAL, None, gates)
    assert said[-2:] == ["vertebral levels unknown", "quality gates: edge WARN"]
    assert findings(RUN, None, TOTAL, None, gates.iloc[1:])[-1] == "all quality gates pass"
    crash = FailureFacts("lesion_measures", "Measure", "defect: x")
    assert failed([crash, crash]) == "failed: lesion measures"
    assert failed([]) == ""


def test_levels_are_told_with_their_source() -> None:
    told = {
        "manual": "from manual disc labels",
        "hint+detected": "from --level-hint and detected discs",
        "detected": "from detected discs",
        "detected in T1w": "from detected discs in T1w",
    }
    for source, words in told.items():
        said = findings(replace(RUN, level_source=source), None, TOTAL, None, None)
        assert f"vertebral levels {words}" in said
