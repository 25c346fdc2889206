"""The height of a disc is that between the middles of its end plates, however it is tilted."""

import numpy as np
import pytest

from spinalprep.image import Image, grid_points, reorient
from spinalprep.lumbar.heights import disc_height
from spinalprep.lumbar.structures import DISCS, SACRUM, VERTEBRAE

UP = np.array([0.0, 0.0, 1.0])
HALF_DEPTH, HALF_WIDTH, BODY = 17.0, 22.0, 26.0


def draw(
    height: float,
    wedge_deg: float = 0.0,
    tilt_deg: float = 0.0,
    slices: float = 4.0,
    px: float = 1.0,
) -> Image:
    """Return a vertebra on a disc on the sacrum; ``height`` is that in the middle.

    A wedge is higher in front; ``tilt_deg`` turns all about the axis from left to right.
    """
    affine = np.diag([slices, px, px, 1.0])
    shape = int(56 / slices), int(80 / px), int(90 / px)
    affine[:3, 3] = -np.array([slices, px, px]) * (np.array(shape) - 0.6) / 2
    x, y, z = np.moveaxis(grid_points(shape, affine), -1, 0)
    tilt, half = np.radians(tilt_deg), np.radians(wedge_deg / 2)
    u, h = y * np.cos(tilt) - z * np.sin(tilt), y * np.sin(tilt) + z * np.cos(tilt)
    gap = height / 2 + np.tan(half) * u
    beside = (np.abs(u) < HALF_DEPTH) & (np.abs(x) < HALF_WIDTH)
    labels = np.zeros(shape, np.uint8)
    labels[beside & (np.abs(h) < gap)] = DISCS
    labels[beside & (h < -gap) & (h > -gap - BODY)] = SACRUM
    labels[beside & (h >= gap) & (h < gap + BODY)] = VERTEBRAE  # where both would be, it is this
    return Image(labels, affine)


def measured(image: Image, way: np.ndarray = UP) -> float:
    return disc_height(image.data == DISCS, image, way)


@pytest.mark.parametrize("height", [3.0, 5.0, 8.0, 12.0])
@pytest.mark.parametrize("tilt", [0.0, 20.0, 40.0])
def test_a_flat_disc_has_its_height_at_any_tilt(height: float, tilt: float) -> None:
    assert measured(draw(height, tilt_deg=tilt)) == pytest.approx(height, abs=0.5)


@pytest.mark.parametrize("wedge", [8.0, 16.0, 24.0])
@pytest.mark.parametrize("tilt", [0.0, 30.0])
def test_a_wedge_is_as_high_as_in_its_middle(wedge: float, tilt: float) -> None:
    assert measured(draw(8.0, wedge, tilt)) == pytest.approx(8.0, abs=0.7)


@pytest.mark.parametrize("height", [1.0, 3.0])
def test_a_disc_that_is_open_in_front_alone_is_flat(height: float) -> None:
    """Volume over area would be 5 mm and more."""
    assert measured(draw(height, wedge_deg=40.0)) < height + 1.5


def test_where_the_vertebra_is_not_seen_the_disc_itself_says_where_its_middle_is() -> None:
    image = draw(8.0, 10.0)
    alone = image.with_data(np.where(image.data == VERTEBRAE, 0, image.data))
    assert measured(alone) == pytest.approx(8.0, abs=0.7)


@pytest.mark.parametrize(("slices", "px"), [(3.5, 0.5), (6.0, 1.25), (1.0, 1.0)])
def test_the_grid_does_not_matter(slices: float, px: float) -> None:
    image = draw(7.0, 10.0, 15.0, slices, px)
    assert measured(image) == pytest.approx(7.0, abs=0.6)
    other = reorient(image, "SAL")
    assert measured(other) == pytest.approx(measured(image), abs=0.05)


def test_a_spine_that_leans_elsewhere_changes_nothing() -> None:
    image = draw(8.0, 10.0, 20.0)
    leaning = np.array([0.0, -np.sin(0.35), np.cos(0.35)])
    assert measured(image, leaning) == pytest.approx(measured(image), abs=0.3)
