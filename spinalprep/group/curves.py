"""Measures along the cord: mean and band of a cohort, and one cohort against another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from spinalprep.group.design import Comparison
from spinalprep.group.permutation import Plan, Result, compare
from spinalprep.tables import is_true

CONFIDENCE = 0.95
MEASURES = ("area_mm2", "gm_area_mm2", "gm_ratio", "diameter_ap_mm", "diameter_rl_mm")
COLUMNS = (
    *("cohort", "measure", "template_slice", "vertebral_level", "n", "changed", "mean", "sd"),
    *("lower", "upper"),
)


@dataclass(frozen=True)
class Profiles:
    """One measure of every person at every slice of the template.

    Attributes
    ----------
    person_id : tuple of str, length N
    slices : ndarray of int, shape (S,)
        Template slices, superior first.
    levels : tuple of str, length S
        Vertebral level of each slice.
    measures : ndarray of float64, shape (N, S)
        NaN where the person has none.
    """

    person_id: tuple[str, ...]
    slices: NDArray[np.int64]
    levels: tuple[str, ...]
    measures: NDArray[np.float64]


def all_profiles(table: pd.DataFrame | None, people: Sequence[str]) -> dict[str, Profiles]:
    """Return the profiles of every measure that the people's tables have, where it is sure."""
    if table is None:
        return {}
    if "doubtful" in table:  # results of an earlier version have no such column
        table = table[~is_true(table["doubtful"])]
    known = [m for m in MEASURES if m in table and not table[m].isna().all()]
    return {measure: gather_profiles(table, measure, people) for measure in known}


def mean_curves(
    profiles: Mapping[str, Profiles], groups: Mapping[str, NDArray[np.intp]], min_n: int
) -> pd.DataFrame:
    """Return the curves of every measure and group of people under each other: `COLUMNS`."""
    curves = []
    for measure, own in profiles.items():
        for name, rows in groups.items():
            curve = mean_curve(own, rows, min_n)
            curve.insert(0, "cohort", name)
            curve.insert(1, "measure", measure)
            curves.append(curve)
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=list(COLUMNS))


def gather_profiles(table: pd.DataFrame, measure: str, people: Sequence[str]) -> Profiles:
    """Arrange a tidy table by person and slice.

    Parameters
    ----------
    table : DataFrame
        ``person_id``, ``template_slice``, ``vertebral_level`` and the measure; one row each.
    measure : str
    people : sequence of str
        Who, and in which order.
    """
    wide = table.pivot_table(index="person_id", columns="template_slice", values=measure)
    slices = np.sort(np.asarray(wide.columns, np.int64))[::-1]
    wide = wide.reindex(index=list(people), columns=slices)
    names = table.dropna(subset=["vertebral_level"]).groupby("template_slice")["vertebral_level"]
    level = names.agg(lambda values: values.astype(str).mode().iloc[0])
    return Profiles(
        tuple(people),
        slices,
        tuple(str(level.get(k, "n/a")) for k in slices),
        wide.to_numpy(float),
    )


def mean_curve(profiles: Profiles, rows: NDArray[np.intp], min_n: int = 5) -> pd.DataFrame:
    """Return mean, standard deviation and band of a cohort along the cord.

    Parameters
    ----------
    profiles : Profiles
    rows : ndarray of int
        The cohort's people.
    min_n : int
        Slices with fewer people say nothing.

    Returns
    -------
    table : DataFrame
        ``template_slice``, ``vertebral_level``, ``n``, ``changed`` (how many people are in this
        slice or in the next one above, but not in both; 0 in the first), ``mean``, ``sd``, and
        ``lower`` and ``upper``, Student's 95 % interval of the mean, slice by slice.
    """
    own = profiles.measures[rows]
    known = np.isfinite(own)
    n = known.sum(axis=0)
    changed = np.diff(known, axis=1, prepend=known[:, :1]).sum(axis=0)
    mean, sd = np.full(len(n), np.nan), np.full(len(n), np.nan)
    some = n >= max(min_n, 2)
    mean[some] = np.nanmean(own[:, some], axis=0)
    sd[some] = np.nanstd(own[:, some], axis=0, ddof=1)
    half = student.ppf(0.5 + CONFIDENCE / 2, np.maximum(n - 1, 1)) * sd / np.sqrt(np.maximum(n, 1))
    return pd.DataFrame(
        {
            "template_slice": profiles.slices,
            "vertebral_level": profiles.levels,
            "n": n,
            "changed": changed,
            "mean": mean,
            "sd": sd,
            "lower": mean - half,
            "upper": mean + half,
        }
    )


def compare_curves(profiles: Profiles, comparison: Comparison, plan: Plan) -> Result:
    """Compare people slice by slice; p is corrected for all slices (see `compare`)."""
    known = np.isfinite(profiles.measures)
    return compare(np.nan_to_num(profiles.measures), known, comparison, plan)
