"""An image: an array and where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.image.gzipped import open_to_write, read_volume, write_volume

Float = NDArray[np.floating[Any]]
SMALLEST_VOXEL_MM, LARGEST_VOXEL_MM = 0.05, 20.0  # of any MRI of a person
PAM50_AXES = "LAS"  # nibabel's name for the voxel order that SCT calls RPI


@dataclass(frozen=True)
class Image:
    """A volume in the RAS+ world.

    Attributes
    ----------
    data : ndarray, shape (I, J, K)
        Voxel values.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices ``ijk`` to RAS+ millimeters.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        i, j, k = self.data.shape[:3]
        return i, j, k

    @property
    def voxel_sizes(self) -> NDArray[np.float64]:
        """Edge lengths of a voxel in mm, shape (3,)."""
        sizes: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return sizes

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def axes(self) -> str:
        """Where the axes point, in nibabel's letters (``"LAS"``)."""
        return "".join(nib.orientations.aff2axcodes(self.affine))

    def with_data(self, data: NDArray[Any]) -> "Image":
        """Return an image of other values on the same grid."""
        return Image(data, self.affine)

    def as_saved(self) -> "Image":
        """Return the image as a NIfTI file keeps it.

        Voxels are float32, the first index fastest; the affine is rounded to float32. What is
        computed from it is then the same, bit by bit, as from the file.
        """
        affine = np.asarray(np.asarray(self.affine, np.float32), np.float64)
        return Image(np.asfortranarray(self.data, np.float32), affine)

    def same_grid(self, other: "Image", tolerance_mm: float = 1e-3) -> bool:
        """Tell whether two images share shape and affine (corners within ``tolerance_mm``)."""
        if self.shape != other.shape:
            return False
        corners = np.array([[0, 0, 0], self.shape], float)
        apart = to_world(corners, self.affine) - to_world(corners, other.affine)
        linear = (self.affine - other.affine)[:3, :3] @ np.diag(self.shape)
        return bool(np.abs(apart).max() <= tolerance_mm and np.abs(linear).max() <= tolerance_mm)


def to_world(ijk: Float, affine: Float) -> NDArray[np.float64]:
    """Map voxel indices, shape (..., 3), to RAS+ millimeters."""
    points: NDArray[np.float64] = ijk @ affine[:3, :3].T + affine[:3, 3]
    return points


def to_voxel(points: Float, affine: Float) -> NDArray[np.float64]:
    """Map RAS+ millimeters, shape (..., 3), to voxel indices (fractional)."""
    return to_world(points, np.linalg.inv(affine))


def grid_points(shape: Sequence[int], affine: Float) -> NDArray[np.float64]:
    """Return the RAS+ millimeters of every voxel center, shape (I, J, K, 3)."""
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return to_world(ijk.astype(np.float64), affine)


def load(path: Path) -> Image:
    """Read a NIfTI file as float32; the sform if its code is positive, else the qform.

    Raises
    ------
    InputError
        If the file can't be read as one three-dimensional volume.
    """
    try:
        volume = read_volume(path)
        volume.get_fdata(dtype=np.float32)
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        message = (
            f"{path} can't be read as NIfTI ({error}); expected a complete .nii or .nii.gz file"
        )
        raise InputError(message) from error
    return from_nifti(volume, path)


def from_nifti(volume: Any, name: Path | str) -> Image:
    """Return a nibabel image as `load` does a file; ``name`` is what messages call it.

    Raises
    ------
    InputError
        If it is not one three-dimensional volume.
    """
    data = volume.get_fdata(dtype=np.float32, caching="unchanged")
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise InputError(f"{name} has shape {data.shape}; expected one 3D volume")
    return Image(data, world_affine(volume))


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return shape and affine (voxels to RAS+ mm) of a NIfTI file, from its header alone."""
    volume = nib.nifti1.Nifti1Image.from_filename(path)
    i, j, k = volume.shape[:3]
    return (int(i), int(j), int(k)), world_affine(volume)


def world_affine(volume: Any) -> NDArray[np.float64]:
    """Return the sform of a nibabel image if it is coded, else its qform, else its base, in mm."""
    affine = header_affine(volume)
    return np.diag([*[length_scale(volume, affine)] * 3, 1.0]) @ affine


def length_scale(volume: Any, affine: NDArray[np.float64]) -> float:
    """Return by how much lengths of a header are multiplied to be mm.

    What the header calls meters or microns is scaled, but only if its voxels are then of a size
    that MRI has, 0.05 to 20 mm: many a file says microns and means mm.
    """
    try:
        unit = str(volume.header.get_xyzt_units()[0])
    except (AttributeError, KeyError, ValueError):  # not NIfTI, or a code that there is not
        return 1.0
    scale = {"meter": 1000.0, "micron": 0.001}.get(unit, 1.0)
    return scale if is_voxel_of_mri(affine, scale) else 1.0


def is_voxel_of_mri(affine: NDArray[np.float64], scale: float = 1.0) -> bool:
    """Tell whether all edges of a voxel, scaled, are between 0.05 and 20 mm."""
    sizes = scale * np.linalg.norm(affine[:3, :3], axis=0)
    return bool(sizes.min() >= SMALLEST_VOXEL_MM and sizes.max() <= LARGEST_VOXEL_MM)


def header_affine(volume: Any) -> NDArray[np.float64]:
    """Return the affine as `world_affine` chooses it, in the header's own unit of length."""
    affine: NDArray[np.float64] | None
    affine, code = volume.header.get_sform(coded=True)
    if not code:
        affine, code = volume.header.get_qform(coded=True)
    if affine is None or not code:
        affine = np.asarray(volume.affine, np.float64)
    return np.asarray(affine, np.float64)


def save(image: Image, path: Path, dtype: type = np.float32) -> Path:
    """Write ``image`` to ``path`` with sform and qform set, and return the absolute path.

    Masks and label maps are written with an integer ``dtype`` and are rounded, never scaled.
    """
    data = image.data
    if np.issubdtype(dtype, np.integer) and np.issubdtype(data.dtype, np.inexact):
        data = np.rint(data)
    in_file_order: NDArray[Any] = np.asfortranarray(
        data, dtype
    )  # much faster than row by row, as it is written
    write_volume(to_nifti(in_file_order, image.affine), path)
    return Path(path).absolute()


def save_inside(values: NDArray[np.float32], inside: Image, path: Path) -> Path:
    """Write values of some voxels as one 4D file, zero elsewhere, and return the absolute path.

    Volume by volume, so that the whole, which is many times larger, is never in memory.

    Parameters
    ----------
    values : ndarray of float32, shape (M, N)
        A column per volume.
    inside : Image
        bool: the M voxels, in C order.
    path : Path
        ``.nii`` or ``.nii.gz``.
    """
    shape = (*inside.shape, values.shape[1])
    header = to_nifti(np.broadcast_to(np.float32(0), shape), inside.affine).header
    header["vox_offset"] = header.single_vox_offset
    header.set_slope_inter(1, 0)
    places = np.ravel_multi_index(np.nonzero(inside.data), inside.shape, order="F")
    volume = np.zeros(inside.data.size, np.float32)  # in the order of the file
    with open_to_write(path) as file:
        header.write_to(file)
        for column in values.T:
            volume[places] = column
            file.write(volume.data)
    return Path(path).absolute()


def to_nifti(data: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """Return a nibabel image with sform and qform set."""
    volume = nib.nifti1.Nifti1Image(data, affine)
    volume.header.set_xyzt_units("mm", "sec")
    volume.set_sform(affine, code=1)
    volume.set_qform(affine, code=1)
    return volume
