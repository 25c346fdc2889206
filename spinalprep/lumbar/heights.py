"""The height of a disc: between the middles of its end plates, across its own plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, to_world
from spinalprep.lumbar.structures import VERTEBRAE

Array = NDArray[np.float64]

BIN_MM = 2.0  # to the front, of the surfaces
ROUNDS = 3  # of turning the frame to the surfaces found in it
MIDDLE_WIDTH = 0.5  # share of the width of the disc, about its middle plane
MIDDLE_DEPTH = 1 / 3  # share of the depth of the end plate, about its middle
ABOVE_MM = (3.0, 8.0)  # above the disc, where the depth of the vertebra is looked for
LEAST_BONE = 0.5  # of a column there
LEAST_DEPTH_MM = 15.0  # of an end plate; less was not seen as a whole
REACH_MM = 15.0  # above and below the plane of the disc
TRIMMED = 0.02  # of the voxels at either end, for extents
LEAST_BINS = 4


@dataclass(frozen=True)
class _Frame:
    """Sagittal frame of a disc: ``origin`` (y, z), unit vectors to the front and upwards."""

    origin: Array
    front: Array
    up: Array

    def of(self, points: Array) -> Array:
        """Return (u, h) of points (N, 3)."""
        away = points[:, 1:] - self.origin
        return np.stack([away @ self.front, away @ self.up], axis=1)


def disc_height(mask: NDArray[np.bool_], structures: Image, way: Array) -> float:
    """Return the mean height of a disc in its middle, in mm.

    Parameters
    ----------
    mask : ndarray of bool, shape (I, J, K)
        The disc.
    structures : Image of int
        See `structures.STRUCTURES`; any voxel order.
    way : ndarray, shape (3,)
        Direction of the spine there, upwards, RAS+.

    Returns
    -------
    height : float
        Volume over area, within the middle half of its width and the middle third of the depth of
        the end plate above it, or of its own depth where that vertebra is not seen.

    Notes
    -----
    A wedge is as high as in its middle, and one that is open in front only, as between a steep
    sacrum and the vertebra on it, is flat. Heights are measured across the plane halfway between
    both end plates, whatever the direction of the spine.
    """
    across = int(np.argmax(np.abs(structures.affine[0, :3] / structures.voxel_sizes)))
    pitch = float(structures.voxel_sizes[across])  # of sagittal slices
    voxels = np.argwhere(mask)
    low, high = np.quantile(voxels[:, across], [TRIMMED, 1 - TRIMMED])
    half = max(MIDDLE_WIDTH * (high - low) / 2, 0.51)
    planes = np.unique(voxels[:, across])
    planes = planes[np.abs(planes - (low + high) / 2) <= half]
    inner = _points(voxels, structures, across, planes)
    frame = _frame(inner, way)
    bone = _points(np.argwhere(structures.data == VERTEBRAE), structures, across, planes)
    per_mm2 = structures.voxel_volume / (pitch * len(planes))  # area of a voxel as seen from aside
    u0, depth = _end_plate(bone, per_mm2, frame, inner)
    u, h = frame.of(inner).T
    pixel = np.sqrt(structures.voxel_volume / pitch)
    share = np.clip((MIDDLE_DEPTH * depth / 2 - np.abs(u - u0)) / pixel + 0.5, 0.0, 1.0)
    return float(share[np.abs(h) < REACH_MM].sum()) * per_mm2 / (MIDDLE_DEPTH * depth)


def _points(voxels: NDArray[np.intp], like: Image, across: int, planes: NDArray[np.intp]) -> Array:
    """Return where the voxels of some slices are, RAS+ mm."""
    return to_world(voxels[np.isin(voxels[:, across], planes)].astype(float), like.affine)


def _frame(points: Array, way: Array) -> _Frame:
    """Return the frame whose plane lies halfway between the surfaces of a disc."""
    up = np.asarray(way[1:] / np.linalg.norm(way[1:]), float)
    for _ in range(ROUNDS):
        frame = _Frame(points[:, 1:].mean(axis=0), np.array([up[1], -up[0]]), up)
        surfaces = _surfaces(frame.of(points))
        if surfaces is None:
            break
        turn = float(np.mean([np.arctan(slope) for slope, _ in surfaces]))
        up = np.cos(turn) * frame.up - np.sin(turn) * frame.front
    return _Frame(frame.origin, np.array([up[1], -up[0]]), up)


def _surfaces(at: Array) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Fit lines h(u) to the lower and the upper surface of a disc; None where it is too short."""
    low, high = np.quantile(at[:, 0], [0.05, 0.95])
    bins = np.floor((at[:, 0] - low) / BIN_MM).astype(int)
    places = range(int((high - low) / BIN_MM))
    rows = [
        (low + (n + 0.5) * BIN_MM, *np.quantile(at[bins == n, 1], [0.03, 0.97]))
        for n in places
        if (bins == n).any()
    ]
    if len(rows) < LEAST_BINS:
        return None
    u, lower, upper = np.array(rows).T
    (a, b), (c, d) = (np.polyfit(u, surface, 1) for surface in (lower, upper))
    return (float(a), float(b)), (float(c), float(d))


def _end_plate(bone: Array, area: float, frame: _Frame, disc: Array) -> tuple[float, float]:
    """Return middle and depth of the end plate above a disc, to the front, in its frame.

    Parameters
    ----------
    bone, disc : ndarray, shape (N, 3)
        Voxels of the vertebrae and of the disc, RAS+ mm.
    area : float
        That a voxel stands for in the mean over the slices, in mm2.
    frame : _Frame
        Of the disc.
    """
    own = np.quantile(frame.of(disc)[:, 0], [TRIMMED, 1 - TRIMMED])
    fallback = float(own.mean()), float(own[1] - own[0])
    surfaces = _surfaces(frame.of(disc))
    if surfaces is None:
        return fallback
    slope, level = surfaces[1]
    u, h = frame.of(bone).T
    above = h - level - slope * u
    along = u[(above > ABOVE_MM[0]) & (above < ABOVE_MM[1])]
    edges = np.arange(fallback[0] - 50.0, fallback[0] + 50.0 + BIN_MM, BIN_MM)
    full = (ABOVE_MM[1] - ABOVE_MM[0]) * BIN_MM
    there = np.histogram(along, edges)[0] * area > LEAST_BONE * full
    middle = int(np.argmin(np.abs(edges[:-1] + BIN_MM / 2 - fallback[0])))
    gaps = np.flatnonzero(~there)
    first = int(gaps[gaps <= middle].max(initial=-1)) + 1
    last = int(gaps[gaps >= middle].min(initial=len(there)))
    depth = float(edges[last] - edges[first])
    if depth < LEAST_DEPTH_MM:  # none where there is no bone above the middle of the disc
        return fallback
    return float(edges[first] + edges[last]) / 2, depth
