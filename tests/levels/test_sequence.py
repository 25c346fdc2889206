"""The sequence of discs: right numbers where something tells them, doubt where nothing does."""

import numpy as np
import pytest

from spinalprep.levels.sequence import FIRST, LAST, PAM50_MM, Evidence, join_discs, spacing_mm

SURE = 0.95


def spine(first: int, count: int, top: float, size: float = 1.0) -> dict[int, float]:
    """Return places of discs with the mean spacings."""
    steps = [spacing_mm(n)[0] * size for n in range(first, first + count - 1)]
    places = top + np.concatenate([[0.0], np.cumsum(steps)])
    return dict(zip(range(first, first + count), places.tolist(), strict=True))


def evidence(places: list[float], c2c3: float | None, length: float, at: float = 5.0) -> Evidence:
    """Return blobs of evidence at places, a sign of C2/C3 at one of them."""
    s = np.arange(0.0, length + 1)

    def blobs(centres: list[float], high: float, low: float) -> np.ndarray:
        apart = np.min([np.abs(s - c) for c in [*centres, 1e6]], axis=0)
        return high - (high - low) * np.minimum((apart / 5.0) ** 2, 1.0)

    return Evidence(s, blobs(places, at, -3.0), blobs([c2c3] if c2c3 else [], 7.0, -5.0))


@pytest.mark.parametrize("size", [0.82, 1.0, 1.18])
def test_c2c3_in_view_makes_the_whole_sequence_sure(size: float) -> None:
    truth = spine(3, 7, 30.0, size)
    found = join_discs(evidence(list(truth.values()), truth[3], truth[9] + 10))
    assert found.landmark
    assert found.confidence > SURE
    assert set(found.seen) == set(truth)
    for disc, s in truth.items():
        assert found.disc_s[disc] == pytest.approx(s, abs=0.6)


@pytest.mark.parametrize("first", [4, 6, 9, 14])
def test_spacings_alone_are_no_landmark(first: int) -> None:
    truth = spine(first, 6, 8.0, 1.04)
    found = join_discs(evidence(list(truth.values()), None, max(truth.values()) + 8))
    assert not found.landmark


def test_short_stack_without_a_landmark_leaves_several_numbers_open() -> None:
    truth = spine(4, 3, 8.0)
    found = join_discs(evidence(list(truth.values()), None, max(truth.values()) + 8))
    assert found.confidence < 0.6
    assert sum(p > 0.05 for p in found.first.values()) >= 3
    assert sum(found.first.values()) == pytest.approx(1.0, abs=0.01)


def test_a_missing_disc_is_bridged_and_an_extra_sign_passed_over() -> None:
    truth = spine(3, 7, 30.0)
    places = [s for n, s in truth.items() if n != 5]
    found = join_discs(evidence([*places, truth[7] + 7.5], truth[3], truth[9] + 10))
    assert found.confidence > SURE
    assert 5 not in found.seen
    assert found.disc_s[5] == pytest.approx(truth[5], abs=1.5)
    assert found.disc_s[8] == pytest.approx(truth[8], abs=0.6)


def test_a_hint_fixes_the_numbers_and_the_discs_refine_it() -> None:
    truth = spine(5, 5, 12.0)
    plain = evidence(list(truth.values()), None, max(truth.values()) + 8)
    off = 4.5  # the hint is that far off
    found = join_discs(plain, {6: (truth[6] + off, 4.0), 7: (truth[7] + off, 4.0)})
    assert found.landmark
    assert found.confidence > SURE
    assert max(abs(found.disc_s[n] - s) for n, s in truth.items()) < 0.6


def test_spacings_that_no_neck_has_contradict_a_false_sign_of_c2c3() -> None:
    truth = spine(17, 6, 12.0)  # lumbar, 25 to 34 mm apart
    first = truth[17]
    found = join_discs(evidence(list(truth.values()), first, max(truth.values()) + 10))
    assert found.confidence < SURE or not found.landmark


def test_no_sign_no_sequence() -> None:
    nothing = evidence([], None, 60.0)
    assert join_discs(nothing).confidence == 0.0
    assert not join_discs(nothing).seen


def test_one_disc_is_not_enough() -> None:
    assert join_discs(evidence([30.0], 30.0, 60.0)).confidence == 0.0


def test_a_sign_at_the_end_of_the_field_of_view_is_told() -> None:
    truth = spine(3, 6, 30.0)
    shown = evidence(list(truth.values()), truth[3], truth[8] + 4.0)
    found = join_discs(shown)
    assert found.seen == (3, 4, 5, 6, 7, 8)
    assert found.cut == (8,)


def test_a_place_that_two_signs_claim_is_in_doubt() -> None:
    truth = spine(3, 5, 30.0)
    both = [*truth.values(), truth[7] - 10.0]
    found = join_discs(evidence(both, truth[3], truth[7] + 12.0))
    assert min(found.probability[n] for n in (3, 4, 5)) > SURE
    assert found.probability[7] < found.probability[5]


def test_spacings_grow_down_the_back_as_both_sources_say() -> None:
    means = [spacing_mm(n)[0] for n in range(FIRST, LAST)]
    assert min(means) == means[3]  # C6: the lowest
    assert (np.diff(means[4:]) > -0.3).all()
    for disc, other in PAM50_MM.items():
        mean, spread = spacing_mm(disc)
        assert abs(mean - other) < 2 * spread + 0.5
