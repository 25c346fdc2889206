"""Pictures of a lumbar segmentation."""

import numpy as np
import pytest

from spinalprep.reports.lumbar import BESIDE_MM, _near_canal, _slice_beside


@pytest.mark.parametrize(
    ("filled", "middle", "expected"),
    [
        ((0, 40), 20, (20 + 15, "15 mm right")),
        ((0, 24), 20, (20 - 15, "15 mm left")),  # more is seen there
        ((14, 24), 20, (14, "6 mm left")),  # the outermost slice that shows something
    ],
)
def test_the_second_slice_shows_structures(
    filled: tuple[int, int], middle: int, expected: tuple[int, str]
) -> None:
    structures = np.zeros((45, 4, 4), bool)
    structures[filled[0] : filled[1] + 1] = True
    assert BESIDE_MM == 15.0
    assert _slice_beside(structures, middle, 1.0) == expected


@pytest.mark.parametrize(
    ("pixel_mm", "expected"),
    [
        (1.0, slice(100 - 60, 120 + 70)),
        (2.0, slice(100 - 30, 120 + 35)),
        (0.5, slice(0, 200)),  # as far as the image goes
    ],
)
def test_the_picture_shows_the_spine_and_what_is_beside_it(
    pixel_mm: float, expected: slice
) -> None:
    canal = np.zeros((3, 200, 4), bool)
    canal[1, 100:121] = True
    assert _near_canal(canal, pixel_mm) == expected
