"""Gates judge on the right side of their thresholds; users override single values."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinalprep.errors import UsageError
from spinalprep.reports.gates import Gate, judge, load_gates

METRICS = [
    "dice_template",
    "disc_residual_mm",
    "jacobian_min",
    "area_jump",
    "area_norm",
    "area_norm_low",
    "edge",
    "cauda_mm",
    "coverage",
    "doubtful_mm",
    "coreg_gain",
    "lesion_outside_cord",
    "components",
    "level_confidence",
]


def results(measured: dict[str, float | None], path: Path | None = None) -> dict[str, str]:
    table = judge(measured, load_gates(path))
    return dict(zip(table["metric"], table["result"], strict=True))


def test_every_metric_has_a_gate_with_an_action() -> None:
    gates = load_gates()
    assert [gate.metric for gate in gates] == METRICS
    assert all(gate.action for gate in gates)
    for gate in gates:
        if gate.warn is not None and gate.fail is not None:
            assert (gate.fail < gate.warn) == (gate.better == "high")


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("dice_template", 0.95, "PASS"),
        ("dice_template", 0.85, "WARN"),
        ("dice_template", 0.5, "FAIL"),
        ("disc_residual_mm", 0.5, "PASS"),
        ("disc_residual_mm", 5.0, "WARN"),
        ("disc_residual_mm", 9.0, "FAIL"),
        ("jacobian_min", -0.1, "FAIL"),
        ("components", 1, "PASS"),
        ("components", 2, "WARN"),
        ("coreg_gain", 0.0, "WARN"),
        ("coreg_gain", -1.0, "WARN"),
        ("level_confidence", 0.0, "WARN"),
        ("level_confidence", 1.0, "PASS"),
        ("coverage", None, "n/a"),
        ("coverage", float("nan"), "n/a"),
    ],
)
def test_sides(metric: str, value: float | None, expected: str) -> None:
    assert results({metric: value})[metric] == expected


def test_table_tells_value_threshold_and_action() -> None:
    gates = (Gate("good", 0.9, 0.8, "high", "look"), Gate("bad", 1.0, None, "low", "mend"))
    table = judge({"good": 0.7, "bad": 0.5}, gates).set_index("metric")
    assert table.columns.tolist() == ["value", "threshold", "result", "action"]
    assert table.loc["good"].tolist() == [0.7, 0.8, "FAIL", "look"]
    assert table.loc["bad"].tolist() == [0.5, 1.0, "PASS", ""]
    assert np.isnan(judge({}, gates)["value"]).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gates.json", json.dumps({"dice_template": {"warn": 0.6, "fail": None}})),
        ("gates.toml", 'dice_template = {warn = 0.6, fail = "none"}\n'),
    ],
)
def test_user_overrides_by_metric(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    gates = {gate.metric: gate for gate in load_gates(path)}
    default = {gate.metric: gate for gate in load_gates()}
    changed = gates.pop("dice_template")
    usual = default.pop("dice_template")
    assert (changed.warn, changed.fail) == (0.6, None)
    assert (changed.better, changed.action) == (usual.better, usual.action)
    assert gates == default
    assert results({"dice_template": 0.7}, path)["dice_template"] == "PASS"
    assert results({"dice_template": 0.1}, path)["dice_template"] == "WARN"


@pytest.mark.parametrize(
    "text",
    [
        '{"dice": {"warn": 1}}',
        '{"dice_template": {"alarm": 1}}',
        '{"dice_template": {"warn": "0.9"}}',
        '{"dice_template": {"warn": true}}',
        '{"dice_template": {"better": "wide"}}',
        '{"dice_template": {"action": 3}}',
        '{"dice_template": 0.9}',
        "[]",
        "{",
        None,
    ],
)
def test_bad_files_are_refused_in_one_line(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "gates.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"gates\.json") as caught:
        load_gates(path)
    assert "\n" not in str(caught.value)
