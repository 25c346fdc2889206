"""Discs go from one image to another with the body; two images that disagree give none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.levels.carry import Source, aside_mm, carry_levels, choose_source
from spinalprep.levels.discs import Levels
from spinalprep.registration.transform import Affine

FOUND = Levels({n: 20.0 * (n - 2) for n in range(3, 9)}, "detected", (), 0.995)


def curve(top: float, bottom: float) -> Centerline:
    """Return part of a bent cord, from a height down to another."""
    z = np.linspace(top, bottom, 200)
    return fit_centerline(np.stack([0 * z, z**2 / 400, z], axis=-1))


def moved(x: float, y: float, z: float, angle: float = 0.0) -> Affine:
    c, s = np.cos(angle), np.sin(angle)
    return Affine(np.array([[1, 0, 0, x], [0, c, -s, y], [0, s, c, z], [0, 0, 0, 1.0]]))


def turned(line: Centerline, by: Affine) -> Centerline:
    return Centerline(by.apply(line.points))


@settings(max_examples=20, deadline=None)
@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-40, 40), st.floats(-0.3, 0.3))
def test_discs_keep_their_places_in_the_body(x: float, y: float, z: float, a: float) -> None:
    long, short, motion = curve(80, -80), curve(45, -10), moved(x, y, z, a)
    there = carry_levels(FOUND, turned(long, motion), motion.inverse(), short)
    assert (there.source, there.probability) == ("detected", 0.995)
    start = long.project(short.points[0])[0]
    for n, s in there.disc_s.items():
        inside = 0 <= s <= short.length
        assert s == pytest.approx(FOUND.disc_s[n] - start, abs=0.5 if inside else 3.0)
    within = {n for n, s in FOUND.disc_s.items() if 0 < s - start < short.length}
    assert within < set(there.disc_s)  # and one just outside
    assert aside_mm(turned(long, motion), motion.inverse(), short) < 0.2


def test_discs_far_from_the_reference_are_left_out() -> None:
    below = curve(-150, -200)
    assert not carry_levels(FOUND, curve(80, -80), Affine.identity(), below).known


def test_a_transform_that_turns_the_body_over_gives_nothing() -> None:
    over = Affine(np.diag([1.0, 1.0, -1.0, 1.0]))
    assert not carry_levels(FOUND, curve(60, -60), over, curve(60, -60)).known


def test_cords_side_by_side_and_cords_that_don_t_meet() -> None:
    one = curve(60, -60)
    assert aside_mm(one, moved(7, 0, 0), one) == pytest.approx(7, abs=0.2)
    assert np.isnan(aside_mm(one, Affine.identity(), curve(-55, -120)))


def source(shift: float, name: str, coverage: float) -> Source:
    return Source(Levels({n: s + shift for n, s in FOUND.disc_s.items()}, name), coverage)


def test_the_image_that_shows_most_is_taken() -> None:
    long, short = source(2, "long", 200), source(0, "short", 90)
    assert choose_source([short, long], 100) == (long.levels, [])
    assert choose_source([], 100) == (Levels({}), [])


@pytest.mark.parametrize(("shift", "known"), [(9.5, True), (10.5, False), (-20, False)])
def test_two_that_disagree_by_more_than_half_a_vertebra_give_none(
    shift: float, known: bool
) -> None:
    levels, warnings = choose_source([source(0, "in T2w", 200), source(shift, "in T1w", 90)], 100)
    assert levels.known == known
    assert [("in T2w" in text, "in T1w" in text) for text in warnings] == [(True, True)] * (
        not known
    )


def test_images_that_can_t_be_compared_give_none() -> None:
    far = Source(Levels({3: 500.0, 4: 520.0}, "far"), 10)
    levels, warnings = choose_source([source(0, "near", 200), far], 100)
    assert (levels.known, len(warnings)) == (False, 1)
