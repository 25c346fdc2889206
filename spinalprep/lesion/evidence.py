"""What the image itself says for a lesion: its contrast, held against the cord above and below.

A network that looks at one section at a time takes noise for lesions where the signal is weak. A
lesion differs from the same place of the sections above and below it by more than such places
differ from each other; noise does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image, on_grid_of, upright
from spinalprep.lesion.frame import CordFrame, cord_frame, cut_sections

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FLANK_MM = 12.0  # of cord above, and below, that a lesion is held against
GAP_MM = 2.0  # between them, for a lesion's soft ends
REACH_MM = 60.0  # within which other places of the cord are looked at
NOISE_MM = 10.0  # of the cord on either side, in which noise is measured
RING_MM = 0.75, 2.5  # from the cord's edge: where its fluid is
LEAST_PLACES = 6  # from which a spread is known
EVIDENCE_COLUMNS = ("contrast_share", "contrast_z", "contrast_to_noise")
INSIDE, FREE = 0.7, 0.9  # of a lesion's shape that lies in the cord, and in no other lesion
LEAST_PIXELS = 10  # of cord beside a lesion, in its own sections
MAD_TO_SD = 1.4826  # of normal values


@dataclass(frozen=True)
class Evidence:
    """How a lesion stands out from the cord.

    Attributes
    ----------
    contrast : float
        Its mean intensity minus that of the same places above and below, as a share of the step
        from the cord to its fluid: 1 is as bright (in T1w: as dark) as fluid. Where there is no
        cord above or below, minus that of the cord beside it; NaN where there is none either.
    z : float
        The same in standard deviations of what the lesion's shape shows elsewhere in the cord;
        positive towards the fluid, or either way where the fluid is as gray as the cord. NaN where
        there are fewer than six such places.
    cnr : float
        The same in standard deviations of the noise of a pixel. What is picked out of noise for
        being bright has a mean of about one.
    places : int
        How many there are.
    """

    contrast: float
    z: float
    cnr: float
    places: int


@dataclass(frozen=True)
class _Sections:
    """The cord cut across, shape (S, U, V): intensities, the cord, and lesions by number."""

    image: Array
    cord: Mask
    lesions: NDArray[np.int32]
    step_mm: float
    pixel_mm: float

    def count(self, length_mm: float) -> int:
        """Return how many sections are about as long."""
        return round(length_mm / self.step_mm)


def weigh_lesions(
    labels: Image, image: Image, cord: Image, centerline: Centerline
) -> tuple[Evidence, ...]:
    """Weigh what the image shows for every lesion.

    Parameters
    ----------
    labels : Image of int, shape (I, J, K)
        Lesions 1 to N, any voxel order.
    image : Image, shape (I, J, K)
        Intensities on the same voxels, bias-corrected.
    cord : Image, shape (I, J, K)
        Mask on the same voxels.
    centerline : Centerline
        RAS+ mm.

    Returns
    -------
    evidence : tuple of Evidence
        Of the lesions 1 to N.

    Notes
    -----
    In the cord's own frame, a lesion is a shape of some sections, as far as it lies in the cord.
    Its contrast is the mean over
    that shape minus the mean of the same places in the 12 mm above and in the 12 mm below, so
    that whatever runs along the cord (gray matter, shading by a coil) cancels. The null
    distribution is the same difference with the shape, and its mirror image, moved along the cord
    by up to 60 mm, each divided by the noise where it is (noise grows away from the coil); ``z``
    is robust (median and median absolute deviation).
    """
    count = int(labels.data.max(initial=0))
    if count == 0:
        return ()
    labels = upright(labels)
    image = on_grid_of(labels, image, "the image")
    cord = on_grid_of(labels, cord, "the cord")
    sections = _cut(labels, image, cord, cord_frame(cord, centerline))
    levels = _steps_to_fluid(sections), _noise(sections)
    return tuple(_weigh(sections, levels, number) for number in range(1, count + 1))


def evidence_table(evidence: Sequence[Evidence]) -> pd.DataFrame:
    """Return a row per lesion: its number, ``contrast``, ``z`` and ``cnr`` of its `Evidence`."""
    rows = [(n, e.contrast, e.z, e.cnr) for n, e in enumerate(evidence, start=1)]
    return pd.DataFrame(rows, columns=["lesion", *EVIDENCE_COLUMNS])


def _cut(labels: Image, image: Image, cord: Image, frame: CordFrame) -> _Sections:
    """Cut image, cord and lesions across the cord, a section per slice."""
    step = float(image.voxel_sizes[2])
    s = np.arange(frame.s[0], frame.s[-1] + 1e-3, step)
    (values, inside), u, _ = cut_sections([image, cord.with_data(cord.data > 0)], frame, s)
    numbers = np.zeros(values.shape, np.int32)
    best = np.full(values.shape, 0.25, np.float32)  # a lesion of one voxel never fills a pixel
    for number in range(1, int(labels.data.max()) + 1):
        share = cut_sections([labels.with_data(labels.data == number)], frame, s)[0][0]
        own = share > np.maximum(best, min(0.5, 0.99 * float(share.max())))
        numbers[own], best[own] = number, share[own]
    pixel = float(u[1] - u[0])
    return _Sections(values.astype(np.float64), inside > 0.5, numbers, step, pixel)


def _steps_to_fluid(sections: _Sections) -> Array:
    """Return what surrounds the cord minus the cord in every section, (S,); NaN without."""
    near, far = (max(round(mm / sections.pixel_mm), 1) for mm in RING_MM)
    steps = np.full(len(sections.image), np.nan)
    for n, (values, cord) in enumerate(zip(sections.image, sections.cord, strict=True)):
        ring = ndimage.binary_dilation(cord, iterations=far)
        ring &= ~ndimage.binary_dilation(cord, iterations=near)
        if cord.any() and ring.any():
            steps[n] = np.median(values[ring]) - np.median(values[cord])
    return steps


def _noise(sections: _Sections) -> Array:
    """Return the noise of every section, (S,): how much pixels differ from their two neighbors.

    Robust, over the cord outside of lesions and 10 mm along it; 1 where there is no cord.
    """
    values, free = sections.image, sections.cord & (sections.lesions == 0)
    apart = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    known = free[1:-1] & free[:-2] & free[2:]
    noise = np.ones(len(values))
    half = max(sections.count(NOISE_MM), 1)
    for n in range(len(values)):
        near = slice(max(n - 1 - half, 0), n + half)
        found = apart[near][known[near]]
        if found.size:
            noise[n] = max(MAD_TO_SD * float(np.median(found)) / np.sqrt(1.5), 1e-9)
    return noise


def _weigh(sections: _Sections, levels: tuple[Array, Array], number: int) -> Evidence:
    """Hold one lesion against its null distribution."""
    fluid, noise = levels
    nothing = Evidence(float("nan"), float("nan"), float("nan"), 0)
    mine = sections.lesions == number
    at = np.flatnonzero(mine.any(axis=(1, 2)))
    if not len(at):
        return nothing
    first, stop = int(at[0]), int(at[-1]) + 1
    reach = sections.count(REACH_MM)
    step = float(np.nanmedian(np.append(fluid[max(first - reach, 0) : stop + reach], np.nan)))
    shape = mine[first:stop] & sections.cord[first:stop]
    if not shape.any():
        return Evidence(0.0, float("nan"), 0.0, 0)  # beyond the cord
    above, below = (_flanks(sections, len(shape), side) for side in (-1, 1))
    sides = [side for side in (above, below) if np.isfinite(side[first]).any()]
    own = _difference(sections, shape, first, sides) if sides else float("nan")
    here = float(noise[first:stop].mean())
    if not np.isfinite(step) or step == 0:
        return nothing
    if not np.isfinite(own):
        own = _beside(sections, shape, first)
        return Evidence(own / step, float("nan"), float(np.sign(step)) * own / here, 0)
    null = np.array(list(_elsewhere(sections, (shape, first), sides, reach, noise))) * here
    if len(null) < LEAST_PLACES:
        return Evidence(own / step, float("nan"), float(np.sign(step)) * own / here, len(null))
    usual = float(np.median(null))
    spread = MAD_TO_SD * float(np.median(np.abs(null - usual)))
    apart = own - usual
    towards = np.sign(step) if abs(step) > spread else np.sign(apart)
    z = float(towards * apart / max(spread, 1e-9))
    signed = abs(apart) * float(np.sign(z))
    return Evidence(signed / abs(step), z, signed / here, len(null))


def _flanks(sections: _Sections, length: int, side: int) -> Array:
    """Return the mean section beside a shape of ``length`` sections, for each first section.

    ``side`` is -1 for what lies before it, 1 behind; shape (S, U, V), NaN where there is none.
    """
    gap = max(sections.count(GAP_MM), 1) if sections.step_mm < 2 * GAP_MM else 0
    wide = max(sections.count(FLANK_MM), 1)
    lesion = ndimage.binary_dilation(sections.lesions > 0, np.ones((1, 3, 3)))
    known = sections.cord & ~lesion
    zero = np.zeros((1, *known.shape[1:]))
    total = np.concatenate([zero, np.cumsum(np.where(known, sections.image, 0.0), axis=0)])
    number = np.concatenate([zero, np.cumsum(known, axis=0)])
    first = np.arange(len(known))
    start, stop = (
        (first - gap - wide, first - gap)
        if side < 0
        else (first + length + gap, first + length + gap + wide)
    )
    start, stop = (np.clip(edge, 0, len(known)) for edge in (start, stop))
    counts = number[stop] - number[start]
    counts[stop - start < max(0.5 * wide, 1)] = 0
    sums = total[stop] - total[start]
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _beside(sections: _Sections, shape: Mask, first: int) -> float:
    """Return the mean over a shape minus that of the cord beside it in its own sections."""
    part = slice(first, first + len(shape))
    lesion = ndimage.binary_dilation(sections.lesions[part] > 0, np.ones((1, 3, 3)))
    free, values = sections.cord[part] & ~lesion, sections.image[part]
    sure = (free.sum(axis=(1, 2)) >= LEAST_PIXELS) & shape.any(axis=(1, 2))
    if not sure.any():
        return float("nan")
    pairs = zip(values[sure], shape[sure], free[sure], strict=True)
    apart = [float(plane[own].mean() - plane[rest].mean()) for plane, own, rest in pairs]
    return float(np.average(apart, weights=shape[sure].sum(axis=(1, 2))))


def _difference(sections: _Sections, shape: Mask, first: int, sides: list[Array]) -> float:
    """Return the mean over a shape minus that of the same places beside it; NaN where unknown."""
    part = slice(first, first + len(shape))
    inside = shape & sections.cord[part]
    planes = np.stack([side[first] for side in sides])
    known = np.isfinite(planes)
    used = inside & known.any(axis=0)
    if used.sum() < max(INSIDE * shape.sum(), 1):
        return float("nan")
    beside = np.where(known, planes, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return float((sections.image[part] - beside)[used].mean())


def _elsewhere(
    sections: _Sections, lesion: tuple[Mask, int], sides: list[Array], reach: int, noise: Array
) -> Iterator[float]:
    """Yield the difference, over noise, at other places of the cord that hold no lesion."""
    shape, own = lesion
    occupied = sections.lesions > 0
    last = len(sections.image) - len(shape)
    for first in range(max(own - reach, 0), min(own + reach, last) + 1):
        for form in (shape, shape[:, ::-1]):
            taken = (occupied[first : first + len(shape)] & form).sum()
            if taken > (1 - FREE) * form.sum():
                continue
            value = _difference(sections, form, first, sides)
            if np.isfinite(value):
                yield value / float(noise[first : first + len(shape)].mean())
