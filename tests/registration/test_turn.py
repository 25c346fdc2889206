"""The turn of a cord about its axis: found where something tells, zero where nothing does."""

import numpy as np
import pytest

from spinalprep.registration.turn import RADII_MM, RAYS, find_turns

N = 60
ANGLE = 2 * np.pi * np.arange(RAYS) / RAYS


def _cord(turn_deg: np.ndarray, half: tuple[float, float]) -> np.ndarray:
    """Return elliptic sections (n, R, A) turned from right towards front."""
    x, y = _axes(turn_deg)
    return np.clip(0.5 - (np.hypot(x / half[0], y / half[1]) - 1) * min(half), 0, 1)


def _grey(turn_deg: np.ndarray) -> np.ndarray:
    """Return two horns and a bridge."""
    x, y = _axes(turn_deg)
    horns = (np.abs(np.abs(x) - 1.5) < 0.6) & (np.abs(y) < 2)
    return np.asarray(horns | ((np.abs(y) < 0.4) & (np.abs(x) < 1.5)), float)


def _axes(turn_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    angle = ANGLE - np.deg2rad(turn_deg)[:, None, None]
    r = RADII_MM[:, None]
    return r * np.cos(angle), r * np.sin(angle)


def test_a_flat_cord_tells_its_turn() -> None:
    turn = np.linspace(3, 10, N)
    found = find_turns(_cord(turn, (6.5, 4.2))[None], _cord(0 * turn, (6.5, 4.2))[None], 1.0)
    np.testing.assert_allclose(found.angle_deg[5:-5], turn[5:-5], atol=2.0)
    assert found.sd_deg.max() < 4


def test_a_round_cord_has_no_turn_and_great_doubt() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (N, len(RADII_MM), RAYS))
    own = np.clip(_cord(np.full(N, 15.0), (5.0, 4.95)) + noise, 0, 1)
    found = find_turns(own[None], _cord(np.zeros(N), (5.0, 4.0))[None], 1.0)
    assert np.abs(found.angle_deg).max() < 3
    assert found.sd_deg.min() > 4


@pytest.mark.parametrize("turn_deg", [-12.0, 12.0])
def test_grey_matter_tells_in_a_round_cord(turn_deg: float) -> None:
    turn = np.full(N, turn_deg)
    own = np.stack([_cord(turn, (5.0, 5.0)), _grey(turn)])
    model = np.stack([_cord(0 * turn, (5.0, 5.0)), _grey(0 * turn)])
    found = find_turns(own, model, 1.0)
    np.testing.assert_allclose(found.angle_deg, turn_deg, atol=2.0)
    own[1] = 0.0  # nobody saw it
    assert np.abs(find_turns(own, model, 1.0).angle_deg).max() < 1


def test_stray_sections_turn_nothing() -> None:
    turn = np.full(N, 5.0)
    turn[[20, 41]] = -20.0
    found = find_turns(_cord(turn, (6.5, 4.2))[None], _cord(0 * turn, (6.5, 4.2))[None], 1.0)
    np.testing.assert_allclose(found.angle_deg, 5.0, atol=2.0)


def test_more_than_20_degrees_is_not_believed() -> None:
    turn = np.full(N, 60.0)
    found = find_turns(_cord(turn, (6.5, 4.2))[None], _cord(0 * turn, (6.5, 4.2))[None], 1.0)
    assert np.abs(found.angle_deg).max() <= 20
