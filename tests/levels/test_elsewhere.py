"""A sagittal image gives levels to an axial stack of the same synthetic subject."""

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.image import Image
from spinalprep.levels.discs import Levels
from spinalprep.levels.elsewhere import detect_elsewhere
from spinalprep.networks.cards import packaged_weights
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.registration.transform import Affine

pytestmark = pytest.mark.slow

PERSON = make_person(100_508)
TEMPLATE_Z = {n: -s for n, s in PERSON.disc_s.items()}
STILL = Affine.identity()
CENTERLINE, DISCS = (load_model(packaged_weights(name)) for name in ("centerline", "discs"))


def part(top: float, bottom: float) -> np.ndarray:
    points = PERSON.centerline.points
    return points[(points[:, 2] <= top) & (points[:, 2] >= bottom)]


def height(disc: int) -> float:
    return float(PERSON.centerline.at(PERSON.disc_s[disc])[2])


def sagittal(top: float, length: int) -> Image:
    """Return a T2w image from a height down."""
    points = part(top, top - length)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = points[:, 0].mean() + 16, points[:, 1].mean() - 40, top - length + 0.5
    return render(PERSON, "T2w", ((32, 88, length), affine), 1)


def seen(image: Image, to_reference: Affine = STILL) -> tuple[Levels, list[str], float]:
    """Return the levels of a stack from C4/C5 to C6/C7, and its upper end along the cord."""
    points = part(height(5) + 8, height(7) - 8)
    line = fit_centerline(points[::4])
    found, warnings = detect_elsewhere(
        image, "T2w", CENTERLINE, DISCS, to_reference, line, TEMPLATE_Z
    )
    start = float(PERSON.centerline.project(line.points[0])[0])
    return (found[0].levels if found else Levels({})), warnings, start


def test_levels_of_a_stack_are_known_and_right_and_moved_people_are_told() -> None:
    image = sagittal(height(3) + 35, 130)
    levels, warnings, start = seen(image)
    assert (levels.source, warnings) == ("detected in T2w", [])
    assert levels.confidence >= 0.99
    for disc in (5, 6, 7):
        assert levels.disc_s[disc] == pytest.approx(PERSON.disc_s[disc] - start, abs=1.5)
    aside = np.eye(4)
    aside[0, 3] = 9.0
    moved, warnings, _ = seen(image, Affine(aside))
    assert not moved.known
    assert "9 mm away" in warnings[0]


def test_without_c2c3_levels_stay_unknown() -> None:
    levels, warnings, _ = seen(sagittal(height(5) + 10, 90))
    assert (levels.known, warnings) == (False, [])
