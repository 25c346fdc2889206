"""One cord, stored in the ways in which people store it, is the same to all who read labels."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.api.segment import on_grid
from spinalprep.image import load, upright
from spinalprep.phantom.fault_dataset import Labelled, write_faults
from spinalprep.training.material.cases import find_cases
from spinalprep.training.material.dataset import user_dataset
from spinalprep.training.material.labelled import labelled_volumes
from spinalprep.training.material.whole_slices import read_whole_slices

AFFINE = np.diag([-1.0, 1, 2, 1])
SHAPE = (40, 40, 8)
AWAY = np.hypot(*np.indices(SHAPE[:2]) - 19.5)[..., None] + np.zeros(SHAPE[2])  # mm from an axis
CORD, CANAL = (np.less(AWAY, mm).astype(np.float32) for mm in (4, 8))
GRADES = np.random.default_rng(0).random(SHAPE)
SOFT = np.where(CORD > 0, 0.6 + 0.4 * (GRADES + 0.2).clip(0, 1), 0.4 * GRADES * CANAL)
STORED = {
    "0 and 2": CORD * 2,
    "0 and 255": CORD * 255,
    "shares of 1": SOFT,
    "shares of 255": np.rint(SOFT * 255),
    "NaN around": np.where(CANAL > 0, CORD, np.nan),
}


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[[np.ndarray], Path]:
    """Return what writes a dataset of one image with a cord label."""

    def write(label: np.ndarray) -> Path:
        bids = tmp_path / "bids"
        image = bids / "sub-01/anat/sub-01_T2w.nii.gz"
        drawn = bids / "derivatives/labels/sub-01/anat/sub-01_T2w_seg-manual.nii.gz"
        for path, data in ((image, 100 + 50 * CORD), (drawn, np.asarray(label, np.float32))):
            path.parent.mkdir(parents=True)
            nib.nifti1.Nifti1Image(data, AFFINE).to_filename(path)
        (bids / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
        return bids

    return write


@pytest.mark.parametrize("how", STORED)
def test_one_cord_is_the_same_to_everybody(how: str, dataset: Callable[..., Path]) -> None:
    bids = dataset(STORED[how])
    (case,) = find_cases(bids)
    path, las = case.truth["cord"], upright(load(case.image))
    (volume,) = labelled_volumes(user_dataset(bids))
    assert volume.cord is not None
    faults = write_faults([Labelled(case.image, path)], bids.parent / "faults", ())
    (written,) = (faults / "derivatives" / "labels").rglob("*_seg.nii.gz")
    found = {
        "evaluation": case.read("cord", las).data,
        "training": volume.cord.data,
        "whole slices": np.moveaxis(read_whole_slices([case], 40, 99).cord, 0, -1),
        "faults": load(written).data,
        "front door": on_grid(path, las, "cord").data,
    }
    for who, values in found.items():
        np.testing.assert_array_equal(values >= 0.5, CORD > 0, err_msg=who)
        assert values.max() <= 1, who
