"""Levels on bent cords, on PAM50's own discs and on a real image."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinalprep.cord.centerline import Centerline, centerline_from_mask, fit_centerline
from spinalprep.errors import InputError
from spinalprep.image import Image, grid_points, load, reorient
from spinalprep.levels.discs import (
    Levels,
    discs_from_labels,
    extend,
    level_name,
    levels_from_hint,
    parse_hint,
)
from spinalprep.levels.label import label_discs, label_vertebrae

SHARED = Path(os.environ.get("SPINALPREP_SHARED", Path(__file__).parents[3] / "shared"))
TEMPLATE_Z = {2: 16.0, 3: 0.0, 4: -18.0, 5: -36.0, 6: -52.0}
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -20], [0, 0, 1, -50], [0, 0, 0, 1]])
SHAPE = (40, 40, 100)


def upright(length: int = 90) -> Centerline:
    z = 45.0 - np.arange(length)
    return fit_centerline(np.stack([np.zeros(length), np.zeros(length), z], -1))


def bent(radius: float = 80.0) -> Centerline:
    angle = np.linspace(0, 1.0, 160)
    y, z = radius * (np.cos(angle) - 1), 40 - radius * np.sin(angle)
    return fit_centerline(np.stack([np.zeros_like(y), y, z], -1))


def cord_around(line: Centerline, radius: float = 5.0) -> Image:
    _, x, y = np.moveaxis(line.project(grid_points(SHAPE, AFFINE)), -1, 0)
    return Image((np.hypot(x, y) < radius).astype(np.float32), AFFINE)


def marks(places: dict[tuple[int, int, int], float]) -> Image:
    data = np.zeros(SHAPE, np.float32)
    for ijk, value in places.items():
        data[ijk] = value
    return Image(data, AFFINE)


def test_borders_follow_the_bend() -> None:
    """On an arc about the x axis, a border is a plane through the arc's center."""
    line, radius = bent(), 80.0
    cord = cord_around(line)
    labels = label_vertebrae(cord, line, Levels({3: 0.0, 4: 30.0, 5: 60.0}, "manual"))
    points = grid_points(SHAPE, AFFINE)
    angle = np.arctan2(40 - points[..., 2], points[..., 1] + radius)
    inside = (cord.data > 0) & (np.abs(angle * radius - 30) > 0.3)
    upper, lower = inside & (labels == 3), inside & (labels == 4)
    assert upper.sum() > 500
    assert lower.sum() > 500
    assert (angle[upper] * radius).max() < 30
    assert (angle[lower] * radius).min() > 30


def test_a_voxel_at_the_disc_belongs_above() -> None:
    line = upright()
    cord = cord_around(line)
    labels = label_vertebrae(cord, line, Levels({3: 9.5, 4: 20.0}, "manual"))
    column = labels[20, 20]
    z = np.arange(100) - 50
    assert set(z[column == 3]) == set(range(25, 36))  # z = 35.5 at disc 3, 25 at disc 4
    assert set(np.unique(column)) == {0, 3}


def test_nothing_is_labelled_when_nothing_is_known() -> None:
    line = upright()
    cord = cord_around(line)
    assert not label_vertebrae(cord, line, Levels({})).any()
    assert not label_vertebrae(cord, line, Levels({3: 10.0}, "manual")).any()
    assert not label_vertebrae(cord.with_data(0 * cord.data), line, Levels({3: 1, 4: 9})).any()


def test_labels_at_the_back_or_in_the_disc_project_to_the_same_place() -> None:
    line = upright()
    for row in (20, 12, 38):  # at the cord's center, behind it, 18 mm in front
        found = discs_from_labels(marks({(20, row, 80): 3, (20, row, 60): 4}), line)
        assert found.disc_s == {3: pytest.approx(15.0), 4: pytest.approx(35.0)}


