"""The cord in each axial slice: one body, its soft edge kept, everything else left out."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

HALF = 0.5  # share of the highest value from which a voxel is surely cord
EDGE_VOXELS = 2  # width of the soft edge that still belongs to it
FAINT = 0.02  # share of the highest value under which a voxel is background
ROUND = ndimage.generate_binary_structure(2, 2)


def cord_sections(cord: NDArray[np.generic]) -> Array:
    """Return what belongs to the cord in each axial slice of a mask or probability.

    Parameters
    ----------
    cord : ndarray, shape (I, J, K)
        Mask or probability; NaN and negative values count as 0, values over 1 as 1.

    Returns
    -------
    weights : ndarray of float64, shape (I, J, K)
        ``cord`` inside the largest body of each slice (8 neighbors, at or over half of the
        highest value of the volume) and in a ring of two voxels around it, and the highest value
        in its holes, as a lesion that a network doubts is cord; 0 elsewhere. Slices without such
        a body are 0, so that a faint halo, an island or a vessel measures nothing.
    """
    weights: Array = np.clip(np.nan_to_num(cord.astype(np.float64)), 0.0, 1.0)
    highest = float(weights.max(initial=0.0))
    sure = weights >= HALF * highest if highest > 0 else np.zeros(weights.shape, bool)
    box = _box(sure)
    kept = np.zeros(weights.shape, bool)
    if sure.any():
        plane = ROUND[:, :, None]
        body = _largest(sure[box], weights[box])
        whole = fill_holes(body)
        weights[box][whole & ~body] = highest
        grown = ndimage.binary_dilation(whole, plane, EDGE_VOXELS)
        kept[box] = grown & (weights[box] > FAINT * highest)
    return np.where(kept, weights, 0.0)


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what a mask, shape (I, J, K), encloses in each axial slice (4 neighbors)."""
    plane = ndimage.generate_binary_structure(2, 1)[:, :, None]
    return np.asarray(
        ndimage.binary_fill_holes(mask, np.pad(plane, ((0, 0), (0, 0), (1, 1)))), bool
    )


def _box(sure: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the slices of the box around a mask, wide enough for its edge."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(sure.any(axis=others))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, 0)
        box.append(slice(max(first - EDGE_VOXELS, 0), last + EDGE_VOXELS + 1))
    return tuple(box)


def _largest(sure: NDArray[np.bool_], weights: Array) -> NDArray[np.bool_]:
    """Return the body of most weight in each slice; of equal ones the first."""
    plane = np.zeros((3, 3, 3), bool)
    plane[:, :, 1] = True
    bodies, count = ndimage.label(sure, structure=plane)
    mass = np.bincount(bodies.ravel(), weights.ravel(), minlength=count + 1)
    mass[0] = 0.0
    best = np.zeros(count + 1, bool)
    for k in range(bodies.shape[2]):
        present = np.unique(bodies[:, :, k])
        best[present[mass[present].argmax()]] = True
    best[0] = False
    return np.asarray(best[bodies], bool)
