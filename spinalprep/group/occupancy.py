"""Where the lesions are: share of every region of the template's cord that is lesion."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.group.domain import Observation
from spinalprep.group.maps import wilson_interval
from spinalprep.group.regions import Regions

LEAST_COVERED = 0.1  # of a region, under which a person says nothing about it


def measure_occupancy(regions: Regions, person: Observation) -> pd.DataFrame:
    """Measure how much of every region is lesion in one person.

    Returns
    -------
    table : DataFrame
        The rows of ``regions.table`` with ``region_mm3``, ``covered_mm3``, ``lesion_mm3`` (of the
        template, partial volumes counted) and ``occupancy``, lesion over covered volume; NaN where
        less than a tenth of the region is covered, or where nobody looked for lesions.
    """
    seen = np.stack([np.ones(len(person.covered)), person.covered, person.lesions_seen])
    whole, covered, lesion = (regions.share @ seen.T.astype(np.float32)).T * regions.voxel_mm3
    enough = covered >= LEAST_COVERED * whole
    if person.lesion is None:
        enough, lesion = np.zeros_like(enough), np.full_like(lesion, np.nan)
    occupancy = np.where(enough, lesion / np.maximum(covered, 1e-9), np.nan)
    return regions.table.assign(
        region_mm3=whole, covered_mm3=covered, lesion_mm3=lesion, occupancy=occupancy
    )


def summarise_occupancy(
    regions: Regions,
    occupancy: NDArray[np.float64],
    lesion_mm3: NDArray[np.float64],
    min_n: int,
    seed: int,
) -> pd.DataFrame:
    """Return mean occupancy and the share of people with a lesion, with their intervals.

    Parameters
    ----------
    regions : Regions
        R of them.
    occupancy, lesion_mm3 : ndarray of float64, shape (N, R)
        See `measure_occupancy`.
    min_n : int
        Where fewer people are known, there is their number alone.
    seed : int
        Of the bootstrap.
    """
    known = np.isfinite(occupancy)
    n = known.sum(axis=0)
    hits = ((lesion_mm3 > 0) & known).sum(axis=0)
    mean, lower, upper = bootstrap_mean(occupancy, seed)
    low, high = wilson_interval(hits, np.maximum(n, 1))
    few = n < min_n
    return regions.table.assign(
        n=n,
        occupancy_mean=np.where(few, np.nan, mean),
        occupancy_lower=np.where(few, np.nan, lower),
        occupancy_upper=np.where(few, np.nan, upper),
        people_with_lesion=hits,
        people_share=np.where(few, np.nan, hits / np.maximum(n, 1)),
        people_share_lower=np.where(few, np.nan, low),
        people_share_upper=np.where(few, np.nan, high),
    )


def summarise_groups(
    regions: Regions,
    people: tuple[NDArray[np.float64], NDArray[np.float64]],
    groups: Mapping[str, NDArray[np.intp]],
    min_n: int,
    seed: int,
) -> pd.DataFrame:
    """Return the summaries of several groups under each other, ``cohort`` first.

    ``people`` is occupancy and lesion volume of everybody; ``groups`` are rows of these. The rest
    is as in `summarise_occupancy`.
    """
    parts = []
    for name, rows in groups.items():
        occupancy, lesion_mm3 = (values[rows] for values in people)
        part = summarise_occupancy(regions, occupancy, lesion_mm3, min_n, seed)
        part.insert(0, "cohort", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def add_image_volumes(occupancy: pd.DataFrame, image: pd.DataFrame | None) -> pd.DataFrame:
    """Add what the person's own image says of the same regions; missing where it has none.

    Parameters
    ----------
    occupancy : DataFrame
        From `measure_occupancy`.
    image : DataFrame or None
        Lesions by region in the image: ``vertebral_level``, ``kind``, ``region``, ``side``,
        ``lesion`` (``all`` is every lesion together), ``region_mm3`` and ``lesion_mm3``.
    """
    names = {"region_mm3": "region_mm3_image", "lesion_mm3": "lesion_mm3_image"}
    if image is None:
        return occupancy.assign(**dict.fromkeys(names.values(), np.nan))
    whole = (image["side"] == "both") | (image["kind"] == "tract")
    own = image[whole & (image["lesion"].astype(str) == "all")]
    own = own.rename(columns=names | {"vertebral_level": "levels"})
    keys = ["levels", "kind", "region"]
    for column in names.values():
        own[column] = pd.to_numeric(own[column], errors="coerce")
    return occupancy.merge(own[[*keys, *names.values()]], on=keys, how="left")


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

    Notes
    -----
    The percentile interval [1]_. `scipy.stats.bootstrap` gives the same where everybody is known
    (a test holds them against each other), but here it is no substitute: a resample in which nobody
    knows a region makes its interval NaN, and with 300 regions of 1000 people it takes 30 s where
    the product with a matrix of how often each person was drawn takes 1 s.

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
