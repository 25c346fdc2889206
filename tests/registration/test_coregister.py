"""A known displacement is found again, and nothing is moved for nothing."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, grid_points
from spinalprep.image.sanity import conform, conform_label
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.dataset import _grid
from spinalprep.phantom.images import render
from spinalprep.registration.bias import correct_bias
from spinalprep.registration.coregister import (
    _around,
    _in_reach,
    _Pair,
    _run_ants,
    coregister,
    similarity,
)
from spinalprep.registration.search import search_rigid
from spinalprep.registration.transform import Affine

SHARED = Path(os.environ.get("SPINALPREP_SHARED", "../shared"))
PLANTED = [((0.0, 0.0, 10.0), (8.0, 0.0, 0.0)), ((10.0, 0.0, 0.0), (4.6, -4.6, 4.6))]


def _neck(seed: int) -> tuple[Image, Image, Image]:
    """Return two contrasts of one neck (16 slices of 1 mm) and its cord."""
    shape, affine = (90, 90, 24), np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 45, -45, -12
    rng = np.random.default_rng(seed)
    tissue = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    tissue /= tissue.std()
    x, y, _ = np.moveaxis(grid_points(shape, affine), -1, 0)
    radius = np.hypot(x / 7, y / 5)
    cord, canal = radius < 1, (radius >= 1) & (radius < 1.6)
    first = np.where(cord, 2.0, np.where(canal, -2.0, tissue))
    second = np.where(cord, 0.5, np.where(canal, 3.0, np.abs(tissue) * 1.5 - 1))
    noise = rng.normal(0, 0.1, (2, *shape))
    t1w, t2w = (
        Image((100 * (data + more + 4)).astype(np.float32), affine)
        for data, more in zip((first, second), noise, strict=True)
    )
    return t1w, t2w, Image(cord.astype(np.float32), affine)


def _displaced(
    image: Image, cord: Image, angles: tuple[float, ...], shift: tuple[float, ...]
) -> tuple[Image, np.ndarray]:
    """Turn an image about the cord's middle and shift it; return it and the motion."""
    middle = _cord_points(cord).mean(axis=0)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    motion[:3, 3] = middle + shift - motion[:3, :3] @ middle
    return Image(image.data, motion @ image.affine), motion


def _cord_points(cord: Image) -> np.ndarray:
    return grid_points(cord.shape, cord.affine)[cord.data > 0.5]


def _error(found: Affine, motion: np.ndarray, cord: Image) -> float:
    """Return the mean distance in the cord between the found and the true map."""
    points = _cord_points(cord)
    return float(np.linalg.norm(found.apply(points) - Affine(motion).apply(points), axis=1).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("angles", "shift"), PLANTED)
def test_displacement_is_found(angles: tuple[float, ...], shift: tuple[float, ...]) -> None:
    t1w, t2w, cord = _neck(0)
    moved, motion = _displaced(t1w, cord, angles, shift)
    fit = coregister(moved, t2w, cord)
    assert fit.accepted
    assert fit.gain > 0.02
    assert _error(fit.forward, motion, cord) < 0.5
    np.testing.assert_allclose(fit.inverse.matrix @ fit.forward.matrix, np.eye(4), atol=1e-9)


@pytest.mark.slow
def test_a_short_stack_of_thick_slices_is_found_beside_its_place() -> None:
    person = make_person(3)
    t2w = render(person, "T2w", _grid((56, 80, 112), (1.0, 1.0, 1.0)), 3)
    stack = render(person, "T2starw", _grid((96, 112, 12), (0.6, 0.6, 5.0)), 4)
    cord = t2w.with_data(truth_cord(person, t2w))
    moved, motion = _displaced(stack, cord, (3.0, -2.0, 2.0), (4.0, -3.0, -5.0))
    around = _around(cord, t2w) & _in_reach(moved, t2w)
    assert 0.65 * np.ptp(np.flatnonzero(around.any(axis=(0, 1)))) > 12 * 5.0  # far beyond its ends
    assert _error(search_rigid(moved, t2w, around), motion, cord) < 0.5


@pytest.mark.slow
def test_aligned_images_stay_and_repeat() -> None:
    t1w, t2w, cord = _neck(1)
    first = coregister(t1w, t2w, cord, sloppy=True)
    again = coregister(t1w, t2w, cord, sloppy=True)
    assert _error(first.forward, np.eye(4), cord) < 0.3
    np.testing.assert_array_equal(first.forward.matrix, again.forward.matrix)
    same = coregister(t2w, t2w, cord, sloppy=True)
    assert not same.accepted
    assert same.headers_hold
    assert same.peak > 0.1


