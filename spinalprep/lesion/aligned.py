"""What another image of a session shows of lesions, on the grid of the reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, on_grid_of, to_world, upright
from spinalprep.lesion.calling import CalledLesions
from spinalprep.lesion.evidence import Evidence
from spinalprep.lesion.instances import cord_reach, lesion_volumes
from spinalprep.registration.resampling import Grid, resample_through
from spinalprep.registration.transform import Transform

FINE = 0.75  # of the image's smallest edge: how far points in a voxel are apart, at most
MOST_POINTS = 8  # a voxel and axis
LEAST_PLACED = 0.25  # of a lesion that has to lie in the cord of the reference
MARGIN = 2  # voxels around the cord of the reference

Labels = NDArray[np.int32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class OwnLesions:
    """Lesions of an image on its own grid.

    Attributes
    ----------
    probability : Image, shape (I, J, K)
        Of a lesion.
    cord : Image, shape (I, J, K)
        Mask.
    called : CalledLesions
    """

    probability: Image
    cord: Image
    called: CalledLesions

    @property
    def soft(self) -> Image:
        """Probability inside the cord without what the image does not bear out."""
        kept = (self.cord.data > 0) & ~self.called.beside_refused()
        return self.probability.with_data(np.where(kept, self.probability.data, 0.0))


@dataclass(frozen=True)
class AlignedLesions:
    """Lesions of an image on the grid of the reference, in LAS voxel order.

    Attributes
    ----------
    name : str
        What the image is called.
    probability : ndarray of float32, shape (I, J, K)
        Of a lesion, without what the image does not bear out; 0 where it is not covered.
    covered : ndarray of bool, shape (I, J, K)
        What the image shows: its field of view, in slices in which it shows the cord.
    labels : ndarray of int32, shape (I, J, K)
        Lesions called in the image, 1 to N; 0 outside.
    evidence : tuple of Evidence
        Of the lesions 1 to N.
    reach_mm : tuple of float
        Half of a voxel of the image along the axes of the grid: how well it knows where a lesion
        ends.
    beyond_mm3 : tuple of float
        Volumes of the lesions that are not in ``labels``, for the cord of the reference is not
        there.
    """

    name: str
    probability: NDArray[np.float32]
    covered: NDArray[np.bool_]
    labels: Labels
    evidence: tuple[Evidence, ...]
    reach_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    beyond_mm3: tuple[float, ...] = ()


def align_lesions(
    name: str, own: OwnLesions, to_image: Transform, reference_cord: Image
) -> AlignedLesions:
    """Bring the lesions of an image to the grid of the reference.

    Parameters
    ----------
    name : str
        What the image is called.
    own : OwnLesions
    to_image : Transform
        Points of the reference to points of the image, RAS+ mm.
    reference_cord : Image, shape (I, J, K)
        Mask, in any voxel order; a lesion may reach one voxel beyond it, in plane.

    Returns
    -------
    aligned : AlignedLesions
        Nothing is covered where the reference has no cord.

    Notes
    -----
    A voxel of the reference has the mean over points inside it, so that a thick one misses no thin
    voxels of the image. A lesion gets the voxels that it fills most, as many as its volume in the
    reference's cord asks for, and at least one: volumes stay what they are. It has to lie there
    with a quarter of its volume.
    """
    reference = upright(reference_cord)
    if not (reference.data > 0).any():
        nothing = np.zeros(reference.shape)
        blank = nothing.astype(np.float32), nothing > 0, nothing.astype(np.int32)
        return AlignedLesions(name, *blank, ())
    labels, soft = (upright(own.probability.with_data(own.called.labels)), upright(own.soft))
    cord = on_grid_of(labels, own.cord, "the cord")
    box = _box(reference.data > 0)
    grid = _grid(box, reference)
    points = _points(labels, to_image, grid)
    in_slices = np.broadcast_to((cord.data > 0).any(axis=(0, 1)), labels.shape)
    shown = labels.with_data(in_slices.astype(np.float32))
    covered = resample_through(shown, to_image, grid, order=0).data > 0
    probability = np.where(covered, _means(soft, to_image, grid, points), 0.0)
    placed, beyond = _placed(labels, (to_image, grid, points), cord_reach(reference)[box])

    def put(values: NDArray[Any]) -> NDArray[Any]:
        whole = np.zeros(reference.shape, values.dtype)
        whole[box] = values
        return whole

    return AlignedLesions(
        name,
        put(probability.astype(np.float32)),
        put(covered),
        put(placed),
        own.called.evidence,
        _reach(labels, to_image, reference),
        beyond,
    )


def _box(mask: NDArray[np.bool_]) -> Box:
    """Return what is around a mask."""
    ijk = np.argwhere(mask)
    low = np.maximum(ijk.min(axis=0) - MARGIN, 0)
    high = np.minimum(ijk.max(axis=0) + MARGIN + 1, mask.shape)
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


def _grid(box: Box, reference: Image) -> Grid:
    """Return the grid of a part of the reference."""
    affine = reference.affine.copy()
    affine[:3, 3] = to_world(np.array([float(part.start) for part in box]), reference.affine)
    return tuple(part.stop - part.start for part in box), affine


def _points(image: Image, to_image: Transform, grid: Grid) -> tuple[int, ...]:
    """Return how many points of a voxel are looked at, along each axis."""
    edges = np.linalg.norm(_edges(to_image, grid), axis=0)
    needed = np.ceil(edges / (FINE * float(image.voxel_sizes.min()))).astype(int)
    return tuple(int(n) for n in np.clip(needed, 1, MOST_POINTS))


def _edges(to_image: Transform, grid: Grid) -> NDArray[np.float64]:
    """Return the edges of a voxel in the middle of a grid, as columns, in the image's world."""
    middle = (np.array(grid[0]) - 1) / 2
    ijk = middle + np.concatenate([np.zeros((1, 3)), np.eye(3)])
    moved = to_image.apply(to_world(ijk, grid[1]))
    edges: NDArray[np.float64] = (moved[1:] - moved[0]).T
    return edges


