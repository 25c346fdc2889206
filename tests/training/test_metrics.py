"""Measures of segmentations on shapes whose truth is known."""

import numpy as np
import pytest

from spinalprep.training.evaluation.metrics import (
    bootstrap_interval,
    calibration_error,
    centerline_measures,
    correlation,
    count_lesions,
    overlap_measures,
    surface_distances,
)

AXES = np.mgrid[:64, :64, :64].astype(float)
ONE = np.ones(3)


def ball(radius: float, *centre: float) -> np.ndarray:
    apart = sum((axis - c) ** 2 for axis, c in zip(AXES, centre, strict=True))
    return apart <= radius**2


def test_shifted_balls_overlap_as_two_caps() -> None:
    radius, shift = 20.0, 10.0
    shared = np.pi * (4 * radius + shift) * (2 * radius - shift) ** 2 / 12
    whole = 4 / 3 * np.pi * radius**3
    measures = overlap_measures(ball(radius, 37, 32, 32), ball(radius, 27, 32, 32))
    assert measures["dice"] == pytest.approx(shared / whole, abs=0.005)
    assert measures["ppv"] == pytest.approx(shared / whole, abs=0.005)
    assert measures["relative_volume_difference"] == 0.0


def test_volume_difference_has_a_sign_and_empty_masks_have_no_ratio() -> None:
    small, large = ball(10, 32, 32, 32), ball(20, 32, 32, 32)
    larger = overlap_measures(large, small)
    assert larger["relative_volume_difference"] == pytest.approx(7.0, rel=0.03)
    assert larger["ppv"] == pytest.approx(1 / 8, rel=0.03)
    assert overlap_measures(small, large)["relative_volume_difference"] < 0
    nothing = np.zeros_like(small)
    assert overlap_measures(nothing, small)["dice"] == 0.0
    assert np.isnan(overlap_measures(nothing, nothing)["dice"])
    assert np.isnan(overlap_measures(small, nothing)["relative_volume_difference"])


@pytest.mark.parametrize("spacing", [1.0, 0.5])
def test_concentric_balls_are_as_far_apart_as_their_radii(spacing: float) -> None:
    sizes = ONE * spacing
    measures = surface_distances(ball(22, 32, 32, 32), ball(16, 32, 32, 32), sizes)
    assert measures["surface_mm"] == pytest.approx(6 * spacing, abs=0.3 * spacing)
    assert measures["surface95_mm"] == pytest.approx(6 * spacing, abs=1.0 * spacing)


def test_distances_know_thick_slices_and_where_drawing_stopped() -> None:
    tube = np.zeros((20, 20, 6), bool)
    tube[8:12, 8:12] = True
    wide = np.zeros_like(tube)
    wide[6:14, 6:14] = True
    apart = surface_distances(wide, tube, np.array([0.5, 0.5, 5.0]))
    # faces are 2 voxels apart, corners 2 times the root of 2; the ends are no surface
    assert 1.0 <= apart["surface_mm"] < 1.2
    assert apart["surface95_mm"] == pytest.approx(np.sqrt(2), abs=0.05)
    plate = np.zeros((9, 9, 9), bool)
    plate[:, :, 4] = True
    moved = np.roll(plate, 2, axis=2)
    assert surface_distances(plate, moved, np.array([1, 1, 4.0]))["surface_mm"] == 8.0
    assert np.isnan(surface_distances(plate, np.zeros_like(plate), ONE)["surface_mm"])


def test_one_far_voxel_moves_the_mean_more_than_the_percentile() -> None:
    truth = ball(16, 32, 32, 32)
    found = truth.copy()
    found[0, 0, 0] = True
    apart = surface_distances(found, truth, ONE)
    assert apart["surface95_mm"] == 0.0
    assert apart["surface_mm"] > 0.0


