"""Whether a file is an image that can be worked on, said in one line when it is not."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.image.checksum import is_damaged
from spinalprep.image.headers import open_header
from spinalprep.image.orient import reorient
from spinalprep.image.volume import (
    LARGEST_VOXEL_MM,
    PAM50_AXES,
    SMALLEST_VOXEL_MM,
    Image,
    header_affine,
    is_voxel_of_mri,
    length_scale,
    world_affine,
)

BYTES_PER_VOXEL = 4 * 8  # float32, and about eight copies alive at once along the chain
LARGEST_SHEAR_DEG = 1.0
GRID_TOLERANCE = 0.3  # voxels; a quaternion rounded to float32 moves a corner by 0.1
POINTER_BYTES = 1024
LARGEST_TURN_DEG, LARGEST_SHIFT_MM = 1.0, 1.0  # between sform and qform, untold

_log = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Checked:
    """An image that passed, and what was odd about it.

    Attributes
    ----------
    image : Image
        Finite float32, LAS.
    warnings : tuple of str
        One line for each thing that was mended or assumed.
    axes : str
        The voxel order that the file had.
    """

    image: Image
    warnings: tuple[str, ...]
    axes: str


def conform(path: Path, mem_gb: float | None = None) -> Image:
    """Read an image file, refuse what can't be worked on, and return it finite and LAS.

    Parameters
    ----------
    path : Path
        A NIfTI file.
    mem_gb : float or None
        Memory that a run may use; a larger image is refused from its header alone.

    Returns
    -------
    image : Image
        float32, voxel order LAS, every value finite. Oddities are logged as warnings;
        `check` returns them instead.

    Raises
    ------
    InputError
        One line: what was got, what was expected, which file, what to do.
    """
    checked = check(path, mem_gb)
    for warning in checked.warnings:
        _log.warning(warning)
    return checked.image


def check(path: Path, mem_gb: float | None = None) -> Checked:
    """Read an image file as `conform` does, and return it with the list of its oddities."""
    volume, notes = _open_intact(Path(path), mem_gb)
    checked = check_loaded(volume, path, mem_gb)
    return replace(checked, warnings=(*notes, *checked.warnings))


def check_loaded(volume: Any, name: Path | str, mem_gb: float | None = None) -> Checked:
    """Check a nibabel image as `check` does a file; ``name`` is what messages call it."""
    warnings = _check_volume(volume, name, mem_gb)
    data, mended = _finite(name, _read(name, volume))
    if data.min() == data.max():
        value = float(data.flat[0])
        said = "is zero everywhere" if value == 0 else f"has the value {value:g} everywhere"
        raise InputError(f"{name} {said}; expected an image: convert or download it again")
    given = Image(data, world_affine(volume))
    return Checked(reorient(given, PAM50_AXES), (*warnings, *mended), given.axes)


def conform_label(path: Path, reference: Image, mem_gb: float | None = None) -> Image:
    """Read a label file that must lie on the grid of an image (LAS), and return it LAS.

    Other than an image, a label may be zero everywhere. Its voxels may be stored in another
    order than the image's; its affine may differ by rounding, and is replaced by the image's.

    Raises
    ------
    InputError
        If the file can't be read, or lies on another grid.
    """
    volume, _ = _open_intact(Path(path), mem_gb)
    return conform_loaded_label(volume, path, reference, mem_gb)


def conform_loaded_label(
    volume: Any, name: Path | str, reference: Image, mem_gb: float | None = None
) -> Image:
    """Bring a nibabel image to the grid of an image, as `conform_label` does a file."""
    _check_volume(volume, name, mem_gb)
    data, _ = _finite(name, _read(name, volume))
    label = reorient(Image(data, world_affine(volume)), reference.axes)
    if not label.same_grid(reference, GRID_TOLERANCE * float(reference.voxel_sizes.min())):
        raise InputError(
            f"{name} is on a different grid from its image ({_grid(label)}; expected "
            f"{_grid(reference)}): resample it onto the image, or remove it"
        )
    return reference.with_data(label.data)


def check_header(path: Path, mem_gb: float | None = None) -> tuple[str, ...]:
    """Refuse a file by its header alone (no voxel is read); return the warnings.

    Raises
    ------
    InputError
        As `conform`, for all that a header can tell.
    """
    volume, notes = _open_volume(Path(path))
    return (*notes, *_check_volume(volume, path, mem_gb))


def _open_volume(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Open a file without reading its voxels; say what was mended in its header."""
    check_presence(path)
    try:
        return open_header(path)
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        raise InputError(_unreadable(path, error)) from error


