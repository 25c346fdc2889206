"""The path through a heat map is the cord's, or none."""

import numpy as np
import pytest

from spinalprep.cord.trace import trace_centerline
from spinalprep.errors import NoCordError
from spinalprep.image import Image


def heat_map(gap: float, first: int = 0, last: int | None = None) -> tuple[Image, np.ndarray]:
    """A blob that wanders through the slices ``first`` to ``last``; its centers in voxels."""
    depth = 24
    last = depth if last is None else last
    k = np.arange(depth)
    i, j = 30 + 0.3 * gap * (k - 12) / 3, 25 + 4 * np.sin(k * gap / 30)
    a, b = np.mgrid[:64, :60]
    data = np.exp(-((a[..., None] - i) ** 2 + (b[..., None] - j) ** 2) / 18) * 0.9
    data[:, :, :first] = 0
    data[:, :, last:] = 0
    affine = np.diag([-1.0, 1.0, gap, 1.0])
    return Image(data.astype(np.float32), affine), np.stack([i, j, k], -1)


@pytest.mark.parametrize("gap", [1.0, 5.0])
def test_path_is_within_a_quarter_of_a_voxel(gap: float) -> None:
    heat, centres = heat_map(gap)
    trace = trace_centerline(heat)
    truth = (centres * [-1, 1, gap])[::-1]
    np.testing.assert_allclose(trace.points, truth, atol=0.25)


def test_ends_without_cord_are_left_out() -> None:
    trace = trace_centerline(heat_map(2.0, first=5, last=18)[0])
    assert (trace.points[:, 2].min(), trace.points[:, 2].max()) == (10.0, 34.0)


def test_brighter_islands_lose_to_the_continuous_path() -> None:
    heat, centres = heat_map(2.0)
    heat.data[50:54, 50:54, 3:7] = 1.0
    heat.data[5:9, 8:12, 15] = 1.0
    trace = trace_centerline(heat)
    np.testing.assert_allclose(trace.points[:, 0], -centres[::-1, 0], atol=0.3)


def test_a_gap_is_bridged() -> None:
    heat, centres = heat_map(2.0)
    heat.data[:, :, 10:12] = 0.0
    trace = trace_centerline(heat)
    assert len(trace.points) == 24
    np.testing.assert_allclose(trace.points[:, 1], centres[::-1, 1], atol=1.0)


@pytest.mark.parametrize("level", [0.0, 0.1, np.nan])
def test_no_cord_is_said(level: float) -> None:
    with pytest.raises(NoCordError, match="no cord found"):
        trace_centerline(Image(np.full((30, 30, 10), level, np.float32), np.eye(4)))


@pytest.mark.parametrize("gap", [0.5, 1.0, 5.0])
def test_one_bright_blob_is_no_cord(gap: float) -> None:
    data = np.zeros((40, 40, 16), np.float32)
    data[10:14, 10:14, 7] = 1.0
    with pytest.raises(NoCordError, match="no cord found"):
        trace_centerline(Image(data, np.diag([-1.0, 1.0, gap, 1.0])))


@pytest.mark.parametrize("gap", [0.5, 1.0, 2.0, 5.0])
def test_a_faint_cord_wins_over_a_bright_vessel(gap: float) -> None:
    heat, centres = heat_map(gap)
    data = heat.data * np.float32(0.6)
    data[46:49, 48:51, 2:9] = 1.0
    trace = trace_centerline(Image(data, heat.affine))
    np.testing.assert_allclose(trace.points[:, 0], -centres[::-1, 0], atol=0.5)


def test_nan_speaks_against_the_cord() -> None:
    heat, _ = heat_map(2.0)
    data = heat.data.copy()
    data[:, :, 20:] = np.nan
    trace = trace_centerline(Image(data, heat.affine))
    assert trace.points[:, 2].max() == 38.0
    assert np.isfinite(trace.points).all()


def test_a_stack_of_three_thick_slices_is_enough() -> None:
    heat, _ = heat_map(5.0)
    few = Image(heat.data[:, :, 10:13], heat.affine)
    assert len(trace_centerline(few).points) == 3
