"""Images on another grid, through a transform: all that share a grid in one walk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Float, Image, grid_points, to_voxel, to_world
from spinalprep.registration.transform import Chain, Field, Transform, slabs

Grid = tuple[Sequence[int], Float]
SPARSE = 8  # points of a grid, of which one is asked whether the others are worth it


@dataclass(frozen=True)
class Moving:
    """An image, and how it is resampled.

    Attributes
    ----------
    image : Image
    order : int
        0 nearest (labels), 1 linear, 3 cubic spline.
    threshold : float, optional
        Makes a mask, uint8: 1 where the resampled value is not below it.
    """

    image: Image
    order: int = 1
    threshold: float | None = None


@dataclass(frozen=True)
class _Source:
    """Values that are ready to be interpolated, and the box outside of which all is zero."""

    data: NDArray[np.float32]
    corner: NDArray[np.int_]
    order: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, moving: Moving, outside: float) -> "_Source":
        data, order = moving.image.data, moving.order
        low, high = np.full(3, -0.5), np.array(data.shape) - 0.5
        corner = np.zeros(3, int)
        if order > 1:
            source = ndimage.spline_filter(data.astype(np.float32), order, output=np.float32)
            return cls(source, corner, order, low, high)
        if outside == 0.0:  # interpolated zeros are zero: the box around the others is enough
            filled = [np.flatnonzero(data.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
            if not len(filled[0]):
                return cls(np.zeros((0, 0, 0), np.float32), corner, order, high, low)
            first, last = (np.array([n[end] for n in filled]) for end in (0, -1))
            corner, stop = np.maximum(first - 1, 0), np.minimum(last + 2, data.shape)
            data = data[tuple(slice(a, b) for a, b in zip(corner, stop, strict=True))]
            low, high = np.maximum(first - 1, low), np.minimum(last + 1, high)
        return cls(data.astype(np.float32, copy=False), corner, order, low, high)

    def at(self, ijk: NDArray[np.float64], outside: float) -> NDArray[np.float32]:
        """Return the values at voxels (N, 3) of the image's grid."""
        values = np.full(len(ijk), outside, np.float32)
        near = np.flatnonzero(_between(ijk, self.low, self.high))
        if len(near) and not any(self.data.strides):  # one value, broadcast
            values[near] = self.data[0, 0, 0]
        elif len(near):
            inside = np.clip(ijk[near] - self.corner, 0, np.array(self.data.shape) - 1)
            values[near] = ndimage.map_coordinates(
                self.data, inside.T, order=self.order, prefilter=False
            )
        return values


def resample_through(
    moving: Image, transform: Transform, like: Grid, order: int = 1, outside: float = 0.0
) -> Image:
    """Return ``moving`` on another grid, through ``transform``, with one interpolation.

    Parameters
    ----------
    moving : Image
        The values.
    transform : Transform
        Points of the result's world to points of the world of ``moving``.
    like : tuple of (shape, affine)
        The grid of the result.
    order : int
        0 nearest (labels), 1 linear, 3 cubic spline.
    outside : float
        Value where a point is outside the grid of ``moving``.

    Returns
    -------
    resampled : Image
        float32, shape and affine as in ``like``. As in ITK, a voxel has its value up to its
        faces: half a slice more at each end than between the centers.
    """
    return resample_together([Moving(moving, order)], transform, like, outside)[0]


def resample_together(
    moving: Sequence[Moving], transform: Transform, like: Grid, outside: float = 0.0
) -> list[Image]:
    """Return images of one grid on another, as `resample_through` does, in one walk over it.

    Parameters
    ----------
    moving : sequence of Moving
        All on one grid.
    transform : Transform
    like : tuple of (shape, affine)
    outside : float

    Returns
    -------
    resampled : list of Image
        float32, or uint8 where there is a threshold.

    Raises
    ------
    ValueError
        If the images are not on one grid.
    """
    shape, affine = like
    grid = moving[0].image
    if not all(one.image.same_grid(grid) for one in moving):
        raise ValueError("images that are resampled together must be on one grid")
    sources = [_Source.of(one, outside) for one in moving]
    low = np.min([source.low for source in sources], axis=0)
    high = np.max([source.high for source in sources], axis=0)
    kinds = [np.float32 if one.threshold is None else np.uint8 for one in moving]
    empty = [outside if one.threshold is None else outside >= one.threshold for one in moving]
    results = [np.full(shape, a, kind, "F") for a, kind in zip(empty, kinds, strict=True)]
    for slab, block, at in slabs(shape, affine):
        met = _meeting((block, at), transform, grid, (low, high))
        if met is None:
            continue
        (x, y, z), part, there = met
        ijk = to_voxel(_reached(transform, part, there), grid.affine).reshape(-1, 3)
        seen = np.flatnonzero(_between(ijk, low, high))
        ijk = ijk[seen]
        for one, source, result in zip(moving, sources, results, strict=True):
            values = np.full(int(np.prod(part)), outside, np.float32)
            values[seen] = source.at(ijk, outside)
            found = values if one.threshold is None else values >= one.threshold
            result[x, y, slab][:, :, z] = found.reshape(part)
    return [Image(result, np.asarray(affine, np.float64)) for result in results]


