"""Levels follow from discs, from hints, or stay unknown."""

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, grid_points
from spinalprep.levels.discs import (
    Levels,
    discs_from_labels,
    extend,
    level_name,
    level_number,
    levels_from_hint,
    parse_hint,
)
from spinalprep.levels.label import label_discs, label_vertebrae

TEMPLATE_Z = {2: 16.0, 3: 0.0, 4: -18.0, 5: -36.0, 6: -52.0}
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -20], [0, 0, 1, -50], [0, 0, 0, 1]])
SHAPE = (40, 40, 100)


def leaning(tilt_deg: float = 20.0):
    tilt = np.deg2rad(tilt_deg)
    return fit_centerline(np.linspace(-45, 45, 90)[:, None] * [0, -np.sin(tilt), -np.cos(tilt)])


def disc_image(places: dict[int, float], line) -> Image:
    data = np.zeros(SHAPE, np.float32)
    for value, s in places.items():
        ijk = np.rint(np.linalg.solve(AFFINE, [*line.at(s), 1])[:3]).astype(int)
        data[tuple(ijk)] = value
    return Image(data, AFFINE)


def test_labels_are_projected() -> None:
    line = leaning()
    found = discs_from_labels(disc_image({3: 20.0, 4: 38.0, 50: 2.0}, line), line)
    assert found.disc_s == {3: pytest.approx(20, abs=0.8), 4: pytest.approx(38, abs=0.8)}
    assert (found.source, found.confidence) == ("manual", 1.0)


def test_wrong_labels_are_named() -> None:
    line = leaning()
    with pytest.raises(InputError, match="lies above"):
        discs_from_labels(disc_image({4: 20.0, 3: 38.0}, line), line)
    with pytest.raises(InputError, match="no disc label"):
        discs_from_labels(disc_image({}, line), line)
    twice = disc_image({3: 20.0}, line)
    twice.data[20, 20, 5] = 3
    with pytest.raises(InputError, match="2 places"):
        discs_from_labels(twice, line)


def test_borders_are_planes_across_the_cord() -> None:
    line = leaning()
    points = grid_points(SHAPE, AFFINE)
    s, x, y = np.moveaxis(line.project(points), -1, 0)
    cord = Image((np.hypot(x, y) < 5).astype(np.float32), AFFINE)
    labels = label_vertebrae(cord, line, Levels({3: 20.0, 4: 38.0, 5: 55.0}, "manual"))
    inside = cord.data > 0
    assert set(np.unique(labels[inside & (s > 20.01) & (s < 37.99)])) == {3}
    assert set(np.unique(labels[inside & (s > 38.01) & (s < 54.99)])) == {4}
    assert not labels[inside & ((s < 19.9) | (s > 55.1))].any()
    marks = label_discs(cord, line, Levels({3: 20.0, 4: 38.0, 9: 400.0}, "manual"))
    assert sorted(marks[marks > 0].tolist()) == [3, 4]


def test_hint_places_every_disc() -> None:
    line = fit_centerline(np.stack([np.zeros(90), np.zeros(90), 45.0 - np.arange(90)], -1))
    levels = levels_from_hint(parse_hint("C3@z=10"), line, TEMPLATE_Z)
    middle = (levels.disc_s[3] + levels.disc_s[4]) / 2
    assert line.at(middle)[2] == pytest.approx(10.0, abs=0.1)
    assert levels.level_at(middle) == pytest.approx(3.5)
    with pytest.raises(InputError, match="reaches from"):
        levels_from_hint({3.5: 200.0}, line, TEMPLATE_Z)


def test_extension_keeps_what_was_seen_and_stretches_the_rest() -> None:
    seen = Levels({3: 30.0, 4: 39.0}, "manual")  # vertebrae half as long as the template's
    levels = extend(seen, TEMPLATE_Z, length=60.0)
    assert (levels.disc_s[3], levels.disc_s[4]) == (30.0, 39.0)
    assert levels.disc_s[5] == pytest.approx(48.0)
    assert levels.disc_s[2] == pytest.approx(22.0)
    assert levels.placed == (2, 5, 6)
    assert extend(Levels({}), TEMPLATE_Z, 60.0).disc_s == {}


@pytest.mark.parametrize("text", ["C3", "C3@12", "Q3@z=1", "C2/C4@z=1", "C9@z=1", "C3@z=1;C4@z=2"])
def test_bad_hints_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_hint(text)


def test_names_and_numbers() -> None:
    assert [level_number(level_name(n)) for n in range(1, 25)] == list(range(1, 25))


def test_unknown_levels_are_nan() -> None:
    assert np.isnan(Levels({}).level_at([1.0, 2.0])).all()
    assert Levels({}).confidence == 0.0
