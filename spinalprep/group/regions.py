"""Where the lesions are: share of every region of the template's cord that is lesion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from spinalprep.group.domain import Domain, Observation
from spinalprep.template.regions import COLUMNS, CORD, TISSUES

LEVEL_GROUPS = {
    "C1-C3": range(1, 4),
    "C4-C7": range(4, 8),
    "T1-T6": range(8, 14),
    "T7-T12": range(14, 20),
    "L1-L5": range(20, 25),
}
LEAST_COVERED = 0.1  # of a region, under which a person says nothing about it


@dataclass(frozen=True)
class Regions:
    """Regions of the cord: levels times what lies across it.

    Attributes
    ----------
    table : DataFrame
        A row per region: ``levels`` (``all``, ``C1-C3``, ``C4``...), ``kind`` (``cord``,
        ``column``, ``tissue``, ``tract``) and ``region``.
    share : sparse array, shape (R, V), float32
        Share of each voxel that belongs to the region.
    voxel_mm3 : float
    """

    table: pd.DataFrame
    share: sparse.csr_array
    voxel_mm3: float


def build_regions(
    domain: Domain,
    levels: NDArray[np.integer],
    level_names: Mapping[int, str],
    tracts: Sequence[tuple[str, NDArray[np.float32]]] = (),
    combined: Mapping[str, Sequence[int]] | None = None,
) -> Regions:
    """Lay levels and atlas over each other.

    Parameters
    ----------
    domain : Domain
        The template's cord, V voxels.
    levels : ndarray of int, shape (V,)
        Vertebral level of every voxel, C1 = 1; 0 where there is none.
    level_names : mapping of int to str
        What the levels are called.
    tracts : sequence of (name, ndarray of float32 of shape (V,))
        Share of each voxel that is this region of the atlas; empty without an atlas.
    combined : mapping of str to sequence of int, optional
        The atlas's combined regions as indices of ``tracts``.
    """
    across: list[tuple[str, str, NDArray[np.float32]]] = [
        (CORD, CORD, np.ones(domain.size, np.float32))
    ]
    for kind, wanted in (("column", COLUMNS), ("tissue", TISSUES)):
        for name, short in wanted.items():
            if combined and name in combined and tracts:
                parts = [tracts[n][1] for n in combined[name] if n < len(tracts)]
                across.append((kind, short, np.sum(parts, axis=0, dtype=np.float32)))
    across += [("tract", name, share) for name, share in tracts]
    along: list[tuple[str, NDArray[np.bool_]]] = [("all", np.ones(domain.size, bool))]
    along += [(name, np.isin(levels, list(group))) for name, group in LEVEL_GROUPS.items()]
    along += [(level_names[n], levels == n) for n in sorted(set(levels.tolist()) - {0})]
    base = sparse.csr_array(np.stack([share for *_, share in across]))
    wide = [n for n, (kind, *_) in enumerate(across) if kind != "tract"]
    rows, blocks = [], []
    for where, there in along:
        if not there.any():
            continue
        single = where != "all" and where not in LEVEL_GROUPS  # a tract in one level is a few mm3
        part = wide if single else list(range(len(across)))
        blocks.append(base[part].multiply(there[None, :].astype(np.float32)).tocsr())
        rows += [{"levels": where, "kind": across[n][0], "region": across[n][1]} for n in part]
    share = sparse.csr_array(sparse.vstack(blocks))
    table = pd.DataFrame(rows)
    kept = np.asarray(share.sum(axis=1)).ravel() * domain.voxel_mm3 >= 1.0  # an empty overlap
    return Regions(table[kept].reset_index(drop=True), share[kept], domain.voxel_mm3)


def measure_occupancy(regions: Regions, person: Observation) -> pd.DataFrame:
    """Measure how much of every region is lesion in one person.

    Returns
    -------
    table : DataFrame
        The rows of ``regions.table`` with ``region_mm3``, ``covered_mm3``, ``lesion_mm3`` (of the
        template, partial volumes counted) and ``occupancy``, lesion over covered volume; NaN where
        less than a tenth of the region is covered.
    """
    seen = np.stack([np.ones(len(person.covered)), person.covered, person.lesion & person.covered])
    whole, covered, lesion = (regions.share @ seen.T.astype(np.float32)).T * regions.voxel_mm3
    enough = covered >= LEAST_COVERED * whole
    occupancy = np.where(enough, lesion / np.maximum(covered, 1e-9), np.nan)
    return regions.table.assign(
        region_mm3=whole, covered_mm3=covered, lesion_mm3=lesion, occupancy=occupancy
    )


def bootstrap_mean(
    values: NDArray[np.float64], seed: int, rounds: int = 2000, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and percentile bootstrap interval over people, NaN left out.

    Parameters
    ----------
    values : ndarray of float64, shape (N, R)
        A row per person.
    seed : int
    rounds : int
        Resamples of people; all regions share them.
    confidence : float

    Returns
    -------
    mean, lower, upper : ndarray of float64, shape (R,)
        NaN where nobody is known; the interval where fewer than two are.

    References
    ----------
    .. [1] Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    chance = np.random.default_rng(seed)
    count = len(values)
    weights = chance.multinomial(count, np.full(count, 1 / count), size=rounds).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / known.sum(axis=0)
        drawn = (weights @ filled) / (weights @ known.astype(float))
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        lower, upper = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        some = known.sum(axis=0) >= 2
        if some.any():
            lower[some], upper[some] = np.nanquantile(drawn[:, some], ends, axis=0)
    return mean, lower, upper
