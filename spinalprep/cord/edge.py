"""Where the outline of the cord has evidence in the image, and where it was carried on without."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from spinalprep.cord.section import HALF, cord_sections
from spinalprep.image import Image, on_grid_of, upright

Array = NDArray[np.float64]

SPACING_MM = 0.5  # of the points of an outline
ALONG_MM = 2.0  # of the outline over which a step is averaged
FROM_MM, TO_MM = 0.7, 1.7  # from the outline, inwards and outwards, where the image is read
LEAST_PIXELS = 0.75  # from the outline, where the pixel of the edge itself does not reach
SURE = 3.0  # standard errors that a step must exceed
LEAST_SHARE = 0.25  # of the usual step of the image that it must reach, too
STRETCH_MM = 10.0
MARGIN_MM = 3.0  # around the cord, more than is read outwards
LEAST_POINTS = 12
HIGH_PASS = 1.06  # noise over what is left of it after the mean of 3 x 3 pixels was taken away


@dataclass(frozen=True)
class Steps:
    """Steps of the image across the outline of one section, and the noise that they have.

    Attributes
    ----------
    step : ndarray of float, shape (N,)
        Outside minus inside, at points around the cord.
    error : float
        Standard error of a step.
    """

    step: Array
    error: float


@dataclass(frozen=True)
class Outline:
    """The outline of one section.

    Attributes
    ----------
    points : ndarray of float, shape (N, 2)
        At even distances, in mm along i and j.
    normal : ndarray of float, shape (N, 2)
        Unit vectors that point outwards.
    """

    points: Array
    normal: Array


def edge_shares(image: Image, cord: Image) -> dict[int, float]:
    """Return the share of the outline that the image shows, slice by slice.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    cord : Image, shape (I, J, K)
        Mask or probability, on the same voxels in any order.

    Returns
    -------
    shares : dict of int to float
        Of every axial slice with an outline, counted upwards from 0: the share of its points at
        which the image steps across the outline, in the direction that is usual in this image
        (fluid brighter, or darker, than cord), by three standard errors and by a quarter of the
        usual step.

    Raises
    ------
    InputError
        If the two do not have the same voxels.

    Notes
    -----
    A mask that has grown to the wall of the sac lies on a step, too, but on one of the other
    direction: from fluid to what is around it.
    """
    image = upright(image)
    weights = cord_sections(on_grid_of(image, cord, "the cord").data)
    level = HALF * float(weights.max(initial=0.0))
    pitch = np.asarray(image.voxel_sizes[:2], float)
    found: dict[int, Steps] = {}
    for k in np.flatnonzero(weights.any(axis=(0, 1))):
        box = section_box(weights[:, :, k] > 0, pitch)
        section = weights[:, :, k][box]
        steps = steps_across(image.data[:, :, k][box].astype(np.float64), section, level, pitch)
        if steps is not None:
            found[int(k)] = steps
    if not found:
        return {}
    usual = float(np.median(np.concatenate([one.step for one in found.values()])))
    least = LEAST_SHARE * abs(usual)
    return {
        k: float(np.mean(np.sign(usual) * one.step > max(SURE * one.error, least)))
        for k, one in found.items()
    }


def worst_stretch(shares: dict[int, float], spacing_mm: float) -> float | None:
    """Return the least mean share over 10 mm of cord, or over all of a shorter one.

    Parameters
    ----------
    shares : dict of int to float
        By slice, from `edge_shares`.
    spacing_mm : float
        Distance of the slices.

    Examples
    --------
    >>> worst_stretch({0: 1.0, 1: 0.5, 2: 0.3, 3: 1.0}, 5.0)
    0.4
    """
    if not shares:
        return None
    values = np.array([shares[k] for k in sorted(shares)])
    count = min(max(round(STRETCH_MM / spacing_mm), 1), len(values))
    return float(np.convolve(values, np.full(count, 1.0 / count), mode="valid").min())


def section_box(mask: NDArray[np.bool_], pitch: Array) -> tuple[slice, slice]:
    """Return the part of a slice that holds the cord and where the image is read around it."""
    margin = np.ceil(MARGIN_MM / pitch).astype(int) + 1
    i, j = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(i[0] - margin[0]), 0), int(i[-1] + margin[0]) + 1),
        slice(max(int(j[0] - margin[1]), 0), int(j[-1] + margin[1]) + 1),
    )


def outline_of(weights: Array, level: float, pitch: Array) -> Outline | None:
    """Return the outline of one section; None where it is too short.

    Parameters
    ----------
    weights : ndarray, shape (I, J)
        Mask or probability in one axial slice, one body.
    level : float
        Where the outline is drawn.
    pitch : ndarray, shape (2,)
        Edges of a pixel in mm.
    """
    contours = find_contours(np.pad(weights, 1), level)  # type: ignore[no-untyped-call]
    longest = max(contours, key=len, default=np.empty((0, 2)))
    points = _evenly((longest - 1) * pitch)
    if len(points) < LEAST_POINTS:
        return None
    smooth = ndimage.gaussian_filter1d(points, 1.0 / SPACING_MM, axis=0, mode="wrap")
    tangent = np.roll(smooth, -1, axis=0) - np.roll(smooth, 1, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal *= np.sign(np.sum(normal * (points - points.mean(axis=0)), axis=1).sum())
    return Outline(points, normal)


def read_along(grey: Array, outline: Outline, away: Array, pitch: Array) -> Array:
    """Return the image at distances (M,) in mm outside every point of an outline, (N, M)."""
    at = (outline.points[:, None] + away[None, :, None] * outline.normal[:, None]) / pitch
    values = ndimage.map_coordinates(grey, np.moveaxis(at, -1, 0), order=1, mode="nearest")
    return np.asarray(values)


def steps_across(grey: Array, weights: Array, level: float, pitch: Array) -> Steps | None:
    """Return the steps across the outline of one section; None where it is too short.

    Parameters
    ----------
    grey, weights : ndarray, shape (I, J)
        Image, and mask or probability, in one section.
    level : float
        Of ``weights``, where the outline is drawn.
    pitch : ndarray, shape (2,)
        Edges of a pixel in mm.
    """
    outline = outline_of(weights, level, pitch)
    if outline is None:
        return None
    first = max(FROM_MM, LEAST_PIXELS * float(pitch.max()))
    away: Array = np.arange(first, first + TO_MM - FROM_MM + 1e-6, SPACING_MM).astype(np.float64)
    outer, inner = (
        read_along(grey, outline, sign * away, pitch).mean(axis=1) for sign in (1.0, -1.0)
    )
    window = max(round(ALONG_MM / SPACING_MM), 1)
    step = ndimage.uniform_filter1d(outer - inner, window, mode="wrap")
    pixels = max(ALONG_MM * (TO_MM - FROM_MM) / float(np.prod(pitch)), 1.0)
    return Steps(step, pixel_noise(grey, weights >= level) * float(np.sqrt(2.0 / pixels)))


def _evenly(points: Array) -> Array:
    """Return points of a closed outline at even distances, in mm."""
    if len(points) < 2:
        return points
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], max(round(float(length[-1]) / SPACING_MM), 1), endpoint=False)
    return np.stack([np.interp(at, length, points[:, axis]) for axis in (0, 1)], axis=1)


def pixel_noise(grey: Array, mask: NDArray[np.bool_]) -> float:
    """Return the standard deviation of the noise in one section, from its pixels."""
    inner = ndimage.binary_erosion(mask)
    rough = (grey - ndimage.uniform_filter(grey, 3))[inner if inner.any() else mask]
    return float(np.sqrt(np.mean(rough**2))) * HIGH_PASS
