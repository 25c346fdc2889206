"""Labels are read by the App's rule wherever they are read: which class is meant has to be said."""

import logging
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.api.segment import on_grid
from spinalprep.errors import InputError
from spinalprep.image import Image, load, reorient
from spinalprep.phantom.fault_dataset import PLAIN, Labelled, write_faults
from spinalprep.tools.main import main as tools
from spinalprep.training.evaluation.evaluate import judge
from spinalprep.training.evaluation.pictures import _panels
from spinalprep.training.evaluation.predictions import Predictions
from spinalprep.training.evaluation.raters import compare_raters
from spinalprep.training.material.cases import Case, find_cases
from spinalprep.training.material.dataset import user_dataset
from spinalprep.training.material.labelled import labelled_volumes
from spinalprep.training.material.whole_slices import read_whole_slices

AFFINE = np.diag([-1.0, 1, 3, 1])
CANAL = np.zeros((40, 40, 8), np.uint8)
CANAL[12:28, 12:28] = 2
CORD = CANAL.copy()
CORD[16:24, 16:24] = 1
TRUE = CORD == 1
VALUES = {"cord": 1}
TABLE = "index\tname\n1\tspinal cord\n2\tcanal\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A dataset of one image, whose label has the cord as 1 and the canal around it as 2."""
    image = np.random.default_rng(0).integers(1, 99, CORD.shape).astype(np.int16) + 9 * CORD
    for path, data in (
        (tmp_path / "sub-01/anat/sub-01_T2w.nii.gz", image),
        (label_of(tmp_path), CORD),
    ):
        path.parent.mkdir(parents=True)
        nib.nifti1.Nifti1Image(data, AFFINE).to_filename(path)
    return tmp_path


def label_of(raw: Path) -> Path:
    return raw / "derivatives/labels/sub-01/anat/sub-01_T2w_seg-manual.nii.gz"


def evaluated(case: Case) -> np.ndarray:
    """Return the cord against which a prediction is held: one that finds all is perfect."""
    grid = reorient(load(case.image))
    found = Predictions({"cord": grid.with_data(TRUE)}, None)
    (row,) = judge(case, found)
    assert row["dice"] == 1
    assert all(panel.truth.any() for panel in _panels(case, found, "cord"))
    return case.read("cord", grid).data > 0


def drawn(case: Case) -> np.ndarray:
    (volume,) = labelled_volumes(user_dataset(case.image.parents[2], values=case.values))
    assert volume.cord is not None
    return volume.cord.data >= 0.5


READERS = {"training": drawn, "evaluation": evaluated}


@pytest.mark.parametrize("name", ["training", "evaluation"])
def test_the_class_is_told_by_the_user_or_by_a_table(raw: Path, name: str) -> None:
    read: Callable[[Case], np.ndarray] = READERS[name]
    assert np.array_equal(read(find_cases(raw, values=VALUES)[0]), TRUE)
    table = label_of(raw).with_name("sub-01_T2w_seg-manual.tsv")
    table.write_text(TABLE)
    for values in (None, {"cord": 2}):  # the table is of this file, and counts
        assert np.array_equal(read(find_cases(raw, values=values)[0]), TRUE)


def test_whole_slices_show_the_cord_alone(raw: Path) -> None:
    (case,) = find_cases(raw, values=VALUES)
    taught = read_whole_slices([case], 40, 8)
    both = taught.cord.sum()
    label_of(raw).unlink()
    nib.nifti1.Nifti1Image(TRUE.astype(np.uint8), AFFINE).to_filename(label_of(raw))
    alone = read_whole_slices(find_cases(raw), 40, 8)
    assert both == alone.cord.sum() > 0


def test_nothing_is_guessed(raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    (case,) = find_cases(raw)
    grid = reorient(load(case.image))
    for read in (
        lambda: list(labelled_volumes(user_dataset(raw))),
        lambda: read_whole_slices([case], 40, 8),
        lambda: write_faults([Labelled(case.image, label_of(raw))], raw / "faults"),
        lambda: on_grid(label_of(raw), grid, "cord"),
        lambda: compare_raters({"a": [case], "b": [case]}, lambda _: Predictions({}, None), raw),
    ):
        with pytest.raises(InputError):
            read()
    logging.getLogger("spinalprep").propagate = True
    assert list(judge(case, Predictions({}, None))) == []
    assert "has several classes (1, 2)" in caplog.text
    assert "--label-values cord=VALUE" in caplog.text
    with pytest.raises(InputError, match="no voxel of the value 3"):
        find_cases(raw, values={"cord": 3})[0].read("cord", grid)


def test_the_front_door_reads_tables(raw: Path) -> None:
    label_of(raw).with_name("sub-01_T2w_seg-manual.tsv").write_text(TABLE)
    grid = reorient(load(raw / "sub-01/anat/sub-01_T2w.nii.gz"))
    assert np.array_equal(on_grid(label_of(raw), grid, "cord").data > 0, TRUE)


def test_faults_and_consensus_take_the_flag(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, mask = raw / "faults", str(label_of(raw))
    assert tools(["faults", str(raw), str(out), "--kinds", "wall"]) == 1
    assert tools(["faults", str(raw), str(out), "--kinds", "wall", "--label-values", "cord=1"]) == 0
    (plain,) = out.glob(f"derivatives/labels/sub-01{PLAIN}/anat/*_seg.nii.gz")
    assert np.array_equal(load(plain).data > 0, TRUE)
    words = ["consensus", mask, mask, "-o", str(raw / "joined")]
    assert tools(words) == 1
    assert "has several classes" in capsys.readouterr().err
    assert tools([*words, "--label-values", "cord=1"]) == 0
    joined: Image = load(raw / "joined" / "majority.nii.gz")
    assert np.array_equal(joined.data > 0, TRUE)
