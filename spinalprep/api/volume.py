"""Volumes that display themselves in notebooks, and conversion from other libraries."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from spinalprep.api.html import Card, page
from spinalprep.errors import UsageError
from spinalprep.image import Image, back_on, load, save, upright
from spinalprep.image.volume import from_nifti, to_nifti
from spinalprep.reports.flat import whole_views
from spinalprep.reports.views import side_by_side

ImageLike = Image | SpatialImage | str | PathLike[str]


class Volume(Image):
    """An array and its position in space.

    Attributes
    ----------
    data : ndarray, shape (I, J, K)
        Values of the voxels.
    affine : ndarray of float64, shape (4, 4)
        Maps voxel indices to RAS+ millimeters.

    Examples
    --------
    >>> import numpy as np
    >>> import spinalprep as sp
    >>> sp.Volume(np.zeros((4, 5, 6), np.float32), np.diag([1.0, 1.0, 2.0, 1.0]))
    Volume of 4 x 5 x 6 voxels of 1 x 1 x 2 mm, axes RAS, float32
    """

    def to_nibabel(self) -> Any:
        """Return a ``nibabel.Nifti1Image`` with the same values, sform and qform set."""
        return to_nifti(self.data, self.affine)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a NIfTI file (``.nii``, ``.nii.gz``) and return its absolute path."""
        return save(self, Path(path), self.data.dtype.type)

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {_grid(self)}, axes {self.axes}, {self.data.dtype}"

    def _repr_html_(self) -> str:
        return page(Card(repr(self), (), side_by_side(whole_views(upright(self)))))


def as_volume(image: Image) -> Volume:
    """Return an image that displays itself in notebooks."""
    return Volume(image.data, image.affine)


def brought_back(data: NDArray[Any], like: Image, dtype: type) -> Volume:
    """Return values on the grid of ``upright(like)`` as a volume on that of ``like``."""
    values = np.asarray(back_on(data, like))
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values)
    return Volume(values.astype(dtype), like.affine)


def to_spatial(image: ImageLike) -> tuple[Path | SpatialImage, str]:
    """Return the path or the nibabel image behind what a user gave, and what to call it.

    Raises
    ------
    UsageError
        If it is no image.
    """
    if isinstance(image, str | PathLike):
        return Path(image), str(image)
    if isinstance(image, Image):
        return to_nifti(image.data, image.affine), "the image"
    if isinstance(image, SpatialImage):
        given = image if hasattr(image.header, "get_sform") else _as_nifti(image)
        return given, str(image.get_filename() or "the image")
    raise UsageError(
        f"{type(image).__name__} is not an image; expected a path, a nibabel image, or "
        "Volume(data, affine)"
    )


def read_image(image: ImageLike) -> Image:
    """Return values and affine of an image, as they are.

    Raises
    ------
    InputError
        If a file can't be read.
    UsageError
        If it is no image.
    """
    if isinstance(image, Image):
        return image
    source, name = to_spatial(image)
    return load(source) if isinstance(source, Path) else from_nifti(source, name)


def _as_nifti(image: SpatialImage) -> SpatialImage:
    convert: Callable[[SpatialImage], SpatialImage] = nib.nifti1.Nifti1Image.from_image
    return convert(image)


def _grid(image: Image) -> str:
    """Return the size of an image in words."""
    shape = " x ".join(str(n) for n in image.shape)
    sizes = " x ".join(f"{size:.3g}" for size in image.voxel_sizes)
    return f"{shape} voxels of {sizes} mm"