def _means(
    image: Image, to_image: Transform, grid: Grid, points: tuple[int, ...], order: int = 1
) -> NDArray[np.float32]:
    """Return the mean of an image over the points inside every voxel of a grid."""
    shape, affine = grid
    step = np.diag([*(1.0 / np.array(points)), 1.0])
    step[:3, 3] = (1.0 / np.array(points) - 1.0) / 2
    fine = tuple(n * m for n, m in zip(shape, points, strict=True))
    values = resample_through(image, to_image, (fine, affine @ step), order=order).data
    blocks = [size for pair in zip(shape, points, strict=True) for size in pair]
    means: NDArray[np.float32] = values.reshape(blocks).mean(axis=(1, 3, 5))
    return means


def _placed(
    labels: Image, way: tuple[Transform, Grid, tuple[int, ...]], reach: NDArray[np.bool_]
) -> tuple[Labels, tuple[float, ...]]:
    """Give every lesion its voxels; return them, and the volumes of those that have none."""
    to_image, grid, points = way
    voxel_mm3 = abs(float(np.linalg.det(grid[1][:3, :3])))
    placed, best = np.zeros(reach.shape, np.int32), np.zeros(reach.shape, np.float32)
    beyond = []
    for number, volume in enumerate(lesion_volumes(labels), start=1):
        alone = labels.with_data((labels.data == number).astype(np.float32))
        share = np.where(reach, _means(alone, to_image, grid, points, order=0), 0.0)
        there = float(share.sum()) * voxel_mm3
        if there < LEAST_PLACED * volume:
            beyond.append(volume)
            continue
        mine = _fullest(share, max(round(there / voxel_mm3), 1)) & (share > best)
        placed[mine], best[mine] = number, share[mine]
    return placed, tuple(beyond)


def _fullest(share: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Return the voxels with the largest shares; of equal ones those nearest to the middle."""
    ijk = np.argwhere(share > 0)
    values = share[tuple(ijk.T)]
    apart = np.linalg.norm(ijk - np.average(ijk, axis=0, weights=values), axis=1)
    mine = ijk[np.lexsort((apart, -values.round(4)))[:count]]
    chosen = np.zeros(share.shape, bool)
    chosen[tuple(mine.T)] = True
    return chosen


def _reach(image: Image, to_image: Transform, reference: Image) -> tuple[float, ...]:
    """Return half of a voxel of the image along the axes of the reference, in mm."""
    edges = _edges(to_image, (reference.shape, reference.affine))  # a voxel of the reference
    own = np.linalg.solve(edges, image.affine[:3, :3])  # the image's voxel, in those
    halves = np.abs(own).max(axis=1) * reference.voxel_sizes / 2
    return tuple(float(half) for half in halves)
