"""Whether two files have the same voxels, told by their headers."""

from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.image.volume import to_world, world_affine

TOLERANCE = 0.1  # of the smallest voxel edge


def same_voxels(one: Path, other: Path) -> bool:
    """Tell whether two images lie on one grid, stored in whatever voxel order.

    Parameters
    ----------
    one, other : Path
        NIfTI files whose headers can be read.
    """
    (shape, corners, size), (other_shape, other_corners, _) = _lattice(one), _lattice(other)
    if sorted(shape) != sorted(other_shape):
        return False
    apart = np.linalg.norm(corners[:, None] - other_corners[None], axis=-1)
    return bool(apart.min(axis=1).max() <= TOLERANCE * size)


def voxel_edges(path: Path) -> tuple[float, float, float]:
    """Return the edges of a voxel of an image in mm, in the file's order of axes.

    Parameters
    ----------
    path : Path
        A NIfTI file.

    Raises
    ------
    InputError
        If its header can't be read.
    """
    try:
        affine = world_affine(nib.loadsave.load(path))
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        raise InputError(f"{path} can't be read ({error}); expected a NIfTI file") from error
    first, second, third = (float(edge) for edge in np.linalg.norm(affine[:3, :3], axis=0))
    return first, second, third


def _lattice(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64], float]:
    """Return shape, the centers of the eight corner voxels in RAS+ mm, and the smallest edge."""
    volume: Any = nib.loadsave.load(path)
    shape = tuple(int(n) for n in volume.shape[:3])
    affine = world_affine(volume)
    ends = np.array(list(product(*((0.0, n - 1.0) for n in shape))))
    size = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    return shape, to_world(ends, affine), size
