"""Gates get their values from what the stages wrote; what was not measured has none."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spinalprep.app.quality import measure_quality
from spinalprep.image import Image, save
from spinalprep.reports.gates import judge, load_gates
from spinalprep.tables import write_table


def as_file(path: Path) -> SimpleNamespace:
    return SimpleNamespace(fspath=str(path))


def shape(folder: Path, slices: list[int], area: list[float]) -> dict[str, float | None]:
    table = pd.DataFrame({"slice": slices, "area_mm2": area, "complete": True})
    path = folder / "perslice.tsv"
    write_table(table, path)
    return measure_quality({"shape": SimpleNamespace(perslice=as_file(path))})


def verdicts(measured: dict[str, float | None]) -> dict[str, str]:
    table = judge(measured, load_gates())
    return dict(zip(table["metric"], table["result"], strict=True))


@pytest.mark.parametrize(
    ("area", "jump", "word"),
    [
        ([40, 80, 84, 80, 82, 30], 4 / 81, "PASS"),  # ends may be cut by the field of view
        ([80, 80, 44, 80, 80, 80], 36 / 80, "WARN"),
        ([80, 80, 160, 80, 80, 80], 1.0, "FAIL"),
    ],
)
def test_area_jumps(tmp_path: Path, area: list[float], jump: float, word: str) -> None:
    found = shape(tmp_path, list(range(6)), area)
    assert found["area_jump"] == pytest.approx(jump)
    assert found["coverage"] == 1.0
    assert verdicts(found)["area_jump"] == word


def test_no_jump_across_a_gap_but_less_coverage(tmp_path: Path) -> None:
    found = shape(tmp_path, [0, 1, 2, 8, 9, 10], [80.0, 80, 81, 40, 40, 40])
    assert found["area_jump"] == pytest.approx(1 / 60)
    assert found["coverage"] == pytest.approx(6 / 11)
    assert verdicts(found)["coverage"] == "WARN"


def test_a_centerline_that_goes_on_lessens_the_coverage_of_a_found_cord_only(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame({"slice": range(6), "area_mm2": 80.0, "complete": True})
    write_table(table, tmp_path / "perslice.tsv")
    mask = Image(np.ones((4, 4, 6), np.uint8), np.eye(4))
    cord = as_file(Path(save(mask, tmp_path / "cord.nii.gz", dtype=np.uint8)))
    outputs = {
        "shape": SimpleNamespace(perslice=as_file(tmp_path / "perslice.tsv")),
        "automatic": SimpleNamespace(cord=cord, unseen=2),
    }
    assert measure_quality(outputs)["coverage"] == pytest.approx(6 / 8)
    assert verdicts(measure_quality(outputs))["coverage"] == "WARN"
    outputs["manual"] = SimpleNamespace(cord=cord)
    assert measure_quality(outputs)["coverage"] == 1.0


def test_too_few_slices_have_no_jump(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        found = shape(tmp_path, list(range(count)), [80.0] * count)
        assert found["area_jump"] is None
        assert verdicts(found)["area_jump"] == "n/a"


def test_pieces_and_unknown_levels(tmp_path: Path) -> None:
    mask = np.zeros((10, 10, 12), np.uint8)
    mask[4:6, 4:6, [1, 2, 5, 6, 9, 10]] = 1
    cord = save(Image(mask, np.eye(4)), tmp_path / "cord.nii.gz", dtype=np.uint8)
    found = measure_quality({"automatic": SimpleNamespace(cord=as_file(Path(cord)))})
    assert found["components"] == 3
    assert found["level_confidence"] == 0.0
    assert verdicts(found)["components"] == "WARN"
    assert verdicts(found)["dice_template"] == "n/a"


def test_the_worst_contrast_counts_and_one_that_overlaps_nowhere_gains_nothing() -> None:
    def stage(gain: float) -> SimpleNamespace:
        return SimpleNamespace(measures={"gain": gain})

    two = {"coregister_T1w": stage(0.02), "coregister_T2starw": stage(0.008)}
    assert measure_quality(two)["coreg_gain"] == pytest.approx(0.008)
    assert verdicts(measure_quality(two))["coreg_gain"] == "PASS"
    two["coregister_T1w"] = stage(float("nan"))
    assert verdicts(measure_quality(two))["coreg_gain"] == "WARN"
    two["coregister_T1w"].measures["headers_hold"] = True  # nothing to gain
    assert verdicts(measure_quality(two))["coreg_gain"] == "PASS"
    del two["coregister_T2starw"]
    assert verdicts(measure_quality(two))["coreg_gain"] == "n/a"


def test_lesions_far_outside() -> None:
    found = measure_quality({"lesion": SimpleNamespace(outside=0.3)})
    assert verdicts(found)["lesion_outside_cord"] == "WARN"
