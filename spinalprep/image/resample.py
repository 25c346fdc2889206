"""Move an image from one grid to another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image.volume import Float, Image, to_voxel


def sample(
    image: Image, points: Float, order: int = 1, outside: float = 0.0
) -> NDArray[np.float32]:
    """Interpolate ``image`` at RAS+ points.

    Parameters
    ----------
    image : Image
        The values.
    points : ndarray of float, shape (..., 3)
        RAS+ millimeters.
    order : int
        0 nearest, 1 linear, 3 cubic spline.
    outside : float
        Value where a point is outside the grid.

    Returns
    -------
    values : ndarray of float32, shape (...)
    """
    ijk = snap(np.moveaxis(to_voxel(points, image.affine), -1, 0))
    data = image.data.astype(np.float32, copy=False)
    values = ndimage.map_coordinates(data, ijk, order=order, cval=outside, mode="constant")
    sampled: NDArray[np.float32] = values.astype(np.float32, copy=False)
    return sampled


def resample(
    image: Image,
    shape: Sequence[int],
    affine: Float,
    order: int = 1,
    outside: float = 0.0,
) -> Image:
    """Return ``image`` on the grid of ``shape`` and ``affine`` (voxels to RAS+ mm)."""
    step = np.linalg.inv(image.affine) @ affine
    data = ndimage.affine_transform(
        image.data.astype(np.float32, copy=False),
        snap(step[:3, :3]),
        snap(step[:3, 3]),
        output_shape=tuple(shape),
        order=order,
        cval=outside,
        mode="constant",
    )
    return Image(data, np.asarray(affine, np.float64))


def resample_like(image: Image, like: Image, order: int = 1, outside: float = 0.0) -> Image:
    """Return ``image`` on the grid of ``like``."""
    return resample(image, like.shape, like.affine, order, outside)


def grid_with_spacing(
    image: Image, spacing: Sequence[float]
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return shape and affine of a grid over the same box with voxels of ``spacing`` mm.

    The outer faces of the two boxes coincide at the first corner; the last voxel may reach
    over the far corner by less than one voxel.
    """
    ratio = np.asarray(spacing, float) / image.voxel_sizes
    shape = np.maximum(np.ceil(np.asarray(image.shape) / ratio - 1e-6), 1).astype(int)
    step: NDArray[Any] = np.eye(4)
    step[:3, :3] = np.diag(ratio)
    step[:3, 3] = (ratio - 1) / 2  # center of the first new voxel, in old voxels
    return (int(shape[0]), int(shape[1]), int(shape[2])), image.affine @ step


def snap(ijk: Float) -> NDArray[np.float64]:
    """Round what is within 1e-6 of a whole voxel: a hair outside the grid would count as air."""
    whole = np.rint(ijk)
    snapped: NDArray[np.float64] = np.where(np.abs(ijk - whole) < 1e-6, whole, ijk)
    return snapped
