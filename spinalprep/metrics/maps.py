"""Values of a map in the voxels of the cord, and maps that are made of two images."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Float, Image, snap, to_voxel, to_world
from spinalprep.registration.transform import Transform

MOST_PERCENT = 100.0  # a ratio beyond this, either way, is noise


def cord_points(cord: Image) -> NDArray[np.float64]:
    """Return the RAS+ mm of the cord's voxels in C order, shape (M, 3)."""
    return to_world(np.argwhere(cord.data > 0).astype(np.float64), cord.affine)


def sample_map(image: Image, points: Float, order: int = 1) -> NDArray[np.float64]:
    """Interpolate a map at points; NaN where there is no value.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        NaN where the map says nothing.
    points : ndarray, shape (M, 3)
        RAS+ mm.
    order : int
        1 linear, 3 cubic spline.

    Returns
    -------
    values : ndarray of float64, shape (M,)
        NaN outside the grid (a voxel has its value up to its faces) and where an unknown voxel
        counts for a thousandth or more.
    """
    ijk = snap(to_voxel(points, image.affine))
    last = np.asarray(image.shape) - 1
    within = np.all((ijk >= -0.5) & (ijk <= last + 0.5), axis=-1)
    at = np.clip(ijk, 0, last).T
    known = np.isfinite(image.data)
    values = ndimage.map_coordinates(np.where(known, image.data, 0.0), at, np.float64, order=order)
    if not known.all():
        within &= ndimage.map_coordinates(known.astype(np.float32), at, order=1) > 0.999
    return np.where(within, values, np.nan)


def magnetization_transfer_ratio(
    on: NDArray[np.float64], off: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return 100 (off - on) / off in percent.

    Parameters
    ----------
    on, off : ndarray of float64, shape (M,)
        Signal with and without the MT pulse, not corrected for the bias field, which
        cancels; NaN where unknown.

    Returns
    -------
    ratio : ndarray of float64, shape (M,)
        NaN where ``off`` is zero or less, ``on`` is negative, or the ratio is beyond 100 percent
        either way: there was no signal to compare.

    Examples
    --------
    >>> magnetization_transfer_ratio(np.array([60.0, 5.0, 9.0]), np.array([100.0, 0.0, 3.0]))
    array([40., nan, nan])
    """
    fine = (off > 0) & (on >= 0)
    ratio = 100.0 * (off - on) / np.where(fine, off, 1.0)
    return np.where(fine & (np.abs(ratio) <= MOST_PERCENT), ratio, np.nan)


def sample_through(
    image: Image, transform: Transform | None, cord: Image, order: int = 1
) -> NDArray[np.float64]:
    """Return the values of a map in the cord's voxels, in C order, shape (M,).

    Parameters
    ----------
    image : Image
        The map.
    transform : Transform or None
        Points of the cord's world to points of the map's; None where they share one.
    cord : Image
        Mask, M voxels.
    order : int
        As in `sample_map`.
    """
    points = cord_points(cord)
    return sample_map(image, points if transform is None else transform.apply(points), order)
