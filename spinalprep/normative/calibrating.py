"""From people who were measured both ways to a calibration of the normative table."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from spinalprep.normative.table import EVERYBODY, LEAST_SHARE, NORMAL_95, Norms, to_scale

Array = NDArray[np.float64]

WIDTHS = (0.0, 1.0, 2.0, 4.0, np.inf)  # levels: an offset for each one, smoothed, one for all
SPREAD_WIDTH = 1.5  # levels over which squared errors are averaged: four people alone tell little
# Of ours over theirs: as alike; an edge drawn further out by the same; an area larger by the same
SLOPES = (1.0, 0.93, 0.87)
LEAST_PEOPLE = 4


@dataclass(frozen=True)
class Method:
    """How offsets are estimated.

    Attributes
    ----------
    width : float
        Standard deviation in levels of the bell by which offsets are smoothed along the cord; 0:
        each level has its own, inf: all have the same.
    slope : float
        Of ours over theirs, common to all levels.
    """

    width: float
    slope: float


METHODS = tuple(Method(width, slope) for slope, width in product(SLOPES, WIDTHS))


@dataclass(frozen=True)
class Fit:
    """Offset at the table's mean by vertebral level, and the common slope."""

    offset: "pd.Series[float]"
    slope: float

    def predict(self, pairs: pd.DataFrame) -> Array:
        """Return ours minus theirs, as expected; NaN at levels that were not fitted."""
        offset = self.offset.reindex(pairs["vertebral_level"]).to_numpy(float)
        beside = (pairs["theirs"] - pairs["middle"]).to_numpy(float)
        return np.asarray(offset + (self.slope - 1.0) * beside)


def pair_slices(
    sections: pd.DataFrame, published: pd.DataFrame, norms: Norms, measure: str
) -> pd.DataFrame:
    """Lay the sections of a person on the slices of PAM50 of which others measured the same.

    Parameters
    ----------
    sections : DataFrame
        ``level_at`` (n at disc n, n + 0.5 in mid-body) and the measure, of the slices that count.
    published : DataFrame
        ``template_slice``, ``vertebral_level``, ``place`` (as ``level_at``) and the measure.
    norms : Norms
    measure : str

    Returns
    -------
    pairs : DataFrame
        ``vertebral_level``, ``template_slice``, and on the measure's scale ``ours``, ``theirs``
        and ``middle``, the mean of healthy people.
    """
    own = sections[sections["level_at"].notna()].sort_values("level_at")
    rows = norms.along(measure, EVERYBODY)
    middle = pd.Series(to_scale(measure, rows["mean"]), index=rows.index)
    ours = np.interp(
        published["place"].to_numpy(float),
        own["level_at"].to_numpy(float),
        to_scale(measure, own[measure]),
        left=np.nan,
        right=np.nan,
    )
    return pd.DataFrame(
        {
            "vertebral_level": published["vertebral_level"].to_numpy(int),
            "template_slice": published["template_slice"].to_numpy(int),
            "ours": ours,
            "theirs": to_scale(measure, published[measure]),
            "middle": middle.reindex(published["template_slice"]).to_numpy(float),
        }
    )


def average_levels(slices: pd.DataFrame) -> pd.DataFrame:
    """Average paired slices over levels; one of which less than half is paired is left out.

    Parameters
    ----------
    slices : DataFrame
        From `pair_slices`, with ``person``.
    """
    columns = ["ours", "theirs", "middle"]
    groups = slices.assign(seen=slices[columns].notna().all(axis=1)).groupby(
        ["person", "vertebral_level"]
    )
    enough = groups["seen"].mean() >= LEAST_SHARE
    paired = slices.dropna(subset=columns).groupby(["person", "vertebral_level"])[columns].mean()
    return paired[enough.reindex(paired.index)].reset_index()


def fit(pairs: pd.DataFrame, method: Method) -> Fit:
    """Estimate offsets and slope.

    Parameters
    ----------
    pairs : DataFrame
        From `average_levels`.
    method : Method

    Notes
    -----
    ours - theirs = offset of the level + (slope - 1) (theirs - middle).
    """
    apart = pairs["ours"] - pairs["theirs"]
    beside = pairs["theirs"] - pairs["middle"]
    left = (apart - (method.slope - 1.0) * beside).groupby(pairs["vertebral_level"])
    return Fit(_smooth(left.mean(), left.count(), method.width), method.slope)


def plain_slope(pairs: pd.DataFrame) -> float:
    """Return the least-squares slope of ours over theirs within levels, common to all.

    For information: few people and noise in what was published draw it far below 1.
    """
    means = pairs.groupby("vertebral_level")[["ours", "theirs"]].transform("mean")
    x, y = pairs["theirs"] - means["theirs"], pairs["ours"] - means["ours"]
    return float((x * y).sum() / (x**2).sum())


