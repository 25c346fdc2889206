"""Where a voxel is: array and affine in RAS+ mm."""

from spinalprep.image.orient import back_on, on_grid_of, reorient, upright
from spinalprep.image.resample import grid_with_spacing, resample, resample_like, sample, snap
from spinalprep.image.volume import (
    PAM50_AXES,
    Float,
    Image,
    grid_points,
    load,
    read_grid,
    save,
    save_inside,
    to_voxel,
    to_world,
)

__all__ = [
    "PAM50_AXES",
    "Float",
    "Image",
    "back_on",
    "grid_points",
    "grid_with_spacing",
    "load",
    "on_grid_of",
    "read_grid",
    "reorient",
    "resample",
    "resample_like",
    "sample",
    "save",
    "save_inside",
    "snap",
    "to_voxel",
    "to_world",
    "upright",
]
