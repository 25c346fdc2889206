"""Regions and curves of people, compared: rows of one table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.group.curves import Profiles, compare_curves
from spinalprep.group.design import Comparison
from spinalprep.group.permutation import Plan, Result, compare

COLUMNS = (
    *("comparison", "measure", "levels", "kind", "region", "n", "n_a", "n_b", "t", "df"),
    *("effect", "lower", "upper", "p_uncorrected", "p_fwe"),
)


def compare_regions(
    occupancy: NDArray[np.float64],
    regions: pd.DataFrame,
    comparisons: Sequence[Comparison],
    plan: Plan,
) -> list[pd.DataFrame]:
    """Compare the occupancy of every region; p is corrected for all regions.

    Parameters
    ----------
    occupancy : ndarray of float64, shape (N, R)
        NaN where a person says nothing about a region.
    regions : DataFrame
        ``levels``, ``kind`` and ``region`` of the R regions.
    comparisons : sequence of Comparison
    plan : Plan

    Returns
    -------
    tables : list of DataFrame
        One per comparison, a row per region that was tested: `COLUMNS`.
    """
    known = np.isfinite(occupancy)
    return [
        _rows(c, "occupancy", regions, compare(np.nan_to_num(occupancy), known, c, plan))
        for c in comparisons
    ]


def compare_profiles(
    profiles: Mapping[str, Profiles], comparisons: Sequence[Comparison], plan: Plan
) -> list[pd.DataFrame]:
    """Compare measures slice by slice; p is corrected for all slices of a measure.

    Parameters
    ----------
    profiles : mapping of str to Profiles
        By the name of the measure.
    comparisons : sequence of Comparison
    plan : Plan

    Returns
    -------
    tables : list of DataFrame
        One per measure and comparison, a row per slice that was tested: `COLUMNS`.
    """
    tables = []
    for measure, own in profiles.items():
        where = pd.DataFrame({"levels": own.levels, "kind": "slice"})
        where["region"] = [str(k) for k in own.slices]
        tables += [_rows(c, measure, where, compare_curves(own, c, plan)) for c in comparisons]
    return tables


def _rows(comparison: Comparison, measure: str, where: pd.DataFrame, found: Result) -> pd.DataFrame:
    """Return the rows of what was tested."""
    table = where.assign(
        comparison=comparison.question,
        measure=measure,
        n=found.n,
        n_a=found.n_first if found.n_first is not None else np.nan,
        n_b=found.n - found.n_first if found.n_first is not None else np.nan,
        lower=found.lower,
        upper=found.upper,
        t=found.t,
        df=found.df,
        effect=found.effect,
        p_uncorrected=found.p_uncorrected,
        p_fwe=found.p,
    )
    return table.loc[np.isfinite(found.p), list(COLUMNS)]
