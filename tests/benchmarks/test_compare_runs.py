"""What compare_runs.py says of two runs that differ by known amounts."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, save
from spinalprep.registration.transform import Affine, write_itk

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
STEM = "sub-01/anat/sub-01_"
TABLE = f"{STEM}space-T2w_label-SC_desc-perslice_morph.tsv"
CORD = f"{STEM}space-T2w_label-SC_mask.nii.gz"
TRANSFORM = f"{STEM}from-T1w_to-T2w_mode-image_xfm.txt"
IMAGE = f"{STEM}desc-preproc_T2w.nii.gz"


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Return two equal output folders of one participant."""
    a, b = tmp_path / "a", tmp_path / "b"
    (a / "sub-01/anat").mkdir(parents=True)
    (a / "sub-01/log").mkdir()
    (a / "sub-01/log/resources.tsv").write_text("cpu_s\n1\n")
    mask = np.zeros((10, 10, 10), np.float32)
    mask[3:7, 3:8, :] = 1  # 200 voxels
    save(Image(mask, AFFINE), a / CORD, np.uint8)
    save(Image(100 * mask + 50, AFFINE), a / IMAGE)
    write_itk(Affine(np.eye(4)), a / TRANSFORM)
    pd.DataFrame({"slice": [1, 2], "area_mm2": [80.0, 75.0], "tilt_deg": [np.nan, 3.0]}).to_csv(
        a / TABLE, sep="\t", index=False, na_rep="n/a"
    )
    shutil.copytree(a, b)
    return a, b


@pytest.fixture
def found(script: Callable[[str], ModuleType]) -> Callable[[Path, Path], dict[str, float]]:
    """Return the largest difference by kind."""

    def largest(a: Path, b: Path) -> dict[str, float]:
        worst: dict[str, float] = {}
        for one in script("compare_runs").compare(a, b):
            worst[one.kind] = max(worst.get(one.kind, 0.0), one.amount)
        return worst

    return largest


Found = Callable[[Path, Path], dict[str, float]]


def test_equal_runs_do_not_differ(runs: tuple[Path, Path], found: Found) -> None:
    (runs[1] / "sub-01/log/resources.tsv").write_text("cpu_s\n2\n")  # no result
    assert found(*runs) == dict.fromkeys(("area", "image", "mask", "number", "transform"), 0.0)


def test_voxels_of_a_mask_are_a_share_of_the_larger_one(
    runs: tuple[Path, Path], found: Found
) -> None:
    mask = np.zeros((10, 10, 10), np.float32)
    mask[3:7, 3:8, :] = 1
    mask[0, 0, :5] = 1  # five more
    mask[3, 3, 0] = 0  # and one less: 204
    save(Image(mask, AFFINE), runs[1] / CORD, np.uint8)
    assert found(*runs)["mask"] == pytest.approx(6 / 204)
    assert found(*runs[::-1])["mask"] == pytest.approx(6 / 204)
    save(Image(mask[1:], AFFINE), runs[1] / CORD, np.uint8)
    assert found(*runs)["mask"] == float("inf")


def test_transforms_are_compared_in_the_cord(runs: tuple[Path, Path], found: Found) -> None:
    shifted = np.eye(4)
    shifted[:3, 3] = 0.3, 0.0, 0.4
    write_itk(Affine(shifted), runs[1] / TRANSFORM)
    assert found(*runs)["transform"] == pytest.approx(0.5, abs=1e-5)
    (runs[0] / CORD).rename(runs[0] / CORD.replace("T2w_label", "T1w_label"))
    assert found(*runs)["transform"] == float("inf")  # nothing to measure it at
    (runs[0] / CORD.replace("T2w_label", "T1w_label")).rename(runs[0] / CORD)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    write_itk(Affine(turned), runs[1] / TRANSFORM)
    far = np.hypot(6.0, 7.0)  # the voxel of the cord that is farthest from the axis
    assert found(*runs)["transform"] == pytest.approx(2 * np.sin(0.05) * far, abs=1e-4)


def test_areas_are_relative_and_images_relative_to_the_largest_value(
    runs: tuple[Path, Path], found: Found
) -> None:
    table = runs[1] / TABLE
    table.write_text(table.read_text().replace("80.0", "80.8").replace("3.0", "2.4"))
    image = np.full((10, 10, 10), 50.0, np.float32)
    image[3:7, 3:8, :] = 150
    image[0, 0, 0] = 47
    save(Image(image, AFFINE), runs[1] / IMAGE)
    worst = found(*runs)
    assert worst["area"] == pytest.approx(0.8 / 80.8)
    assert worst["number"] == pytest.approx(0.6 / 3.0)
    assert worst["image"] == pytest.approx(3 / 150)


def test_a_value_that_is_lost_differs_without_bound(runs: tuple[Path, Path], found: Found) -> None:
    table = runs[1] / TABLE
    table.write_text(table.read_text().replace("80.0", "n/a"))
    assert found(*runs)["area"] == float("inf")
    table.write_text("slice\tarea_mm2\n1\t80.0\n")
    assert found(*runs)["table"] == float("inf")


def test_a_file_without_counterpart_is_told(
    runs: tuple[Path, Path],
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script("compare_runs")
    monkeypatch.setattr("sys.argv", ["compare_runs.py", *map(str, runs)])
    assert module.main() == 0
    (runs[1] / IMAGE).unlink()
    assert module.main() == 1
    assert f"only in one: {IMAGE}" in capsys.readouterr().out
