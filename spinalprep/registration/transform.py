"""From one frame to another: affine, dense and chained maps of points, and their ITK files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.errors import InputError
from spinalprep.image import Float, grid_points, to_voxel, to_world
from spinalprep.image.gzipped import read_volume, write_volume

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's world from RAS+, and back
NIFTI_VECTOR = 1007
POINTS_AT_ONCE = 250_000
PARALLEL = 1e-6  # of a field's voxel, by which axes may drift apart over a grid
STORED_MM = 2.0**-10  # to which displacements are rounded in files, half as large then
FAR_STEP = 4  # grid points; far from the cord a map is nearly straight
NEAR_MM = 14.0  # of the cord, where sections are deformed
BALANCED_MM = 10.0  # and where the cord itself is
BALANCE, BALANCE_ROUNDS = 0.5, 2  # tried on real cords


class Transform(Protocol):
    """A map of points that resamples: from the grid of the result to the image's world."""

    def apply(self, points: Float) -> NDArray[np.float64]:
        """Map RAS+ points of the target, shape (..., 3), to RAS+ points of the moving image."""
        ...


@dataclass(frozen=True)
class Affine:
    """A linear map of points and a shift.

    Attributes
    ----------
    matrix : ndarray of float64, shape (4, 4)
        RAS+ millimeters of the target (fixed) image to those of the moving image.

    Examples
    --------
    >>> shift = Affine(np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    >>> shift.apply(np.zeros(3)), shift.inverse().apply(np.zeros(3))
    (array([5., 0., 0.]), array([-5., 0., 0.]))
    """

    matrix: NDArray[np.float64]

    @classmethod
    def identity(cls) -> "Affine":
        """Return the map that leaves every point where it is."""
        return cls(np.eye(4))

    def apply(self, points: Float) -> NDArray[np.float64]:
        """Map points, shape (..., 3)."""
        moved: NDArray[np.float64] = points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return moved

    def inverse(self) -> "Affine":
        """Return the map of the other direction."""
        return Affine(np.asarray(np.linalg.inv(self.matrix), np.float64))


@dataclass(frozen=True)
class Field:
    """A displacement at every voxel of a grid, linear in between, constant outside.

    Attributes
    ----------
    displacement : ndarray of float32, shape (I, J, K, 3)
        RAS+ millimeters to add to a point of the target to reach the moving image.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices of the field to RAS+ millimeters of the target.
    """

    displacement: NDArray[np.float32]
    affine: NDArray[np.float64]

    def apply(self, points: Float) -> NDArray[np.float64]:
        """Map points, shape (..., 3); outside the grid the nearest displacement holds."""
        ijk = to_voxel(np.reshape(points, (-1, 3)), self.affine).T
        shifts = [
            ndimage.map_coordinates(
                self.displacement[..., axis], ijk, output=np.float64, order=1, mode="nearest"
            )
            for axis in range(3)
        ]
        moved: NDArray[np.float64] = points + np.stack(shifts, axis=-1).reshape(points.shape)
        return moved

    def as_saved(self) -> "Field":
        """Return the field as its file keeps it: displacements are rounded to 1/1024 mm."""
        step = np.float32(STORED_MM)
        affine = np.asarray(np.asarray(self.affine, np.float32), np.float64)
        return Field(np.rint(self.displacement / step) * step, affine)

    def on_grid(self, shape: Sequence[int], affine: Float) -> NDArray[np.float64] | None:
        """Map every point of a grid whose axes are those of the field, (I, J, K, 3); else None.

        The same as `apply`, axis by axis: a tenth of the time.
        """
        step = np.linalg.inv(self.affine) @ affine
        across = step[:3, :3] - np.diag(np.diag(step[:3, :3]))
        if np.abs(across).max() * max(shape) > PARALLEL:
            return None
        shifts: NDArray[Any] = self.displacement
        for axis in (2, 1, 0):
            last = shifts.shape[axis] - 1
            at = np.clip(step[axis, 3] + step[axis, axis] * np.arange(shape[axis]), 0, last)
            low = np.minimum(at.astype(int), max(last - 1, 0))
            share = (at - low).reshape([-1 if n == axis else 1 for n in range(4)])
            rows = (slice(None),) * axis
            below = shifts[(*rows, low)].astype(np.float64, copy=False)
            shifts = shifts[(*rows, np.minimum(low + 1, last))].astype(np.float64, copy=False)
            shifts -= below
            shifts *= share
            shifts += below
        shifts += grid_points(shape, affine)
        return shifts


@dataclass(frozen=True)
class Chain:
    """Several maps, one after the other; the first is applied first to the points."""

    steps: tuple[Transform, ...]

    def apply(self, points: Float) -> NDArray[np.float64]:
        """Map points, shape (..., 3)."""
        moved = np.asarray(points, np.float64)
        for step in self.steps:
            moved = step.apply(moved)
        return moved


