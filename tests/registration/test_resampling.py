"""Several images in one walk over a grid: the same values as point by point."""

import numpy as np
import pytest
from scipy import ndimage

from spinalprep.image import Image, grid_points, to_voxel
from spinalprep.registration.resampling import (
    Moving,
    resample_through,
    resample_together,
    values_at,
)
from spinalprep.registration.transform import Affine, Chain, Field, Transform

SHAPE, STEP = (40, 36, 30), np.array([[-1.0, 0, 0, 20], [0.1, 1.2, 0, -15], [0, 0, 2, -30]])
AFFINE = np.vstack([STEP, [0, 0, 0, 1]])
GRID = (44, 46, 90), np.array([[-0.9, 0, 0, 19], [0, 0.8, 0, -18], [0, 0, 1.1, -50], [0, 0, 0, 1]])
RANDOM = np.random.default_rng(0)
IMAGE = Image(RANDOM.random(SHAPE).astype(np.float32), AFFINE)
MASK = np.zeros(SHAPE, np.float32)
MASK[15:22, 12:20, 9:14] = RANDOM.random((7, 8, 5)) > 0.4
CORNER = np.zeros(SHAPE, np.float32)
CORNER[:5, 0, -3:] = 1  # at the image's faces, beyond the centers of its voxels


def _field(turned: bool) -> Field:
    """Waves on a coarse grid that does not reach as far as `GRID`, parallel to it or not."""
    affine = np.diag([3.0, -4.0, 5.0, 1.0])
    affine[:3, 3] = -18, 17, -40
    if turned:
        affine[0, 1] = 0.5
    points = grid_points((13, 10, 16), affine)
    waves = [2.5 * np.sin(points[..., (axis + 1) % 3] / 9 + axis) for axis in range(3)]
    return Field(np.stack(waves, -1).astype(np.float32), affine)


SHIFT = Affine(np.array([[1, 0.02, 0, 2], [0, 1, 0, -1], [0, 0.01, 1, 3], [0, 0, 0, 1.0]]))
WAYS = [_field(False), _field(True), Chain((_field(False), SHIFT)), SHIFT, Chain(())]


def _one_by_one(image: Image, transform: Transform, order: int, outside: float) -> np.ndarray:
    """Interpolate at every point of the grid at once, by the definition."""
    ijk = to_voxel(transform.apply(grid_points(*GRID)), image.affine)
    within = np.all((ijk >= -0.5) & (ijk < np.array(SHAPE) - 0.5), axis=-1)
    inside = np.moveaxis(np.clip(ijk, 0, np.array(SHAPE) - 1), -1, 0)
    return np.where(within, ndimage.map_coordinates(image.data, inside, order=order), outside)


@pytest.mark.parametrize("transform", WAYS)
def test_together_as_one_by_one(transform: Transform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinalprep.registration.transform.POINTS_AT_ONCE", 9000)
    masks = [IMAGE.with_data(data) for data in (MASK, CORNER, np.zeros(SHAPE, np.float32))]
    moving = [Moving(IMAGE, 3), Moving(IMAGE, 0), *(Moving(one) for one in masks)]
    moved = resample_together([*moving, Moving(masks[0], 1, 0.5)], transform, GRID)
    for one, found in zip(moving, moved, strict=False):
        expected = _one_by_one(one.image, transform, one.order, 0.0)
        np.testing.assert_allclose(found.data, expected, atol=2e-6)
    assert [bool(found.data.any()) for found in moved] == [True, True, True, True, False, True]
    assert moved[-1].data.dtype == np.uint8
    np.testing.assert_array_equal(moved[-1].data, moved[2].data >= 0.5)


@pytest.mark.parametrize("transform", WAYS)
def test_what_is_outside_has_the_given_value(transform: Transform) -> None:
    for order in (0, 1):
        found = resample_through(IMAGE.with_data(MASK), transform, GRID, order, outside=-7.0)
        expected = _one_by_one(IMAGE.with_data(MASK), transform, order, -7.0)
        np.testing.assert_allclose(found.data, expected, atol=1e-6)
        assert (found.data == -7).any()


def test_a_lesion_of_one_voxel_is_found_on_a_large_grid() -> None:
    dot = np.zeros(SHAPE, np.float32)
    dot[20, 17, 15] = 1
    found = resample_through(IMAGE.with_data(dot), _field(False), ((88, 92, 180), _halved()))
    assert found.data.max() > 0.5
    volume = abs(np.linalg.det(_halved()[:3, :3])) * found.data.sum()
    assert volume == pytest.approx(IMAGE.voxel_volume, rel=0.35)


def _halved() -> np.ndarray:
    return np.asarray(GRID[1] @ np.diag([0.5, 0.5, 0.5, 1.0]))


def test_images_of_two_grids_are_refused() -> None:
    other = Image(IMAGE.data, np.eye(4))
    with pytest.raises(ValueError, match="on one grid"):
        resample_together([Moving(IMAGE), Moving(other)], SHIFT, GRID)


def test_values_at_points_are_those_of_a_whole_grid() -> None:
    draw = np.random.default_rng(5)
    moving = Image(draw.normal(size=(9, 8, 7)).astype(np.float32), np.diag([1.0, 1.5, 2.0, 1.0]))
    moving.data[:3] = 0.0  # empty, but inside
    grid = ((12, 11, 10), np.diag([1.1, 1.3, 1.7, 1.0]))
    points = grid_points(*grid).reshape(-1, 3) - 1.0
    values, within = values_at(moving, points)
    shift = np.eye(4)
    shift[:3, 3] = -1.0
    whole = resample_through(moving, Affine(shift), grid, outside=np.nan).data.ravel()
    np.testing.assert_array_equal(within, np.isfinite(whole))
    assert 0 < within.sum() < len(points)
    np.testing.assert_allclose(values, whole[within], atol=1e-5)
