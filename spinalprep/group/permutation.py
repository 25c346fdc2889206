"""Tests over people by permutation, with the family-wise error under control.

A voxel is compared over the people who cover it. The regressor of interest, freed of the nuisance
variables, is permuted over these people, while their values and nuisance stay where they are (the
scheme of Smith in Winkler et al. 2014). One random permutation of all people decides everywhere: a
voxel's people follow its cycles and skip who is not there. So the sizes of the cohorts at a voxel
stay as they were observed, which matters where coverage differs between cohorts, and neighbors,
which nearly the same people cover, are permuted nearly alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from spinalprep.group.design import Comparison

BATCH = 100  # permutations at a time
COLUMNS_AT_ONCE = 20_000  # columns that are read at a time
LEAST_OWN = 1e-9  # share of the regressor's power that the nuisance variables must leave
Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Enhance = Callable[[Float32], Float32]


@dataclass(frozen=True)
class Plan:
    """How to test.

    Attributes
    ----------
    permutations : int
        With the one that was observed; all distinct ones where two cohorts allow fewer.
    seed : int
    min_n : int
        Columns that fewer people (of either cohort, for two cohorts) cover are not tested; nor
        are those without any variance, or in which the nuisance variables of those who cover them
        can't be told from the regressor.
    """

    permutations: int = 5000
    seed: int = 0
    min_n: int = 5


@dataclass(frozen=True)
class Result:
    """Outcome per column (voxel, region or slice), shape (V,); NaN where nothing was tested.

    Attributes
    ----------
    t : ndarray of float32
    df : ndarray of float32
        Degrees of freedom of t.
    p_uncorrected : ndarray of float32
        Two-sided, from Student's t.
    p : ndarray of float32
        Two-sided, corrected for all columns by the maximum of abs(z) over permutations.
    p_enhanced : ndarray of float32 or None
        The same for the enhanced statistic (TFCE).
    effect : ndarray of float32
        Difference of means (of shares, for masks), or slope per unit of the covariate.
    lower, upper : ndarray of float32
        Student's 95 % interval of the effect.
    n : ndarray of int32
        People who cover the column.
    n_first : ndarray of int32 or None
        Those of the first of two cohorts.
    permutations : int
        How many were made.
    """

    t: Float32
    df: Float32
    p_uncorrected: Float32
    p: Float32
    p_enhanced: Float32 | None
    effect: Float32
    lower: Float32
    upper: Float32
    n: NDArray[np.int32]
    n_first: NDArray[np.int32] | None
    permutations: int


def compare(
    values: NDArray[np.generic],
    covered: NDArray[np.generic],
    comparison: Comparison,
    plan: Plan,
    enhance: Enhance | None = None,
) -> Result:
    """Test every column over people.

    Parameters
    ----------
    values : ndarray or memmap, shape (N, V)
        A row per person; numbers where not covered are ignored.
    covered : ndarray or memmap of bool or uint8, shape (N, V)
        Whether the person covers the column.
    comparison : Comparison
        Whose ``rows`` choose people.
    plan : Plan
    enhance : callable, optional
        Maps z of shape (V,), 0 where nothing was tested, to an enhanced statistic, as
        `tfce.Enhancer` does.

    Notes
    -----
    Per pattern of coverage, values and regressor are freed of the nuisance variables by least
    squares and t follows from their product (Frisch-Waugh-Lovell). Permuting people as a whole,
    coverage included, is not valid where the cohorts are covered differently: in simulations it
    called a difference in 30 % of null cohorts (benchmarks/group_fwe.py). As degrees of freedom
    differ between voxels, t is brought to a normal scale [2]_ before the maximum is taken. The
    observed order is one of the permutations, so that no p is below 1 / permutations.

    References
    ----------
    .. [1] Winkler et al. (2014), "Permutation inference for the general linear model",
       NeuroImage 92:381-397, doi:10.1016/j.neuroimage.2014.01.060.
    .. [2] Wallace (1959), "Bounds on normal approximations to Student's and the chi-square
       distributions", Annals of Mathematical Statistics 30:1121-1130.
    """
    model = _Model(values, covered, comparison, plan.min_n)
    if not model.tested.any():
        return _untested(model)
    orders = _orders(comparison, plan)
    observed = model.fit(orders[:1])
    z = _filled(_to_normal(observed.t[0], observed.df))
    peaks, peaks_enhanced = _peaks(model, orders, enhance)
    p = _exceed(np.abs(z), peaks)
    p_enhanced = _exceed(np.abs(enhance(z)), peaks_enhanced) if enhance is not None else None
    return _result(model, observed, p, p_enhanced, len(orders))


def _peaks(
    model: "_Model", orders: NDArray[np.int32], enhance: Enhance | None
) -> tuple[Float, Float]:
    """Return the highest abs(z) of every order and that of its enhanced map, if there is one."""
    highest, enhanced = [], []
    for start in range(0, len(orders), BATCH):
        fit = model.fit(orders[start : start + BATCH])
        z = _filled(_to_normal(fit.t, fit.df))
        highest.append(np.abs(np.where(model.tested, z, 0.0)).max(axis=1))
        if enhance is not None:
            enhanced += [float(np.abs(enhance(row)).max()) for row in z]
    return np.concatenate(highest), np.array(enhanced)


def _result(
    model: "_Model", observed: "_Fit", p: Float, p_enhanced: Float | None, permutations: int
) -> Result:
    """Put the outcome together, NaN where nothing was tested."""

    def shown(values: Float | Float32) -> Float32:
        return np.where(model.tested, values, np.nan).astype(np.float32)

    t, effect, df = observed.t[0], observed.effect[0], np.maximum(observed.df, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.abs(effect / t) * stdtrit(df, 0.975)
    return Result(
        t=shown(t),
        df=shown(observed.df),
        p_uncorrected=shown(2 * stdtr(df, -np.abs(np.nan_to_num(t)))),
        p=shown(p),
        p_enhanced=shown(p_enhanced) if p_enhanced is not None else None,
        effect=shown(effect),
        lower=shown(effect - half),
        upper=shown(effect + half),
        n=model.count,
        n_first=model.first,
        permutations=permutations,
    )


def _untested(model: "_Model") -> Result:
    """Return that nothing could be tested."""
    n = np.full(len(model.count), np.nan, np.float32)
    return Result(n, n, n, n, None, n, n, n, model.count, model.first, 0)


@dataclass(frozen=True)
class _Fit:
    """t and effect per labeling and column, (B, V), and the degrees of freedom, (V,)."""

    t: Float32
    effect: Float32
    df: Float32


class _Model:
    """The linear model of every column, over the people who cover it."""

    def __init__(
        self,
        values: NDArray[np.generic],
        covered: NDArray[np.generic],
        comparison: Comparison,
        min_n: int,
    ) -> None:
        self.values, self.covered, self.comparison = values, covered, comparison
        rows, width = comparison.rows, values.shape[1]
        self.count = np.zeros(width, np.int32)
        self.first = np.zeros(width, np.int32) if comparison.two_groups else None
        self.tested = np.zeros(width, bool)
        for block in _blocks(width):
            seen = np.asarray(covered[rows, block], bool)
            own = np.asarray(values[rows, block], np.float32)
            n = seen.sum(axis=0)
            self.count[block] = n
            enough = n >= max(min_n, comparison.nuisance.shape[1] + 2)
            if comparison.two_groups:
                first = comparison.regressor > 0.5
                least = max(min_n, 2)
                own_n = seen[first].sum(axis=0)
                enough &= own_n >= least
                if self.first is not None:
                    self.first[block] = own_n
                enough &= seen[~first].sum(axis=0) >= least
            low = np.where(seen, own, np.inf).min(axis=0, initial=np.inf)
            high = np.where(seen, own, -np.inf).max(axis=0, initial=-np.inf)
            self.tested[block] = enough & (high > low)
        for columns, seen in self._patterns():
            regressor = comparison.regressor[seen]
            basis = _basis(comparison.nuisance[seen])
            left = regressor - basis @ (basis.T @ regressor)
            if (left**2).sum() <= LEAST_OWN * ((regressor - regressor.mean()) ** 2).sum():
                self.tested[columns] = False

    def fit(self, orders: NDArray[np.int32]) -> _Fit:
        """Fit all tested columns for a batch of orders of the people, shape (B, n)."""
        width = self.values.shape[1]
        t = np.full((len(orders), width), np.nan, np.float32)
        effect = np.full_like(t, np.nan)
        df = np.full(width, np.nan, np.float32)
        for columns, seen in self._patterns():
            own = self.values[np.ix_(self.comparison.rows[seen], columns)].astype(np.float64)
            basis = _basis(self.comparison.nuisance[seen])
            own -= basis @ (basis.T @ own)
            regressor = self.comparison.regressor[seen]
            regressor = regressor - basis @ (basis.T @ regressor)
            least = LEAST_OWN * float((regressor**2).sum())
            regressor = regressor[_among(orders, seen)]
            regressor = regressor - (regressor @ basis) @ basis.T
            power = (regressor**2).sum(axis=1, keepdims=True)
            free = len(own) - basis.shape[1] - 1
            with np.errstate(invalid="ignore", divide="ignore"):
                slope = np.where(power > least, (regressor @ own) / power, 0.0)
                total = (own**2).sum(axis=0)
                rest = np.maximum(total - slope**2 * power, 1e-12 * total)
                t[:, columns] = slope * np.sqrt(power * free / rest)
            effect[:, columns] = slope
            df[columns] = free
        return _Fit(t, effect, df)

    def _patterns(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Yield columns that the same people cover, and these people."""
        rows = self.comparison.rows
        for block in _blocks(self.values.shape[1]):
            columns = np.flatnonzero(self.tested[block]) + block.start
            if not len(columns):
                continue
            seen = np.asarray(self.covered[np.ix_(rows, columns)], bool)
            packed = np.packbits(seen, axis=0).T
            keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
            _, first, group = np.unique(keys, return_index=True, return_inverse=True)
            for n, example in enumerate(first):
                yield columns[group == n], seen[:, example]