def test_centerline_error_in_millimetres_and_missed_slices() -> None:
    truth = np.zeros((20, 20, 4), bool)
    truth[5:10, 5:10, :3] = True  # middle 7, 7; nobody drew the last slice
    points = np.array([[7.0, 7.0], [13.0, 7.0], [np.nan, np.nan], [0.0, 0.0]])
    measures = centerline_measures(points, truth, np.array([0.5, 2.0, 5.0]))
    assert measures["localisation"] == pytest.approx(1 / 3)
    assert measures["centerline_mm"] == pytest.approx(np.sqrt((0 + 3.0**2) / 2))
    outside = np.full((4, 2), -4.0)
    assert centerline_measures(outside, truth, ONE)["localisation"] == 0.0


def test_a_lesion_is_detected_from_a_quarter_on() -> None:
    truth = np.zeros((40, 8, 3), bool)
    truth[2:10, 2, 1] = True  # 8 voxels
    truth[20:28, 2, 1] = True
    truth[30, 7, 2] = True
    found = np.zeros_like(truth)
    found[2:4, 2, 1] = True  # 2 of 8: detected
    found[20, 2, 1] = True  # 1 of 8: not detected, but not false either
    found[15, 6, 0] = True  # false, in a slice without a drawn lesion
    counts = count_lesions(found, truth, np.ones_like(truth))
    assert (counts.drawn, counts.detected, counts.found, counts.true) == (3, 1, 3, 2)
    assert counts.measures["lesion_sensitivity"] == pytest.approx(1 / 3)
    assert counts.measures["lesion_precision"] == pytest.approx(2 / 3)
    assert (counts.clean_slices, counts.clean_found) == (1, 1)
    assert counts.measures["slice_specificity"] == 0.0


def test_a_huge_find_is_not_a_precise_one() -> None:
    truth = np.zeros((30, 30, 3), bool)
    truth[5, 5, 1] = True
    counts = count_lesions(np.ones_like(truth), truth, np.ones_like(truth))
    assert (counts.detected, counts.found, counts.true) == (1, 1, 0)
    none = np.zeros_like(truth)
    assert count_lesions(none, none, np.ones_like(truth)).measures["slice_specificity"] == 1.0
    assert np.isnan(count_lesions(none, none, none).measures["lesion_sensitivity"])


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(7)
    hits = 0
    for _ in range(150):
        low, high = bootstrap_interval(draw.normal(0.9, 0.05, 40), draws=400)
        hits += low <= 0.9 <= high
    assert 0.87 <= hits / 150 <= 0.99
    assert np.isnan(bootstrap_interval(np.array([0.9, 0.8, np.nan]))[0])
    assert bootstrap_interval(np.arange(5.0), 1) == bootstrap_interval(np.arange(5.0), 1)


def test_correlation_needs_three_people_and_spread() -> None:
    a = np.array([1.0, 2.0, 4.0, np.nan])
    assert correlation(a, 3 * a + 1) == pytest.approx(1.0)
    assert np.isnan(correlation(a[:2], a[:2]))
    assert np.isnan(correlation(a, np.ones(4)))


def test_calibration_of_a_forecaster_who_says_what_happens() -> None:
    chance = np.random.default_rng(0)
    p = chance.uniform(0, 1, (100, 100, 20)).astype(np.float32)
    happens = chance.uniform(0, 1, p.shape) < p
    assert calibration_error(p, happens) < 0.01
    overconfident = np.where(p > 0.5, 0.99, 0.01).astype(np.float32)
    # he says 0.99 where 3 in 4 happen, 0.01 where 1 in 4 do
    assert calibration_error(overconfident, happens) == pytest.approx(0.24, abs=0.01)


def test_calibration_looks_where_something_was_said_or_drawn() -> None:
    p = np.zeros((10, 10, 10), np.float32)
    truth = np.zeros(p.shape, bool)
    assert np.isnan(calibration_error(p, truth))
    p[0, 0, 0] = 0.5
    assert calibration_error(p, truth) == pytest.approx(0.5)
    truth[5, 5, 5] = True  # missed altogether
    assert calibration_error(p, truth) == pytest.approx((0.5 + 1.0) / 2)
