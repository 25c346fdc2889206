"""The outline of the cord, put on the edge between cord and fluid that the image shows.

A network draws what its training drew, and may lie a tenth of a millimeter inside or outside the
visible edge: per cent of the area. One distance per stretch of cord, from the median of hundreds of
profiles across the outline, moves the level set of the whole soft mask; where the image shows no
such edge, nothing is moved.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.edge import (
    FROM_MM,
    LEAST_PIXELS,
    SPACING_MM,
    SURE,
    TO_MM,
    outline_of,
    pixel_noise,
    read_along,
    section_box,
)
from spinalprep.cord.section import HALF, cord_sections
from spinalprep.image import Image, back_on, on_grid_of, upright

Array = NDArray[np.float64]

STRETCH_MM = 30.0  # of cord that is moved by one distance
BETWEEN_MM = 10.0  # from one stretch to the next; in between the distance is interpolated
REACH_MM, STEP_MM = 1.5, 0.25  # of a profile, to either side
ARC_MM = 2.0  # of the outline over which a profile is averaged
INNER_MM = 1.0  # and more inside the outline a profile is cord alone
CLEAR = 0.5  # of the usual step of the image, which a profile must reach to count
LEAST_SHARE = 0.3  # of the profiles of a stretch that must count
LEAST_PROFILES = 60
MOST_MM = 0.3  # that an outline is moved
WRONG_MM = 0.6  # an outline so far off the edge is wrong in some other way, and left alone
SMOOTH_MM = 0.7  # SD of the Gaussian whose gradient points out of the cord
FAINT = 0.005  # probability under which there is nothing to move
AT: Array = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM).astype(np.float64)


@dataclass(frozen=True)
class MovedOutline:
    """How far an outline was moved, over the slices of the cord.

    Attributes
    ----------
    median_mm, least_mm, most_mm : float
        Outwards.
    evident : float
        Share of the stretches of cord in which the image shows the edge.
    """

    median_mm: float
    least_mm: float
    most_mm: float
    evident: float


@dataclass(frozen=True)
class EdgeShift:
    """By how much an outline was moved.

    Attributes
    ----------
    offset : ndarray of float, shape (K,)
        Of every axial slice, counted upwards from 0: mm outwards; 0 where nothing is moved.
    slices : ndarray of int, shape (N,)
        Those with an outline.
    evident : float
        Share of the stretches of cord in which the image shows the edge.
    """

    offset: Array
    slices: NDArray[np.intp]
    evident: float

    def summary(self) -> MovedOutline:
        """Return how far the outline was moved, to a thousandth of a millimeter."""
        own = self.offset[self.slices] if len(self.slices) else np.zeros(1)
        middle, least, most = (round(float(f(own)), 3) for f in (np.median, np.min, np.max))
        return MovedOutline(middle, least, most, round(self.evident, 3))


@dataclass(frozen=True)
class _Profiles:
    """Profiles across the outline of one section: (N, len(AT)); their steps, and the error."""

    values: Array
    step: Array
    error: float


def visible_edge(image: Image, cord: Image) -> EdgeShift:
    """Measure how far outside its outline a cord is seen to end.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    cord : Image, shape (I, J, K)
        Probability of the cord, on the same voxels in any order.

    Returns
    -------
    shift : EdgeShift
        In every stretch of 30 mm, the distance from the outline at which the median profile passes
        half of its step from cord to fluid, at most 0.3 mm; between stretches interpolated. A
        profile counts if it steps in the direction that is usual in this image, by three standard
        errors and by half of the usual step. A stretch in which less than three tenths of the
        profiles count is not moved, nor one whose outline is more than 0.6 mm off the edge.

    Raises
    ------
    InputError
        If the two do not have the same voxels.

    Notes
    -----
    The half-way point of the step between two tissues is where a voxel is half of each, whatever
    the point spread, as long as both sides are blurred alike; see `outline.measure_outline`.
    """
    image = upright(image)
    found = _profiles(image, cord_sections(on_grid_of(image, cord, "the cord").data))
    offset = np.zeros(image.shape[2])
    if not found:
        return EdgeShift(offset, np.zeros(0, np.intp), 0.0)
    usual = float(np.median(np.concatenate([one.step for one in found.values()])))
    thick = float(image.voxel_sizes[2])
    slices = np.array(sorted(found))
    count = max(round((slices[-1] - slices[0]) * thick / BETWEEN_MM), 1) + 1
    middles = np.linspace(slices[0] * thick, slices[-1] * thick, count)
    moved = np.zeros(count)
    evident = np.zeros(count, bool)
    for n, middle in enumerate(middles):
        near = slices[np.abs(slices * thick - middle) <= STRETCH_MM / 2]
        distance = _half_step([found[int(k)] for k in near], usual)
        if distance is not None and abs(distance) <= WRONG_MM:
            moved[n], evident[n] = np.clip(distance, -MOST_MM, MOST_MM), True
    offset[slices] = np.interp(slices * thick, middles, moved)
    return EdgeShift(offset, slices, float(evident.mean()))


def move_outline(cord: Image, volumes: list[Image], shift: EdgeShift) -> list[NDArray[np.float32]]:
    """Move the outline of a cord, and all that is known of its edge.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Probability of the cord, any voxel order.
    volumes : list of Image
        What is moved along with it, on the same voxels in the same order: ``cord`` itself, its
        standard deviation.
    shift : EdgeShift
        From `visible_edge`.

    Returns
    -------
    moved : list of ndarray of float32, shape (I, J, K)
        Each voxel has the value that lay so far inside it, along the normal of the outline in the
        axial plane; interpolated by cubic splines, and kept within the values of its neighbors, so
        that the edge stays as sharp as it was.
    """
    standing = upright(cord)
    kept = [upright(volume).data.copy() for volume in volumes]
    pitch = np.asarray(standing.voxel_sizes[:2], float)
    for k in np.flatnonzero(shift.offset):
        section = standing.data[:, :, k]
        if not (section > FAINT).any():
            continue
        box = section_box(section > FAINT, pitch)
        normal = _outwards(section[box].astype(np.float64), pitch)
        where = np.indices(normal.shape[1:]) - shift.offset[k] * normal / pitch[:, None, None]
        for volume in kept:
            plane = volume[:, :, k][box].astype(np.float64)
            moved = ndimage.map_coordinates(plane, where, order=3, mode="nearest")
            least, most = ndimage.minimum_filter(plane, 3), ndimage.maximum_filter(plane, 3)
            volume[:, :, k][box] = np.clip(moved, least, most)
    return [
        np.ascontiguousarray(back_on(data, volume), np.float32)
        for data, volume in zip(kept, volumes, strict=True)
    ]


def _profiles(image: Image, weights: Array) -> dict[int, _Profiles]:
    """Return the profiles across the outline of every section that is long enough."""
    level = HALF * float(weights.max(initial=0.0))
    pitch = np.asarray(image.voxel_sizes[:2], float)
    first = max(FROM_MM, LEAST_PIXELS * float(pitch.max()))
    outside, inside = first <= AT, -first >= AT
    window = max(round(ARC_MM / SPACING_MM), 1)
    pixels = max(ARC_MM * (TO_MM - FROM_MM) / float(np.prod(pitch)), 1.0)
    found = {}
    for k in np.flatnonzero(weights.any(axis=(0, 1))):
        box = section_box(weights[:, :, k] > 0, pitch)
        section, grey = weights[:, :, k][box], image.data[:, :, k][box].astype(np.float64)
        outline = outline_of(section, level, pitch)
        if outline is None:
            continue
        values = read_along(grey, outline, AT, pitch)
        values = ndimage.uniform_filter1d(values, window, axis=0, mode="wrap")
        scale = max(float(np.abs(values).mean()), 1e-9)
        values /= scale  # coils differ along the cord
        step = values[:, outside].mean(axis=1) - values[:, inside].mean(axis=1)
        noise = pixel_noise(grey, section >= level) / scale
        found[int(k)] = _Profiles(values, step, noise * float(np.sqrt(2.0 / pixels)))
    return found


def _half_step(sections: list[_Profiles], usual: float) -> float | None:
    """Return where the median of the profiles that count passes half of its step, in mm."""
    if not sections:
        return None
    sign, least = np.sign(usual), CLEAR * abs(usual)
    votes = [one.values[sign * one.step > max(SURE * one.error, least)] for one in sections]
    chosen = np.concatenate(votes)
    if len(chosen) < max(LEAST_SHARE * sum(len(one.step) for one in sections), LEAST_PROFILES):
        return None
    middle = sign * np.median(chosen, axis=0)
    low = middle[-INNER_MM >= AT].mean()
    high = middle[AT >= 0].max()
    over = middle - (low + high) / 2 >= 0
    n = int(np.argmax(over))
    if n == 0 or high <= low:
        return None
    a, b = middle[n - 1 : n + 1]
    return float(AT[n - 1] + STEP_MM * ((low + high) / 2 - a) / (b - a))


def _outwards(section: Array, pitch: Array) -> Array:
    """Return the unit vectors, shape (2, I, J), in mm, that point out of a soft section."""
    slope = np.stack(
        [
            ndimage.gaussian_filter(section, SMOOTH_MM / pitch, order=order) / pitch[axis]
            for axis, order in enumerate(((1, 0), (0, 1)))
        ]
    )
    return np.asarray(-slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-9))
