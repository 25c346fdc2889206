"""Deformation within axial slices: soft outlines laid on each other, without folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.registration.slices import gather

Array = NDArray[np.float32]

MOST_STEP = 0.5  # pixels by which one round moves a point at most
ROUNDS = 12
STEP_MM = 1.25  # standard deviation in plane of the smoothing of one round's step
WHOLE_MM = 0.4  # and of the whole change, each round
ALONG_MM = 4.0  # along the cord


@dataclass(frozen=True)
class _Smoothing:
    """Standard deviations: of a step in slices and pixels, of the whole change in pixels."""

    along: float
    step: float
    whole: float


def deform_slices(
    fixed: Array,
    moving: Array,
    weights: Sequence[float],
    spacing: tuple[float, float],
    start: Array,
    rounds: int = ROUNDS,
) -> Array:
    """Lay the slices of one stack on those of another, smoothly along the stack.

    Parameters
    ----------
    fixed, moving : ndarray of float32, shape (C, Z, X, Y)
        Soft masks, 0 to 1, on one grid; channel by channel they show the same thing.
    weights : sequence of float, length C
        How much a channel counts.
    spacing : tuple of float
        Distance of slices and size of a pixel in mm.
    start : ndarray of float32, shape (Z, X, Y, 2)
        Displacements to begin with.
    rounds : int

    Returns
    -------
    there : ndarray of float32, shape (Z, X, Y, 2)
        Pixels from a point of ``fixed`` to its place in ``moving``.

    Notes
    -----
    Diffeomorphic demons [1]_: each round takes the step of least squares, with the mean of both
    gradients, smoothes it, composes it with what there is and smoothes the change from the
    start a little.

    References
    ----------
    .. [1] Vercauteren et al. (2009), NeuroImage 45:S61-S72, doi:10.1016/j.neuroimage.2008.10.040.
    """
    smoothing = _Smoothing(ALONG_MM / spacing[0], STEP_MM / spacing[1], WHOLE_MM / spacing[1])
    scale = np.asarray(weights, np.float32)
    there = start
    for _ in range(rounds):
        change = _step(fixed, moving, there, scale, smoothing) - start
        whole = (0, smoothing.whole, smoothing.whole, 0)
        there = start + np.asarray(ndimage.gaussian_filter(change, whole), np.float32)
    return there


def _step(
    fixed: Array, moving: Array, there: Array, weights: Array, smoothing: _Smoothing
) -> Array:
    """Return displacements after one more step, which is smoothed; the whole is not yet."""
    moved = np.moveaxis(gather(np.moveaxis(moving, 0, -1), there), -1, 0)
    apart = fixed - moved
    slope_x, slope_y = (np.gradient(fixed + moved, axis=axis) / 2 for axis in (2, 3))
    w = weights[:, None, None, None]
    xx = (w * slope_x**2).sum(axis=0)
    yy = (w * slope_y**2).sum(axis=0)
    xy = (w * slope_x * slope_y).sum(axis=0)
    bound = (w * apart**2).sum(axis=0) / (4 * MOST_STEP**2) + 1e-6
    b_x, b_y = (w * apart * slope_x).sum(axis=0), (w * apart * slope_y).sum(axis=0)
    xx, yy = xx + bound, yy + bound
    determinant = xx * yy - xy**2
    update = np.stack([yy * b_x - xy * b_y, xx * b_y - xy * b_x], axis=-1) / determinant[..., None]
    sigma = (smoothing.along, smoothing.step, smoothing.step, 0)
    update = ndimage.gaussian_filter(update, sigma, mode="nearest")
    composed: Array = update + gather(there, update)
    return composed
