"""How far structures agree, where every voxel is one of them."""

import numpy as np
from numpy.typing import NDArray


def count_pairs(
    truth: NDArray[np.uint8], found: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    """Return how many voxels of each structure (rows) were called what (columns).

    Parameters
    ----------
    truth, found : ndarray of uint8, any shape, the same
        Numbers of structures from 0 to ``classes`` - 1.
    classes : int
        Number of structures, the background included.

    Returns
    -------
    counts : ndarray of int64, shape (classes, classes)
    """
    pairs = truth.astype(np.int64).ravel() * classes + found.ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def overlap_percent(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union of each structure in percent; 0 if nobody has it.

    Parameters
    ----------
    counts : ndarray of int, shape (..., C, C)
        See `count_pairs`.

    Examples
    --------
    >>> overlap_percent(np.array([[6, 2], [0, 2]])).tolist()
    [75.0, 50.0]
    """
    shared = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - shared
    return np.asarray(100 * shared / np.maximum(union, 1), float)
