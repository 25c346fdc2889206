"""The measures of the cord are those of geometry."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord.centerline import Centerline, centerline_from_mask, fit_centerline
from spinalprep.cord.section import cord_sections
from spinalprep.cord.shape import measure_slices, summarise
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Image, grid_points

RL, AP = 12.0, 8.0


def tilted_cylinder(
    tilt_deg: float, towards_deg: float, soft: bool, rl: float = RL, ap: float = AP
) -> tuple[Image, Centerline]:
    """An elliptic cylinder along a tilted axis; its points in superior-inferior order."""
    tilt, towards = np.deg2rad([tilt_deg, towards_deg])
    axis = -np.array([np.sin(tilt) * np.cos(towards), np.sin(tilt) * np.sin(towards), np.cos(tilt)])
    line = fit_centerline(np.linspace(-25, 25, 60)[:, None] * axis)
    right, anterior, _ = line.frame(line.length / 2)
    spacing = 0.4
    affine = np.diag([-spacing, spacing, 2.0, 1.0])
    affine[:3, 3] = [20, -20, -8]
    points = grid_points((100, 100, 9), affine)
    fine = 5 if soft else 1
    share = np.zeros(points.shape[:3], np.float32)
    for a in (np.arange(fine) + 0.5) / fine - 0.5:
        for b in (np.arange(fine) + 0.5) / fine - 0.5:
            moved = points + np.array([a * spacing, b * spacing, 0])
            x, y = moved @ right, moved @ anterior
            share += (x / (rl / 2)) ** 2 + (y / (ap / 2)) ** 2 <= 1
    return Image(share / fine**2, affine), line


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("tilt", "towards"), [(0, 0), (20, 90), (30, 45), (40, 0), (40, 45), (40, 90)]
)
def test_a_tilted_cylinder(tilt: float, towards: float, soft: bool) -> None:
    cord, line = tilted_cylinder(tilt, towards, soft)
    table = measure_slices(cord, line)
    truth = np.pi * RL * AP / 4
    np.testing.assert_allclose(table["area_mm2"], truth, rtol=0.01 if soft else 0.02)
    assert table["area_mm2"].mean() == pytest.approx(truth, rel=0.01 if soft else 0.02)
    np.testing.assert_allclose(table["diameter_rl_mm"], RL, rtol=0.01 if soft else 0.02)
    np.testing.assert_allclose(table["diameter_ap_mm"], AP, rtol=0.01 if soft else 0.02)
    assert table["diameter_rl_mm"].mean() == pytest.approx(RL, rel=0.01 if soft else 0.02)
    assert table["diameter_ap_mm"].mean() == pytest.approx(AP, rel=0.01 if soft else 0.02)
    np.testing.assert_allclose(table["tilt_deg"], tilt, atol=0.05)
    np.testing.assert_allclose(table["length_mm"], 2.0 / np.cos(np.deg2rad(tilt)), rtol=1e-3)
    np.testing.assert_allclose(table["eccentricity"], np.sqrt(1 - (AP / RL) ** 2), atol=0.02)
    np.testing.assert_allclose(table["orientation_deg"], 0.0, atol=2.0)
    assert (table["solidity"] > 0.95).all()
    assert table["complete"].all()
    assert table["slice"].is_monotonic_decreasing


def test_a_cut_cord_is_not_complete() -> None:
    cord, line = tilted_cylinder(0, 0, soft=False)
    cut = Image(cord.data[48:], cord.affine)
    assert not measure_slices(cut, line)["complete"].any()


@pytest.mark.parametrize("tilt", [0.0, 25.0, 40.0])
@pytest.mark.parametrize(("pixel", "thickness"), [(0.5, 2.5), (1.0, 1.0), (0.7, 7.0)])
def test_area_of_thick_soft_slices(pixel: float, thickness: float, tilt: float) -> None:
    axis = -np.array([0.3, np.sin(np.deg2rad(tilt)), np.cos(np.deg2rad(tilt))])
    axis /= np.linalg.norm(axis)
    affine = np.diag([-pixel, pixel, thickness, 1.0])
    side, depth = int(44 / pixel), round(28 / thickness)
    affine[:3, 3] = np.array([side * pixel, -side * pixel, -depth * thickness]) / 2
    points = grid_points((side, side, depth), affine)
    share = np.zeros(points.shape[:3])
    for step in (np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) + 0.5) / 4 - 0.5:
        apart = points + step * [pixel, pixel, thickness]
        apart = apart - (apart @ axis)[..., None] * axis
        share += np.linalg.norm(apart, axis=-1) <= 4.5
    cord = Image((share / 64).astype(np.float32), affine)
    table = measure_slices(cord, centerline_from_mask(cord))
    np.testing.assert_allclose(table["area_mm2"], np.pi * 4.5**2, rtol=0.01)
    near = 0.035 if thickness > 5 else 0.02  # moments of the voxels would say 11.3 mm at 7 mm, 40
    np.testing.assert_allclose(table["diameter_ap_mm"], 9.0, rtol=near)
    np.testing.assert_allclose(table["diameter_rl_mm"], 9.0, rtol=near)


def test_a_hole_is_cord_whether_it_is_empty_or_faint() -> None:
    cord, line = tilted_cylinder(20, 90, soft=True)
    whole = measure_slices(cord, line)
    for rest in (0.0, 0.3):
        holed = cord.data.copy()
        holed[47:52, 47:51, 3:6] = rest
        assert (cord.data[46:53, 46:52, 3:6] == 1).all()
        table = measure_slices(cord.with_data(holed), line)
        pd.testing.assert_frame_equal(table, whole)


def test_halo_and_islands_measure_nothing() -> None:
    cord, line = tilted_cylinder(20, 90, soft=True)
    spoilt = np.maximum(cord.data, np.float32(0.015))
    spoilt[3:9, 3:9, 2:5] = 1.0
    alone, among = measure_slices(cord, line), measure_slices(Image(spoilt, cord.affine), line)
    np.testing.assert_allclose(among["area_mm2"], alone["area_mm2"], rtol=0.01)
    np.testing.assert_allclose(among["diameter_rl_mm"], alone["diameter_rl_mm"], rtol=0.01)
    found = centerline_from_mask(Image(spoilt, cord.affine))
    _, x, y = line.project(found.points).T
    assert np.hypot(x, y).max() < 0.1


def test_grey_matter_has_its_area_and_share_at_any_tilt() -> None:
    for tilt, towards in ((0, 0), (40, 45)):
        cord, line = tilted_cylinder(tilt, towards, soft=True)
        grey, _ = tilted_cylinder(tilt, towards, soft=True, rl=RL / 2, ap=AP / 2)
        table = measure_slices(cord, line, grey)
        np.testing.assert_allclose(table["gm_area_mm2"], np.pi * RL * AP / 16, rtol=0.01)
        np.testing.assert_allclose(table["gm_ratio"], 0.25, rtol=0.01)


@pytest.mark.slow
def test_interval_of_a_mask_holds_the_truth_wherever_the_pixels_lie() -> None:
    chance = np.random.default_rng(0)
    line = fit_centerline(np.array([[0, 0, 5.0], [0, 0, -5]]))
    held, widths, across = [], [], []
    for pixel in (0.5, 1.0):
        for shift in chance.uniform(-0.5, 0.5, (200, 2)) * pixel:
            affine = np.diag([-pixel, pixel, 1.0, 1.0])
            affine[:2, 3] = np.array([12.0, -12.0]) + shift
            points = grid_points((int(24 / pixel), int(24 / pixel), 1), affine)
            inside = (points[..., 0] / (RL / 2)) ** 2 + (points[..., 1] / (AP / 2)) ** 2 <= 1
            row = measure_slices(Image(inside.astype(np.float32), affine), line).iloc[0]
            truth = np.pi * RL * AP / 4
            held.append(row["area_mm2_lower"] <= truth <= row["area_mm2_upper"])
            widths.append(row["area_mm2_upper"] - row["area_mm2_lower"])
            for name, size in (("diameter_ap_mm", AP), ("diameter_rl_mm", RL)):
                across.append(row[f"{name}_lower"] <= size <= row[f"{name}_upper"])
    assert np.mean(held) >= 0.95
    assert np.mean(across) >= 0.95
    assert np.max(widths) < 0.1 * truth


@pytest.mark.slow
def test_interval_of_drawn_grey_matter_holds_the_truth_wherever_the_pixels_lie() -> None:
    chance = np.random.default_rng(1)
    line = fit_centerline(np.array([[0, 0, 5.0], [0, 0, -5]]))
    truth = 2 * np.pi * 1.1 * 2.4  # two horns
    held, ratios, widths = [], [], []
    for pixel in (0.25, 0.5, 0.7):
        for shift in chance.uniform(-0.5, 0.5, (100, 2)) * pixel:
            affine = np.diag([-pixel, pixel, 1.0, 1.0])
            affine[:2, 3] = np.array([12.0, -12.0]) + shift
            x, y, _ = np.moveaxis(grid_points([int(24 / pixel)] * 2 + [1], affine), -1, 0)
            cord = Image(((x / 6) ** 2 + (y / 4) ** 2 <= 1).astype(np.float32), affine)
            horns = ((np.abs(x) - 2) / 1.1) ** 2 + (y / 2.4) ** 2 <= 1
            row = measure_slices(cord, line, cord.with_data(horns.astype(np.float32))).iloc[0]
            held.append(row["gm_area_mm2_lower"] <= truth <= row["gm_area_mm2_upper"])
            share = truth / (np.pi * 24)
            ratios.append(row["gm_ratio_lower"] <= share <= row["gm_ratio_upper"])
            widths.append((row["gm_area_mm2_upper"] - row["gm_area_mm2_lower"]) / truth)
    assert np.mean(held) >= 0.95
    assert np.mean(ratios) >= 0.95
    assert np.max(widths) < 0.3


@pytest.mark.parametrize("pixel", [(0.25, 0.25), (0.6, 0.6), (0.5, 0.8)])
def test_the_edge_of_a_network_s_grey_matter_is_off_along_its_whole_outline(
    pixel: tuple[float, float],
) -> None:
    line = fit_centerline(np.array([[0, 0, 5.0], [0, 0, -5]]))
    affine = np.diag([-pixel[0], pixel[1], 1.0, 1.0])
    shape = [2 * round(12 / size) for size in pixel]
    affine[:2, 3] = np.array([1, -1]) * pixel * (np.array(shape) - 1) / 2
    x, y, _ = np.moveaxis(grid_points([*shape, 1], affine), -1, 0)
    cord = Image((np.hypot(x, y) <= 7).astype(np.float32), affine)
    soft = 1 / (1 + np.exp((np.hypot(np.abs(x) - 3, y) - 2) / 0.4))  # two discs of radius 2
    grey = cord.with_data(soft.astype(np.float32))
    drawn = measure_slices(cord, line, grey).iloc[0]
    found = measure_slices(cord, line, grey, gm_found=True).iloc[0]
    size = np.sqrt(pixel[0] * pixel[1])
    more = 0.1 * max(size, 0.5) * 2 * 2 * np.pi * 2
    chance, whole = (
        (row["gm_area_mm2_upper"] - row["gm_area_mm2"]) / 1.96 for row in (drawn, found)
    )
    assert whole**2 - chance**2 == pytest.approx(more**2, rel=0.1)
    sd = (found["gm_ratio_upper"] - found["gm_ratio"]) / 1.96
    cord_sd = (found["area_mm2_upper"] - found["area_mm2"]) / 1.96
    parts = np.hypot(whole / found["gm_area_mm2"], cord_sd / found["area_mm2"])
    assert sd == pytest.approx(found["gm_ratio"] * parts)


def test_where_nobody_saw_grey_matter_nothing_is_known_of_it() -> None:
    cord, line = tilted_cylinder(0, 0, soft=True)
    grey = cord.data / 4
    grey[:, :, :4] = 0
    grey[40, 40, 5] = np.nan
    table = measure_slices(cord, line, cord.with_data(grey), gm_found=True).set_index("slice")
    columns = [
        f"gm_{name}{end}" for name in ("area_mm2", "ratio") for end in ("", "_lower", "_upper")
    ]
    assert table.loc[[0, 1, 2, 3], columns].isna().all(axis=None)
    assert table.loc[[4, 5, 8], columns].notna().all(axis=None)


def test_interval_widens_with_soft_voxels_and_with_the_networks_spread() -> None:
    cord, line = tilted_cylinder(0, 0, soft=True)
    faint = cord.with_data(np.clip(cord.data, 0, 0.9))
    spread = cord.with_data(np.full(cord.shape, 0.05, np.float32))

    def width(table: pd.DataFrame) -> float:
        return float((table["area_mm2_upper"] - table["area_mm2_lower"]).mean())

    sure, softer = measure_slices(cord, line), measure_slices(faint, line)
    moved = measure_slices(cord, line, spread=spread)
    assert width(softer) > 1.5 * width(sure)
    count = np.count_nonzero(cord_sections(cord.data)[:, :, 4])
    assert width(moved) >= 2 * 1.96 * 0.05 * count * 0.16  # all voxels move together
    np.testing.assert_array_equal(moved["area_mm2"], sure["area_mm2"])


def test_summary_leaves_incomplete_slices_out() -> None:
    cord, line = tilted_cylinder(0, 0, soft=True)
    table = measure_slices(cord, line).assign(vertebral_level=["C3"] * 4 + ["C4"] * 5)
    table.loc[0, ["complete", "area_mm2"]] = [False, 1000.0]
    summary = summarise(table, "vertebral_level").set_index("vertebral_level")
    assert summary.loc["C3", "slices"] == 3
    assert summary.loc["C4", "length_mm"] == pytest.approx(10.0, rel=1e-3)
    assert summary.loc["C3", "area_mm2"] == pytest.approx(np.pi * RL * AP / 4, rel=0.01)
    assert not pd.isna(summary.loc["C4", "area_mm2_sd"])
    lower, upper = summary.loc["C3", ["area_mm2_lower", "area_mm2_upper"]]
    assert lower < summary.loc["C3", "area_mm2"] < upper < 200


def test_a_doubtful_slice_is_marked_and_in_no_mean_and_no_compression() -> None:
    cord, line = tilted_cylinder(0, 0, soft=True)
    data = cord.data.copy()
    data[..., :3] = 0.0
    data[40:60, 45:55, :3] = 1.0  # narrow from front to back
    table = measure_slices(cord.with_data(data), line, doubtful=[0, 1, 2])
    assert table["doubtful"].tolist() == [False] * 6 + [True] * 3
    assert table["mscc_percent"][table["doubtful"]].isna().all()
    summary = summarise(table.assign(vertebral_level="C3"), "vertebral_level")
    assert summary["slices"].tolist() == [6]
    assert summary["area_mm2"].tolist() == pytest.approx([np.pi * RL * AP / 4], rel=0.01)
    assert not measure_slices(cord, line)["doubtful"].any()


def test_empty_mask_is_named() -> None:
    line = tilted_cylinder(0, 0, soft=False)[1]
    with pytest.raises(EmptyMaskError, match="mask is empty"):
        measure_slices(Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), line)


@pytest.mark.parametrize(("pixel", "edge_mm"), [(1.0, 0.1), (0.6, 0.06), (0.25, 0.05)])
def test_a_network_s_edge_is_a_tenth_of_a_pixel_off_and_the_sides_of_a_diameter_more(
    pixel: float, edge_mm: float
) -> None:
    line = fit_centerline(np.array([[0, 0, 5.0], [0, 0, -5]]))
    affine = np.diag([-pixel, pixel, 1.0, 1.0])
    side = 2 * int(12 / pixel)
    affine[:2, 3] = np.array([1, -1]) * pixel * (side - 1) / 2
    points = grid_points((side, side, 1), affine)
    cord = Image((np.hypot(points[..., 0], points[..., 1]) <= 5).astype(np.float32), affine)
    drawn = measure_slices(cord, line).iloc[0]
    found = measure_slices(cord, line, spread=cord.with_data(np.zeros_like(cord.data))).iloc[0]
    for name, more in (("area_mm2", edge_mm * 2 * np.pi * 5), ("diameter_ap_mm", 3 * edge_mm)):
        chance, whole = ((row[f"{name}_upper"] - row[name]) / 1.96 for row in (drawn, found))
        assert whole**2 - chance**2 == pytest.approx(more**2, rel=0.02)