def test_a_drawn_disc_of_several_spots_is_one() -> None:
    line = upright()
    spots = {(i, j, 70): 3 for i in (10, 20, 30) for j in (30, 31)}
    assert discs_from_labels(marks(spots), line).disc_s == {3: pytest.approx(25.0)}


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({(20, 20, 80): 3, (20, 20, 70): 3}, "disc label 3 occurs in 2 places, 10 mm apart"),
        ({(20, 20, 80): 4, (20, 20, 70): 3}, "disc label 4 lies above disc label 3"),
        ({(20, 20, 80): 3.4}, "label value 3.4 is not a disc"),
        ({(20, 20, 80): 33}, "label value 33 is not a disc"),
        ({(20, 20, 80): -3}, "label value -3 is not a disc"),
        ({(20, 20, 80): 50}, "no disc label found"),
    ],
)
def test_wrong_labels_name_the_value(places: dict[tuple[int, int, int], float], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        discs_from_labels(marks(places), upright())
    assert "\n" not in str(caught.value)


def test_label_far_from_the_cord() -> None:
    away = np.eye(4)
    away[:3, 3] = [100.0, 0.0, 0.0]
    label = Image(np.full((1, 1, 1), 3.0, np.float32), away)
    with pytest.raises(InputError, match="disc label 3 is 100 mm from the cord"):
        discs_from_labels(label, upright())


def test_two_landmarks_stretch_the_template() -> None:
    line = upright()
    levels = levels_from_hint(parse_hint("C2/C3@z=40, C4/C5@z=-14"), line, TEMPLATE_Z)
    assert levels.disc_s[3] == pytest.approx(5.0)
    assert levels.disc_s[4] == pytest.approx(5.0 + 18 * 1.5)
    assert levels.disc_s[5] == pytest.approx(59.0)
    assert levels.disc_s[6] == pytest.approx(59.0 + 16 * 1.5)
    assert levels.disc_s[2] == pytest.approx(5.0 - 16 * 1.5)
    assert levels.placed == (2, 3, 4, 5, 6)
    with pytest.raises(InputError, match="out of order"):
        levels_from_hint(parse_hint("C2/C3@z=-14,C4/C5@z=40"), line, TEMPLATE_Z)
    with pytest.raises(InputError, match="T1, which the template does not cover"):
        levels_from_hint(parse_hint("T1@z=0"), line, TEMPLATE_Z)


def test_placed_discs_never_pass_those_seen() -> None:
    seen = Levels({5: 40.0, 7: 41.0}, "manual")  # the template has no disc 7
    levels = extend(seen, TEMPLATE_Z, 90.0)
    assert 6 not in levels.disc_s
    assert levels.placed == (2, 3, 4)


@given(
    start=st.floats(-20, 60),
    gaps=st.lists(st.floats(8, 40), min_size=1, max_size=4),
    first=st.integers(2, 6),
)
@settings(max_examples=60, deadline=None)
def test_extension_keeps_order_and_what_was_seen(
    start: float, gaps: list[float], first: int
) -> None:
    places = start + np.concatenate([[0.0], np.cumsum(gaps)])
    seen = Levels({first + n: float(s) for n, s in enumerate(places)}, "manual")
    levels = extend(seen, TEMPLATE_Z, 90.0)
    numbers = sorted(levels.disc_s)
    assert all(np.diff([levels.disc_s[n] for n in numbers]) > 0)
    assert {n: levels.disc_s[n] for n in seen.disc_s} == dict(seen.disc_s)
    assert set(levels.placed) == set(numbers) - set(seen.disc_s)
    number = levels.number_at(np.linspace(-60, 200, 99)).astype(int)
    inside = number[number > 0]
    assert (np.diff(inside) >= 0).all()
    assert {level_name(int(n)) for n in inside} <= {f"C{n}" for n in range(1, 8)} | {"T1", "T2"}


def test_discs_come_back_from_their_marks() -> None:
    line = bent()
    levels = Levels({3: 5.0, 4: 25.0, 5: 50.0}, "manual")
    drawn = label_discs(cord_around(line), line, levels)
    assert sorted(drawn[drawn > 0].tolist()) == [3, 4, 5]
    found = discs_from_labels(Image(drawn, AFFINE), line)
    for disc, s in levels.disc_s.items():
        assert found.disc_s[disc] == pytest.approx(s, abs=0.87)


@pytest.mark.data
def test_real_image_gets_its_levels() -> None:
    labels = SHARED / "data" / "bids-dev" / "derivatives" / "labels" / "sub-t2" / "anat"
    if not labels.is_dir():
        pytest.skip(f"no {labels}")
    cord = reorient(load(labels / "sub-t2_T2w_seg-manual.nii.gz"))
    discs = reorient(load(labels / "sub-t2_T2w_labels-disc-manual.nii.gz"))
    line = centerline_from_mask(cord)
    seen = discs_from_labels(discs, line)
    assert sorted(seen.disc_s) == [4, 5]
    assert 12 < seen.disc_s[5] - seen.disc_s[4] < 25
    pam50_z = {2: -92.3, 3: -107.8, 4: -126.3, 5: -144.8, 6: -161.3, 7: -176.8}
    numbers = label_vertebrae(cord, line, extend(seen, pam50_z, line.length))
    inside = cord.data > 0.5
    assert set(np.unique(numbers[inside])) <= {2, 3, 4, 5, 6}
    assert (numbers[inside] == 0).mean() < 0.01
    for disc in (4, 5):
        k = int(np.argwhere(np.rint(discs.data) == disc)[0, 2])
        drawn = numbers[:, :, k][inside[:, :, k]]
        assert set(np.unique(drawn)) == {disc - 1, disc}
