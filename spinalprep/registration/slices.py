"""Displacements within the slices of a stack."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

INVERSE_ROUNDS = 15
NEAR_ENOUGH = 1e-4  # pixels


def invert_slices(there: Array) -> Array:
    """Return the inverse of in-plane displacements (Z, X, Y, 2) in pixels, by iteration."""
    back = -there
    for _ in range(INVERSE_ROUNDS):
        before, back = back, -gather(there, back)
        if np.abs(back - before).max() < NEAR_ENOUGH:
            break
    return back


def gather(values: Array, displacement: Array) -> Array:
    """Interpolate each slice at displaced pixels.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, X, Y, C)
    displacement : ndarray of float32, shape (Z, X, Y, 2)
        Pixels; beyond the border the border's value holds.

    Returns
    -------
    moved : ndarray of float32, shape (Z, X, Y, C)
    """
    depth, width, height = displacement.shape[:3]
    x = np.arange(width, dtype=np.float32)[:, None] + displacement[..., 0]
    y = np.arange(height, dtype=np.float32) + displacement[..., 1]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    i, j = np.minimum(x.astype(np.intp), width - 2), np.minimum(y.astype(np.intp), height - 2)
    u, v = (x - i.astype(np.float32))[..., None], (y - j.astype(np.float32))[..., None]
    flat = np.ascontiguousarray(values).reshape(-1, values.shape[-1])
    corner = (np.arange(depth)[:, None, None] * width + i) * height + j
    low, high = (_mixed(flat, corner + n, 1, v) for n in (0, height))
    moved: Array = low + u * (high - low)
    return moved


def _mixed(flat: Array, corner: NDArray[np.intp], step: int, share: Array) -> Array:
    """Return rows and those ``step`` further on, the latter with a share."""
    mixed = np.take(flat, corner + step, axis=0)
    first = np.take(flat, corner, axis=0)
    mixed -= first
    mixed *= share
    mixed += first
    return mixed
