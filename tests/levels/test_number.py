"""Numbers for discs: only where something tells them, and a hint meets what is seen."""

from dataclasses import replace

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.levels.discs import Levels
from spinalprep.levels.number import (
    SURE,
    disc_residual,
    levels_from_hint_and_signs,
    levels_from_labels_and_signs,
    levels_from_signs,
    trusted_discs,
)
from spinalprep.levels.sequence import Evidence, Sequence, join_discs, spacing_mm

LENGTH = 150.0
TEMPLATE_Z = {
    n: -float(sum(spacing_mm(k)[0] if k > 2 else 18.0 for k in range(2, n))) for n in range(2, 13)
}


@pytest.fixture(scope="module")
def line():
    z = np.linspace(0, -LENGTH, 100)
    return fit_centerline(np.stack([0 * z, 0 * z, z], axis=-1))


def places(first: int, count: int, top: float) -> dict[int, float]:
    steps = [spacing_mm(n)[0] for n in range(first, first + count - 1)]
    heights = top + np.concatenate([[0.0], np.cumsum(steps)])
    return dict(zip(range(first, first + count), heights.tolist(), strict=True))


def signs(discs: list[float], c2c3: float | None = None) -> Evidence:
    s = np.arange(-20.0, LENGTH + 5)

    def blobs(centres: list[float], high: float, low: float) -> np.ndarray:
        apart = np.min([np.abs(s - c) for c in [*centres, 1e6]], axis=0)
        return high - (high - low) * np.minimum((apart / 5.0) ** 2, 1.0)

    return Evidence(s, blobs(discs, 5.0, -3.0), blobs([c2c3] if c2c3 else [], 7.0, -5.0))


def test_levels_from_c2c3() -> None:
    truth = places(3, 6, 25.0)
    found = levels_from_signs(signs(list(truth.values()), truth[3]), TEMPLATE_Z, LENGTH)
    assert found.source == "detected"
    assert SURE <= found.confidence <= 1
    assert max(abs(found.disc_s[n] - s) for n, s in truth.items()) < 0.6
    assert 2 in found.placed
    assert not set(found.placed) & set(truth)


def test_discs_without_a_landmark_stay_unknown() -> None:
    truth = places(4, 6, 5.0)
    found = levels_from_signs(signs(list(truth.values())), TEMPLATE_Z, LENGTH)
    assert (found.source, dict(found.disc_s), found.confidence) == ("unknown", {}, 0.0)


def test_a_hint_numbers_the_discs_that_are_seen(line) -> None:
    truth = places(4, 6, 12.0)
    hint = {5.5: -(truth[5] + truth[6]) / 2 + 3.5}  # 3.5 mm off
    found, warnings = levels_from_hint_and_signs(
        hint, line, TEMPLATE_Z, signs(list(truth.values()))
    )
    assert found.source == "hint+detected"
    assert not warnings
    assert max(abs(found.disc_s[n] - s) for n, s in truth.items()) < 0.6
    assert found.confidence == 1.0


def test_a_hint_alone_serves_where_no_disc_is_seen(line) -> None:
    found, warnings = levels_from_hint_and_signs({5.5: -60.0}, line, TEMPLATE_Z, signs([]))
    assert found.source == "hint"
    assert not warnings
    assert found.level_at(60.0) == pytest.approx(5.5, abs=0.01)


def test_a_hint_that_the_image_contradicts_is_followed_and_told(line) -> None:
    truth = places(3, 6, 25.0)
    middle = -(truth[5] + truth[6]) / 2  # C5
    evidence = signs(list(truth.values()), truth[3])
    found, warnings = levels_from_hint_and_signs({6.5: middle}, line, TEMPLATE_Z, evidence)
    assert len(warnings) == 1
    assert "C6" in warnings[0]
    assert "C5" in warnings[0]
    assert found.number_at(-middle) == 6
    right, quiet = levels_from_hint_and_signs({5.5: middle}, line, TEMPLATE_Z, evidence)
    assert not quiet
    assert right.number_at(-middle) == 5


def test_a_landmark_above_the_field_of_view_of_discs(line) -> None:
    truth = places(3, 5, 40.0)
    hint = {2.5: -(truth[3] - 9.0)}  # mid-body of C2
    found, _ = levels_from_hint_and_signs(hint, line, TEMPLATE_Z, signs(list(truth.values())))
    assert found.source == "hint+detected"
    assert found.disc_s[3] == pytest.approx(truth[3], abs=0.6)


def chain(probability: dict[int, float]) -> Sequence:
    places = {n: 17.0 * n for n in probability}
    worst = min(probability.values())
    return Sequence(places, tuple(places), worst, {}, True, probability)


def test_far_from_a_landmark_the_chain_of_discs_must_have_no_gap() -> None:
    seen = dict.fromkeys((4, 5, 7, 8, 9, 11, 12), 0.999)
    assert trusted_discs(chain(seen), [5.5]) == (4, 5, 7, 8, 9)  # 6 is near, 10 is far
    assert trusted_discs(chain(seen | {8: 0.9}), [5.5]) == (4, 5, 7)
    assert trusted_discs(chain(dict.fromkeys((3, 4, 5, 6, 7, 9), 0.999))) == (3, 4, 5, 6, 7)
    assert trusted_discs(chain(seen), [5.5, 11.0]) == (4, 5, 7, 8, 9, 11, 12)
    cut = replace(chain({3: 0.999, 4: 0.999}), cut=(4,))
    assert trusted_discs(cut) == (3,)  # two were seen
    assert trusted_discs(chain({5: 0.999, 8: 0.999, 9: 0.999}), [5.0]) == ()  # one is not enough


def test_false_signs_behind_a_gap_move_no_number(line) -> None:
    truth = places(4, 7, 5.0)
    false = [truth[8] + 8.0, truth[9] + 6.0, truth[10] + 6.0]  # below C6/C7 nothing is right
    shown = [truth[n] for n in (4, 5, 6)] + false
    hint = {4.5: -(truth[4] + truth[5]) / 2}
    found, _ = levels_from_hint_and_signs(hint, line, TEMPLATE_Z, signs(shown))
    assert found.source == "hint+detected"
    assert {4, 5, 6}.isdisjoint(found.placed)
    assert max(abs(found.disc_s[n] - s) for n, s in truth.items()) < 3.0


@pytest.mark.parametrize("off", [0.0, 3.0])
def test_residual_of_labels_is_their_distance_from_the_discs(off: float) -> None:
    truth = places(4, 6, 12.0)
    shown = signs(list(truth.values()))
    labels = {float(n): s + off for n, s in truth.items() if n in (5, 6)}
    assert disc_residual(labels, shown) == pytest.approx(off, abs=0.3)


def test_residual_of_labels_one_level_off_is_a_vertebra() -> None:
    truth = places(3, 6, 25.0)
    shown = signs(list(truth.values()), truth[3])
    labels = Levels({n + 1: s for n, s in truth.items() if n > 3}, "manual")
    found = levels_from_labels_and_signs(labels, TEMPLATE_Z, LENGTH, shown)
    assert found.residual_mm == pytest.approx(17.0, abs=1.5)
    assert found.disc_s[6] == truth[5]  # a person's labels are followed


def test_no_residual_where_no_disc_is_seen() -> None:
    assert disc_residual({5.0: 40.0}, signs([])) is None
    assert disc_residual({}, signs([30.0, 48.0])) is None
    assert join_discs(signs([])).probability == {}