def _open_intact(path: Path, mem_gb: float | None) -> tuple[Any, tuple[str, ...]]:
    """Open a file of which all voxels will be read; refuse one whose checksum is wrong."""
    volume, notes = _open_volume(path)
    _check_volume(volume, path, mem_gb)  # before anything is decompressed: it may be huge
    try:
        needed = int(np.prod([float(n) for n in volume.shape])) * volume.get_data_dtype().itemsize
    except (AttributeError, ValueError, OverflowError):  # not NIfTI
        return volume, notes
    if is_damaged(path, needed):
        raise InputError(
            f"{path} is damaged (its gzip checksum is wrong); expected the file as it was written: "
            "download or copy it again"
        )
    return volume, notes


def _check_volume(volume: Any, path: Path | str, mem_gb: float | None) -> tuple[str, ...]:
    """Check type, shape, size and affine without reading a voxel; return the warnings."""
    try:
        shape, dtype = tuple(volume.shape), volume.get_data_dtype()
    except Exception as error:  # nibabel reads some headers only now
        raise InputError(_unreadable(path, error)) from error
    _check_type(path, dtype)
    _check_shape(path, shape)
    _check_size(path, shape, mem_gb)
    return _check_affine(path, volume)


def check_presence(path: Path) -> None:
    """Refuse what is no file with content: nothing, a dangling link, a pointer.

    Raises
    ------
    InputError
        One line that says what it is, and how to get the image.
    """
    if path.is_symlink() and not path.exists():
        annexed = "annex" in str(path.readlink())
        what = "is a git-annex link" if annexed else "is a broken link"
        raise InputError(f"{path} {what} without its content; expected the image: {_GET}")
    if not path.exists():
        raise InputError(f"{path} does not exist; expected an image file: check the path")
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected an image file: check the path")
    try:
        with path.open("rb") as stream:
            head = stream.read(POINTER_BYTES)
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes); expected an image: download it again")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a Git LFS pointer; expected the image: run git lfs pull")
    if head.startswith(b"/annex/objects/") or b".git/annex/objects" in head:
        raise InputError(f"{path} is a git-annex pointer; expected the image: {_GET}")


_GET = "run datalad get (or git annex get) on it"


def _check_type(path: Path | str, dtype: np.dtype[Any]) -> None:
    """Refuse colors and complex numbers."""
    if dtype.fields:
        raise InputError(f"{path} contains colors (RGB); expected one number per voxel")
    if np.issubdtype(dtype, np.complexfloating):
        raise InputError(f"{path} contains complex numbers; expected magnitudes: convert it first")


def _check_shape(path: Path | str, shape: tuple[int, ...]) -> None:
    """Refuse what is not one volume of at least two slices along each axis."""
    space, rest = shape[:3], shape[3:]
    if any(length == 0 for length in shape):
        raise InputError(f"{path} has no voxel (shape {_times(shape)}); expected an image")
    if any(length > 1 for length in rest):
        volumes = int(np.prod(rest))
        raise InputError(
            f"{path} has {volumes} volumes (shape {_times(shape)}); expected 1: "
            "extract or average the one to use"
        )
    if len(space) < 3:
        raise InputError(f"{path} is {len(shape)}D (shape {_times(shape)}); expected a 3D image")
    if min(space) == 1:
        raise InputError(
            f"{path} has a single slice (shape {_times(shape)}); expected at least 2 voxels "
            "along each axis: exclude it with --bids-filter-file"
        )


def _check_size(path: Path | str, shape: tuple[int, ...], mem_gb: float | None) -> None:
    """Refuse an image that memory can't hold a few times over."""
    needed = float(np.prod([float(length) for length in shape])) * BYTES_PER_VOXEL / 1e9
    if mem_gb is not None and needed > mem_gb:
        raise InputError(
            f"{path} is too large (shape {_times(shape)} needs about {needed:.1f} GB; the limit "
            f"is {mem_gb:g} GB): raise --mem or crop the image"
        )


def _check_affine(path: Path | str, volume: Any) -> tuple[str, ...]:
    """Refuse an affine that is not finite, not invertible or sheared; return warnings."""
    try:
        affine = world_affine(volume)
    except Exception as error:  # nibabel, for a quaternion that is none
        raise InputError(
            f"{path} has an orientation that cannot be read ({_one_line(error)}); expected an "
            "sform or a qform: correct the header"
        ) from error
    if not np.isfinite(affine).all():
        raise InputError(
            f"{path} has NaN in its affine; expected finite numbers: correct the header"
        )
    axes = affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    if sizes.min() < 1e-6 or abs(np.linalg.det(axes / sizes)) < 1e-6:
        raise InputError(
            f"{path} has a singular affine (voxel sizes {_times(np.round(sizes, 4))} mm); "
            "expected three different axes: correct the header"
        )
    shear = _shear_deg(axes / sizes)
    if shear > LARGEST_SHEAR_DEG:
        raise InputError(
            f"{path} has a sheared affine ({shear:.1f} degrees off the right angle); expected "
            f"at most {LARGEST_SHEAR_DEG:g} degree: resample it onto an orthogonal grid"
        )
    _check_voxel_sizes(path, affine)
    warnings = (_unit_warnings, _orientation_warnings, _agreement_warnings)
    return tuple(line for warn in warnings for line in warn(path, volume))


