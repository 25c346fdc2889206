"""Outlines laid on outlines: they meet, nothing folds, and there is a way back."""

import numpy as np
import pytest

from spinalprep.registration.deform import deform_slices
from spinalprep.registration.outline import lay_outlines
from spinalprep.registration.slices import gather, invert_slices

SPACING = (1.0, 0.5)
SHAPE = (12, 65, 65)


def _stack(radius: np.ndarray | float, centre: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Return soft slices of a star whose radius in mm is given per pixel."""
    grid = (np.arange(65) - 32) * SPACING[1]
    r = np.hypot(grid[:, None] - centre[0], grid - centre[1])
    return np.broadcast_to(np.clip(0.5 + radius - r, 0, 1), SHAPE).astype(np.float32)


def _angle() -> np.ndarray:
    grid = np.arange(65) - 32.0
    return np.arctan2(grid, grid[:, None])


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * ((a > 0.5) & (b > 0.5)).sum() / ((a > 0.5).sum() + (b > 0.5).sum()))


def _jacobian(there: np.ndarray) -> np.ndarray:
    dx, dy = np.gradient(there, axis=(1, 2))
    return (1 + dx[..., 0]) * (1 + dy[..., 1]) - dx[..., 1] * dy[..., 0]


@pytest.fixture(scope="module")
def moved() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    fixed = _stack(5 + 0.8 * np.cos(2 * _angle()))
    moving = _stack(
        5.2 + 0.5 * np.cos(2 * _angle() + 0.3) + 0.25 * np.cos(5 * _angle()), (0.4, 0.3)
    )
    return fixed, moving, lay_outlines(fixed, moving, SPACING)


def test_outlines_meet(moved: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    fixed, moving, there = moved
    assert _dice(fixed, moving) < 0.95
    assert _dice(fixed, gather(moving[..., None], there)[..., 0]) > 0.985


def test_nothing_folds_and_the_border_stays(
    moved: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    there = moved[2]
    assert _jacobian(there).min() > 0.4
    assert not there[:, [0, -1]].any()
    assert not there[:, :, [0, -1]].any()


def test_inverse(moved: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    there = moved[2]
    back = invert_slices(there)
    assert np.abs(back + gather(there, back)).max() < 1e-3
    assert np.abs(there + gather(back, there)).max() < 0.1


def test_an_empty_slice_moves_nothing() -> None:
    there = lay_outlines(_stack(5.0), np.zeros(SHAPE, np.float32), SPACING)
    assert not there.any()


def test_grey_matter_is_met_where_it_is_seen() -> None:
    """A small disc off its place moves; the cord's outline stays."""
    cord = _stack(5.5)
    fixed = np.stack([cord, _stack(1.5, (1.0, 0.0))])
    moving = np.stack([cord, _stack(1.5, (2.0, 0.0))])
    start = np.zeros((*SHAPE, 2), np.float32)
    there = deform_slices(fixed, moving, (1.0, 1.0), SPACING, start)
    before = _dice(fixed[1], moving[1])
    after = _dice(fixed[1], gather(moving[1][..., None], there)[..., 0])
    assert before < 0.7
    assert after > 0.85
    assert _dice(cord, gather(cord[..., None], there)[..., 0]) > 0.98
    assert _jacobian(there).min() > 0.2
