"""The synthetic dataset says what it holds, and holds what it says."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from spinalprep.image import load, reorient, to_world
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.dataset import motion_matrix, write_dataset
from spinalprep.phantom.images import render
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.transform import Affine, read_itk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("phantom") / "in", people=2, seed=100_000)


def truth(dataset: Path, label: str, ending: str) -> Path:
    return dataset / "derivatives" / "truth" / label / "anat" / f"{label}_{ending}"


@pytest.mark.parametrize("part", [".", "derivatives/truth", "derivatives/labels"])
def test_validator_finds_no_error(dataset: Path, part: str) -> None:
    validator = shutil.which("bids-validator-deno") or str(
        Path(sys.executable).parent / "bids-validator-deno"
    )
    done = subprocess.run(
        [validator, str(dataset / part), "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_same_seed_same_bytes(dataset: Path, tmp_path: Path) -> None:
    again = write_dataset(tmp_path / "in", people=1, seed=100_000)
    files = sorted(path.relative_to(again) for path in again.rglob("sub-01*") if path.is_file())
    assert len(files) > 20
    for name in files:
        ours, theirs = ((home / name).read_bytes() for home in (dataset, again))
        assert hashlib.sha256(ours).digest() == hashlib.sha256(theirs).digest(), name


def test_the_stored_transform_brings_the_t1w_back(dataset: Path) -> None:
    stored = read_itk(truth(dataset, "sub-01", "from-T1w_to-T2w_mode-image_xfm.txt"))
    assert isinstance(stored, Affine)
    np.testing.assert_allclose(stored.matrix, motion_matrix(), atol=1e-9)
    content = json.loads(truth(dataset, "sub-01", "truth.json").read_text())
    np.testing.assert_allclose(content["t1w_motion"], motion_matrix())
    moved = load(dataset / "sub-01/anat/sub-01_T1w.nii.gz")
    t2w = load(dataset / "sub-01/anat/sub-01_T2w.nii.gz")
    still = render(make_person(100_000), "T1w", (t2w.shape, t2w.affine), seed=1, noise=0.0)
    cord = load(truth(dataset, "sub-01", "space-T2w_label-SC_mask.nii.gz")).data > 0
    near = ndimage.binary_dilation(cord, iterations=4)
    near[..., :10] = near[..., -10:] = False  # the ends leave the moved field of view
    alike = {}
    for name, transform in (("none", Affine(np.eye(4))), ("back", stored)):
        image = resample_through(moved, transform, (t2w.shape, t2w.affine), 1)
        alike[name] = np.corrcoef(image.data[near], still.data[near])[0, 1]
    assert alike["back"] > 0.85
    assert alike["back"] > alike["none"] + 0.1


def test_truth_of_levels_discs_and_areas(dataset: Path) -> None:
    vertebrae = load(truth(dataset, "sub-01", "space-T2w_seg-vertebrae_dseg.nii.gz"))
    discs = load(truth(dataset, "sub-01", "space-T2w_seg-discs_dseg.nii.gz"))
    manual = load(dataset / "derivatives/labels/sub-01/anat/sub-01_T2w_labels-disc-manual.nii.gz")
    np.testing.assert_array_equal(discs.data, manual.data)
    height = {
        int(discs.data[tuple(ijk)]): to_world(ijk.astype(float), discs.affine)[2]
        for ijk in np.argwhere(discs.data > 0)
    }
    assert sorted(height, key=height.__getitem__, reverse=True) == sorted(height)
    for disc in height:
        i, j, k = np.argwhere(discs.data == disc)[0]
        above, below = vertebrae.data[i, j, k + 3], vertebrae.data[i, j, k - 3]
        assert (above, below) == (disc - 1, disc)  # disc n lies above vertebra n
    path = truth(dataset, "sub-01", "space-T2w_label-SC_desc-perslice_morph.tsv")
    table = pd.read_csv(path, sep="\t")
    share = load(truth(dataset, "sub-01", "space-T2w_label-SC_probseg.nii.gz"))
    person = make_person(100_000)
    cosine = np.abs(person.centerline.frame(table["s_mm"].to_numpy())[2][:, 2])
    measured = share.data.sum(axis=(0, 1)) * share.voxel_volume / share.voxel_sizes[2] * cosine
    np.testing.assert_allclose(measured, table["area_mm2"], rtol=0.02)


def test_lesions_are_numbered_and_whole(dataset: Path) -> None:
    numbered = load(truth(dataset, "sub-02", "space-T2w_seg-lesions_dseg.nii.gz"))
    mask = load(truth(dataset, "sub-02", "space-T2w_label-lesion_mask.nii.gz"))
    content = json.loads(truth(dataset, "sub-02", "truth.json").read_text())
    np.testing.assert_array_equal(numbered.data > 0, mask.data > 0)
    for number, volume in enumerate(content["lesion_volume_mm3"], start=1):
        voxels = numbered.data == number
        assert ndimage.label(voxels, np.ones((3, 3, 3)))[1] == 1
        assert voxels.sum() == pytest.approx(volume, rel=0.25)  # voxels of 1 mm3
    assert not load(truth(dataset, "sub-01", "space-T2w_label-lesion_mask.nii.gz")).data.any()


def test_images_are_small_and_las(dataset: Path) -> None:
    for path in dataset.glob("sub-*/anat/*.nii.gz"):
        image = load(path)
        assert np.prod(image.shape) < 1.5e6
        assert reorient(image, "LAS").shape == image.shape
