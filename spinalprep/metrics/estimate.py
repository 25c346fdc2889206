"""What a map is worth in every region of the cord: averages and Gauss-Markov estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.levels.discs import level_name
from spinalprep.template.regions import Region

Array = NDArray[np.float64]

ALL = "all"
HALF = 0.5  # share of a voxel from which it counts for the plain mean
LEAST_KNOWN = 1.0 - 1e-6  # of a region's own direction, under which it can't be told from others
RANK = 1e-10  # singular values beyond this share of the largest count
PRIOR_WEIGHT = 1.0  # variance of the noise over that of the regions, as in SCT
COLUMNS = (
    "vertebral_level",
    "kind",
    "region",
    "side",
    "voxels",
    "voxels_effective",
    "volume_mm3",
    "known_percent",
    "zero_percent",
    "metric_mean",
    "metric_median",
    "metric_wa",
    "metric_wa_spread",
    "metric_ml",
    "metric_ml_error",
    "metric_map",
)


@dataclass(frozen=True)
class Shares:
    """How the voxels of a cord are made up.

    Attributes
    ----------
    fraction : ndarray of float32, shape (M, R)
        Share of each region of the atlas in the cord's voxels.
    regions : tuple of Region
        What is measured, as sets of columns of ``fraction``.
    fluid : tuple of int
        Columns of ``fraction`` that are cerebrospinal fluid: no region, but what a voxel at the
        edge of the cord is made of as well.
    clusters : tuple of tuple of int
        Columns that are alike, for the prior of the maximum a posteriori.
    """

    fraction: NDArray[np.float32]
    regions: tuple[Region, ...]
    fluid: tuple[int, ...] = ()
    clusters: tuple[tuple[int, ...], ...] = ()


def measure_metric(
    values: Array,
    shares: Shares,
    levels: NDArray[np.integer] | None,
    voxel_mm3: float,
) -> pd.DataFrame:
    """Estimate a map in every region of the cord, for all levels together and for each.

    Parameters
    ----------
    values : ndarray of float64, shape (M,)
        The map in the cord's voxels; NaN where it says nothing.
    shares : Shares
        Of the same voxels.
    levels : ndarray of int, shape (M,), optional
        Vertebral level of the voxels, C1 = 1; 0 where unknown.
    voxel_mm3 : float

    Returns
    -------
    table : DataFrame
        A row per level (``all`` first) and region: ``voxels``, the sum of its shares where the
        map is known, ``voxels_effective``, the number of equal voxels that would average as well
        (Kish), ``volume_mm3``; ``known_percent`` of the region where the map is known, and
        ``zero_percent`` of these in which it is exactly 0; ``metric_mean`` of voxels that
        are at least half in it; ``metric_median``, ``metric_wa`` and ``metric_wa_spread``: median,
        mean and standard deviation weighted by the shares; ``metric_ml`` with its standard error,
        and ``metric_map``. NaN where it can't be told.

    Notes
    -----
    A voxel is the sum of its parts, ``y = X b + e``: maximum likelihood under independent noise is
    ``b = (X'X)^-1 X'y`` [1]_, which unmixes partial volumes; with a prior, the estimate of
    clusters (white matter, gray matter, fluid) of one level, it is the maximum a posteriori
    ``b = p + (X'X + I)^-1 X'(y - X p)`` [2]_. A region of several tracts is one column of X, the
    other tracts keep theirs. The standard error takes voxels as independent.

    References
    ----------
    .. [1] Levy et al. (2015), "White matter atlas of the human spinal cord with estimation of
       partial volume effect", NeuroImage 119:262-271, doi:10.1016/j.neuroimage.2015.06.040.
    .. [2] De Leener et al. (2017), "SCT: Spinal Cord Toolbox", NeuroImage 145:24-43,
       doi:10.1016/j.neuroimage.2016.10.009.
    """
    mixed = _mixture(shares)
    weights = mixed @ _members(shares)
    groups: list[tuple[str, NDArray[np.bool_]]] = [(ALL, np.ones(len(values), bool))]
    if levels is not None:
        found = [int(n) for n in np.unique(levels) if n > 0]
        groups += [(level_name(n), levels == n) for n in found]
    parts = []
    for name, here in groups:
        known = here & np.isfinite(values)
        whole = weights[here].sum(axis=0)
        columns = _averages(values[known], weights[known], whole)
        made = known & (mixed.sum(axis=1) > 0)
        columns |= _unmix(values[made], mixed[made], shares)
        parts.append(_rows(name, shares.regions, columns, voxel_mm3)[whole > 0])
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _mixture(shares: Shares) -> Array:
    """Return what voxels are made of, shape (M, R): with fluid they add up to one."""
    mixed = np.clip(shares.fraction.astype(np.float64), 0.0, 1.0)
    fluid = list(shares.fluid)
    solid = [n for n in range(mixed.shape[1]) if n not in fluid]
    wet = np.clip(mixed[:, fluid].sum(axis=1, keepdims=True), 0.0, 1.0)
    mixed[:, solid] *= 1.0 - wet
    mixed[mixed[:, solid].sum(axis=1) <= 0] = 0.0  # the atlas knows nothing of these
    return mixed


def _members(shares: Shares) -> Array:
    """Return which column belongs to which region, shape (R, Q)."""
    member = np.zeros((shares.fraction.shape[1], len(shares.regions)))
    for place, region in enumerate(shares.regions):
        member[list(region.members), place] = 1.0
    return member


def _averages(y: Array, weights: Array, whole: Array) -> dict[str, Array]:
    """Return what needs no unmixing, for each region; (N,), (N, Q) and (Q,) in."""
    total = weights.sum(axis=0)
    safe = np.where(total > 0, total, np.nan)
    mean = (y @ weights) / safe
    spread = np.sqrt(np.maximum((y**2) @ weights / safe - mean**2, 0.0))
    half = weights >= HALF
    number = half.sum(axis=0)
    return {
        "voxels": total,
        "voxels_effective": total**2 / np.where(total > 0, (weights**2).sum(axis=0), np.nan),
        "known_percent": 100.0 * total / np.where(whole > 0, whole, np.nan),
        "zero_percent": 100.0 * ((y == 0) @ weights) / safe,
        "metric_mean": (y @ half) / np.where(number > 0, number, np.nan),
        "metric_median": _medians(y, weights),
        "metric_wa": mean,
        "metric_wa_spread": spread,
    }


def _medians(y: Array, weights: Array) -> Array:
    """Return the weighted median of each region, shape (Q,)."""
    order = np.argsort(y, kind="stable")
    if not len(order):
        return np.full(weights.shape[1], np.nan)
    heap = np.cumsum(weights[order], axis=0)
    half = heap[-1] / 2
    low = (heap < half - 1e-9).sum(axis=0).clip(max=len(y) - 1)
    high = (heap <= half + 1e-9).sum(axis=0).clip(max=len(y) - 1)
    middle = (y[order][low] + y[order][high]) / 2
    return np.where(heap[-1] > 0, middle, np.nan)


def _unmix(y: Array, mixed: Array, shares: Shares) -> dict[str, Array]:
    """Return maximum likelihood with standard error, and maximum a posteriori, of each region."""
    gram, right, power = mixed.T @ mixed, mixed.T @ y, float(y @ y)
    volume = mixed.sum(axis=0)
    prior = _prior(gram, right, shares)
    found = np.full((3, len(shares.regions)), np.nan)
    for place, region in enumerate(shares.regions):
        own = list(region.members)
        others = [n for n in range(len(volume)) if n not in own and volume[n] > 0]
        if volume[own].sum() <= 0:
            continue
        merge = np.zeros((len(volume), 1 + len(others)))
        merge[own, 0] = 1.0
        merge[others, np.arange(len(others)) + 1] = 1.0
        small, aim = merge.T @ gram @ merge, merge.T @ right
        guess = np.array([volume[own] @ prior[own] / volume[own].sum(), *prior[others]])
        found[:2, place] = _likeliest(small, aim, power, len(y))
        ridge = small + PRIOR_WEIGHT * np.eye(len(small))
        found[2, place] = guess[0] + np.linalg.solve(ridge, aim - small @ guess)[0]
    return dict(zip(("metric_ml", "metric_ml_error", "metric_map"), found, strict=True))


def _likeliest(gram: Array, right: Array, power: float, count: int) -> tuple[float, float]:
    """Return the first unknown of normal equations and its standard error; NaN if not unique."""
    inverse = np.linalg.pinv(gram, rcond=RANK, hermitian=True)
    resolved = inverse @ gram
    if resolved[0, 0] < LEAST_KNOWN:
        return float("nan"), float("nan")
    solution = inverse @ right
    free = count - float(np.trace(resolved))
    if free < 0.5:
        return float(solution[0]), float("nan")
    noise = max(power - float(solution @ right), 0.0) / free
    return float(solution[0]), float(np.sqrt(noise * inverse[0, 0]))


def _prior(gram: Array, right: Array, shares: Shares) -> Array:
    """Return the estimate of its cluster for each column, shape (R,)."""
    clusters = shares.clusters or (tuple(range(len(right))),)
    merge = np.zeros((len(right), len(clusters)))
    for place, columns in enumerate(clusters):
        merge[list(columns), place] = 1.0
    inverse = np.linalg.pinv(merge.T @ gram @ merge, rcond=RANK, hermitian=True)
    return np.asarray(merge @ (inverse @ (merge.T @ right)))


def _rows(
    level: str, regions: Sequence[Region], columns: Mapping[str, Array], voxel_mm3: float
) -> pd.DataFrame:
    """Return a row per region."""
    table = pd.DataFrame(
        {
            "vertebral_level": level,
            "kind": [r.kind for r in regions],
            "region": [r.name for r in regions],
            "side": [r.side for r in regions],
        }
    ).assign(**columns)
    return table.assign(volume_mm3=table["voxels"] * voxel_mm3)
