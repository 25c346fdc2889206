"""Lesions in a cylinder measure what geometry says."""

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.image import Image, grid_points
from spinalprep.lesion.instances import lesion_instances, share_outside
from spinalprep.lesion.measures import measure_lesions

SPACING = 0.5
SHAPE = (60, 60, 80)


def cylinder(tilt_deg: float) -> tuple[Image, Image, object]:
    """A cord of radius 5 mm and in it an ellipsoid of 12 x 4 x 3 mm along its axis."""
    tilt = np.deg2rad(tilt_deg)
    axis = -np.array([0.0, np.sin(tilt), np.cos(tilt)])
    line = fit_centerline(np.linspace(-30, 30, 80)[:, None] * axis)
    affine = np.diag([-SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = [14.75, -14.75, -19.75]
    sxy = line.project(grid_points(SHAPE, affine))
    s, x, y = sxy[..., 0] - line.length / 2, sxy[..., 1], sxy[..., 2]
    cord = np.hypot(x, y) <= 5
    lesion = (s / 6) ** 2 + ((x - 1) / 2) ** 2 + (y / 1.5) ** 2 <= 1
    return Image(lesion.astype(np.float32), affine), Image(cord.astype(np.uint8), affine), line


@pytest.mark.parametrize("tilt", [0.0, 20.0])
def test_an_ellipsoid(tilt: float) -> None:
    lesion, cord, line = cylinder(tilt)
    labels = lesion.with_data(lesion_instances(lesion, cord))
    table = measure_lesions(labels, cord, line)
    assert len(table) == 1
    row = table.iloc[0]
    assert row["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 6 * 2 * 1.5, rel=0.05)
    assert row["length_mm"] == pytest.approx(12.0, abs=0.7)
    assert row["width_rl_mm"] == pytest.approx(4.0, abs=0.6)
    assert row["width_ap_mm"] == pytest.approx(3.0, abs=0.6)
    assert row["max_equivalent_diameter_mm"] == pytest.approx(2 * np.sqrt(2 * 1.5), rel=0.12)
    assert row["max_axial_damage_ratio"] == pytest.approx(3 / 25, rel=0.25)
    assert row["s_mm"] == pytest.approx(line.length / 2, abs=0.3)
    assert np.isnan(row["vertebral_level"])


@pytest.mark.parametrize("tilt", [0.0, 20.0, 40.0])
@pytest.mark.parametrize("voxel", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0.6, 0.6, 3.0)])
def test_voxels_and_tilt_do_not_change_a_lesion(
    voxel: tuple[float, float, float], tilt: float
) -> None:
    axis = -np.array([0.0, np.sin(np.deg2rad(tilt)), np.cos(np.deg2rad(tilt))])
    line = fit_centerline(np.linspace(-30, 30, 80)[:, None] * axis + [0.2, -0.3, 0.1])
    shape = [round(44 / size) for size in voxel]
    affine = np.diag([-voxel[0], voxel[1], voxel[2], 1.0])
    affine[:3, 3] = [22.0, -22.0, -22.0]
    s, x, y = np.moveaxis(line.project(grid_points(shape, affine)), -1, 0)
    cord = Image((np.hypot(x, y) <= 5).astype(np.uint8), affine)
    lesion = (s - line.length / 2) ** 2 / 64 + (x - 1) ** 2 / 6.25 + y**2 / 4 <= 1
    row = measure_lesions(cord.with_data(lesion.astype(np.int32)), cord, line).iloc[0]
    pixel = max(voxel[:2])
    assert row["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 8 * 2.5 * 2, rel=0.08)
    assert row["length_mm"] == pytest.approx(16.0, abs=1.001 * voxel[2])  # whole slices
    assert row["width_rl_mm"] == pytest.approx(5.0, abs=pixel)
    assert row["width_ap_mm"] == pytest.approx(4.0, abs=pixel)
    assert row["max_equivalent_diameter_mm"] == pytest.approx(2 * np.sqrt(5.0), rel=0.08)
    assert row["max_axial_damage_ratio"] == pytest.approx(0.2, abs=0.03)


def test_largest_first_small_ones_dropped() -> None:
    cord = Image(np.ones((20, 20, 20), np.uint8), np.eye(4))
    data = np.zeros((20, 20, 20), np.float32)
    data[2:4, 2:4, 2:4] = 0.9
    data[10:14, 10:14, 10:14] = 0.6
    data[17, 17, 17] = 1.0
    data[18, 18, 18] = 1.0  # touches the one above by a corner: one lesion of 2 mm3
    labels = lesion_instances(Image(data, np.eye(4)), cord, min_mm3=3.0)
    assert np.bincount(labels.ravel())[1:].tolist() == [64, 8]
    assert labels[10, 10, 10] == 1


def test_nothing_far_outside_the_cord() -> None:
    cord = np.zeros((20, 20, 6), np.uint8)
    cord[8:12, 8:12] = 1
    lesion = np.zeros((20, 20, 6), np.float32)
    lesion[10:16, 9:11, 2:4] = 1.0
    found = lesion_instances(Image(lesion, np.eye(4)), Image(cord, np.eye(4)))
    assert np.flatnonzero(found.any(axis=(1, 2))).max() == 12
    assert share_outside(Image(lesion, np.eye(4)), Image(cord, np.eye(4))) == pytest.approx(0.5)


def test_level_is_that_of_most_voxels() -> None:
    lesion, cord, line = cylinder(0.0)
    levels = np.where(np.arange(SHAPE[2]) > 36, 3, 4) * cord.data
    labels = lesion.with_data(lesion_instances(lesion, cord))
    table = measure_lesions(labels, cord, line, lesion.with_data(levels))
    assert table["vertebral_level"].tolist() == [3.0]


def test_no_lesion_is_an_empty_table() -> None:
    _, cord, line = cylinder(0.0)
    table = measure_lesions(cord.with_data(np.zeros(SHAPE, np.int32)), cord, line)
    assert table.empty
    assert "volume_mm3" in table.columns
