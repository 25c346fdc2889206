"""How sure the sizes of the cord and of its gray matter are."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Pixel = tuple[float, float]

DIAMETERS = ("diameter_ap_mm", "diameter_rl_mm")
GM_METRICS = ("gm_area_mm2", "gm_ratio")
INTERVALS = {
    name: (f"{name}_lower", f"{name}_upper") for name in ("area_mm2", *DIAMETERS, *GM_METRICS)
}
NORMAL_95 = 1.96  # standard deviations on either side
# how far off a network's edge is (SD): the least multiples of 0.05 pixels whose intervals held 95 %
# of the true areas, and of the true diameters, in every contrast of synthetic subjects
# (benchmarks/shape.py)
EDGE_PIXELS = 0.1  # the whole outline, of cord and gray matter
EDGE_ACROSS_PIXELS = 0.15  # the two sides of a diameter
# chance along a circle's edge moves a diameter of moments by (1 + 2 cos 2t) at angle t: the mean of
# its square
CHANCE_ACROSS = 3.0
MIRRORED = 2  # halves of the gray matter that lie alike to the pixels, and err alike in a mask
FINEST_MM = 0.5  # smaller pixels do not make the edge of a network surer


def add_intervals(
    table: pd.DataFrame, weights: Array, pixel: Pixel, spread: NDArray[np.generic] | None
) -> pd.DataFrame:
    """Put the ends of an interval beside area and diameters of the cord.

    Parameters
    ----------
    table : DataFrame
        From `shape.measure_slices`, a row per slice.
    weights : ndarray of float64, shape (I, J, K)
        The cord, from `section.cord_sections`.
    pixel : tuple of float
        Edges of a pixel of the axial slices, i and j, in mm.
    spread : ndarray, shape (I, J, K), or None
        Standard deviation of the cord, where a network made it.

    Returns
    -------
    table : DataFrame
        With ``_lower`` and ``_upper`` after each size: +-1.96 standard deviations. Those of a
        network's cord are made to hold the true sizes of synthetic subjects; those of a mask
        without spread know nothing of where a rater saw the edge.

    Notes
    -----
    The variance has up to three parts: chance, that of every soft voxel by itself (`_chance`); and
    in a network's cord, where all voxels err together, its spread, (sum of spread)^2, and what
    all its views get wrong, (`EDGE_PIXELS` x circumference)^2. An edge that is d off changes
    the area by d x circumference and a diameter by 2 d; its sides are `EDGE_ACROSS_PIXELS` off,
    and chance moves a diameter as if it were `CHANCE_ACROSS` as large.
    """
    slices, pixel_mm = table["slice"].to_numpy(int), _edge_mm(pixel)
    box = _box(weights)
    weights = weights[box]
    alone = _chance(weights)[slices]
    around = _around(weights.sum(axis=(0, 1)))[slices]
    moved, edge = np.zeros(len(slices)), np.zeros(len(slices))
    if spread is not None:
        moved = np.where(weights > 0, spread[box], 0.0).sum(axis=(0, 1), dtype=float)[slices]
        edge = around * max(FINEST_MM / pixel_mm, 1.0)
    area = np.sqrt(alone + moved**2 + (EDGE_PIXELS * edge) ** 2)
    area *= pixel_mm**2 * _cosine(table)
    across = np.sqrt(CHANCE_ACROSS * alone + moved**2 + (EDGE_ACROSS_PIXELS * edge) ** 2)
    across *= 2.0 * pixel_mm / around
    table = _with_ends(table, "area_mm2", area)
    for name in DIAMETERS:
        table = _with_ends(table, name, across)
    return table


def add_grey_matter(
    table: pd.DataFrame, weights: Array, pixel: Pixel, gm: Array, *, found: bool
) -> pd.DataFrame:
    """Put area and share of the gray matter into a table, with intervals.

    Parameters
    ----------
    table : DataFrame
        From `add_intervals`.
    weights, pixel
        As there.
    gm : ndarray of float64, shape (I, J, K)
        Mask or probability of the gray matter; what lies outside the cord does not count, nor
        does NaN.
    found : bool
        Whether a network found it, so that its edge may be off.

    Returns
    -------
    table : DataFrame
        With ``gm_area_mm2`` and ``gm_ratio``, its share of the cord, each with ``_lower`` and
        ``_upper``; NaN in slices in which nobody saw any.

    Notes
    -----
    As in `add_intervals`, without a spread, along the whole outline of the gray matter, whose
    length is the integral of the gradient's magnitude; a butterfly's is half as long again as the
    circumference of a disc of its area. The errors of gray matter and cord are taken as
    independent in their ratio.
    """
    slices, pixel_mm = table["slice"].to_numpy(int), _edge_mm(pixel)
    box = _box(weights)
    weights = weights[box]
    inside = np.where(weights > 0, np.clip(np.nan_to_num(gm[box]), 0.0, 1.0), 0.0)
    total = inside.sum(axis=(0, 1))[slices]
    share = total / np.maximum(weights.sum(axis=(0, 1))[slices], 1e-9)
    share = np.where(share > 0, share, np.nan)
    variance = _chance(inside, MIRRORED)[slices]
    if found:
        slope = np.hypot(*np.gradient(inside, *pixel, axis=(0, 1))).sum(axis=(0, 1))[slices]
        off = EDGE_PIXELS * max(FINEST_MM / pixel_mm, 1.0)
        variance += (off * pixel_mm * slope) ** 2  # slope: length over area
    area = table["area_mm2"].to_numpy(float)
    sd = np.where(share > 0, pixel_mm**2 * np.sqrt(variance) * _cosine(table), np.nan)
    table = table.assign(gm_area_mm2=area * share, gm_ratio=share)
    cord_sd = (table["area_mm2_upper"].to_numpy(float) - area) / NORMAL_95
    table = _with_ends(table, "gm_area_mm2", sd)
    return _with_ends(table, "gm_ratio", np.hypot(sd, share * cord_sd) / area)


def _box(weights: Array) -> tuple[slice, slice]:
    """Return the box around a cord in the axial plane, a pixel wider on every side."""
    i, j = (np.flatnonzero(weights.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    return slice(max(i[0] - 1, 0), i[-1] + 2), slice(max(j[0] - 1, 0), j[-1] + 2)


def _chance(weights: Array, alike: int = 1) -> Array:
    """Return the variance of the sum of each axial slice, in voxels^2, by chance alone.

    Every voxel of share p is in or out by itself, p (1 - p), and at least 1/12 per voxel at the
    edge, as a mask without soft voxels is uncertain by where the pixels happen to lie; so many
    times as much where ``alike`` parts of the edge lie in the same way.
    """
    soft = (weights * (1.0 - weights)).sum(axis=(0, 1))
    mask = weights > 0
    inner = ndimage.binary_erosion(mask, np.ones((3, 3, 1), bool), border_value=1)
    return np.asarray(np.maximum(soft, alike * (mask & ~inner).sum(axis=(0, 1)) / 12.0))


def _edge_mm(pixel: Pixel) -> float:
    """Return the edge of a square as large as a pixel, in mm."""
    return float(np.sqrt(pixel[0] * pixel[1]))


def _around(area: Array) -> Array:
    """Return the circumference of discs of given areas."""
    return np.asarray(2.0 * np.sqrt(np.pi * area))


def _cosine(table: pd.DataFrame) -> Array:
    """Return what makes the area of an axial section one across the cord."""
    return np.asarray(np.cos(np.deg2rad(table["tilt_deg"].to_numpy(float))))


def _with_ends(table: pd.DataFrame, name: str, sd: Array) -> pd.DataFrame:
    """Return a table with the ends of an interval after a column; nothing is below 0."""
    value, at = table[name].to_numpy(float), table.columns.get_loc(name)
    lower, upper = INTERVALS[name]
    table = table.copy()
    table.insert(at + 1, lower, np.maximum(value - NORMAL_95 * sd, 0.0))
    table.insert(at + 2, upper, value + NORMAL_95 * sd)
    return table
