"""An outline is moved to the edge that the image shows, by as much as it is off, and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spinalprep.cord.section import cord_sections
from spinalprep.cord.visible_edge import MOST_MM, EdgeShift, move_outline, visible_edge
from spinalprep.errors import InputError
from spinalprep.image import Image

RADII = (5.5, 4.0)  # mm, of the cord, right-left and front-back
CORD, FLUID, BONE, NOISE = 100.0, 200.0, 20.0, 4.0
THICK_MM, SLICES = 5.0, 24


def ellipse(pixel_mm: float, larger: float = 0.0, fine: int = 5) -> np.ndarray:
    """Return the share of every pixel that lies in an ellipse, made larger all round in mm."""
    side = round(32 / pixel_mm)
    at = (np.arange(side * fine) + 0.5) / fine * pixel_mm - 16.2
    x, y = np.meshgrid(at, at, indexing="ij")
    r = np.hypot(x / RADII[0], y / RADII[1])
    slope = np.hypot(x / RADII[0] ** 2, y / RADII[1] ** 2) / np.maximum(r, 1e-9)
    inside = (r - 1) / np.maximum(slope, 1e-9) <= larger  # distance, to the first order
    return inside.reshape(side, fine, side, fine).mean(axis=(1, 3))


def scene(
    pixel_mm: float = 0.5, fluid: float = FLUID, off_mm: float = 0.0, noise: float = NOISE
) -> tuple[Image, Image, float]:
    """Return an image, a soft mask whose outline is ``off_mm`` inside, and the true area in mm2."""
    cord, sac = ellipse(pixel_mm), ellipse(pixel_mm, 3.5)
    section = BONE + (fluid - BONE) * sac + (CORD - fluid) * cord
    section = ndimage.gaussian_filter(section, 0.35 / pixel_mm)
    grey = np.repeat(section[:, :, None], SLICES, axis=2)
    grey = grey + noise * np.random.default_rng(0).standard_normal(grey.shape)
    drawn = ndimage.gaussian_filter(ellipse(pixel_mm, -off_mm), 0.2 / pixel_mm)
    soft = np.repeat(drawn[:, :, None], SLICES, axis=2).astype(np.float32)
    affine = np.diag([-pixel_mm, pixel_mm, THICK_MM, 1.0])
    area = float(cord.sum()) * pixel_mm**2
    return Image(grey.astype(np.float32), affine), Image(soft, affine), area


def moved(image: Image, cord: Image) -> np.ndarray:
    """Return the soft mask after its outline was moved."""
    return move_outline(cord, [cord], visible_edge(image, cord))[0]


def areas(cord: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Return the areas of the slices in mm2."""
    return np.asarray(cord_sections(cord).sum(axis=(0, 1)) * pixel_mm**2)


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
@pytest.mark.parametrize("fluid", [FLUID, 30.0])
@pytest.mark.parametrize("off_mm", [0.2, 0.1, 0.0, -0.15])
def test_the_area_becomes_the_true_one(pixel_mm: float, fluid: float, off_mm: float) -> None:
    image, cord, true = scene(pixel_mm, fluid, off_mm)
    shift = visible_edge(image, cord)
    assert shift.evident == 1.0
    assert shift.offset == pytest.approx(off_mm, abs=0.04)
    assert areas(moved(image, cord), pixel_mm) == pytest.approx(true, rel=0.025)


def test_noise_hardly_matters() -> None:
    image, cord, _ = scene(off_mm=0.15, noise=20.0)
    assert visible_edge(image, cord).offset == pytest.approx(0.15, abs=0.05)


def test_a_coil_that_sees_less_of_one_end_does_not_matter() -> None:
    image, cord, _ = scene(off_mm=0.15, noise=0.0)
    faded = image.data * np.geomspace(1.0, 0.1, SLICES, dtype=np.float32)
    assert visible_edge(image.with_data(faded), cord).offset == pytest.approx(0.15, abs=0.04)


def test_nothing_is_moved_where_fluid_is_as_grey_as_the_cord() -> None:
    image, cord, _ = scene(off_mm=0.2)
    hidden = scene(fluid=CORD)[0].data
    part = image.data.copy()
    part[:, :, 8:16] = hidden[:, :, 8:16]
    shift = visible_edge(image.with_data(part), cord)
    assert shift.offset[[11, 12]] == pytest.approx(0.0)
    assert shift.offset[[0, 1, -2, -1]] == pytest.approx(0.2, abs=0.04)
    assert 0.5 < shift.evident < 1.0
    assert np.abs(np.diff(shift.offset)).max() <= 0.5 * MOST_MM  # no step along the cord