def _blocks(width: int) -> Iterator[slice]:
    for start in range(0, width, COLUMNS_AT_ONCE):
        yield slice(start, min(start + COLUMNS_AT_ONCE, width))


def _basis(nuisance: Float) -> Float:
    """Return orthonormal columns that span the nuisance variables of these people."""
    left, size, _ = np.linalg.svd(nuisance, full_matrices=False)
    basis: Float = left[:, size > 1e-9 * size[0]]
    return basis


def _orders(comparison: Comparison, plan: Plan) -> NDArray[np.int32]:
    """Return orders of the people, shape (B, n): the observed one first, then random ones.

    The person at place i takes the regressor of the person at place ``order[i]``.
    """
    count = len(comparison.rows)
    if comparison.two_groups and comparison.nuisance.shape[1] == 1:
        first = np.flatnonzero(comparison.regressor > 0.5)
        if comb(count, len(first)) <= plan.permutations:
            return _all_splits(count, tuple(first.tolist()), plan.seed)
    chance = np.random.default_rng(plan.seed)
    own = np.arange(count)
    drawn = [own, *(chance.permutation(count) for _ in range(plan.permutations - 1))]
    return np.stack(drawn).astype(np.int32)


def _among(orders: NDArray[np.int32], seen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the permutations that orders induce on some of the people, shape (B, n seen).

    Along a cycle, people who don't cover the voxel are skipped. A random permutation stays random
    on any subset, and a person less changes one other person's partner, not everybody's.
    """
    partner = orders[:, seen]
    while (skipped := ~seen[partner]).any():
        partner = np.where(skipped, np.take_along_axis(orders, partner, axis=1), partner)
    place: NDArray[np.intp] = (np.cumsum(seen) - 1)[partner]
    return place


def _all_splits(count: int, first: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    """Return an order for every way to split the people into two cohorts, the observed first.

    Within the cohorts the order is random: where some people don't cover a voxel, the ranks of the
    others decide, and a fixed order would favor some of their splits.
    """
    chance = np.random.default_rng(seed)
    splits = [first, *(s for s in combinations(range(count), len(first)) if s != first)]
    orders = np.empty((len(splits), count), np.int32)
    rest = np.setdiff1d(np.arange(count), first)
    for n, (order, split) in enumerate(zip(orders, splits, strict=True)):
        others = np.setdiff1d(np.arange(count), split)
        order[list(split)] = chance.permutation(first) if n else first
        order[others] = chance.permutation(rest) if n else rest
    return orders


def _to_normal(t: Float32, df: Float32) -> Float32:
    """Return z of about the same tail probability (Wallace 1959)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.sqrt(df * np.log1p(t**2 / df)) * (8 * df + 1) / (8 * df + 3)
    z: Float32 = np.copysign(size, t).astype(np.float32)
    return z


def _filled(z: Float32) -> Float32:
    filled: Float32 = np.nan_to_num(z, nan=0.0)
    return filled


def _exceed(statistic: Float32, peaks: Float) -> Float:
    """Return the share of permutations whose highest value reaches the statistic."""
    ranked = np.sort(peaks)
    tiny = 1e-5 * np.maximum(np.abs(statistic), 1e-6)  # equal labellings round alike
    below = np.searchsorted(ranked, statistic - tiny, side="left")
    return np.asarray(np.maximum(len(ranked) - below, 1) / len(ranked))
