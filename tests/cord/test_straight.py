"""Straight space: exact there and back within 20 mm of any neck, and nothing lost at its ends."""

import time

import numpy as np
import pytest

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.image import Image, grid_points

REACH_MM = 20.0


def bent(radius: float, plane_deg: float) -> Centerline:
    """Return an arc of 100 degrees in a plane turned about the long axis."""
    angle = np.linspace(-0.9, 0.9, 150)
    out = radius * np.cos(angle)
    turn = np.deg2rad(plane_deg)
    points = np.stack([out * np.cos(turn), out * np.sin(turn), -radius * np.sin(angle)], axis=-1)
    return fit_centerline(points)


def tilted(degrees: float) -> Centerline:
    z = np.linspace(60, -60, 100)
    return fit_centerline(np.stack([0.3 * z, np.tan(np.deg2rad(degrees)) * z, z], axis=-1))


@pytest.mark.parametrize(
    "line",
    [
        bent(40, 90),
        bent(40, -90),
        bent(40, 0),
        bent(40, 45),
        bent(80, 120),
        tilted(40),
        tilted(-40),
    ],
)
def test_there_and_back_to_a_radius_of_40_mm(line: Centerline) -> None:
    chance = np.random.default_rng(0)
    s = chance.uniform(-10, line.length + 10, 5000)
    angle, r = chance.uniform(0, 2 * np.pi, 5000), REACH_MM * np.sqrt(chance.uniform(0, 1, 5000))
    sxy = np.stack([s, r * np.cos(angle), r * np.sin(angle)], axis=-1)
    space = StraightSpace(line)
    points = space.to_world(sxy)
    inside = (s > 0) & (s < line.length)  # a bend's ends may see one another round the corner
    np.testing.assert_allclose(space.from_world(points)[inside], sxy[inside], atol=1e-6)
    np.testing.assert_allclose(space.to_world(space.from_world(points)), points, atol=1e-6)


def test_every_voxel_of_an_image_has_its_place() -> None:
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 40, -40, -80
    points = grid_points((40, 40, 80), affine)
    assert np.isfinite(StraightSpace(bent(60, 90)).from_world(points)).all()


def test_sections_are_the_points_of_the_closed_form() -> None:
    space = StraightSpace(bent(50, 30))
    s = np.array([-3.0, 0.0, 22.2, 70.0])
    planes = space.sections(s, 5.0, 0.5)
    sxy = np.array([22.2, -5 + 0.25 + 0.5 * 3, -5 + 0.25 + 0.5 * 17])
    np.testing.assert_allclose(planes[2, 3, 17], space.to_world(sxy), atol=1e-9)


def test_a_tube_is_straight_to_its_ends() -> None:
    """Every slice of the straight image shows the cord in its middle, the first and last too."""
    line = bent(50, 90)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = line.points[0, 0] + 25, line.points[:, 1].min() - 25, -60
    shape = (51, 70, 121)
    _, x, y = np.moveaxis(line.project(grid_points(shape, affine)), -1, 0)
    tube = Image(np.clip(5.5 - np.hypot(x, y), 0, 1).astype(np.float32), affine)
    began = time.process_time()
    straight = StraightSpace(line).straighten(tube, 15.0, 0.5)
    assert time.process_time() - began < 1.0
    area = straight.data.sum(axis=(0, 1)) * 0.25
    np.testing.assert_allclose(area, np.pi * 25, rtol=0.03)
    grid = np.arange(straight.shape[0]) - (straight.shape[0] - 1) / 2
    middle = np.einsum("ijk,i->k", straight.data, grid) / straight.data.sum(axis=(0, 1)) / 2
    assert np.abs(middle).max() < 0.2
