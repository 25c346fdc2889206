"""Manual labels: which are found, which are used, and whether they fit."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids.labels import Labels, check_same_grid, find_labels, unfitting_labels
from spinalprep.bids.query import find_sessions
from spinalprep.errors import UsageError
from spinalprep.settings import Settings

Dataset = Callable[..., Settings]


def put(settings: Settings, *names: str, folder: str = "derivatives/labels") -> Path:
    """Copy the image as label files beside each other."""
    image = settings.bids_dir / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T2w.nii.gz"
    place = settings.bids_dir / folder / "sub-01" / "ses-1" / "anat"
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(image, place / f"sub-01_ses-1_T2w_{name}.nii.gz")
    return settings.bids_dir / folder


def find(settings: Settings) -> Labels:
    (session,) = find_sessions(settings)
    return find_labels(settings, session.scans[0])


@pytest.fixture
def settings(dataset: Dataset) -> Settings:
    return dataset(["sub-01_ses-1_T2w"])


@pytest.mark.parametrize(
    ("ending", "role"),
    [
        ("seg-manual", "cord"),
        ("label-SC_seg", "cord"),
        ("label-SC_mask", "cord"),
        ("lesion-manual", "lesion"),
        ("label-lesion_seg", "lesion"),
        ("gmseg-manual", "gm"),
        ("label-GM_seg", "gm"),
        ("labels-disc-manual", "discs"),
        ("label-discs_dlabel", "discs"),
        ("centerline-manual", "centerline"),
    ],
)
def test_the_names_of_the_community_are_read(settings: Settings, ending: str, role: str) -> None:
    put(settings, ending)
    labels = find(settings)
    assert list(labels.paths) == [role]
    path = labels.path(role)
    assert path is not None
    assert path.name.endswith(f"T2w_{ending}.nii.gz")
    assert labels.uri(role) == f"bids:labels:sub-01/ses-1/anat/{path.name}"


def test_of_two_names_one_is_used_and_the_log_says_which(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "spinalprep")
    put(settings, "label-SC_seg", "seg-manual", "softseg", "gmseg-manual")
    labels = find(settings)
    assert {role: path.name for role, path in labels.paths.items()} == {
        "cord": "sub-01_ses-1_T2w_seg-manual.nii.gz",
        "gm": "sub-01_ses-1_T2w_gmseg-manual.nii.gz",
    }
    ignored = {label.path.name: label.reason for label in labels.found if not label.used}
    assert ignored["sub-01_ses-1_T2w_label-SC_seg.nii.gz"].endswith("seg-manual.nii.gz is used")
    assert "not one of" in ignored["sub-01_ses-1_T2w_softseg.nii.gz"]
    assert "manual cord: " in caplog.text
    assert "ignored label: " in caplog.text


def test_labels_of_another_image_are_not_taken(dataset: Dataset) -> None:
    settings = dataset(["sub-01_ses-1_T2w", "sub-01_ses-1_acq-ax_T2w"])
    put(settings, "seg-manual")
    (session,) = find_sessions(settings)
    by_name = {scan.stem: find_labels(settings, scan).paths for scan in session.scans}
    assert list(by_name["sub-01_ses-1_T2w"]) == ["cord"]
    assert by_name["sub-01_ses-1_acq-ax_T2w"] == {}


def test_manual_labels_can_be_refused(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    put(settings, "seg-manual")
    caplog.set_level(logging.INFO, "spinalprep")
    labels = find(replace(settings, manual_labels=False))
    assert labels.paths == {}
    assert [label.reason for label in labels.found] == ["--no-manual-labels"]
    assert caplog.text == ""  # the run counts them in one line


def test_another_folder_takes_the_place_of_the_default(settings: Settings) -> None:
    put(settings, "seg-manual")
    elsewhere = put(settings, "lesion-manual", folder="derivatives/mine")
    given = replace(settings, derivatives={"labels": elsewhere})
    assert list(find(given).paths) == ["lesion"]
    absent = replace(settings, derivatives={"labels": elsewhere / "nowhere"})
    with pytest.raises(UsageError, match="is not a folder"):
        find(absent)


def test_no_folder_means_no_labels(settings: Settings) -> None:
    assert find(settings) == Labels()


def save(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> Path:
    nib.nifti1.Nifti1Image(np.zeros(shape, np.uint8), affine).to_filename(path)
    return path


def test_a_label_stored_in_another_order_fits(tmp_path: Path) -> None:
    image = save(tmp_path / "image.nii.gz", (4, 5, 6), np.diag([1.0, 2, 3, 1]))
    turned = np.array([[0, -1, 0, 3.0], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 1]])
    label = save(tmp_path / "label.nii.gz", (6, 4, 5), turned)
    assert check_same_grid(label, image) is None


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_rounding_is_allowed_and_a_voxel_is_not(tmp_path: Path, shift: float) -> None:
    affine = np.diag([1.0, 2, 3, 1])
    image = save(tmp_path / "image.nii.gz", (4, 5, 6), affine)
    affine[0, 3] = shift
    message = check_same_grid(save(tmp_path / "label.nii.gz", (4, 5, 6), affine), image)
    assert (message is None) == (shift < 0.3)


def test_another_grid_is_one_line(tmp_path: Path) -> None:
    image = save(tmp_path / "image.nii.gz", (4, 5, 6), np.eye(4))
    message = check_same_grid(save(tmp_path / "label.nii.gz", (4, 5, 7), np.eye(4)), image)
    assert message is not None
    assert (
        "a different grid from image.nii.gz (4 x 5 x 7 voxels of 1 x 1 x 1 mm; expected" in message
    )
    assert "\n" not in message
    (tmp_path / "broken.nii.gz").write_bytes(b"")
    assert "broken.nii.gz" in str(check_same_grid(tmp_path / "broken.nii.gz", image))


def test_labels_that_fit_no_image_are_named(settings: Settings) -> None:
    folder = put(settings, "seg-manual", "old")
    known = [label.path for label in find(settings).found]
    assert unfitting_labels(settings, "01", known) == ""
    label = folder / "sub-01/ses-1/anat/sub-01_ses-1_T2w_seg-manual.nii.gz"
    odd = (
        "sub-01_T2w_seg-manual.nii.gz",
        "sub-01/sub-01_ses-1_T2w_seg-manual.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2W_seg-manual.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2starw_gmseg-manual.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T2w_label-SC_seg.nii",
    )
    for name in (*odd, "sub-01/ses-1/anat/._sub-01_ses-1_T2w_seg-manual.nii.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(label, folder / name)
    line = unfitting_labels(settings, "01", known)
    assert all(name in line for name in odd)
    assert "/._" not in line
    assert "\n" not in line
    first = replace(settings, session_label=("1",))
    assert "ses-2" not in unfitting_labels(first, "01", known)
    assert unfitting_labels(replace(settings, manual_labels=False), "01", known) == ""