@pytest.mark.slow
def test_strangers_keep_their_headers() -> None:
    _, t2w, cord = _neck(2)
    noise = t2w.with_data(np.random.default_rng(9).random(t2w.shape).astype(np.float32))
    fit = coregister(noise, t2w, cord, sloppy=True)
    assert not fit.accepted
    assert not fit.headers_hold
    np.testing.assert_array_equal(fit.forward.matrix, np.eye(4))
    small = Image(t2w.data[34:57, 34:57, 11:12], t2w.affine)  # moved by 3 mm too little is shared
    within = small.with_data(np.ones(small.shape, np.float32))
    alike = small.with_data(noise.data[:23, :23, :1])
    assert not coregister(alike, small, within, sloppy=True).headers_hold
    far = t2w.affine.copy()
    far[2, 3] += 20.0  # four slices are in both: too few to tell
    assert not coregister(Image(t2w.data, far), t2w, cord, sloppy=True).headers_hold


def test_images_of_different_parts_are_not_registered() -> None:
    t1w, t2w, cord = _neck(4)
    affine = t1w.affine.copy()
    affine[2, 3] += 60.0
    fit = coregister(Image(t1w.data, affine), t2w, cord)
    np.testing.assert_array_equal(fit.forward.matrix, np.eye(4))
    assert not fit.accepted
    assert not fit.overlapping


@pytest.mark.slow
def test_a_short_stack_is_registered_where_it_lies() -> None:
    t1w, t2w, cord = _neck(5)
    stack = Image(t1w.data[:, :, 9:15], t1w.affine.copy())
    stack.affine[2, 3] += 9.0  # a quarter of what the reference shows
    moved, motion = _displaced(stack, cord, (0.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    fit = coregister(moved, t2w, cord)
    assert fit.accepted
    assert np.isfinite(fit.before)
    middle = cord.with_data(cord.data * (np.abs(np.arange(24) - 12) < 3))
    assert _error(fit.forward, motion, middle) < 1.0


def test_similarity_knows_alignment_and_coverage() -> None:
    t1w, t2w, cord = _neck(3)
    around = ndimage.binary_dilation(cord.data > 0, iterations=12)
    shifts = [0.0, 2.0, 5.0]
    values = []
    for shift in shifts:
        matrix = np.eye(4)
        matrix[0, 3] = shift
        values.append(similarity(t1w, t2w, around, Affine(matrix)))
    assert values[0] > values[1] > values[2] > 1
    far = np.eye(4)
    far[2, 3] = 200
    assert np.isnan(similarity(t1w, t2w, around, Affine(far)))
    half = Image(t1w.data[:, :, :12], t1w.affine)
    assert similarity(half, t2w, around, Affine.identity()) - 1 < 0.7 * (values[0] - 1)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs SPINALPREP_SHARED")
@pytest.mark.parametrize(("angles", "shift"), PLANTED)
def test_displacement_is_found_on_a_real_person(
    angles: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    dataset, stem = SHARED / "data" / "bids-dev", "sub-unf01/anat/sub-unf01"
    t1w, t2w = (
        correct_bias(conform(dataset / f"{stem}_{contrast}.nii.gz"))[0]
        for contrast in ("T1w", "T2w")
    )
    cord = conform_label(dataset / "derivatives/labels" / f"{stem}_T2w_seg-manual.nii.gz", t2w)
    moved, motion = _displaced(t1w, cord, angles, shift)
    assert _error(coregister(moved, t2w, cord).forward, motion, cord) < 1.0


def test_a_full_temporary_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        (tmp_path / "filler").write_bytes(bytes(60 * 1024))  # room for the first file of ANTs alone
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        blobs = ndimage.gaussian_filter(np.random.default_rng(0).random((24, 24, 24)), 2)
        image = Image(blobs.astype(np.float32), np.eye(4))
        pair = _Pair(image, image, np.ones((24, 24, 24), bool))
        with pytest.raises(OSError, match="No space left on device"):
            _run_ants(pair, "Rigid", Affine(np.eye(4)), (20, 0))
        assert [path.name for path in tmp_path.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