def values_at(
    moving: Image, points: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the values of an image, interpolated linearly, at those of some points inside it.

    Parameters
    ----------
    moving : Image
    points : ndarray, shape (N, 3)
        RAS+ mm.

    Returns
    -------
    values : ndarray of float32, shape (M,)
        At the points inside.
    within : ndarray of bool, shape (N,)
        Which points are: up to the faces of the outer voxels, as for `resample_through`.
    """
    ijk = to_voxel(points, moving.affine)
    within = _between(ijk, np.full(3, -0.5), np.array(moving.shape) - 0.5)
    source = _Source.of(Moving(moving), np.nan)  # the whole of it: no box of what is not zero
    return source.at(ijk[within], 0.0), within


def inside(transform: Transform, moving: Image, like: Grid) -> Image:
    """Return where a resampled image has values: 1 where the point is in ``moving``, else 0."""
    shape, affine = like
    data = np.empty(tuple(shape), np.uint8)
    ends = np.full(3, -0.5), np.array(moving.shape) - 0.5
    for where, block, at in slabs(shape, affine):
        data[:, :, where] = _between(to_voxel(_reached(transform, block, at), moving.affine), *ends)
    return Image(data, np.asarray(affine, np.float64))


def _reached(transform: Transform, shape: Sequence[int], affine: Float) -> NDArray[np.float64]:
    """Map every point of a grid, (I, J, K, 3); fields on parallel axes are read fast."""
    if isinstance(transform, Field):
        moved = transform.on_grid(shape, affine)
        if moved is not None:
            return moved
    if isinstance(transform, Chain) and transform.steps:
        first, *others = transform.steps
        return Chain(tuple(others)).apply(_reached(first, shape, affine))
    return transform.apply(grid_points(shape, affine))


def _between(ijk: Float, low: Float, high: Float) -> NDArray[np.bool_]:
    """Tell which voxels, shape (..., 3), are in a box; the upper faces are not."""
    found = np.ones(ijk.shape[:-1], bool)
    for axis in range(3):
        found &= (ijk[..., axis] >= low[axis]) & (ijk[..., axis] < high[axis])
    return found


def _meeting(
    piece: Grid, transform: Transform, moving: Image, box: tuple[Float, Float]
) -> tuple[tuple[slice, ...], tuple[int, ...], NDArray[np.float64]] | None:
    """Return the part of a piece of a grid that may reach a box, from one point in 512; or None.

    Its slices of the piece, its shape and its affine.
    """
    shape, affine = piece
    few = [np.unique([*range(0, int(n), SPARSE), int(n) - 1]) for n in shape]
    some = np.stack(np.meshgrid(*few, indexing="ij"), axis=-1).astype(np.float64)
    ijk = to_voxel(transform.apply(to_world(some, affine)), moving.affine)
    apart = SPARSE * np.linalg.norm(affine[:3, :3], axis=0).max()
    margin = 2 + 2 * apart / moving.voxel_sizes
    near = _between(ijk, box[0] - margin, box[1] + margin)
    if not near.any():
        return None
    ends = [_ends(np.any(near, axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    part = [(int(n[a]), int(n[b]) + 1) for n, (a, b) in zip(few, ends, strict=True)]
    shifted = np.array(affine, np.float64)
    shifted[:3, 3] = to_world(np.array([start for start, _ in part], float), affine)
    slices = tuple(slice(*ends) for ends in part)
    return slices, tuple(stop - start for start, stop in part), shifted


def _ends(found: Any) -> tuple[int, int]:
    """Return first and last index that is true, one further each way where there is more."""
    first, *_, last = np.repeat(np.flatnonzero(found), 2)
    return max(int(first) - 1, 0), min(int(last) + 1, len(found) - 1)
