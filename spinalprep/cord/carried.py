"""Outlines that ran away from the cord, carried by those of the neighboring sections.

Where fluid is as gray as the cord, a network that sees one section follows the wall of the sac. The
outline there has no step of the usual direction, and lies outside that of the sections around it:
it is put where those say, and is as uncertain as they are far.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from spinalprep.cord.centerline import Centerline, cross_slices
from spinalprep.cord.edge import FROM_MM, LEAST_PIXELS, LEAST_SHARE, SURE, TO_MM, pixel_noise
from spinalprep.image import Image, back_on, to_voxel, upright

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ANGLES = 36
REACH_MM, STEP_MM = 16.0, 0.25  # how far an outline is looked for, and how finely
ARC_MM, ALONG_MM = 2.0, 2.5  # over which a step is averaged, and evidence voted on (either side)
EVIDENT_MM = 0.2  # SD of an outline that the image shows
WANDER_MM2 = 0.01  # variance by which an outline moves in a millimeter along the cord
SHIFT_MM2 = 0.1  # by which it moves with the centerline's own wander
SHAPE_MM2 = 0.25  # variance of the third derivative by the angle, of what shift and size leave
ROUNDS = 6
LEAST_OFF_MM = 0.5  # by which an outline must lie outside
LEAST_SDS = 1.5
ROBUST = 3.0
LEAST_ANGLES = 3
CENTRED = 2  # times
LONGEST_MM, GROWN = 70.0, 1.15  # of cord that is bridged, in sections so many times as large
BEYOND_MM, GROSS = 15.0, 1.35  # the same past the last evidence
LARGEST_MM = 6.0  # half the width of a cord, in the median of angles: 113 mm2
OTHER_SHARE, INSIDE_MM = 0.1, 0.75  # of sections with steps the other way, that far inside
EDGE_MM = 0.25  # SD of a network's edge
HIDDEN, PARTLY = 0.25, 0.2  # weight of a false step, where so much of the section has none
LEAST_SLICES, LEAST_SEEN = 3, 0.25
MOST_MM2 = 0.25  # of a radius far from all evidence


@dataclass(frozen=True)
class Outlines:
    """Outlines in polar coordinates around the centerline.

    Attributes
    ----------
    slices : ndarray of int, shape (K,)
        Axial slices that have one.
    centres : ndarray of float, shape (K, 2)
        Voxel at which the centerline crosses them.
    radius : ndarray of float, shape (K, angles)
        In mm.
    """

    slices: NDArray[np.intp]
    centres: Array
    radius: Array


@dataclass(frozen=True)
class Carried:
    """Where outlines were put.

    Attributes
    ----------
    given : Image, shape (I, J, K)
        Any voxel order.
    found : Outlines
        Of the network, in axial slices of the image in LAS.
    radius, sd : ndarray of float, shape (K, angles)
        Of the outline now, and how uncertain without evidence, 0 with it, in mm.
    moved : ndarray of bool, shape (K, angles)
        Where it is another.
    """

    given: Image
    found: Outlines
    radius: Array
    sd: Array
    moved: Mask

    def cord(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of the cord with the outline that was carried."""
        changed = upright(self.given.with_data(found.copy()))
        for n in np.flatnonzero(self.moved.any(axis=1)):
            k, away, sd, share = self._around(n, self.moved[n].astype(float), changed)
            edge = ndtr(-away / np.hypot(EDGE_MM, sd))
            changed.data[:, :, k] = changed.data[:, :, k] * (1 - share) + edge * share
        return back_on(changed.data, self.given)

    def spread(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the standard deviation of the cord; that of its area is of the whole outline."""
        changed = upright(self.given.with_data(found.copy()))
        for n in np.flatnonzero(self.sd.any(axis=1)):
            k, away, sd, share = self._around(n, (self.sd[n] > 0).astype(float), changed)
            wide = np.hypot(EDGE_MM, sd)
            own = share * sd / wide * np.exp(-0.5 * (away / wide) ** 2) / np.sqrt(2 * np.pi)
            changed.data[:, :, k] = np.hypot(changed.data[:, :, k], own)
        return back_on(changed.data, self.given)

    def _around(self, n: int, share: Array, las: Image) -> tuple[int, Array, Array, Array]:
        """Return the slice of an outline, and by voxel mm outside it, its SD, a share of angles."""
        pitch = np.asarray(las.voxel_sizes[:2], float)
        ij = np.moveaxis(np.indices(las.shape[:2]), 0, -1) - self.found.centres[n]
        across, ahead = np.moveaxis(ij * pitch, -1, 0)
        turn = np.arctan2(ahead, across) / (2 * np.pi) * ANGLES
        radius, sd, part = (
            ndimage.map_coordinates(row, [turn % ANGLES], order=1, mode="grid-wrap")
            for row in (self.radius[n], self.sd[n], share)
        )
        return int(self.found.slices[n]), np.hypot(across, ahead) - radius, sd, part


def carry_outline(image: Image, cord: NDArray[np.float32], line: Centerline) -> Carried:
    """Find where the outline of a cord left the cord, and where it belongs.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    cord : ndarray of float32, shape (I, J, K)
        Its probability, of a network.
    line : Centerline
        RAS+ mm.

    Notes
    -----
    Radii r at angles a of slices s are those of least sum over w (r - found)^2 / evident^2, changes
    along the cord^2 / (wander x distance), with another wander for what is a mere shift, and
    (r''' + r')^2 by the angle, against the median outline, which lets it shift and change its size
    freely. w is zero where the image has no step of the usual direction, and falls by Cauchy's
    weight where a step lies elsewhere than the others say. The middle is then that of the fit,
    twice.

    Outlines without evidence are put where the fit says in sections that are 1.15 times as large as
    it says, never in smaller ones, as a cord may be compressed; and only between sections with
    evidence at most 70 mm apart, or, as beyond the last one a cord may widen to the medulla, in
    sections there that are more than a third too large. Everywhere without
    evidence they are as uncertain as it is far. Where less than a quarter of all outline is
    evident nothing is judged.
    """
    given, image = image, upright(image)
    cord = upright(given.with_data(cord)).data
    slices = np.flatnonzero((cord >= 0.5).any(axis=(0, 1)))
    points = line.at(np.arange(-5.0, line.length + 5.0, STEP_MM))
    middles = cross_slices(to_voxel(points, image.affine), slices)
    found = _outlines(image, cord, slices, middles)
    for _ in range(CENTRED):
        found = _outlines(image, cord, found.slices, _middles(image, cord, found))
    seen = _evidence(image, cord, found)
    nothing = np.zeros(seen.shape)
    if len(seen) < LEAST_SLICES or seen.mean() < LEAST_SEEN:
        return Carried(given, found, found.radius, nothing, nothing > 0)
    height = _heights(image, found)
    fit, weight = _fit(found.radius, seen, height)
    partly = (~seen).mean(axis=1, keepdims=True) >= PARTLY
    hidden = ~seen | ((weight < HIDDEN) & partly)
    variance = _variance(~hidden, height)
    least = np.maximum(LEAST_SDS * np.sqrt(variance + EVIDENT_MM**2), LEAST_OFF_MM)
    off = found.radius - fit
    far = _nearest_seen(~hidden, height)
    size = (found.radius**2).sum(axis=1, keepdims=True) / (fit**2).sum(axis=1, keepdims=True)
    reached = (far.sum(axis=0) <= LONGEST_MM) & (size >= GROWN)
    reached |= (far.min(axis=0) <= BEYOND_MM) & (size >= GROSS)
    outside = (hidden & reached & (off > least)).sum(axis=1, keepdims=True)
    moved = hidden & reached & (outside >= LEAST_ANGLES)
    sd = np.where(hidden, np.sqrt(variance), 0.0)
    return Carried(given, found, np.where(moved, fit, found.radius), sd, moved)


def _rays() -> Array:
    angle = np.arange(ANGLES) * 2 * np.pi / ANGLES
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _read(
    data: NDArray[np.generic], slices: NDArray[np.intp], centres: Array, radius: Array, pitch: Array
) -> Array:
    """Return values at radii (K, angles, R) around the centers of slices."""
    rays = _rays() / pitch
    i, j = (centres[:, axis, None, None] + radius * rays[:, axis, None] for axis in (0, 1))
    k = np.broadcast_to(slices[:, None, None], i.shape)
    return np.asarray(
        ndimage.map_coordinates(data.astype(np.float64), [i, j, k], order=1, mode="nearest")
    )


def _middles(image: Image, cord: NDArray[np.float32], found: Outlines) -> Array:
    """Return the voxels (K, 2) at the middle of what the fit makes of outlines."""
    seen = _evidence(image, cord, found)
    if len(seen) < LEAST_SLICES or seen.mean() < LEAST_SEEN:
        return found.centres
    fit, _ = _fit(found.radius, seen, _heights(image, found))
    cubes = (fit**3)[:, :, None] * _rays()
    offset = cubes.sum(axis=1) / 1.5 / (fit**2).sum(axis=1, keepdims=True)
    return np.asarray(found.centres + offset / np.asarray(image.voxel_sizes[:2], float))


def _heights(image: Image, found: Outlines) -> Array:
    return np.asarray(found.slices * float(image.voxel_sizes[2]), np.float64)


def _outlines(
    image: Image, cord: NDArray[np.float32], every: NDArray[np.intp], centres: Array
) -> Outlines:
    """Return the outlines of the slices whose middle is cord."""
    reach = np.arange(0.0, REACH_MM, STEP_MM)
    pitch = np.asarray(image.voxel_sizes[:2], float)
    radius = np.broadcast_to(reach, (len(every), ANGLES, len(reach)))
    values = _read(cord, every, centres, radius, pitch)
    last = np.minimum.accumulate(values >= 0.5, axis=2).sum(axis=2) - 1
    kept = (last >= 0).all(axis=1) & (last < len(reach) - 1).all(axis=1)
    last = np.clip(last, 0, len(reach) - 2)[..., None]
    here, there = (np.take_along_axis(values, last + n, 2)[..., 0] for n in (0, 1))
    share = np.clip((here - 0.5) / np.maximum(here - there, 1e-6), 0.0, 1.0)
    found = reach[last[..., 0]] + share * STEP_MM
    return Outlines(every[kept], centres[kept], found[kept])


def _evidence(image: Image, cord: NDArray[np.float32], found: Outlines) -> Mask:
    """Return where the image steps across the outline in the usual direction, (K, angles)."""
    slices, centres, radius = found.slices, found.centres, found.radius
    if not len(slices):
        return np.zeros(radius.shape, bool)
    pitch = np.asarray(image.voxel_sizes[:2], float)
    first = max(FROM_MM, LEAST_PIXELS * float(pitch.max()))
    away = np.arange(first, first + TO_MM - FROM_MM + 1e-6, STEP_MM)
    outer, inner = (
        _read(image.data, slices, centres, np.maximum(radius[..., None] + s * away, 0), pitch)
        for s in (1.0, -1.0)
    )
    step = (outer - inner).mean(axis=2)
    arc = max(round(ARC_MM / (float(np.median(radius)) * 2 * np.pi / ANGLES)), 1)
    step = ndimage.uniform_filter1d(step, arc, axis=1, mode="wrap")
    pixels = max(ARC_MM * (TO_MM - FROM_MM) / float(np.prod(pitch)), 1.0)
    noise = [pixel_noise(image.data[:, :, k].astype(float), cord[:, :, k] >= 0.5) for k in slices]
    least = SURE * np.array(noise)[:, None] * np.sqrt(2.0 / pixels)
    least = np.maximum(least, LEAST_SHARE * float(np.median(np.abs(step))))
    sure = np.abs(step) > least
    seen = sure & (np.sign(step) == _usual_sign(step, sure, radius))
    across = 2 * max(round(ALONG_MM / float(image.voxel_sizes[2])), 0) + 1
    votes = ndimage.uniform_filter1d(seen.astype(float), across, axis=0, mode="nearest")
    votes = ndimage.uniform_filter1d(votes, 3, axis=1, mode="wrap")
    return np.asarray(votes > 0.5)


def _usual_sign(step: Array, sure: Mask, radius: Array) -> float:
    """Return the sign of steps from cord to fluid.

    That of most; the other one where most outlines are too large for a cord, and others have it
    that lie well inside: then most of them are the wall of the sac.
    """
    usual = float(np.sign(np.median(step)))
    own, other = (sure & (np.sign(step) == sign) for sign in (usual, -usual))
    rows = other.mean(axis=1) > 0.5
    if not own.any() or rows.mean() < OTHER_SHARE:
        return usual
    large, small = float(np.median(radius[own])), float(np.median(radius[rows]))
    return -usual if large > LARGEST_MM and large - small > INSIDE_MM else usual


def _fit(found: Array, seen: Mask, height: Array) -> tuple[Array, Array]:
    """Return the radii of the fit, and how much each that was found counted, 0 to 1."""
    rows = zip(found.T, seen.T, strict=True)
    shape = np.array([np.median(r[s] if s.any() else r) for r, s in rows])
    target = found - shape
    weight = seen.astype(float)
    prior = _shape_changes() / SHAPE_MM2 + 1e-4 * np.eye(ANGLES)
    links = _changes_along()[None] / np.diff(height)[:, None, None]
    for _ in range(ROUNDS):
        own = weight / EVIDENT_MM**2
        blocks = prior + own[:, :, None] * np.eye(ANGLES)
        blocks[:-1] += links
        blocks[1:] += links
        fit = _solve(blocks, -links, own * target)
        outside = (target - fit) / (ROBUST * EVIDENT_MM)
        weight = seen / (1 + outside**2)
    return fit + shape, weight


def _changes_along() -> Array:
    """Return the precision of changes in a millimeter: shifts are the centerline's, and easy."""
    angle = np.arange(ANGLES) * 2 * np.pi / ANGLES
    shifts = np.cos(angle[:, None] - angle[None, :]) * 2 / ANGLES
    return np.asarray((np.eye(ANGLES) - shifts) / WANDER_MM2 + shifts / SHIFT_MM2)


def _shape_changes() -> Array:
    """Return the matrix of squared r''' + r' by the angle: 0 for any shift and change of size."""
    step = 2 * np.pi / ANGLES
    after = np.roll(np.eye(ANGLES), 1, axis=1)
    bend = (after + after.T - 2 * np.eye(ANGLES)) / step**2
    turn = (after - after.T) / (2 * step)
    shifted = (2 - 2 * np.cos(step)) / step**2  # what second differences make of a cosine
    change = turn @ (bend + shifted * np.eye(ANGLES))
    return np.asarray(change.T @ change)


def _solve(blocks: Array, links: Array, right: Array) -> Array:
    """Solve a block-tridiagonal system by elimination from below.

    Parameters
    ----------
    blocks : ndarray, shape (K, M, M)
        On the diagonal.
    links : ndarray, shape (K - 1, M, M)
        Between neighbors, symmetric.
    right : ndarray, shape (K, M)
    """
    gain, found = np.empty_like(links), np.empty_like(right)
    block, passed = blocks[0], right[0]
    for n, link in enumerate(links):
        both = np.linalg.solve(block, np.column_stack([link, passed]))
        gain[n], found[n] = both[:, :-1], both[:, -1]
        block, passed = blocks[n + 1] - link @ gain[n], right[n + 1] - link @ found[n]
    found[-1] = np.linalg.solve(block, passed)
    for n in range(len(links) - 1, -1, -1):
        found[n] -= gain[n] @ found[n + 1]
    return found


def _variance(seen: Mask, height: Array) -> Array:
    """Return the variance of a radius by its distances from evidence below and above, mm2."""
    precision = 1.0 / (EVIDENT_MM**2 + WANDER_MM2 * _nearest_seen(seen, height))
    return np.asarray(1.0 / np.maximum(precision.sum(axis=0), 1.0 / MOST_MM2))


def _nearest_seen(seen: Mask, height: Array) -> Array:
    """Return how far evidence is below and above, infinite where there is none, (2, K, angles)."""
    far = np.empty((2, *seen.shape))
    for side, order in enumerate((1, -1)):
        last = np.full(seen.shape[1], np.inf)
        for n in range(len(height))[::order]:
            last = np.where(seen[n], height[n], last)
            far[side, n] = np.abs(height[n] - last)
    return far
