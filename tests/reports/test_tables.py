"""Tables of a page."""

import numpy as np
import pandas as pd

from spinalprep.reports.gates import judge, load_gates
from spinalprep.reports.tables import GATE_WORDS, gate_rows, shape_rows


def test_areas_stand_with_their_intervals_and_unknown_columns_are_left_out() -> None:
    table = pd.DataFrame({"vertebral_level": ["C3", "all"], "area_mm2": [77.64, 80.0]})
    table = table.assign(area_mm2_lower=[74.25, 80.0], area_mm2_upper=[81.0, 80.0], area_z=np.nan)
    assert shape_rows(table) == [
        {"level": "C3", "area (mm2)": "77.6 [74.2, 81.0]"},
        {"level": "all", "area (mm2)": "80.0"},
    ]
    assert shape_rows(None) == []


def test_every_gate_says_what_it_is_and_only_a_bad_one_what_to_do() -> None:
    gates = load_gates()
    assert set(GATE_WORDS) == {gate.metric for gate in gates}
    rows = gate_rows(judge({"dice_template": 0.85, "components": 1.0}, gates))
    by_name = {row["gate"]: row for row in rows}
    assert by_name["dice_template"]["result"] == "WARN"
    assert "overlay" in by_name["dice_template"]["what to do"]
    assert by_name["components"]["what to do"] == ""
    assert by_name["coreg_gain"]["value"] == "n/a"
    assert gate_rows(None) == []


def test_a_single_level_has_no_volume_and_an_unknown_area_stays_unknown() -> None:
    table = pd.DataFrame(
        {
            "vertebral_level": ["C3", "C2-C3"],
            "area_mm2": [np.nan, 80.5],
            "volume_mm3": [np.nan, 2415.0],
        }
    )
    level, both = shape_rows(table)
    assert level["volume (mm3)"] == ""
    assert level["area (mm2)"] == "n/a"
    assert both["volume (mm3)"] == "2415"
