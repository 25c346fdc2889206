"""The tool writes a dataset that evaluation reads, from two files or from a dataset."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.defaults import FAULT_KINDS
from spinalprep.errors import UsageError
from spinalprep.image import Image, load, save
from spinalprep.tools.main import main
from spinalprep.training.material.cases import find_cases


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an image and its cord: 5 mm wide in a sac of 8 mm."""
    folder = tmp_path_factory.mktemp("one")
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    i, j, _ = np.indices((32, 32, 40))
    away = np.hypot(i - 16, j - 16)
    grey = np.select([away <= 5.0, away <= 8.0], [100.0, 200.0], 20.0)
    save(Image(grey.astype(np.float32), affine), folder / "scan.nii.gz")
    save(Image((away <= 5.0).astype(np.uint8), affine), folder / "cord.nii.gz", np.uint8)
    return folder / "scan.nii.gz", folder / "cord.nii.gz"


@pytest.fixture(scope="module")
def dataset(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "faults"
    assert main(["faults", *map(str, files), str(out)]) == 0
    return out


def test_every_kind_is_a_participant_with_its_truth(dataset: Path) -> None:
    cases = {case.participant: case for case in find_cases(dataset)}
    assert set(cases) == {f"01{kind}" for kind in ("plain", *FAULT_KINDS)}
    for name, case in cases.items():
        cord = load(case.truth["cord"])
        assert cord.same_grid(load(case.image))
        assert cord.data.any()
        assert ("lesion" in case.truth) == (name == "01lesionend")
        said = json.loads((case.truth["cord"].parent / _sidecar(case.truth["cord"])).read_text())
        assert f"01{said['Fault']}" == name
        assert 0 <= said["FirstSlice"] <= said["LastSlice"] < cord.shape[2]
    people = pd.read_csv(dataset / "participants.tsv", sep="\t", dtype=str)
    assert set(people["participant_id"]) == {f"sub-{name}" for name in cases}


def test_a_dataset_can_be_drawn_into(dataset: Path, tmp_path: Path) -> None:
    words = ["faults", str(dataset), str(tmp_path / "out"), "--kinds", "wall", "--seed", "106000"]
    assert main(words) == 0
    names = {case.participant for case in find_cases(tmp_path / "out")}
    assert {"01plainplain", "01plainwall", "01thickwall"} <= names


def test_what_is_no_source_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    image, _ = files
    for words in (
        [str(image), str(tmp_path / "missing.nii.gz"), str(tmp_path / "out")],
        [str(image), str(image), str(image), str(tmp_path / "out")],
        [str(image), str(image), str(image.parent)],
    ):
        assert main(["faults", *words]) == UsageError.exit_code


def _sidecar(path: Path) -> str:
    return path.name.replace(".nii.gz", ".json")
