"""The measures of the cord are those of geometry."""

import numpy as np
import pandas as pd
import pytest

from spinalprep.cord.centerline import centerline_from_mask, fit_centerline
from spinalprep.cord.shape import measure_slices, summarise
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Image, grid_points

RL, AP = 12.0, 8.0


def tilted_cylinder(tilt_deg: float, towards_deg: float, soft: bool) -> tuple[Image, np.ndarray]:
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
            share += (x / (RL / 2)) ** 2 + (y / (AP / 2)) ** 2 <= 1
    return Image(share / fine**2, affine), line


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("tilt", "towards"), [(0, 0), (20, 90), (30, 45), (40, 0), (40, 90)])
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


def test_summary_leaves_incomplete_slices_out() -> None:
    cord, line = tilted_cylinder(0, 0, soft=True)
    table = measure_slices(cord, line).assign(vertebral_level=["C3"] * 4 + ["C4"] * 5)
    table.loc[0, ["complete", "area_mm2"]] = [False, 1000.0]
    summary = summarise(table, "vertebral_level").set_index("vertebral_level")
    assert summary.loc["C3", "slices"] == 3
    assert summary.loc["C4", "length_mm"] == pytest.approx(10.0, rel=1e-3)
    assert summary.loc["C3", "area_mm2"] == pytest.approx(np.pi * RL * AP / 4, rel=0.01)
    assert not pd.isna(summary.loc["C4", "area_mm2_sd"])


def test_empty_mask_is_named() -> None:
    line = tilted_cylinder(0, 0, soft=False)[1]
    with pytest.raises(EmptyMaskError, match="no voxel"):
        measure_slices(Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), line)
