"""Lesions in a cylinder measure what geometry says."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.image import Image, grid_points
from spinalprep.lesion.frame import cord_frame
from spinalprep.lesion.instances import lesion_instances, share_outside
from spinalprep.lesion.measures import measure_lesions, top_of_c1

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


def test_only_positive_labels_are_lesions() -> None:
    lesion, cord, line = cylinder(0.0)
    assert measure_lesions(lesion.with_data(lesion.data * -1), cord, line).empty
    assert measure_lesions(lesion.with_data(lesion.data * 0.4), cord, line).empty
    blurred = lesion.data * 1.0
    blurred[:, :, ::2] *= 1.2
    assert measure_lesions(lesion.with_data(blurred), cord, line)["lesion"].tolist() == [1]


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


def test_a_lesion_is_called_by_its_peak_and_goes_down_from_there() -> None:
    data = np.zeros((30, 30, 6), np.float32)
    data[4:10, 4:10, 1:4], data[6:8, 6:8, 2] = 0.65, 0.85
    data[18:24, 18:24, 1:4] = 0.7  # never sure enough
    cord = Image(np.ones((30, 30, 6), np.uint8), np.eye(4))
    labels = lesion_instances(Image(data, np.eye(4)), cord, 0.8)
    assert (labels > 0).sum() == 6 * 6 * 3
    assert labels.max() == labels[7, 7, 2] == 1
    thin = np.diag([1.0, 1.0, 1.2, 1.0])  # three slices of 1.2 mm
    for shortest, count in ((3.5, 1), (4.0, 0)):
        short = lesion_instances(Image(data, thin), Image(cord.data, thin), 0.8, 3.0, shortest)
        assert short.max() == count
    low = lesion_instances(Image(data, np.eye(4)), cord, 0.4)
    assert (low.max(), (low > 0).sum()) == (2, 2 * 6 * 6 * 3)


@pytest.mark.parametrize("towards", [0.0, 90.0, 225.0])
@pytest.mark.parametrize(("tilt", "thick"), [(20.0, 5.0), (40.0, 3.0), (40.0, 5.0)])
def test_a_lesion_goes_on_along_a_tilted_cord_in_thick_slices(
    tilt: float, thick: float, towards: float
) -> None:
    lean, way = np.deg2rad([tilt, towards])
    side = np.array([np.cos(way), np.sin(way)])
    line = fit_centerline(
        np.linspace(-30, 30, 80)[:, None] * -np.array([*np.sin(lean) * side, np.cos(lean)])
    )
    shape = (90, 90, round(45 / thick))
    affine = np.diag([-0.5, 0.5, thick, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    s, x, y = np.moveaxis(line.project(grid_points(shape, affine)), -1, 0)
    cord = Image((np.hypot(x, y) <= 5).astype(np.uint8), affine)
    middle = s - line.length / 2
    parts = [
        (middle / 8) ** 2 + (x / 1.5) ** 2 + (y / 1.2) ** 2 <= 1,
        (np.abs(middle) < 8) & (np.hypot(x, y - 3.5) <= 0.8),  # beside it, never in touch
    ]
    for count, drawn in ((1, parts[0]), (2, parts[0] | parts[1])):
        labels = lesion_instances(cord.with_data(drawn.astype(np.float32)), cord, min_mm3=0.0)
        assert labels.max() == count
        assert ((labels > 0) == drawn).all()
    assert len(np.unique(labels[parts[1]])) == 1


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


def test_a_lesion_is_doubtful_where_most_of_it_lies_in_doubtful_slices() -> None:
    lesion, cord, line = cylinder(0.0)
    labels = lesion.with_data(lesion_instances(lesion, cord))
    slices = np.flatnonzero(labels.data.any(axis=(0, 1)))
    voxels = labels.data.astype(bool).sum(axis=(0, 1))
    lower = [k for k in slices if voxels[: k + 1].sum() <= 0.45 * voxels.sum()]
    upper = [k for k in slices if k not in lower]
    for doubtful, expected in (([], False), (lower, False), (upper, True)):
        table = measure_lesions(labels, cord, line, doubtful=doubtful)
        assert table["doubtful"].tolist() == [expected]


def test_no_lesion_is_an_empty_table() -> None:
    _, cord, line = cylinder(0.0)
    table = measure_lesions(cord.with_data(np.zeros(SHAPE, np.int32)), cord, line)
    assert table.empty
    assert "volume_mm3" in table.columns


def turned(turn_deg: float, tilt_deg: float, voxel: tuple[float, float, float]) -> pd.Series:
    """A lesion in a cord of 14 x 9 mm that is turned and tilted, 2 mm left and 1 mm dorsal."""
    axis = -np.array([0.0, np.sin(np.deg2rad(tilt_deg)), np.cos(np.deg2rad(tilt_deg))])
    line = fit_centerline(np.linspace(-30, 30, 80)[:, None] * axis + [0.7, -0.4, 0.2])
    box = np.array([20.0, 34.0, 24.0])
    shape = np.rint(box / voxel).astype(int)
    affine = np.diag([-voxel[0], voxel[1], voxel[2], 1.0])
    affine[:3, 3] = box / 2 * [1, -1, -1]
    s, x, y = np.moveaxis(line.project(grid_points(shape, affine)), -1, 0)
    turn = np.deg2rad(turn_deg)
    a, b = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    cord = Image(((a / 7) ** 2 + (b / 4.5) ** 2 <= 1).astype(np.uint8), affine)
    half = (s - line.length / 2) / 8, (a + 2) / 3, (b + 1) / 2
    lesion = np.sum(np.square(half), axis=0) <= 1
    shifted = Centerline(line.points + 0.5 * line.right)  # a centerline need not be in the middle
    table = measure_lesions(cord.with_data(lesion.astype(np.int32)), cord, shifted, None, -40.0)
    return table.iloc[0]


@pytest.mark.parametrize("turn", [0.0, 12.0])
@pytest.mark.parametrize("tilt", [0.0, 35.0])
@pytest.mark.parametrize("voxel", [(0.5, 0.5, 0.5), (0.5, 0.5, 3.0), (1.0, 1.0, 1.0)])
def test_bridges_and_place_in_the_cord_s_own_frame(
    turn: float, tilt: float, voxel: tuple[float, float, float]
) -> None:
    row = turned(turn, tilt, voxel)
    pixel = voxel[0]
    drawn = 2 * np.sqrt(1 - 4 / 9)  # half the lesion's height in the midsagittal plane
    assert row["position_rl"] == pytest.approx(-2 / 7, abs=0.03)
    assert row["position_ap"] == pytest.approx(-1 / 4.5, abs=0.03)
    assert row["midsagittal_width_mm"] == pytest.approx(2 * drawn, abs=pixel)
    assert row["bridge_ventral_mm"] == pytest.approx(4.5 - (drawn - 1), abs=pixel)
    assert row["bridge_dorsal_mm"] == pytest.approx(4.5 - (drawn + 1), abs=pixel)
    assert row["bridge_total_mm"] == row["bridge_ventral_mm"] + row["bridge_dorsal_mm"]
    front, back = row["bridge_ventral_percent"], row["bridge_dorsal_percent"]
    assert front + back == pytest.approx(100.0)
    assert front == pytest.approx(100 * (5.5 - drawn) / (9 - 2 * drawn), abs=10 * pixel)
    assert row["midsagittal_spared_percent"] == pytest.approx(100 - 200 * drawn / 9, abs=12 * pixel)
    edge = 7 * np.sqrt(1 - 1 / 20.25)
    assert row["bridge_left_mm"] == pytest.approx(edge - 5, abs=pixel)
    assert row["bridge_right_mm"] == pytest.approx(edge - 1, abs=pixel)
    assert row["max_axial_damage_ratio"] == pytest.approx(6 / 31.5, rel=0.08)
    assert row["distance_c1_mm"] == pytest.approx(row["s_mm"] + 40.0)


@pytest.mark.parametrize("thick", [1.0, 2.5, 5.0])
def test_thick_slices_count_whole_in_the_midsagittal_plane(thick: float) -> None:
    line = fit_centerline(np.array([[0.0, 0, 40], [0, 0, -40]]))
    shape = (40, 40, round(40 / thick))
    affine = np.diag([-0.5, 0.5, thick, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    x, y, z = np.moveaxis(grid_points(shape, affine), -1, 0)
    cord = Image((np.hypot(x, y) <= 5).astype(np.uint8), affine)
    for high in (20.0, 2 * thick):
        lesion = (np.hypot(x, y) <= 2) & (np.abs(z) < high / 2)  # whole slices
        row = measure_lesions(cord.with_data(lesion.astype(np.int32)), cord, line).iloc[0]
        assert row["length_mm"] == pytest.approx(high, abs=1e-6)
        assert row["midsagittal_length_mm"] == pytest.approx(high, abs=1e-6)


def test_a_cord_that_is_cut_through_has_no_bridge_and_no_share_of_one() -> None:
    line = fit_centerline(np.array([[0.0, 0, 20], [0, 0, -20]]))
    affine = np.diag([-0.5, 0.5, 1.0, 1.0])
    affine[:3, 3] = [9.75, -9.75, -19.5]
    x, y, z = np.moveaxis(grid_points((40, 40, 40), affine), -1, 0)
    cord = Image((np.hypot(x, y) <= 5).astype(np.uint8), affine)
    labels = cord.with_data((cord.data * (np.abs(z) < 3)).astype(np.int32))
    row = measure_lesions(labels, cord, line).iloc[0]
    assert row["bridge_total_mm"] == 0.0
    assert row["midsagittal_spared_percent"] == 0.0
    assert np.isnan(row[["bridge_ventral_percent", "bridge_dorsal_percent"]].to_numpy(float)).all()


def test_an_island_of_the_cord_mask_moves_no_measure() -> None:
    lesion, cord, line = cylinder(10.0)
    labels = lesion.with_data(lesion_instances(lesion, cord))
    spoilt = cord.data.copy()
    spoilt[1:5, 2:8, 38:44] = 1
    alone = measure_lesions(labels, cord, line)
    pd.testing.assert_frame_equal(measure_lesions(labels, cord.with_data(spoilt), line), alone)


def test_what_lies_outside_the_cord_damages_none_of_it() -> None:
    cord = np.zeros((30, 30, 12), np.uint8)
    cord[10:20, 10:20] = 1
    lesion = np.zeros((30, 30, 12), np.int32)
    lesion[18:22, 12:16, 4:8] = 1
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    line = fit_centerline(np.array([[-14.5, 14.5, 11.0], [-14.5, 14.5, 0.0]]))
    row = measure_lesions(Image(lesion, affine), Image(cord, affine), line).iloc[0]
    assert row["volume_mm3"] == 64
    assert row["outside_mm3"] == 32
    assert row["max_axial_damage_ratio"] == pytest.approx(0.08, abs=2e-3)
    assert row["bridge_left_mm"] == pytest.approx(0.0, abs=0.01)
    assert np.isnan(row["bridge_ventral_mm"])


def test_a_round_cord_does_not_turn_the_frame() -> None:
    _, cord, line = cylinder(10.0)
    noisy = cord.with_data(cord.data * (np.random.default_rng(0).random(SHAPE) > 0.1))
    assert np.abs(np.rad2deg(cord_frame(noisy, line).turn)).max() < 3.0


def test_the_top_of_c1_is_seen_or_placed_by_the_template() -> None:
    heights = {1: 0.0, 2: -20.0, 3: -36.0}
    assert top_of_c1({1: 4.0, 3: 40.0}, heights) == 4.0
    assert top_of_c1({2: 30.0, 3: 46.0}, heights) == 10.0
    assert top_of_c1({2: 30.0}, {2: -20.0, 3: -36.0}) is None
    assert top_of_c1({}, heights) is None
