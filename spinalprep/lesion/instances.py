"""From the probability of a lesion to numbered lesions inside the cord."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.defaults import MIN_LESION_MM3
from spinalprep.image import Image, back_on, on_grid_of, upright

EXTENT = 0.6  # probability down to which a lesion goes
SHORTEST_MM = 4.0  # what is seen in one thin slice alone is more often noise than a lesion
EVERY_NEIGHBOUR = np.ones((3, 3, 3), bool)


def lesion_instances(
    lesion: Image,
    cord: Image,
    threshold: float = 0.5,
    min_mm3: float = MIN_LESION_MM3,
    min_length_mm: float = 0.0,
) -> NDArray[np.int32]:
    """Give every lesion of a cord its number, the largest first.

    Parameters
    ----------
    lesion : Image, shape (I, J, K)
        Probability or mask, any voxel order.
    cord : Image, shape (I, J, K)
        Mask on the same voxels; a lesion may reach one voxel beyond it, in plane.
    threshold : float
        A lesion reaches it somewhere; from there on it goes as far as ``EXTENT``, if that is less.
    min_mm3 : float
        Smaller lesions are dropped.
    min_length_mm : float
        Shorter ones, by their slices, are dropped; see ``SHORTEST_MM``.

    Returns
    -------
    labels : ndarray of int32, shape (I, J, K)
        On the grid of ``lesion``; 0 outside; components of 26 neighbors, 1 the largest; equal
        sizes in LAS voxel order.

    Raises
    ------
    InputError
        If ``cord`` is on another grid.

    Notes
    -----
    In thick slices of a tilted cord the same place of the cord lies several voxels apart in two
    neighboring slices. Where it is more than one voxel, what counts as neighbors is shifted
    along: else a lesion would not touch itself in the next slice, but one beside it.
    """
    given, lesion = lesion, upright(lesion)
    cord = on_grid_of(lesion, cord, "the cord")
    over = (lesion.data >= min(threshold, EXTENT)) & cord_reach(cord)
    found, count = _components(over, cord.data > 0)
    sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
    sure = np.unique(found[over & (lesion.data >= threshold)]) - 1
    kept = [n for n in sure.tolist() if sizes[n] * lesion.voxel_volume >= min_mm3]
    if min_length_mm > 0:
        spans = [where[2].stop - where[2].start for where in ndimage.find_objects(found)]
        kept = [n for n in kept if spans[n] * lesion.voxel_sizes[2] >= min_length_mm]
    kept.sort(key=lambda n: -sizes[n])
    number = np.zeros(count + 1, np.int32)
    for rank, n in enumerate(kept, start=1):
        number[n + 1] = rank
    labels: NDArray[np.int32] = back_on(number[found], given)
    return labels


def cord_reach(cord: Image) -> NDArray[np.bool_]:
    """Return where a lesion may be, (I, J, K): the cord and a voxel around it in axial slices.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask, any voxel order.
    """
    inside = upright(cord).data > 0
    reach: NDArray[np.bool_] = back_on(ndimage.binary_dilation(inside, structure=_plane()), cord)
    return reach


def lesion_volumes(labels: Image) -> list[float]:
    """Return the volume of the lesions 1 to N in mm3."""
    counts = np.bincount(labels.data.astype(np.int64).ravel())[1:]
    return [float(count) * labels.voxel_volume for count in counts]


def share_outside(lesion: Image, cord: Image, threshold: float = 0.5) -> float:
    """Return the share of lesion voxels that lie beyond the cord; 0 where there is no lesion."""
    lesion = upright(lesion)
    cord = on_grid_of(lesion, cord, "the cord")
    over = lesion.data >= threshold
    total = int(over.sum())
    return float((over & ~cord_reach(cord)).sum() / total) if total else 0.0


def _components(mask: NDArray[np.bool_], cord: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Return what touches along the cord, numbered in voxel order, and the count."""
    ijk = np.argwhere(mask)
    if not len(ijk):
        return np.zeros(mask.shape, np.intp), 0
    moved = ijk.copy()
    moved[:, :2] -= _shifts(cord)[ijk[:, 2]]
    moved -= moved.min(axis=0)
    upright = np.zeros(moved.max(axis=0) + 1, bool)
    upright[tuple(moved.T)] = True
    bodies, count = ndimage.label(upright, structure=EVERY_NEIGHBOUR)
    found = np.zeros(mask.shape, np.intp)
    found[mask] = bodies[tuple(moved.T)]
    return found, count


def _shifts(cord: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the voxels, (K, 2), by which slices move so that the cord steps by one at most."""
    every, area = np.arange(cord.shape[2]), cord.sum(axis=(0, 1))
    known = np.flatnonzero(area)
    middles = []
    for axis in (0, 1):
        moment = np.arange(cord.shape[axis]) @ cord.sum(axis=1 - axis)[:, known]
        middles.append(np.interp(every, known, moment / area[known]))
    steps = np.diff(np.stack(middles, axis=-1), axis=0, prepend=[[m[0] for m in middles]])
    excess = np.sign(steps) * np.maximum(np.abs(steps) - 1.0, 0.0)
    return np.cumsum(np.rint(excess), axis=0).astype(np.intp)


def _plane() -> NDArray[np.bool_]:
    """Return the neighbourhood of one axial slice."""
    cross = np.zeros((3, 3, 3), bool)
    cross[:, :, 1] = True
    return cross
