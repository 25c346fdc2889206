"""Holes of a cord mask are cord; a bay that is open to the outside is not."""

import numpy as np
import pytest

from spinalprep.cord.mask import fill_drawn, mask_of_drawn
from spinalprep.cord.section import fill_holes
from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image import Image


def ring(depth: int = 4) -> np.ndarray:
    data = np.zeros((12, 12, depth), np.float32)
    data[2:9, 2:9] = 1.0
    return data


def test_holes_are_filled_slice_by_slice() -> None:
    data = ring()
    data[4:6, 4:6, 1] = 0  # enclosed in its slice, though open along the cord
    data[5, 2:9, 3] = 0  # a cleft from edge to edge
    filled = fill_holes(data > 0)
    assert filled[4:6, 4:6, 1].all()
    assert not filled[5, :, 3].any()
    assert filled.sum() == (data > 0).sum() + 4


def test_a_drawn_cord_with_holes_is_filled_and_that_is_said() -> None:
    data = ring() * np.float32(0.8)
    cord = Image(data, np.eye(4))
    assert fill_drawn(cord) == (cord, ())
    data[4:6, 4:6, 1:3] = 0
    filled, (line,) = fill_drawn(Image(data, np.eye(4)))
    np.testing.assert_array_equal(filled.data, ring() * np.float32(0.8))
    assert "8 voxels in slices 1 to 2" in line


def test_the_mask_of_a_drawn_cord_is_binary_and_no_larger_than_a_cord() -> None:
    soft = np.zeros((40, 40, 6), np.float32)
    soft[18:23, 18:23], soft[20:22, 20:22] = 0.3, 1
    mask = mask_of_drawn(Image(soft, np.eye(4)))
    assert mask.dtype == bool
    assert mask.sum() == 4 * 6
    with pytest.raises(InputError, match=r"1,596 mm2 in its median slice.*exchanged"):
        mask_of_drawn(Image(1 - soft, np.eye(4)))
    with pytest.raises(EmptyMaskError, match="the cord mask is empty"):
        mask_of_drawn(Image(soft * 0, np.eye(4)))
