"""What a network proposes is called where the image bears it out."""

import numpy as np
import pytest

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image
from spinalprep.lesion.calling import DRAWN, CalledLesions, LesionRule, call_lesions
from spinalprep.lesion.evidence import Evidence

SHAPE = (30, 30, 60)
AFFINE = np.array([[-1.0, 0, 0, 15], [0, 1, 0, -15], [0, 0, 1, -40], [0, 0, 0, 1]])


def scene(bright: float) -> tuple[Image, Image, np.ndarray]:
    """Return a noisy cord in fluid with one lesion of a brightness, its mask, and two proposals."""
    x, y, _ = np.indices(SHAPE) - np.array([14.5, 14.5, 0])[:, None, None, None]
    cord, canal = (x / 6) ** 2 + (y / 5) ** 2 <= 1, np.hypot(x, y) <= 10
    proposed = np.zeros(SHAPE, bool)
    proposed[10:14, 12:16, 20:26] = True
    lesion = proposed.copy()
    proposed[16:19, 13:17, 40:45] = True
    values = np.where(cord, 100.0, np.where(canal, 300.0, 20.0)) + bright * lesion
    values += np.random.default_rng(0).normal(0, 10, SHAPE)
    image = Image(values.astype(np.float32), AFFINE)
    return image, image.with_data(cord), proposed


def called(bright: float, rule: LesionRule) -> CalledLesions:
    """Call the two proposals of a scene."""
    image, cord, proposed = scene(bright)
    sure = image.with_data(proposed.astype(np.float32))
    return call_lesions(sure, image, cord, centerline_from_mask(cord), rule)


def test_a_lesion_that_shows_is_called_and_one_that_does_not_is_refused() -> None:
    found = called(100.0, LesionRule())
    assert found.labels.max() == found.refused.max() == 1
    assert np.array_equal(np.unique(np.argwhere(found.labels)[:, 2]), np.arange(20, 26))
    assert np.array_equal(np.unique(np.argwhere(found.refused)[:, 2]), np.arange(40, 45))
    assert len(found.evidence) == 1
    assert found.evidence[0].contrast == pytest.approx(0.5, abs=0.05)


def test_nothing_is_called_where_nothing_shows() -> None:
    found = called(0.0, LesionRule())
    assert not found.labels.any()
    assert found.refused.max() == 2
    assert found.evidence == ()


def test_what_a_person_drew_is_called_whatever_shows() -> None:
    found = called(0.0, DRAWN)
    assert found.labels.max() == 2
    assert not found.refused.any()
    assert [e.z < 4 for e in found.evidence] == [True, True]


NAN = float("nan")


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(0.5, 6.0, 3.0, 50), True),
        (Evidence(0.5, 3.0, 3.0, 50), False),  # no more than elsewhere
        (Evidence(0.5, 6.0, 1.0, 50), False),  # picked out of noise
        (Evidence(0.05, 6.0, 3.0, 50), False),  # too faint
        (Evidence(-0.5, -6.0, -3.0, 50), False),  # away from the fluid
        (Evidence(0.3, NAN, 3.0, 3), True),
        (Evidence(0.2, NAN, 3.0, 3), False),  # with few places to compare, twice the contrast
        (Evidence(NAN, NAN, NAN, 0), True),  # fills the cord: nothing to hold it against
        (Evidence(0.0, NAN, 0.0, 0), False),  # beyond the cord
    ],
)
def test_the_rule(evidence: Evidence, expected: bool) -> None:
    assert LesionRule().bears_out(evidence) is expected
    assert DRAWN.bears_out(evidence) is True
