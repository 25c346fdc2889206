"""Shapes of sections whose truth is known, and compression along the cord."""

import numpy as np
import pytest

from spinalprep.cord.compression import compression_along
from spinalprep.cord.outline import measure_outline

PIXEL = 0.2
PLANE = np.diag([-PIXEL, PIXEL])  # i runs to the left, as in LAS


def section(inside) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Draw a section given by a test on x (right) and y (front) in mm."""
    steps = (np.arange(120) - 59.5) * PIXEL
    return np.asarray(inside(-steps[:, None], steps[None, :]), float)


def ellipse(rl: float, ap: float, turn_deg: float) -> np.ndarray:
    turn = np.deg2rad(turn_deg)

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        a, b = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        return (2 * a / rl) ** 2 + (2 * b / ap) ** 2 <= 1

    return section(inside)


@pytest.mark.parametrize("turn", [0.0, 17.0, -30.0])
def test_an_ellipse_turned_about_the_cord(turn: float) -> None:
    shape = measure_outline(ellipse(13.0, 8.0, turn), PLANE, 0.5)
    assert shape["diameter_rl_mm"] == pytest.approx(13.0, rel=0.01)
    assert shape["diameter_ap_mm"] == pytest.approx(8.0, rel=0.01)
    assert shape["compression_ratio"] == pytest.approx(8 / 13, rel=0.01)
    assert shape["eccentricity"] == pytest.approx(np.sqrt(1 - (8 / 13) ** 2), rel=0.01)
    assert shape["orientation_deg"] == pytest.approx(turn, abs=0.5)
    assert shape["solidity"] > 0.97
    assert shape["symmetry_rl"] > 0.98
    assert shape["symmetry_ap"] > 0.98


def test_a_cord_longer_from_front_to_back_keeps_the_names_of_its_axes() -> None:
    shape = measure_outline(ellipse(7.0, 9.0, 10.0), PLANE, 0.5)
    assert shape["diameter_ap_mm"] == pytest.approx(9.0, rel=0.01)
    assert shape["compression_ratio"] == pytest.approx(9 / 7, rel=0.01)
    assert shape["orientation_deg"] == pytest.approx(10.0, abs=0.5)


def test_a_dent_lowers_solidity_and_the_symmetry_across_it() -> None:
    def from_the_front(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        body = (2 * x / 13) ** 2 + (2 * y / 8) ** 2 <= 1
        return body & ~((np.abs(x) < 2.0) & (y > 1.5))

    def on_the_right(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        body = (2 * x / 13) ** 2 + (2 * y / 8) ** 2 <= 1
        return body & ~((np.abs(y) < 1.5) & (x > 3.0))

    front = measure_outline(section(from_the_front), PLANE, 0.5)
    right = measure_outline(section(on_the_right), PLANE, 0.5)
    assert front["solidity"] < 0.93
    assert right["solidity"] < 0.93
    assert front["symmetry_rl"] > 0.98 > front["symmetry_ap"]
    assert right["symmetry_ap"] > 0.98 > right["symmetry_rl"]


def test_symmetry_is_the_dice_of_the_mirror_image() -> None:
    """A disc with a square bite on one side: truth by counting."""
    weights = section(lambda x, y: (np.hypot(x, y) <= 5.0) & ~((x > 2.0) & (np.abs(y) < 2.0)))
    shape = measure_outline(weights, PLANE, 0.5)
    i = np.arange(120)
    centre = weights.sum(axis=1) @ i / weights.sum()
    mirrored = [np.interp(2 * centre - i, i, column) for column in weights.T]
    truth = np.minimum(weights, np.array(mirrored).T).sum() / weights.sum()
    assert shape["symmetry_rl"] == pytest.approx(truth, abs=0.02)


def test_nothing_has_no_shape() -> None:
    shape = measure_outline(np.zeros((4, 4)), PLANE, 0.5)
    assert all(np.isnan(value) for value in shape.values())


def test_compression_is_that_of_the_formula_at_any_spacing_and_order() -> None:
    for step in (1.0, 4.0):
        s = np.arange(0.0, 101.0, step)
        width = np.where(s < 50, 8.0, 6.0)
        width[s == 52] = 3.5
        order = np.random.default_rng(1).permutation(len(s))
        found = compression_along(s[order], width[order], np.full(len(s), step))
        at = dict(zip(s[order], found, strict=True))
        assert at[52.0] == pytest.approx(100 * (1 - 3.5 / 7.0), abs=1.0)
        assert np.isnan(at[4.0])
        assert np.isnan(at[100.0])
    missing = width.copy()
    missing[(s > 60) & (s < 84)] = np.nan
    assert np.isnan(compression_along(s, missing, np.full(len(s), 4.0))[s == 52]).all()