def test_nothing_is_moved_where_the_image_has_no_contrast() -> None:
    image, cord, _ = scene(fluid=CORD, off_mm=0.2)
    flat = image.with_data(np.random.default_rng(1).normal(CORD, NOISE, image.shape))
    shift = visible_edge(flat, cord)
    assert not shift.offset.any()
    assert shift.evident == 0.0
    assert np.array_equal(move_outline(cord, [cord], shift)[0], cord.data)


def test_a_mask_that_is_wrong_is_left_alone() -> None:
    image, cord, _ = scene(off_mm=0.0)
    grown = cord.data.copy()
    grown[:, :, 10:14] = ellipse(0.5, 3.5)[:, :, None]  # the wall of the sac
    shift = visible_edge(image, cord.with_data(grown))
    assert np.abs(shift.offset).max() < 0.05
    far, _, _ = scene(off_mm=0.0)
    assert not visible_edge(far, scene(off_mm=0.9)[1]).offset.any()


def test_a_lesion_at_the_border_does_not_pull_the_outline() -> None:
    image, cord, true = scene(off_mm=0.1)
    i, j = np.indices(image.shape[:2])
    middle = (16.2 + RADII[0] - 1.5) / 0.5, 16.2 / 0.5
    lesion = (np.hypot(i - middle[0], j - middle[1]) * 0.5 <= 2.0) & (ellipse(0.5) > 0.5)
    grey = image.data.copy()
    grey[lesion, 8:12] = FLUID
    shift = visible_edge(image.with_data(grey), cord)
    assert shift.offset == pytest.approx(0.1, abs=0.05)
    assert areas(moved(image.with_data(grey), cord), 0.5) == pytest.approx(true, rel=0.03)


def test_a_cord_that_touches_bone_is_not_moved() -> None:
    image, cord, _ = scene(off_mm=0.1)
    grey = image.data.copy()
    bone = BONE + (CORD - BONE) * ellipse(0.5)
    grey[:, :, 9:16] = bone[:, :, None]
    assert abs(visible_edge(image.with_data(grey), cord).offset[12]) < 0.05


@given(
    offset=st.floats(-MOST_MM, MOST_MM),
    pixel_mm=st.sampled_from([0.4, 0.5, 0.8, 1.0]),
)
@settings(max_examples=20, deadline=None)
def test_an_outline_is_moved_by_the_distance_that_is_asked(offset: float, pixel_mm: float) -> None:
    soft = ndimage.gaussian_filter(ellipse(pixel_mm), 0.2 / pixel_mm).astype(np.float32)
    cord = Image(np.repeat(soft[:, :, None], 2, axis=2), np.diag([pixel_mm, pixel_mm, 5.0, 1.0]))
    found, *others = move_outline(
        cord, [cord, cord], EdgeShift(np.array([offset, 0.0]), np.arange(2), 1.0)
    )
    assert np.array_equal(found, others[0])
    assert np.array_equal(found[:, :, 1], cord.data[:, :, 1])  # where it is 0, the same bits
    assert found.min() >= 0.0
    assert found.max() <= cord.data.max()
    perimeter = np.pi * (3 * sum(RADII) - np.sqrt((3 * 5.5 + 4) * (5.5 + 3 * 4)))  # Ramanujan
    gained = areas(found, pixel_mm)[0] - areas(cord.data, pixel_mm)[0]
    assert gained == pytest.approx(perimeter * offset, abs=0.1 * abs(perimeter * offset) + 0.35)


def test_the_summary_is_of_the_slices_of_the_cord() -> None:
    offset = np.linspace(-0.1, 0.13, SLICES)
    told = EdgeShift(offset, np.arange(4, SLICES), 2 / 3).summary()
    assert (told.least_mm, told.median_mm, told.most_mm, told.evident) == (
        pytest.approx(-0.06),
        pytest.approx(0.035),
        pytest.approx(0.13),
        0.667,
    )


def test_an_empty_mask_is_not_moved() -> None:
    image, cord, _ = scene()
    shift = visible_edge(image, cord.with_data(np.zeros(cord.shape, np.float32)))
    assert not shift.offset.any()
    assert shift.evident == 0.0


def test_another_grid_is_an_error() -> None:
    image, cord, _ = scene()
    with pytest.raises(InputError):
        visible_edge(image, Image(cord.data, np.diag([1.0, 1.0, 5.0, 1.0])))
