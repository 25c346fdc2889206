"""Flips, swaps and resampling keep every voxel at its place."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinalprep.image import (
    Image,
    grid_points,
    grid_with_spacing,
    load,
    reorient,
    resample,
    resample_like,
    sample,
    save,
    to_voxel,
    to_world,
)

ORDERS = [
    "".join(letters) for axes in permutations(("LR", "PA", "IS")) for letters in product(*axes)
]


def _random_affine(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.3, 5, 3)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    return affine


@pytest.mark.parametrize("axes", ORDERS)
def test_reorient_there_and_back(axes: str) -> None:
    data = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)
    image = Image(data, np.diag([-1.0, 2, 3, 1]))
    turned = reorient(image, axes)
    assert turned.axes == axes
    back = reorient(turned, "LAS")
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.affine, image.affine, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(ORDERS))
def test_reorient_keeps_values_at_their_points(seed: int, axes: str) -> None:
    data = np.random.default_rng(seed).random((3, 4, 5)).astype(np.float32)
    image = Image(data, _random_affine(seed))
    turned = reorient(image, axes)
    points = grid_points(turned.shape, turned.affine)
    ijk = np.rint(to_voxel(points, image.affine)).astype(int)
    np.testing.assert_array_equal(turned.data, data[tuple(np.moveaxis(ijk, -1, 0))])
    assert turned.voxel_volume == pytest.approx(image.voxel_volume)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_world_and_voxels_are_inverse(seed: int) -> None:
    affine = _random_affine(seed)
    ijk = np.random.default_rng(seed).uniform(-5, 50, (7, 3))
    np.testing.assert_allclose(to_voxel(to_world(ijk, affine), affine), ijk, atol=1e-9)


def test_sample_is_exact_for_a_linear_image() -> None:
    affine = _random_affine(3)
    shape = (9, 8, 7)
    slope = np.array([0.3, -0.2, 0.5])
    image = Image((grid_points(shape, affine) @ slope).astype(np.float32), affine)
    inside = to_world(np.random.default_rng(0).uniform(0, 6, (50, 3)), affine)
    np.testing.assert_allclose(sample(image, inside), inside @ slope, atol=1e-3)
    assert sample(image, to_world(np.array([[20.0, 2, 2]]), affine), outside=-7)[0] == -7


def test_resample_agrees_with_sample() -> None:
    rng = np.random.default_rng(0)
    image = Image(rng.random((8, 9, 10)).astype(np.float32), _random_affine(5))
    shape, affine = grid_with_spacing(image, (image.voxel_sizes * 0.7).tolist())
    direct = sample(image, grid_points(shape, affine))
    np.testing.assert_allclose(resample(image, shape, affine).data, direct, atol=1e-5)
    np.testing.assert_allclose(resample_like(image, image).data, image.data, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.4, 3))
def test_grid_with_spacing_covers_the_same_box(seed: int, ratio: float) -> None:
    image = Image(np.zeros((6, 7, 8), np.float32), _random_affine(seed))
    spacing = image.voxel_sizes * ratio
    shape, affine = grid_with_spacing(image, spacing.tolist())
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), spacing)
    first = to_world(np.full(3, -0.5), affine)
    np.testing.assert_allclose(first, to_world(np.full(3, -0.5), image.affine), atol=1e-9)
    over = np.array(shape) * spacing - np.array(image.shape) * image.voxel_sizes
    assert (over > -1e-5).all()
    assert (over < spacing).all()


def test_same_grid_sees_what_matters() -> None:
    image = Image(np.zeros((10, 10, 10)), np.eye(4))
    assert image.same_grid(Image(np.ones((10, 10, 10)), np.eye(4)))
    assert not image.same_grid(Image(np.zeros((10, 10, 11)), np.eye(4)))
    turned = np.eye(4)
    turned[0, 1], turned[1, 0] = -0.01, 0.01
    assert not image.same_grid(Image(image.data, turned))
    shifted = np.eye(4)
    shifted[2, 3] = 0.01
    assert not image.same_grid(Image(image.data, shifted))


def test_an_image_as_saved_is_the_one_from_its_file(tmp_path: Path) -> None:
    data = np.random.default_rng(4).random((5, 6, 7))
    image = Image(data, _random_affine(4))
    again, kept = load(save(image, tmp_path / "image.nii.gz")), image.as_saved()
    np.testing.assert_array_equal(again.data, kept.data)
    np.testing.assert_array_equal(again.affine, kept.affine)
    assert again.data.strides == kept.data.strides
    assert again.data.dtype == kept.data.dtype == np.float32
