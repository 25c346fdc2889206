"""Discs found in synthetic subjects for tests: numbered where C2/C3 shows, never wrong."""

import numpy as np
import pytest

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.image import Image
from spinalprep.levels.detect import WIDTH, Plane, find_discs, sagittal_plane, weigh_signs
from spinalprep.levels.number import is_sure
from spinalprep.levels.sequence import Sequence, join_discs
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, Person, make_person
from spinalprep.phantom.images import INTENSITY, render

PEOPLE = range(FIRST_TEST_SEED + 500, FIRST_TEST_SEED + 510)  # every second shows C2/C3
FIELD_MM = 110


@pytest.fixture(scope="module")
def model():
    return load_model("discs")


def scan(person: Person, top: float, contrast: str, seed: int) -> tuple[Image, Centerline]:
    """Return a narrow sagittal slab from height ``top`` down, and the centerline in it."""
    line = person.centerline.points
    inside = line[(line[:, 2] <= top) & (line[:, 2] >= top - FIELD_MM)]
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    middle = inside.mean(axis=0)
    affine[:3, 3] = middle[0] + 9, middle[1] - 40, top - FIELD_MM + 0.5
    image = render(person, contrast, ((19, 88, FIELD_MM), affine), seed)
    return image, fit_centerline(inside[::4])


def look(person: Person, top: float, seed: int, model) -> tuple[Sequence, dict[int, float]]:
    image, line = scan(person, top, sorted(INTENSITY)[seed // 2 % 4], seed)
    plane, signs = find_discs(image, line, model)
    truth = {
        n: float(line.project(person.centerline.at(s)[None])[0, 0])
        for n, s in person.disc_s.items()
    }
    return join_discs(weigh_signs(plane, signs, model.card["scale"])), truth


@pytest.fixture(scope="module")
def found(model) -> list[tuple[bool, Sequence, dict[int, float]]]:
    results = []
    for n, seed in enumerate(PEOPLE):
        person = make_person(seed)
        c2c3 = float(person.centerline.at(person.disc_s[3])[2])
        top = c2c3 + 32.0 if n % 2 == 0 else c2c3 - 8.0
        results.append((n % 2 == 0, *look(person, top, seed, model)))
    return results


@pytest.mark.slow
def test_numbers_are_right_wherever_they_are_given(found) -> None:
    for _, sequence, truth in found:
        if is_sure(sequence):
            apart = [abs(sequence.disc_s[n] - truth[n]) for n in sequence.seen]
            assert max(apart) < 4.0


@pytest.mark.slow
def test_c2c3_in_view_is_enough(found) -> None:
    assert sum(is_sure(sequence) for shown, sequence, _ in found if shown) >= 4


@pytest.mark.slow
def test_below_c2c3_levels_stay_unknown(found) -> None:
    assert not any(is_sure(sequence) for shown, sequence, _ in found if not shown)


@pytest.mark.slow
def test_discs_are_found_within_a_millimetre(found) -> None:
    errors = [
        abs(sequence.disc_s[n] - truth[n])
        for _, sequence, truth in found
        if is_sure(sequence)
        for n in sequence.seen
    ]
    assert np.median(errors) < 1.0


def test_nothing_is_found_in_noise(model) -> None:
    z = np.linspace(60.0, 0.0, 60)
    noise = np.random.default_rng(0).normal(100, 20, (20, 60, 60)).astype(np.float32)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 10, -25, 0
    line = fit_centerline(np.stack([0 * z, 0 * z, z], axis=-1))
    plane, signs = find_discs(Image(noise, affine), line, model)
    assert not is_sure(join_discs(weigh_signs(plane, signs, model.card["scale"])))


def test_the_plane_follows_the_cord_and_knows_its_ends() -> None:
    person = make_person(FIRST_TEST_SEED + 1)
    image, line = scan(person, 40.0, "T2w", 1)
    plane = sagittal_plane(image, line)
    canal = plane.values[:, 14:30]  # 8 mm on both sides of the cord's middle
    assert (canal.max(axis=1) > 0.7).mean() > 0.95  # bright fluid at every height
    assert abs(plane.s[0]) < 8
    assert abs(plane.s[-1] - line.length) < 12
    assert plane.valid.mean() > 0.8


def test_an_image_beside_the_cord_shows_nothing(model) -> None:
    z = np.linspace(60.0, 0.0, 60)
    line = fit_centerline(np.stack([0 * z + 500, 0 * z, z], axis=-1))
    plane, signs = find_discs(Image(np.ones((9, 9, 9), np.float32), np.eye(4)), line, model)
    assert signs.shape == (2, len(plane.s)) == (2, 0)
    assert not join_discs(weigh_signs(plane, signs, model.card["scale"])).seen


def test_a_sign_of_c2c3_needs_the_spine_above_it_in_view() -> None:
    s = np.arange(80.0)
    valid = np.ones((80, WIDTH), bool)
    signs = np.full((2, 80), 2.0, np.float32)
    scale = {"disc": [1.0, 0.0, -4.0, 6.0], "c2c3": [2.0, 1.0, -7.0, 7.0]}

    def c2c3(valid: np.ndarray, signs: np.ndarray = signs) -> np.ndarray:
        plane = Plane(s, np.ones((80, WIDTH), np.float32), valid)
        return weigh_signs(plane, signs, scale).c2c3

    ratio = c2c3(valid)
    assert ratio[:19].max() == 0  # a vertebra cut at its upper end may look like C2
    assert set(ratio[20:26]) == {3.0}
    assert set(ratio[27:]) == {5.0}
    assert c2c3(valid, -signs).max() < 0  # what speaks against C2/C3 counts everywhere
    valid[:40] = False
    assert c2c3(valid)[:59].max() == 0
    plane = Plane(s, np.ones((80, WIDTH), np.float32), valid)
    assert set(weigh_signs(plane, signs, scale).disc) == {2.0}