def _check_voxel_sizes(path: Path | str, affine: NDArray[np.float64]) -> None:
    """Refuse voxels that no MRI of a person has."""
    if not is_voxel_of_mri(affine):
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        raise InputError(
            f"{path} has voxels of {_times(np.round(sizes, 6))} mm; expected {SMALLEST_VOXEL_MM:g} "
            f"to {LARGEST_VOXEL_MM:g} mm: correct the affine, or its unit of length"
        )


def _unit_warnings(path: Path | str, volume: Any) -> tuple[str, ...]:
    """Say when lengths were scaled to mm."""
    scale = length_scale(volume, header_affine(volume))
    if scale == 1.0:
        return ()
    unit = "metres" if scale > 1 else "microns"
    return (f"{path} gives lengths in {unit}; they were converted to mm",)


def _agreement_warnings(path: Path | str, volume: Any) -> tuple[str, ...]:
    """Say when sform and qform, both coded, disagree; a mirror image exchanges left and right."""
    try:
        sform, s_code = volume.header.get_sform(coded=True)
        qform, q_code = volume.header.get_qform(coded=True)
    except Exception:  # not NIfTI, or a quaternion that is none: the sform alone counts
        return ()
    if not s_code or not q_code:
        return ()
    said = f"{path}: sform and qform"
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        return (
            f"{said} are mirror images of each other; the sform is used, and left and right "
            "depend on it: check the side of a known structure, or correct the header",
        )
    turned = _turn_deg(sform[:3, :3], qform[:3, :3])
    middle = np.append((np.array(volume.shape[:3]) - 1) / 2, 1)
    apart = float(np.linalg.norm((sform @ middle - qform @ middle)[:3]))
    apart *= length_scale(volume, sform)
    if turned <= LARGEST_TURN_DEG and apart <= LARGEST_SHIFT_MM:
        return ()
    return (f"{said} differ by {turned:.0f} degrees and {apart:.0f} mm; the sform is used",)


def _turn_deg(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the largest angle between the same axis of two matrices."""
    units = (axes / np.linalg.norm(axes, axis=0) for axes in (one, other))
    first, second = units
    cosines = np.clip((first * second).sum(axis=0), -1.0, 1.0)
    return float(np.rad2deg(np.arccos(cosines)).max())


def _shear_deg(directions: NDArray[np.float64]) -> float:
    """Return how far, at worst, two of three unit columns are from a right angle."""
    cosines = (directions.T @ directions)[np.triu_indices(3, 1)]
    return float(np.rad2deg(np.arcsin(np.clip(np.abs(cosines).max(), 0, 1))))


def _orientation_warnings(path: Path | str, volume: Any) -> tuple[str, ...]:
    """Say when a header gives no orientation, so that one was assumed."""
    coded: list[Callable[[], Any]] = [
        lambda: volume.header["sform_code"],
        lambda: volume.header["qform_code"],
    ]
    try:
        known = any(int(code()) > 0 for code in coded)
    except (KeyError, ValueError, IndexError, TypeError):  # not NIfTI: its affine is its own
        known = True
    if known:
        return ()
    return (f"{path} has neither sform nor qform; its orientation is assumed to be LAS",)


def _read(path: Path | str, volume: Any) -> NDArray[np.float32]:
    """Read the voxels of one volume as float32, shape (I, J, K)."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            data = volume.get_fdata(dtype=np.float32, caching="unchanged")
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory: raise --mem or crop it") from error
    except Exception as error:  # a file cut short raises what zlib, mmap or numpy like
        raise InputError(_unreadable(path, error)) from error
    return np.asarray(data, np.float32).reshape(data.shape[:3])


def _finite(
    path: Path | str, data: NDArray[np.float32]
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Replace NaN and infinite values by zero, and say so; refuse when nothing is left."""
    finite = np.isfinite(data)
    bad = int(finite.size - np.count_nonzero(finite))
    if not bad:
        return data, ()
    if bad == finite.size:
        raise InputError(f"{path} is NaN everywhere; expected an image: convert it again")
    warning = f"{path} has {bad} NaN or infinite voxels of {finite.size}; they are set to 0"
    return np.where(finite, data, np.float32(0)), (warning,)


def _unreadable(path: Path | str, error: Exception) -> str:
    return (
        f"{path} can't be read ({_one_line(error)}); expected a complete NIfTI file: download "
        "or convert it again"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _times(numbers: Any) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def _grid(image: Image) -> str:
    origin = ", ".join(f"{value:.1f}" for value in image.affine[:3, 3])
    sizes = _times(np.round(image.voxel_sizes, 3))
    return f"{_times(image.shape)} voxels of {sizes} mm from ({origin})"
