"""Spines become mid-sagittal planes of any contrast, resolution and field of view.

The disc detector sees what `levels.detect.sagittal_plane` cuts from an image; this draws such
planes from `material.spines`, with everything that it should not depend on drawn anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.levels.detect import BACK_MM, HEIGHT, SLAB_MM, WIDTH, even_out
from spinalprep.levels.sequence import FIRST
from spinalprep.networks.window import scale_window
from spinalprep.training.material.people import Kind
from spinalprep.training.material.spines import (
    BACK_MM as MATERIAL_BACK_MM,
)
from spinalprep.training.material.spines import (
    BONE,
    CORD,
    CSF,
    FIRST_DISC_LABEL,
    LABELS,
    X_MM,
    Spine,
)
from spinalprep.training.synthesis.batch import Batch

HEAT_SD_MM = 2.5
INTO_DISC_MM = 4.0  # from its posterior edge to where the heat is
MARGIN = 60  # rows of the material around a window, for scaling and warping
Array = NDArray[np.float32]


@dataclass(frozen=True)
class PlaneRanges:
    """What a plane is drawn from; lengths in mm, the rest shares.

    Attributes
    ----------
    size : float
        Largest absolute logarithm of the factor on spacings.
    spacing : float
        Standard deviation of local shifts along the cord.
    tilt : float
        Largest slope of the discs against the section of the cord.
    recoloured : float
        Share of samples whose intensities are drawn per label, where there is an image.
    cropped : float
        Share of samples with a field of view shorter than the window.
    shortest : float
        Length of the shortest.
    thick : float
        Share of samples with thick axial slices.
    template : float
        Share of samples of the template.
    stacks : float
        Share of samples of people's axial stacks.
    upper : float
        Share of the others that are centered near C2/C3.
    mixed : float
        Share of recoloured samples of the template that keep a part of its own contrast.
    edged : float
        Share of recoloured samples with dark edges of bones and discs.
    curved : float
        Share of samples whose gray values are bent by a power.
    faint : float
        Share of recoloured samples in which discs are hardly brighter or darker than bone, and
        other tissues as gray.
    """

    size: float = 0.24
    spacing: float = 1.6
    tilt: float = 0.30
    recoloured: float = 0.6
    cropped: float = 0.8
    shortest: float = 28.0
    thick: float = 0.3
    template: float = 0.62
    stacks: float = 0.06
    upper: float = 0.5
    mixed: float = 0.3
    edged: float = 0.5
    curved: float = 0.7
    faint: float = 0.3


def make_planes(
    spines: Sequence[Spine], count: int, ranges: PlaneRanges, chance: np.random.Generator
) -> Batch:
    """Return one batch of random planes.

    Returns
    -------
    batch : Batch
        Image (N, 1, 192, 56); truth (N, 2, 192, 56): a blob in every disc, and in C2/C3.
    """
    samples = [draw_plane(_choose(spines, ranges, chance), ranges, chance) for _ in range(count)]
    image, truth = (torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
    return Batch(image[:, None], truth, torch.ones(count, 2, 1, 1))


def _choose(spines: Sequence[Spine], ranges: PlaneRanges, chance: np.random.Generator) -> Spine:
    """Draw a kind of material, then one of its kind."""
    order = Kind.TEMPLATE, Kind.DIGITAL, Kind.PERSON
    kinds = [[spine for spine in spines if spine.owner.kind is kind] for kind in order]
    shares = np.array([ranges.template, 1 - ranges.template - ranges.stacks, ranges.stacks])
    shares *= [bool(kind) for kind in kinds]
    kind = kinds[int(chance.choice(3, p=shares / shares.sum()))]
    return kind[int(chance.integers(len(kind)))]


def draw_plane(
    spine: Spine, ranges: PlaneRanges, chance: np.random.Generator
) -> tuple[Array, Array]:
    """Return one scaled plane (192, 56) and its truth (2, 192, 56)."""
    rows, columns = _warp(spine, ranges, chance)
    first = max(int(rows.min()) - 2, 0)
    last = min(int(rows.max()) + 3, len(spine.labels))
    part = slice(first, max(last, first + 1))
    plane, inside = _slab(spine, part, ranges, chance)
    where = [rows - first, columns]
    image = ndimage.map_coordinates(plane, where, order=1, cval=0.0)
    valid = ndimage.map_coordinates(inside, where, order=1, cval=0.0) >= 0.5
    truth = _heat(spine, rows, columns)
    image = _acquire(image, ranges, chance)
    valid &= _field_of_view(ranges, chance)
    values = scale_window(image, valid)
    if chance.random() < ranges.curved:
        values = values ** np.float32(np.exp(chance.uniform(-0.8, 0.6)))
    return even_out(values, valid), (truth * valid).astype(np.float32)


def _smooth(
    count: int, knots_mm: float, sd: float, chance: np.random.Generator
) -> NDArray[np.float64]:
    """Return a smooth random curve over ``count`` mm."""
    knots = chance.standard_normal(int(np.ceil(count / knots_mm)) + 4) * sd
    at = np.arange(count) / knots_mm + chance.uniform(0, 1) + 1
    curve: NDArray[np.float64] = ndimage.map_coordinates(knots, [at], order=3, mode="nearest")
    return curve


def _warp(
    spine: Spine, ranges: PlaneRanges, chance: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of the material for every pixel of a plane."""
    size = np.exp(chance.uniform(-ranges.size, ranges.size))
    upper = spine.discs[spine.discs[:, 0] == FIRST, 1]
    if len(upper) and chance.random() < ranges.upper:
        middle = float(upper[0]) + chance.uniform(-70.0, 80.0)
    else:
        middle = chance.uniform(0.0, len(spine.labels))
    step = np.arange(HEIGHT) - HEIGHT / 2
    along = middle + step / size + _smooth(HEIGHT, 14.0, ranges.spacing, chance)
    depth = np.arange(WIDTH) + 0.5 + BACK_MM
    tilt = chance.uniform(-ranges.tilt, ranges.tilt) + _smooth(HEIGHT, 50.0, 0.08, chance)
    rows = along[:, None] + tilt[:, None] * depth[None, :]
    deep = np.exp(chance.uniform(-0.18, 0.22))
    shift = chance.uniform(-2.5, 2.5) + _smooth(HEIGHT, 30.0, 1.3, chance)
    columns = (depth[None, :] / deep + shift[:, None]) - MATERIAL_BACK_MM
    return rows, columns


