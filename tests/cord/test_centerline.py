"""The centerline is that of geometry."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinalprep.cord.centerline import (
    Centerline,
    centerline_from_mask,
    fit_centerline,
    rasterise,
)
from spinalprep.cord.files import read_centerline, write_centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image import Image, grid_points, reorient


def arc_of_circle(radius: float, length: float, lean: float = 0.3) -> np.ndarray:
    """Points on a circle in the sagittal plane, then leaned to the right, superior first."""
    angle = np.linspace(-0.5, 0.5, 200) * length / radius
    y, z = radius * np.cos(angle) - radius, -radius * np.sin(angle)
    return np.stack([lean * z, y, z * np.sqrt(1 - lean**2)], axis=-1)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    radius=st.floats(40.0, 400.0),
    turn=st.floats(0.0, 2 * np.pi),
    off=st.floats(0.0, 20.0),
    where=st.floats(0.0, 1.0),
)
def test_straight_space_and_back(radius: float, turn: float, off: float, where: float) -> None:
    line = fit_centerline(arc_of_circle(radius, 60.0), smoothing_mm=0.5)
    space = StraightSpace(line)
    sxy = np.array([where * line.length, off * np.cos(turn), off * np.sin(turn)])
    np.testing.assert_allclose(space.from_world(space.to_world(sxy)), sxy, atol=0.01)


def test_far_beyond_the_ends_space_is_straight() -> None:
    line = fit_centerline(arc_of_circle(100.0, 60.0))
    sxy = np.array([[-80.0, 5.0, -3.0], [-0.01, 18.0, 0.0], [line.length + 90.0, -7.0, 15.0]])
    np.testing.assert_allclose(line.project(StraightSpace(line).to_world(sxy)), sxy, atol=1e-6)


def test_frame_is_orthonormal_and_points_right_front_down() -> None:
    line = fit_centerline(arc_of_circle(80.0, 100.0))
    frame = np.stack(line.frame(line.arc), axis=1)
    np.testing.assert_allclose(
        frame @ frame.transpose(0, 2, 1), np.tile(np.eye(3), (len(frame), 1, 1)), atol=1e-12
    )
    assert (frame[:, 0, 0] > 0.5).all()
    assert (frame[:, 1, 1] > 0.5).all()
    assert (frame[:, 2, 2] < -0.5).all()


def test_points_are_equidistant_and_superior_first() -> None:
    line = fit_centerline(arc_of_circle(80.0, 100.0)[::-1])
    steps = np.linalg.norm(np.diff(line.points, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
    assert line.points[0, 2] > line.points[-1, 2]


def test_a_stray_slice_does_not_bend_it() -> None:
    points = np.stack([np.zeros(30), np.zeros(30), -2.0 * np.arange(30)], axis=-1)
    points[12, 0] = 9.0
    assert np.abs(fit_centerline(points).points[:, 0]).max() < 0.4


@pytest.mark.parametrize("radius", [40.0, 60.0, 100.0])
@pytest.mark.parametrize("thickness", [1.0, 7.5])
def test_a_bend_is_kept_up_to_its_ends(radius: float, thickness: float) -> None:
    points = arc_of_circle(radius, 80.0, lean=0.0)[:: max(round(thickness / 0.4), 1)]
    line = fit_centerline(points)
    apart = np.abs(np.hypot(line.points[:, 1] + radius, line.points[:, 2]) - radius)
    assert apart.max() < (0.25 if radius < 50 else 0.1)
    np.testing.assert_allclose(line.points[[0, -1]], points[[0, -1]], atol=0.3)


def test_noise_of_thick_slices_is_smoothed() -> None:
    noise = np.random.default_rng(3).normal(size=(100, 3)) * [0.5, 0.5, 0.0]
    points = np.stack([np.zeros(100), np.zeros(100), -1.0 * np.arange(100)], axis=-1)
    line = fit_centerline(points + noise)
    assert np.sqrt((line.points[:, :2] ** 2).sum(axis=1).mean()) < 0.2
    assert line.length == pytest.approx(99.0, rel=0.01)


def test_two_slices_make_a_straight_line() -> None:
    line = fit_centerline(np.array([[0.0, 1.0, 10.0], [2.0, 1.0, 0.0]]))
    np.testing.assert_allclose(
        line.tangent, np.tile(line.tangent[0], (len(line.tangent), 1)), atol=1e-6
    )
    np.testing.assert_allclose(line.points[[0, -1]], [[0, 1, 10], [2, 1, 0]], atol=1e-3)


def test_table_round_trip() -> None:
    line = fit_centerline(arc_of_circle(80.0, 50.0))
    again = Centerline.from_table(line.to_table())
    np.testing.assert_allclose(again.points, line.points)


@pytest.mark.parametrize("axes", ["LAS", "PSR", "RAI", "ILP"])
@pytest.mark.parametrize("thickness", [1.0, 5.0])
def test_from_mask_in_any_order(axes: str, thickness: float) -> None:
    affine = np.array([[0.7, 0, 0, -20], [0, 0.7, 0, -20], [0, 0, thickness, -30], [0, 0, 0, 1.0]])
    shape = (60, 60, int(60 / thickness))
    points = grid_points(shape, affine)
    true_x, true_y = 0.2 * points[..., 2], 0.004 * points[..., 2] ** 2
    cord = np.hypot(points[..., 0] - true_x, points[..., 1] - true_y) < 5
    line = centerline_from_mask(reorient(Image(cord.astype(np.float32), affine), axes))
    z = line.points[:, 2]
    inner = np.abs(z) < 25
    np.testing.assert_allclose(line.points[inner, 0], 0.2 * z[inner], atol=0.15)
    np.testing.assert_allclose(line.points[inner, 1], 0.004 * z[inner] ** 2, atol=0.3)


def test_rasterise_marks_each_slice_once() -> None:
    affine = np.diag([-1.0, 1.0, 2.5, 1.0])
    affine[:3, 3] = [20, -20, -30]
    grid = Image(np.zeros((40, 40, 20), np.float32), affine)
    line = fit_centerline(
        np.stack([0.2 * np.arange(-28, 17), np.zeros(45), np.arange(-28.0, 17)], -1)
    )
    mask = rasterise(line, grid)
    assert mask.sum(axis=(0, 1)).max() == 1
    assert mask.any(axis=(0, 1)).sum() == 18


def test_nothing_and_one_slice_are_named() -> None:
    empty = Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
    with pytest.raises(EmptyMaskError, match="mask is empty"):
        centerline_from_mask(empty)
    single = np.zeros((4, 4, 4), np.float32)
    single[1:3, 1:3, 2] = 1
    with pytest.raises(InputError, match="1 slice"):
        centerline_from_mask(Image(single, np.eye(4)))


def test_curvature_of_a_circle() -> None:
    angle = np.linspace(-0.6, 0.6, 60)
    points = np.stack([0 * angle, 60 * np.cos(angle), -60 * np.sin(angle)], axis=-1)
    line = fit_centerline(points)
    inner = slice(20, -20)
    np.testing.assert_allclose(1 / line.curvature[inner], 60, rtol=0.05)


def test_the_bodys_frame_turns_against_one_without_torsion_only_out_of_a_plane() -> None:
    z = np.linspace(60, -60, 200)
    flat = fit_centerline(np.stack([0 * z, 8 * np.cos(z / 30), z], axis=-1))
    assert np.abs(flat.twist_deg).max() < 1e-6
    coil = fit_centerline(np.stack([12 * np.sin(z / 25), 12 * np.cos(z / 25), z], axis=-1))
    twist = np.deg2rad(coil.twist_deg)[:, None]
    carried = np.cos(twist) * coil.anterior + np.sin(twist) * coil.right
    change = np.gradient(carried, coil.arc, axis=0)
    torsion = np.einsum("ni,ni->n", change, np.cross(coil.tangent, carried))
    assert np.abs(torsion[5:-5]).max() < 1e-4
    assert np.ptp(coil.twist_deg) > 5


@pytest.mark.slow
def test_a_curve_as_saved_is_the_one_from_its_file(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    for n in range(20):
        height = np.sort(chance.uniform(-300, 300, 40))[::-1]
        points = np.column_stack([chance.normal(0, 30, (40, 2)), height])
        line = fit_centerline(points, smoothing_mm=20.0)
        path = write_centerline(line, tmp_path / f"{n}.tsv")
        np.testing.assert_array_equal(line.as_saved().points, read_centerline(path).points)