def as_field(
    transform: Transform, shape: Sequence[int], affine: Float, near: Float | None = None
) -> Field:
    """Return ``transform`` as displacements on the grid of ``shape`` and ``affine``.

    Parameters
    ----------
    transform : Transform
    shape, affine
        The grid.
    near : ndarray of float, shape (N, 3), optional
        RAS+ points. Farther than 14 mm from all of them the displacement is computed at every
        fourth point of the grid and linear in between.
    """
    displacement = np.empty((*shape, 3), np.float32)
    if near is not None:
        step = np.diag([float(FAR_STEP)] * 3 + [1.0])
        coarse = [(int(n) - 2) // FAR_STEP + 2 for n in shape]
        rough = as_field(transform, coarse, affine @ step).displacement
        for axis, count in enumerate(shape):
            rough = _between(rough, int(count), axis)
        places = _close(shape, affine, near)
        for start in range(0, len(places), POINTS_AT_ONCE):
            some = places[start : start + POINTS_AT_ONCE]
            points = to_world(some.astype(float), affine)
            rough[tuple(some.T)] = transform.apply(points) - points
        return Field(rough, np.asarray(affine, np.float64))
    for where, block, at in slabs(shape, affine):
        points = grid_points(block, at)
        displacement[:, :, where] = transform.apply(points) - points
    return Field(displacement, np.asarray(affine, np.float64))


def balanced(field: Field, transform: Transform, near: Float) -> Field:
    """Share out what linear interpolation misses, between the points of a field and their middles.

    Parameters
    ----------
    field : Field
        Exact at its points.
    transform : Transform
        What it stands for.
    near : ndarray of float, shape (N, 3)
        RAS+ points; farther than 10 mm from all of them nothing changes.

    Returns
    -------
    balanced : Field
        Off by about half as much at worst: each point takes half of the mean that is missing in
        the middles of the eight cells around it, twice.
    """
    shape = np.array(field.displacement.shape[:3])
    cells = _close(shape - 1, field.affine, near, BALANCED_MM)
    middles = to_world(cells + 0.5, field.affine)
    tree = scipy.spatial.cKDTree(near)
    close = tree.query(middles, distance_upper_bound=BALANCED_MM)[0] <= BALANCED_MM
    cells, middles = cells[close], middles[close]
    true = transform.apply(middles)
    shared = Field(field.displacement.copy(), field.affine)
    flat = shared.displacement.reshape(-1, 3)
    for _ in range(BALANCE_ROUNDS):
        missing = (BALANCE / 8 * (true - shared.apply(middles))).astype(np.float32)
        for corner in np.ndindex(2, 2, 2):
            flat[np.ravel_multi_index(tuple((cells + corner).T), tuple(shape))] += missing
    return shared


def _close(
    shape: Sequence[int] | NDArray[np.int_], affine: Float, near: Float, reach_mm: float = NEAR_MM
) -> NDArray[np.intp]:
    """Return the indices of a grid in blocks that come within a distance of points, (M, 3)."""
    blocks = tuple(-(-int(n) // FAR_STEP) for n in shape)
    middle = (FAR_STEP - 1) / 2
    centres = to_world(np.indices(blocks).reshape(3, -1).T * float(FAR_STEP) + middle, affine)
    reach = reach_mm + float(np.linalg.norm(affine[:3, :3].sum(axis=1))) * middle
    away, _ = scipy.spatial.cKDTree(near).query(centres, distance_upper_bound=reach)
    close = (away <= reach).reshape(blocks)
    for axis in range(3):
        close = np.repeat(close, FAR_STEP, axis=axis)
    found: NDArray[np.intp] = np.argwhere(close[: shape[0], : shape[1], : shape[2]])
    return found


def _between(values: NDArray[np.float32], count: int, axis: int) -> NDArray[np.float32]:
    """Interpolate rows that are four steps apart, along an axis, at ``count`` steps."""
    low = np.minimum(np.arange(count) // FAR_STEP, values.shape[axis] - 2)
    share = (np.arange(count) / FAR_STEP - low).astype(np.float32)
    share = share.reshape([-1 if n == axis else 1 for n in range(values.ndim)])
    between: NDArray[np.float32] = np.take(values, low, axis)
    between += share * (np.take(values, low + 1, axis) - between)
    return between


def jacobian_determinant(field: Field) -> NDArray[np.float64]:
    """Return the local change of volume (target to moving) at each voxel, shape (I, J, K)."""
    to_ijk = np.linalg.inv(field.affine[:3, :3])
    by_ijk = [np.gradient(field.displacement.astype(np.float64), axis=axis) for axis in range(3)]
    rows = [sum(by_ijk[a] * to_ijk[a, b] for a in range(3)) for b in range(3)]
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = (np.moveaxis(row, -1, 0) for row in rows)
    xx, yy, zz = xx + 1, yy + 1, zz + 1
    determinant: NDArray[np.float64] = (
        xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx)
    )
    return determinant


def write_itk(transform: Affine | Field, path: Path) -> Path:
    """Write a transform for ITK and ANTs (LPS): an affine as text, a field as NIfTI.

    Parameters
    ----------
    transform : Affine or Field
        What `as_field` returns for a chain. Displacements are rounded to 1/1024 mm.
    path : Path
        ``.txt`` or ``.tfm`` for an affine; ``.nii.gz`` or ``.nii`` for a field.

    Returns
    -------
    path : Path
        The absolute path.
    """
    path = Path(path)
    if isinstance(transform, Affine):
        matrix = LPS @ transform.matrix @ LPS
        numbers = [*matrix[:3, :3].ravel(), *matrix[:3, 3]]
        path.write_text(
            "#Insight Transform File V1.0\n#Transform 0\n"
            "Transform: AffineTransform_double_3_3\n"
            f"Parameters: {' '.join(f'{number:.17g}' for number in numbers)}\n"
            "FixedParameters: 0 0 0\n"
        )
        return path.absolute()
    finest = (STORED_MM * np.diag(LPS)[:3]).astype(np.float32)
    vectors = np.empty(transform.displacement.shape, np.float32, order="F")  # as files are
    for axis in range(3):
        vectors[..., axis] = np.rint(transform.displacement[..., axis] / finest[axis])
        vectors[..., axis] *= np.abs(finest[axis])
    volume = nib.nifti1.Nifti1Image(vectors[:, :, :, None, :], transform.affine)
    volume.header.set_intent(NIFTI_VECTOR)
    volume.header.set_xyzt_units("mm", "sec")
    volume.set_sform(transform.affine, code=1)
    volume.set_qform(transform.affine, code=1)
    write_volume(volume, path)
    return path.absolute()


def read_itk(path: Path) -> Affine | Field:
    """Read an affine (``.txt``, ``.tfm``, ``.mat``) or a displacement field (NIfTI) of ITK.

    Raises
    ------
    InputError
        If the file holds neither.
    """
    path = Path(path)
    try:
        if path.suffix in {".txt", ".tfm"}:
            return _affine_of(*_parse_text(path.read_text()))
        if path.suffix == ".mat":
            return _affine_of(*_parse_matlab(scipy.io.loadmat(path)))
        return _read_field(path)
    except Exception as error:  # nibabel, scipy, zlib and the file system raise a dozen kinds
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} can't be read as a transform ({why}); expected an ITK affine "
            "(.txt, .tfm, .mat) or a displacement field (.nii.gz)"
        ) from error


def _read_field(path: Path) -> Field:
    """Read ITK's displacement field, shape (I, J, K, 1, 3)."""
    volume = read_volume(path)
    if len(volume.shape) != 5 or volume.shape[3:] != (1, 3):
        raise ValueError(f"shape {volume.shape}, not (I, J, K, 1, 3)")
    if 0 in volume.shape:  # interpolating in it would crash the process
        raise ValueError(f"shape {volume.shape}: no voxels")
    vectors = np.asarray(volume.dataobj, np.float32)[:, :, :, 0, :]
    vectors *= np.diag(LPS)[:3].astype(np.float32)
    affine = np.asarray(volume.affine)
    if not (np.isfinite(vectors).all() and np.isfinite(affine).all() and np.linalg.det(affine)):
        raise ValueError("numbers that are not finite, or a singular affine")
    return Field(vectors, affine)


def _parse_text(text: str) -> tuple[Float, Float]:
    """Return parameters and fixed parameters of ITK's text format."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    numbers = [np.array(fields[key].split(), float) for key in ("Parameters", "FixedParameters")]
    return numbers[0], numbers[1]


def _parse_matlab(content: dict[str, Any]) -> tuple[Float, Float]:
    """Return parameters and fixed parameters of ITK's MATLAB format."""
    parameters = next(content[key] for key in content if "Transform_" in key)
    return np.asarray(parameters, float).ravel(), np.asarray(content["fixed"], float).ravel()


def _affine_of(parameters: Float, centre: Float) -> Affine:
    """Return ITK's ``x -> M (x - c) + t + c`` (LPS) as a map of RAS+ points."""
    if parameters.size != 12 or centre.size != 3:
        raise ValueError(f"{parameters.size} parameters, not the 12 of an affine")
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    with np.errstate(all="ignore"):
        matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    if not np.isfinite(matrix).all():
        raise ValueError("numbers that are not finite")
    return Affine(LPS @ matrix @ LPS)


def slabs(
    shape: Sequence[int], affine: Float
) -> Iterator[tuple[slice, tuple[int, int, int], NDArray[np.float64]]]:
    """Yield pieces of a grid along its third axis, a quarter of a million points at a time.

    Yields
    ------
    where : slice
        Of the third axis.
    shape, affine
        Of the piece, a grid in its own right.
    """
    step = max(1, POINTS_AT_ONCE // max(1, int(shape[0]) * int(shape[1])))
    for start in range(0, int(shape[2]), step):
        stop = min(start + step, int(shape[2]))
        shifted = np.array(affine, np.float64)
        shifted[:3, 3] += affine[:3, 2] * start
        yield slice(start, stop), (int(shape[0]), int(shape[1]), stop - start), shifted
