"""Where the cord ends inside the field of view, and where near its ends it is doubtful."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image, back_on, on_grid_of, to_voxel, upright

HALF = 0.5  # a slice in which no voxel is so probable shows no cord
BLURRED = 1.5  # an outline so many times as blurred as the sharpest quarter is doubtful
LEAST_GAIN = -2.0  # of the worst slice; the best gains 1
LEAST_BLUR = 0.106  # of a voxel's edge: mean of p (1 - p) in cut voxels, 1/6, by |cos|, 2/pi
CONVINCING_MM = 10.0  # of sharp cord, in one stretch; less of it beyond a doubtful part is chance
# nearest rounded limits that cut no cord of eight synthetic subjects with faint ends (104000 on)
MEDULLA = 1.3  # times the largest area of the sure part: no cord, in a doubtful upper end
LARGEST = 95  # percentile of the sure part's areas that counts as the largest
LEAST_CHANGE = 0.05  # of the area of a slice, by which a replaced outline is told
CONUS = 0.25  # of the usual area: no cord, in a doubtful lower end that stays under it

Volume = TypeVar("Volume")
Line = TypeVar("Line")


@dataclass(frozen=True)
class Extent:
    """The axial slices of a cord.

    Attributes
    ----------
    first, last : int
        The lowest and the uppermost; what lies outside is no cord.
    sure : tuple of int
        The lowest and the uppermost that can be told from its surroundings.
    doubtful : tuple of int
        Those with cord beyond them.
    found : tuple of int
        The lowest and the uppermost slice in which anything was found.
    """

    first: int
    last: int
    sure: tuple[int, int]
    doubtful: tuple[int, ...]
    found: tuple[int, int]


@dataclass(frozen=True)
class Trimmed(Generic[Volume, Line]):
    """A cord without what lies beyond its ends.

    Attributes
    ----------
    cord, gm, lesion : Image of float32, shape (I, J, K)
        Probabilities, zero beyond the ends.
    centerline : Centerline
        Clipped to them.
    warnings : list of str
        What was left out, and what is doubtful, one line for each end; where the outline was
        interpolated.
    unseen : int
        Axial slices in which the centerline went on without any cord.
    doubtful : list of int
        Axial slices of the cord in which its outline is doubtful, counted from 0, the lowest.
    """

    cord: Volume
    gm: Volume
    lesion: Volume
    centerline: Line
    warnings: list[str]
    unseen: int
    doubtful: list[int]


def trim_ends(
    cord: Image, gm: Image, lesion: Image, plain: Image, centerline: Centerline
) -> Trimmed[Image, Centerline]:
    """Leave out what lies beyond the ends of a cord, and say where it is doubtful.

    Parameters
    ----------
    cord, gm, lesion : Image, shape (I, J, K)
        Probabilities on one grid, any voxel order.
    plain : Image, shape (I, J, K)
        Probability of the cord by which its ends are judged, at the network's own temperature.
    centerline : Centerline
        Along which they were found, RAS+ mm.
    """
    extent = cord_extent(plain)
    return Trimmed(
        _cut(on_grid_of(plain, cord, "the cord"), extent),
        _cut(on_grid_of(plain, gm, "the gray matter"), extent),
        _cut(on_grid_of(plain, lesion, "the lesion map"), extent),
        clip_centerline(centerline, plain, extent.first, extent.last),
        [
            *describe_ends(extent, float(upright(plain).voxel_sizes[2])),
            *describe_interpolated(interpolated_slices(cord, plain)),
        ],
        unseen_slices(plain, centerline),
        list(extent.doubtful),
    )


def interpolated_slices(cord: Image, plain: Image) -> list[int]:
    """Return the axial slices whose outline is no longer that of the network.

    Parameters
    ----------
    cord, plain : Image, shape (I, J, K)
        Probability of the cord with and without what `carried.carry_outline` replaced, any voxel
        order; a temperature moves no voxel across one half.
    """
    areas = [(upright(image).data >= HALF).sum(axis=(0, 1)) for image in (cord, plain)]
    changed = np.abs(areas[0] - areas[1]) > LEAST_CHANGE * areas[1]
    return [int(k) for k in np.flatnonzero(changed)]


def describe_interpolated(slices: Sequence[int]) -> Iterator[str]:
    """Say in which slices the outline was interpolated, and what to look for there."""
    if slices:
        runs = np.split(np.array(slices), np.flatnonzero(np.diff(slices) > 1) + 1)
        named = ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)
        yield (
            f"the outline of the cord is not visible in {len(slices)} axial slices ({named}), "
            "where the automatic mask was interpolated from neighboring slices: check these "
            "slices; if the cord is swollen and fills the canal, draw it by hand"
        )


def _cut(image: Image, extent: Extent) -> Image:
    """Return an image that is zero outside the axial slices of a cord."""
    seen = upright(image)
    outside = np.ones(seen.shape[2], bool)
    outside[extent.first : extent.last + 1] = False
    return image.with_data(back_on(np.where(outside, np.float32(0), seen.data), image))


def outline_blur(probability: Image) -> NDArray[np.float64]:
    """Measure how unsure the outline of the cord is in every axial slice.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        Probability of the cord, any voxel order.

    Returns
    -------
    blur : ndarray of float64, shape (slices,)
        Width in mm of the band in which the probability is undecided: the integral of
        ``p (1 - p)`` over the slice divided by the circumference of a disc of the cord's area.
        NaN in slices without cord (no voxel at 0.5 or over).
    """
    probability = upright(probability)
    p = np.clip(probability.data, 0.0, 1.0)
    pixel = float(np.prod(probability.voxel_sizes[:2]))
    area = p.sum(axis=(0, 1), dtype=float) * pixel
    undecided = (p * (1 - p)).sum(axis=(0, 1), dtype=float) * pixel
    blur = np.full(p.shape[2], np.nan)
    cord = p.max(axis=(0, 1)) >= HALF
    blur[cord] = undecided[cord] / (2 * np.sqrt(np.pi * area[cord]))
    return blur


def cord_extent(probability: Image) -> Extent:
    """Return the axial slices of the cord, and those at its ends that are doubtful.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        Probability of the cord along the whole centerline, any voxel order.

    Returns
    -------
    extent : Extent
        All slices from the lowest to the uppermost with a voxel at 0.5 or over, but for those of a
        doubtful end that are positively no cord: upwards from where its area is over `MEDULLA`
        times the largest of the sure part, and downwards from where it stays under `CONUS` times
        the usual one.

    Notes
    -----
    A slice gains up to 1 where its outline is sharp, compared with the sharpest quarter of the
    image (but no sharper than its voxels can show), and loses up to 2 where it is blurred. The
    sure part reaches from the first to the last of the maximal scoring subsequences [1]_ that are
    worth 10 mm of sharp slices; what is blurred between two of them (a compressed cord, an
    artifact) is in it. Where there is none (a whole image of poor contrast), nothing is doubtful.

    References
    ----------
    .. [1] Ruzzo and Tompa (1999), "A linear time algorithm for finding all maximal scoring
       subsequences", ISMB, 234-241.
    """
    probability = upright(probability)
    blur = outline_blur(probability)
    found = np.flatnonzero(np.isfinite(blur))
    if not len(found):
        whole = 0, probability.shape[2] - 1
        return Extent(*whole, sure=whole, doubtful=(), found=whole)
    lowest, highest = int(found[0]), int(found[-1])
    low, high = _sure_part(blur, probability.voxel_sizes)
    # blur feigns neither: it widens no outline at one half, and thins no sum of probabilities
    half = (probability.data >= HALF).sum(axis=(0, 1))
    soft = probability.data.clip(0, 1).sum(axis=(0, 1)) * (half > 0)
    sure = found[(found >= low) & (found <= high)]
    largest = np.percentile(half[sure], LARGEST)
    wide = np.flatnonzero(half[high + 1 :] > MEDULLA * largest)
    last = high + int(wide[0]) if len(wide) else highest
    thin = min(CONUS * float(np.median(soft[sure])), float(soft[low]))
    first = int(np.flatnonzero(soft[: low + 1] >= thin)[0])
    doubtful = found[(found >= first) & (found <= last) & ((found < low) | (found > high))]
    return Extent(first, last, (low, high), tuple(doubtful.tolist()), (lowest, highest))


def _sure_part(blur: NDArray[np.float64], voxel_sizes: NDArray[np.float64]) -> tuple[int, int]:
    """Return the first and the last slice of the sure part; see `cord_extent`."""
    found = np.flatnonzero(np.isfinite(blur))
    sharpest = LEAST_BLUR * float(voxel_sizes[:2].max())
    usual = max(float(np.percentile(blur[found], 25)), sharpest)
    first, last = int(found[0]), int(found[-1])
    gains = (BLURRED - blur[first : last + 1] / usual) / (BLURRED - 1.0)
    gains = np.clip(np.nan_to_num(gains, nan=LEAST_GAIN), LEAST_GAIN, 1.0)
    least = min(CONVINCING_MM / float(voxel_sizes[2]), len(gains) / 2)
    worth = [part for part in maximal_segments(gains) if gains[part].sum() >= least]
    if not worth:
        return first, last
    return first + worth[0].start, first + worth[-1].stop - 1


def describe_ends(extent: Extent, thickness_mm: float) -> Iterator[str]:
    """Say in words what `cord_extent` left out, and what is doubtful, each end in one line."""

    def count(slices: int) -> str:
        return f"{slices} slice{'s' * (slices > 1)} ({slices * thickness_mm:.0f} mm) left out"

    below, above = extent.first - extent.found[0], extent.found[1] - extent.last
    if below:
        yield f"the cord ends above slice {extent.first - 1}: {count(below)}"
    if above:
        yield f"the cord widens to the medulla from slice {extent.last + 1} on: {count(above)}"
    for side, edge in zip(("below", "above"), extent.sure, strict=True):
        part = [k for k in extent.doubtful if (k < edge if side == "below" else k > edge)]
        if part:
            yield _doubt(part, f"{len(part) * thickness_mm:.0f} mm, {side} slice {edge}")


def _doubt(part: list[int], where: str) -> str:
    """Say that the slices of one end are doubtful."""
    if len(part) == 1:
        return (
            f"the outline of the cord is doubtful in slice {part[0]} ({where}): the slice is "
            "kept in the mask, but excluded from all means"
        )
    return (
        f"the outline of the cord is doubtful in slices {part[0]} to {part[-1]} ({where}): they "
        "are kept in the mask, but excluded from all means"
    )


def unseen_slices(probability: Image, centerline: Centerline) -> int:
    """Count the axial slices in which a centerline goes on beyond all of the cord that is seen.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        Probability of the cord, before its ends are trimmed; any voxel order.
    centerline : Centerline
        As it was traced, or drawn; RAS+ mm.

    Returns
    -------
    count : int
        Slices that the curve crosses above the uppermost and below the lowest slice with a voxel
        at 0.5 or over; all that it crosses where there is none.
    """
    probability = upright(probability)
    k = np.rint(to_voxel(centerline.points, probability.affine)[:, 2])
    crossed = np.unique(k[(k >= 0) & (k < probability.shape[2])])
    found = np.flatnonzero(np.isfinite(outline_blur(probability)))
    if not len(found):
        return len(crossed)
    return int(((crossed < found[0]) | (crossed > found[-1])).sum())


def maximal_segments(gains: NDArray[np.float64]) -> list[slice]:
    """Return all maximal scoring subsequences, in order (Ruzzo and Tompa 1999).

    Examples
    --------
    >>> maximal_segments(np.array([4.0, -5, 3, -3, 1, 2, -2, 2, -2, 1, 5]))
    [slice(0, 1, None), slice(2, 3, None), slice(4, 11, None)]
    """
    total, parts = 0.0, list[tuple[int, int, float, float]]()  # start, stop, sum before and after
    for n, gain in enumerate(gains):
        before, total = total, total + float(gain)
        if gain <= 0:
            continue
        start = n
        while True:
            earlier = [k for k, part in enumerate(parts) if part[2] < before]
            if not earlier or parts[earlier[-1]][3] >= total:
                break
            start, _, before, _ = parts[earlier[-1]]
            del parts[earlier[-1] :]
        parts.append((start, n + 1, before, total))
    return [slice(start, stop) for start, stop, _, _ in parts]


def clip_centerline(centerline: Centerline, image: Image, first: int, last: int) -> Centerline:
    """Cut a centerline to the axial slices ``first`` to ``last`` of an image, faces included.

    Parameters
    ----------
    centerline : Centerline
        RAS+ mm.
    image : Image
        Any image on the grid that the slices belong to, any voxel order.
    first, last : int
        Axial slices, counted upwards.

    Returns
    -------
    centerline : Centerline
        The points within; unchanged where fewer than two are.
    """
    k = to_voxel(centerline.points, upright(image).affine)[:, 2]
    inside = np.flatnonzero((k >= first - 0.5) & (k <= last + 0.5))
    if len(inside) < 2 or len(inside) == len(k):
        return centerline
    return Centerline(centerline.points[inside[0] : inside[-1] + 1])
