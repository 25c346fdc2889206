"""From the probability of the cord to its mask."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.section import fill_holes
from spinalprep.errors import EmptyMaskError, InputError, NoCordError
from spinalprep.image import Image, back_on, to_world, upright

LARGEST_MM2 = 600.0  # in the median slice: no cord is as large, with a tumor or a syrinx neither
REACH_MM = 6.0  # a cord's half width: farther from the centerline nothing can be the cord alone


def binarise(
    probability: Image, centerline: Centerline, threshold: float = 0.5
) -> NDArray[np.bool_]:
    """Threshold the cord and drop the islands that the centerline does not pass.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        Probability of the cord, any voxel order.
    centerline : Centerline
        RAS+ mm.
    threshold : float
        A voxel at or over it is cord.

    Returns
    -------
    cord : ndarray of bool, shape (I, J, K)
        Components (26 neighbors) of which some voxel is within 6 mm of the centerline,
        holes filled slice by slice.

    Raises
    ------
    NoCordError
        If nothing is left.
    """
    given, probability = probability, upright(probability)
    over = probability.data >= threshold
    labels, count = ndimage.label(over, structure=np.ones((3, 3, 3)))
    ijk = np.argwhere(over)
    if count:
        _, x, y = centerline.project(to_world(ijk.astype(float), probability.affine)).T
        near = np.hypot(x, y) <= REACH_MM
        kept = np.unique(labels[tuple(ijk[near].T)])
        cord: NDArray[np.bool_] = np.isin(labels, kept[kept > 0])
    if not count or not cord.any():
        best = float(probability.data.max())
        raise NoCordError(
            f"no cord found: the highest probability along the centerline is {best:.2f}; "
            f"expected at least {threshold:.2f}"
        )
    return back_on(fill_holes(cord), given)


def fill_drawn(cord: Image) -> tuple[Image, tuple[str, ...]]:
    """Fill the holes of a cord that a person drew: what lies inside a cord is cord.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Shares of 0 to 1, any voxel order.

    Returns
    -------
    cord : Image
        Filled slice by slice; the same object where there is no hole.
    warnings : tuple of str
        A line that says how much was filled; axial slices are counted upwards.
    """
    given, cord = cord, upright(cord)
    body = cord.data > 0
    holes = fill_holes(body) & ~body
    if not holes.any():
        return given, ()
    slices = np.flatnonzero(holes.any(axis=(0, 1)))
    line = (
        f"holes in the cord mask are counted as cord: {holes.sum()} voxels in slices "
        f"{slices[0]} to {slices[-1]}"
    )
    filled = np.where(holes, cord.data.max(), cord.data)
    return given.with_data(back_on(filled, given)), (line,)


def mask_of_drawn(cord: Image) -> NDArray[np.bool_]:
    """Return the mask of a cord that a person drew: the voxels with a share of at least 0.5.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Shares of 0 to 1, any voxel order.

    Returns
    -------
    mask : ndarray of bool, shape (I, J, K)
        On the grid of ``cord``.

    Raises
    ------
    EmptyMaskError
        If no voxel belongs to it.
    InputError
        If it is larger than any cord: more than 600 mm2 in the median axial slice.
    """
    standing = upright(cord)
    counts = (standing.data >= 0.5).sum(axis=(0, 1))
    if not counts.any():
        raise EmptyMaskError("the cord mask is empty: draw the cord, or remove the file")
    area = float(np.median(counts[counts > 0]) * np.prod(standing.voxel_sizes[:2]))
    if area > LARGEST_MM2:
        raise InputError(
            f"the cord mask has {area:,.0f} mm2 in its median slice; expected at most "
            f"{LARGEST_MM2:g}: are background and cord exchanged, or is it the mask of another "
            "structure?"
        )
    mask: NDArray[np.bool_] = cord.data >= 0.5
    return mask


def count_components(cord: NDArray[np.bool_]) -> int:
    """Return in how many pieces (26 neighbors) a mask lies."""
    return int(ndimage.label(cord, structure=np.ones((3, 3, 3)))[1])