def _heat(
    spine: Spine, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return blobs in the discs: all, C2/C3."""
    truth = np.zeros((2, *rows.shape))
    pitch = abs(np.median(np.diff(rows, axis=0))), abs(np.median(np.diff(columns, axis=1)))
    for number, row, column in spine.discs:
        apart = ((rows - row) / pitch[0]) ** 2
        apart += ((columns - column - INTO_DISC_MM) / pitch[1]) ** 2
        blob = np.exp(-apart / (2 * HEAT_SD_MM**2))
        truth[0] = np.maximum(truth[0], blob)
        if number == FIRST:
            truth[1] = blob
    return truth


def _slab(
    spine: Spine, part: slice, ranges: PlaneRanges, chance: np.random.Generator
) -> tuple[Array, Array]:
    """Return the mean of some sagittal columns of a colored spine, and where there is any."""
    labels = spine.labels[part]
    offset = float(np.clip(chance.normal(0, 1.5), -3.5, 3.5))
    half = SLAB_MM + chance.uniform(-2.5, 1.0)  # thick sagittal slices average more, or less
    across = np.abs(np.arange(-X_MM, X_MM + 1) - offset) <= half
    labels = labels[:, across]
    real = spine.image[part][:, across] if spine.image is not None else None
    if real is None or (spine.owner.kind is Kind.TEMPLATE and chance.random() < ranges.recoloured):
        values = _paint(labels, real, ranges, chance)
        if real is not None and chance.random() < ranges.mixed:
            share = chance.uniform(0.2, 0.7)
            values = share * values + (1 - share) * real
    else:
        values = np.maximum(real, 0.0) ** np.exp(chance.uniform(-0.7, 0.7))
        if chance.random() < 0.2:
            values = 1.0 - values
    inside = labels > 0
    return (values * inside).mean(axis=1).astype(np.float32), inside.mean(axis=1).astype(np.float32)


def _paint(
    labels: NDArray[np.uint8],
    real: Array | None,
    ranges: PlaneRanges,
    chance: np.random.Generator,
) -> NDArray[np.float64]:
    """Color every label anew: bone, fluid and cord apart from each other, discs alike."""
    means = _faint(chance) if chance.random() < ranges.faint else _distinct(chance)
    values: NDArray[np.float64] = means[labels]
    if chance.random() < ranges.edged:
        values *= _edges(labels, chance)
    if real is not None:
        count = np.bincount(labels.ravel(), minlength=LABELS)
        own = np.bincount(labels.ravel(), real.ravel(), LABELS) / np.maximum(count, 1)
        values += (real - own[labels]) * chance.uniform(0.0, 1.3)
        return values
    grain = ndimage.gaussian_filter(chance.standard_normal(labels.shape), chance.uniform(0.5, 2.0))
    values += grain * chance.uniform(0.0, 0.25)
    return values


def _distinct(chance: np.random.Generator) -> NDArray[np.float64]:
    """Draw the gray value of every label, discs well apart from bone."""
    means = chance.random(LABELS)
    if chance.random() < 0.5:  # as often in people: dark bone edges, a bright or a dark canal
        bright = chance.random() < 0.7
        means[CSF] = chance.uniform(0.6, 1.0) if bright else chance.uniform(0.0, 0.25)
        means[CORD] = chance.uniform(0.3, 0.6)
        means[BONE] = chance.uniform(0.1, 0.6)
    means[CORD] = _apart(means[CORD], means[CSF], 0.12, chance)
    disc = _apart(chance.random(), means[BONE], 0.07, chance)
    jitter = chance.normal(0, chance.choice([0.03, 0.08, 0.2]), LABELS - FIRST_DISC_LABEL)
    means[FIRST_DISC_LABEL:] = disc + jitter
    hidden = chance.random(LABELS - FIRST_DISC_LABEL) < 0.03
    means[FIRST_DISC_LABEL:][hidden] = means[BONE]
    return means


def _faint(chance: np.random.Generator) -> NDArray[np.float64]:
    """Draw the gray value of every label, discs and other tissues nearly as gray as bone.

    The canal is bright or dark, or its fluid is as gray as bone and the cord stands out alone.
    """
    bone = chance.uniform(0.15, 0.6)
    means = chance.random(LABELS)
    alike = np.flatnonzero(chance.random(BONE) < 0.6)
    means[alike] = bone + chance.normal(0, 0.04, len(alike))
    means[BONE] = bone
    means[CSF] = bone + chance.normal(0, 0.02) if chance.random() < 0.5 else chance.random()
    means[CORD] = _apart(chance.random(), means[CSF], 0.08, chance)
    apart = chance.uniform(0.03, 0.12) * (1 if chance.random() < 0.5 else -1)
    means[FIRST_DISC_LABEL:] = bone + apart
    means[FIRST_DISC_LABEL:] += chance.normal(0, 0.01, LABELS - FIRST_DISC_LABEL)
    return np.maximum(means, 0.0)


def _edges(labels: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.float64]:
    """Return factors that darken the outermost millimeter of bones, and of discs."""
    factor = np.ones(labels.shape)
    for part in (labels == BONE, labels >= FIRST_DISC_LABEL):
        inner = part.copy()
        for axis in (0, 2):
            for shift in (1, -1):
                inner &= np.roll(part, shift, axis)
        factor[part & ~inner] = chance.uniform(0.1, 1.0)
    return factor


def _apart(value: float, other: float, least: float, chance: np.random.Generator) -> float:
    """Move a value away from another if they are too near."""
    if abs(value - other) >= least:
        return value
    return other + least * (1 if chance.random() < 0.5 else -1) * chance.uniform(1.0, 3.0)


def _acquire(image: Array, ranges: PlaneRanges, chance: np.random.Generator) -> Array:
    """Add blots, resolution, ghosts, coil profile, saturation and noise."""
    height, width = image.shape
    row, column = np.mgrid[:height, :width]
    spread = float(image.std()) + 1e-3
    if chance.random() < 0.4:
        for _ in range(int(chance.integers(1, 6))):
            a, b = chance.uniform(0, height), chance.uniform(0, width)
            sizes = chance.uniform(1.5, 9.0, 2)
            blot = ((row - a) / sizes[0]) ** 2 + ((column - b) / sizes[1]) ** 2 <= 1
            image = image + blot * chance.normal(0, 1.2) * spread
    thick = chance.uniform(2.0, 6.5) if chance.random() < ranges.thick else chance.uniform(0.3, 1.6)
    image = ndimage.gaussian_filter(image, (0.4 * thick, 0.4 * chance.uniform(0.3, 2.2)))
    if thick > 1.5:
        image = _in_slices(image, thick, chance)
    if chance.random() < 0.25:
        shift = (int(chance.integers(-25, 26)), int(chance.integers(-15, 16)))
        image = image + np.roll(image, shift, (0, 1)) * chance.uniform(0.05, 0.25)
    bias = _smooth(height, 60.0, 0.25, chance)[:, None] + _smooth(width, 40.0, 0.25, chance)[None]
    bias += chance.uniform(-0.012, 0.012) * (column - 22)
    if chance.random() < 0.3:  # the end of the coil
        edge = chance.uniform(-80, 80)
        away = np.maximum((row - height / 2 - edge) * chance.choice([-1.0, 1.0]), 0)
        bias -= away * chance.uniform(0.01, 0.06)
    image = image * np.exp(bias)
    if chance.random() < 0.3:  # saturation band before the spine
        image = image * np.where(column > chance.uniform(36, 56), chance.uniform(0, 0.7), 1.0)
    noise = chance.standard_normal(image.shape)
    if chance.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, 0.8) * 2.2
    return np.asarray(image + noise * chance.uniform(0, 0.35) * spread, np.float32)


def _in_slices(image: Array, thick: float, chance: np.random.Generator) -> Array:
    """Keep one value per axial slice, and interpolate between them."""
    at = np.arange(len(image)) / thick + chance.uniform(0, 1)
    count = int(at[-1]) + 2
    centres = (np.arange(count) - at[0]) * thick
    slices = ndimage.map_coordinates(
        image,
        np.meshgrid(centres, np.arange(image.shape[1]), indexing="ij"),
        order=1,
        mode="nearest",
    )
    slices *= 1 + chance.normal(0, chance.uniform(0, 0.06), (count, 1))
    grid = np.meshgrid(at, np.arange(image.shape[1]), indexing="ij")
    return np.asarray(ndimage.map_coordinates(slices, grid, order=1, mode="nearest"), np.float32)


def _field_of_view(ranges: PlaneRanges, chance: np.random.Generator) -> NDArray[np.bool_]:
    """Return the part of the window that the image covers."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    valid = np.ones((HEIGHT, WIDTH), bool)
    if chance.random() < ranges.cropped:
        length = chance.uniform(ranges.shortest, HEIGHT)
        first = chance.uniform(0, HEIGHT - length)
        slope = chance.uniform(-0.35, 0.35) if chance.random() < 0.5 else 0.0
        lean = row - slope * (column + BACK_MM)
        valid &= (lean >= first) & (lean < first + length)
    if chance.random() < 0.4:
        back, front = chance.uniform(-22, -8), chance.uniform(14, 34)
        valid &= (column + 0.5 + BACK_MM >= back) & (column + 0.5 + BACK_MM <= front)
    return valid
