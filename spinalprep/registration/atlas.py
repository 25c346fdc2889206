"""The template's regions in the subject."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, sample, to_world
from spinalprep.registration.transform import Transform

FINE_MM = (0.5, 0.5, 1.0)  # between the points of a voxel: the atlas's own grid, and upwards
LEAST_SHARE = 0.05  # a voxel that the atlas barely touches is not blown up to a whole one
CSF_REGION = 36  # the atlas's contour of the cord


def warp_regions(
    regions: Iterable[Image], template_to_subject: Transform, cord: Image
) -> NDArray[np.float32]:
    """Average every region of the atlas over the voxels of the cord, one region at a time.

    Parameters
    ----------
    regions : iterable of Image
        Share of each region per voxel of the template, 0 to 1, in the atlas's order.
    template_to_subject : Transform
        Subject points to template points.
    cord : Image, shape (I, J, K)
        Cord mask, any voxel order.

    Returns
    -------
    shares : ndarray of float32, shape (M, regions)
        Of the cord's voxels, in C order of ``cord``. Regions 0 to 35 add up to one in each voxel
        that the atlas reaches; the CSF (36) is given as it is.
    """
    ijk = np.argwhere(cord.data > 0)
    within = _points_of_a_voxel(cord)
    points = to_world((ijk[:, None] + within).reshape(-1, 3), cord.affine)
    points = template_to_subject.apply(points).reshape(len(ijk), len(within), 3)
    shares: NDArray[np.float32]
    shares = np.stack([sample(region, points).mean(axis=1) for region in regions], axis=-1)
    total = shares[:, :CSF_REGION].sum(axis=1, keepdims=True)
    scale = np.where(total > LEAST_SHARE, 1.0 / np.maximum(total, LEAST_SHARE), 0.0)
    shares[:, :CSF_REGION] *= scale
    return shares


def _points_of_a_voxel(image: Image) -> NDArray[np.float64]:
    """Return points spread evenly over a voxel, in voxels from its center, shape (P, 3)."""
    along = [FINE_MM["LRAPSI".index(axis) // 2] for axis in image.axes]
    counts = np.maximum(np.ceil(image.voxel_sizes / along - 1e-3), 1).astype(int)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    return np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
