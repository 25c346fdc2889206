"""Whose map is whose, and which two images make an MT ratio."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids.maps import glob_maps, mt_pair, pick_map
from spinalprep.bids.session import Scan
from spinalprep.errors import InputError, UsageError
from spinalprep.image.grids import same_voxels


def scan(name: str, contrast: str = "T2w", session: str | None = None, **entities: str) -> Scan:
    path = f"sub-{name}/anat/x_{contrast}.nii.gz"
    return Scan(Path("bids"), path, name, session, contrast, entities)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_go_to_the_person_and_session_that_name_or_folder_say(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "derivatives/dwi/sub-01/ses-1/sub-01_ses-1_FA.nii.gz",
        "derivatives/dwi/sub-01/ses-2/sub-01_ses-2_FA.nii.gz",
        "derivatives/dwi/sub-02/FA.nii.gz",
        "derivatives/dwi/sub-02/FA.json",
    )
    files = glob_maps(tmp_path, {"FA": "derivatives/dwi/**/*FA*"})["FA"]
    assert len(files) == 3
    assert pick_map("FA", files, scan("01", session="2")).name == "sub-01_ses-2_FA.nii.gz"
    assert pick_map("FA", files, scan("02")).parts[-2:] == ("sub-02", "FA.nii.gz")
    assert pick_map("FA", files, scan("01")) is None
    assert pick_map("FA", files, scan("03")) is None
    absolute = glob_maps(Path("/nowhere"), {"FA": f"{tmp_path}/derivatives/dwi/sub-02/*.nii.gz"})
    assert absolute["FA"] == (tmp_path / "derivatives/dwi/sub-02/FA.nii.gz",)


def test_runs_are_kept_apart_and_several_files_refused(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01_run-1_FA.nii.gz", "sub-01_run-2_FA.nii.gz", "sub-01_acq-x_MD.nii")
    files = glob_maps(tmp_path, {"FA": "*_FA.nii.gz", "all": "*.nii*"})
    assert pick_map("FA", files["FA"], scan("01", run="2")).name == "sub-01_run-2_FA.nii.gz"
    assert pick_map("FA", files["FA"], scan("01", run="3")) is None
    with pytest.raises(InputError, match="2 files fit"):
        pick_map("all", files["all"], scan("01", run="1"))


def test_a_pattern_that_fits_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--metric FA=\*_FA.nii.gz"):
        glob_maps(tmp_path, {"FA": "*_FA.nii.gz"})


def test_the_pair_differs_in_nothing_but_the_pulse() -> None:
    on, off = (scan("01", "MTS", mt=mt, flip="1") for mt in ("on", "off"))
    t1 = scan("01", "MTS", mt="off", flip="2")
    assert mt_pair(on, {"a": t1, "b": off}) == ("", "b")
    assert mt_pair(scan("01"), {"a": t1, "b": off, "c": on}) == ("c", "b")
    assert mt_pair(on, {"a": t1}) is None
    other = [scan("01", "MTS", mt=mt, acq="x") for mt in ("on", "off")]
    assert mt_pair(on, {"p": other[0], "q": other[1], "r": off}) == ("", "r")
    assert mt_pair(off, {"p": on}) == ("p", "")


def test_grids_are_one_whatever_the_order_of_their_voxels(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 4.0, 1.0])
    affine[:3, 3] = [-8.0, -9.0, 3.0]
    image = nib.nifti1.Nifti1Image(np.zeros((12, 14, 6), np.float32), affine)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PSL"))
    aside = affine.copy()
    aside[0, 3] += 0.5
    moved = nib.nifti1.Nifti1Image(image.dataobj, aside)
    for name, each in (("a", image), ("b", turned), ("c", moved)):
        each.to_filename(tmp_path / f"{name}.nii.gz")
    assert same_voxels(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert not same_voxels(tmp_path / "a.nii.gz", tmp_path / "c.nii.gz")