def left_out_errors(pairs: pd.DataFrame, method: Method) -> Array:
    """Return what a fit to all other people misses of each row."""
    errors = np.full(len(pairs), np.nan)
    for person in pairs["person"].unique():
        own = (pairs["person"] == person).to_numpy()
        expected = fit(pairs[~own], method).predict(pairs[own])
        errors[own] = (pairs["ours"] - pairs["theirs"])[own] - expected
    return errors


def choose(pairs: pd.DataFrame, methods: Sequence[Method] = METHODS) -> Method:
    """Return the method that misses least of the people it has not seen."""
    return min(methods, key=lambda method: float(np.nanmean(left_out_errors(pairs, method) ** 2)))


def nested_errors(pairs: pd.DataFrame) -> Array:
    """Return what is missed of each row where method and fit come from the other people alone."""
    errors = np.full(len(pairs), np.nan)
    for person in pairs["person"].unique():
        own = (pairs["person"] == person).to_numpy()
        others = pairs[~own]
        expected = fit(others, choose(others)).predict(pairs[own])
        errors[own] = (pairs["ours"] - pairs["theirs"])[own] - expected
    return errors


def calibrate_measure(slices: pd.DataFrame, norms: Norms, measure: str) -> list[dict[str, object]]:
    """Return the rows of a calibration for one measure.

    Parameters
    ----------
    slices : DataFrame
        From `pair_slices`, of all people, with ``person``.
    norms : Norms
    measure : str

    Notes
    -----
    The spread is the root mean square of `nested_errors` around a level, times Student's t of the
    people's degrees of freedom over the normal 1.96, as few tell how far a person may be off:
    1.96 spreads are a 95 % prediction interval for somebody else. A level is usable where
    `LEAST_PEOPLE` were measured and the spread is no wider than healthy people's.
    """
    pairs = average_levels(slices)
    healthy = norms.of_levels(measure, EVERYBODY)["sd"]
    pairs = pairs[pairs["vertebral_level"].isin(healthy.index)].reset_index(drop=True)
    found = fit(pairs, choose(pairs))
    n = pairs.groupby("vertebral_level")["person"].nunique()
    few = float(student.ppf(0.975, pairs["person"].nunique() - 1)) / NORMAL_95
    missed = _around(pairs, nested_errors(pairs) ** 2)
    spread = few * np.sqrt(missed)
    within = few * np.sqrt(missed + _wiggle(slices, pairs))
    rows: list[dict[str, object]] = []
    for level, offset in found.offset.items():
        known, widest = n[level] >= LEAST_PEOPLE, healthy[level]
        rows.append(
            {
                "measure": measure,
                "vertebral_level": int(level),
                "n": int(n[level]),
                "offset": round(float(offset), 5),
                "slope": round(found.slope, 4),
                "spread": round(float(spread[level]), 5),
                "spread_slice": round(float(within[level]), 5),
                "sd_table": round(float(healthy[level]), 5),
                "usable": bool(known and spread[level] <= widest),
                "usable_slice": bool(known and within[level] <= widest),
            }
        )
    return rows


def _wiggle(slices: pd.DataFrame, pairs: pd.DataFrame) -> "pd.Series[float]":
    """Return by level the variance of single slices' differences about those of their level."""
    apart = (slices["ours"] - slices["theirs"]).rename("apart")
    groups = apart.groupby([slices["person"], slices["vertebral_level"]])
    own = slices[["person", "vertebral_level"]]
    own = own.assign(square=(apart - groups.transform("mean")) ** 2)
    seen = own.dropna().merge(pairs[["person", "vertebral_level"]])
    return _around(seen, seen["square"].to_numpy(float))


def _around(pairs: pd.DataFrame, squares: Array) -> "pd.Series[float]":
    """Return the mean of squares by level, over it and those near it."""
    groups = pd.Series(squares, index=pairs.index).groupby(pairs["vertebral_level"])
    return _smooth(groups.mean(), groups.count(), SPREAD_WIDTH)


def _smooth(
    values: "pd.Series[float]", counts: "pd.Series[int]", width: float
) -> "pd.Series[float]":
    """Average over neighboring levels with a bell, weighted by how many rows each has."""
    if width == 0:
        return values
    level = values.index.to_numpy(float)
    bell = np.exp(-0.5 * ((level[:, None] - level) / width) ** 2) * counts.to_numpy(float)
    return pd.Series(bell @ values.to_numpy(float) / bell.sum(axis=1), index=values.index)
