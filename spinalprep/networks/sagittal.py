"""The grid of the tumor networks: voxels from inferior to superior, then to anterior, to left."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from spinalprep.image import Image, grid_with_spacing, reorient, resample

AXES = "SAL"  # where the axes point
SPACING_MM = (1.0, 1.0, 2.0)  # of sagittal scans, whose slices are thick


def to_sagittal(image: Image, spacing_mm: Sequence[float] = SPACING_MM) -> Image:
    """Return an image on a sagittal grid over the same box.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    spacing_mm : sequence of float
        Of the grid: superior-inferior, anterior-posterior, right-left.

    Returns
    -------
    image : Image
        Voxel order SAL. Where the grid is coarser than the image, the image is smoothed first so
        that what is smaller than a voxel is averaged.
    """
    turned = reorient(image, AXES)
    ratio = np.asarray(spacing_mm, float) / turned.voxel_sizes
    sigma = np.where(ratio > 1.0, 0.4 * np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)), 0.0)
    smooth = turned.data.astype(np.float32)
    if sigma.any():
        smooth = ndimage.gaussian_filter(smooth, sigma, mode="nearest")
    return resample(turned.with_data(smooth), *grid_with_spacing(turned, spacing_mm))
