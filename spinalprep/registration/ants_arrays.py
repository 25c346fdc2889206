"""Images to ANTs and back: the only place where LPS and RAS+ meet in memory."""

import os
from typing import Any

from spinalprep.environment import ants_repeats

os.environ.update(ants_repeats() | dict(os.environ))  # before ants is loaded; what is set stays

import ants
import numpy as np

from spinalprep.image import Image
from spinalprep.registration.transform import LPS

__all__ = ["ants", "from_ants", "to_ants"]


def to_ants(image: Image) -> Any:
    """Return an ANTs image (float32, LPS) of the same voxels at the same place."""
    affine = LPS @ image.affine
    sizes = image.voxel_sizes
    return ants.from_numpy(
        np.ascontiguousarray(image.data, np.float32),
        origin=tuple(affine[:3, 3].tolist()),
        spacing=tuple(sizes.tolist()),
        direction=np.ascontiguousarray(affine[:3, :3] / sizes),
    )


def from_ants(volume: Any) -> Image:
    """Return an ANTs image as an `Image` (float32, RAS+)."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(volume.direction) @ np.diag(volume.spacing)
    affine[:3, 3] = volume.origin
    return Image(volume.numpy().astype(np.float32), LPS @ affine)
