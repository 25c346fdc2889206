"""Who is compared with whom: the regressor of interest and the nuisance variables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.errors import UsageError

EVERYBODY = "all"  # what everybody together is called among cohorts


@dataclass(frozen=True)
class Comparison:
    """One question about the people.

    Attributes
    ----------
    name : str
        ``MSvsHC`` or the covariate; letters and digits, fit for ``desc-``.
    question : str
        In words.
    rows : ndarray of int, shape (n,)
        Which people take part.
    regressor : ndarray of float64, shape (n,)
        1 and 0 for the two cohorts, or the covariate.
    nuisance : ndarray of float64, shape (n, q)
        With the constant.
    two_groups : bool
    dropped : tuple of str
        People without a value for a variable.
    """

    name: str
    question: str
    rows: NDArray[np.intp]
    regressor: NDArray[np.float64]
    nuisance: NDArray[np.float64]
    two_groups: bool
    dropped: tuple[str, ...] = ()


def file_label(text: str) -> str:
    """Return a cohort or a column as file names and tables of cohorts call it.

    Letters and digits are kept, as BIDS labels must be.

    Examples
    --------
    >>> file_label("H.C. (2)")
    'HC2'
    """
    return "".join(c for c in text if c.isascii() and c.isalnum()) or "x"


def check_file_labels(cohorts: Iterable[str]) -> None:
    """Refuse cohorts whose names differ only in signs that file names can't hold.

    Raises
    ------
    UsageError
        If two have the same `file_label`, or one is called as everybody is.
    """
    names: dict[str, str] = {EVERYBODY: "everybody"}
    for cohort in sorted(set(cohorts)):
        key = file_label(cohort).lower()  # some file systems don't know upper from lower
        if names.setdefault(key, cohort) != cohort:
            raise UsageError(
                f"the cohorts {names[key]!r} and {cohort!r} cannot be distinguished in file "
                "names (letters and digits, ignoring case); rename one"
            )


def plan_comparisons(
    people: pd.DataFrame,
    cohort: str | None = None,
    covariate: str | None = None,
    nuisance: Sequence[str] = (),
) -> list[Comparison]:
    """Turn columns of a table of people into comparisons.

    Parameters
    ----------
    people : DataFrame
        A row per person, ``person_id`` and the columns that are named; missing is NaN.
    cohort : str, optional
        Every pair of its values with at least two people each is compared.
    covariate : str, optional
        A numeric column; its slope is tested over everybody.
    nuisance : sequence of str
        Numeric columns, or categories, whose influence is removed.

    Raises
    ------
    UsageError
        If a column is missing, a covariate is no number, or nuisance and regressor can't be told
        apart.
    """
    for name in (cohort, covariate, *nuisance):
        if name is not None and name not in people:
            listed = ", ".join(str(c) for c in people.columns if c != "person_id")
            raise UsageError(f"participants.tsv has no column {name!r}; it has {listed}")
    found = []
    if cohort is not None:
        counts = people[cohort].dropna().astype(str).value_counts()
        for second, first in combinations(sorted(counts[counts >= 2].index), 2):
            found.append(_two_cohorts(people, cohort, (first, second), nuisance))
    if covariate is not None:
        found.append(_slope(people, covariate, nuisance))
    names = [comparison.name for comparison in found]
    for name in names:
        if names.count(name) > 1:
            asked = [c.question for c in found if c.name == name]
            raise UsageError(
                f"{' and '.join(asked)} have the same name in files ({name}); rename the cohorts "
                "so that they differ in letters or digits"
            )
    return found


def _two_cohorts(
    people: pd.DataFrame, column: str, pair: tuple[str, str], nuisance: Sequence[str]
) -> Comparison:
    first, second = pair
    values = people[column].astype(str)
    asked = values.isin(pair).to_numpy()
    name = f"{file_label(first)}vs{file_label(second)}"
    question = f"{first} minus {second}"
    return _comparison(
        people, (name, question), (values == first).to_numpy(float), asked, nuisance, True
    )


def _slope(people: pd.DataFrame, column: str, nuisance: Sequence[str]) -> Comparison:
    numbers = pd.to_numeric(people[column], errors="coerce")
    if numbers.isna().all():
        raise UsageError(f"--covariate {column} contains no numbers")
    question = f"slope over {column}"
    asked = np.ones(len(people), bool)
    return _comparison(
        people, (file_label(column), question), numbers.to_numpy(float), asked, nuisance, False
    )


def _comparison(
    people: pd.DataFrame,
    names: tuple[str, str],
    regressor: NDArray[np.float64],
    asked: NDArray[np.bool_],
    nuisance: Sequence[str],
    two_groups: bool,
) -> Comparison:
    """Drop who lacks a value, and check that the question can be answered."""
    known = asked & np.isfinite(regressor) & people[list(nuisance)].notna().all(axis=1).to_numpy()
    rows = np.flatnonzero(known)
    dropped = tuple(people["person_id"].iloc[np.flatnonzero(asked & ~known)])
    columns = [np.ones(len(rows))]
    for name in nuisance:
        columns += _columns(people[name].iloc[rows])
    confounds = np.stack(columns, axis=1)
    own = regressor[rows]
    left = own - confounds @ np.linalg.lstsq(confounds, own, rcond=None)[0] if len(rows) else own
    if len(rows) < confounds.shape[1] + 2 or (left**2).sum() <= 1e-9 * max((own**2).sum(), 1e-12):
        raise UsageError(
            f"{names[1]} is collinear with --nuisance {', '.join(nuisance) or 'nothing'} in "
            f"{len(rows)} participants; use fewer or other columns"
        )
    return Comparison(names[0], names[1], rows, own, confounds, two_groups, dropped)


def _columns(values: pd.Series) -> list[NDArray[np.float64]]:
    """Return a centered number, or an indicator for all but the first category."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all():
        centred = numbers.to_numpy(float)
        return [centred - centred.mean()] if np.ptp(centred) > 0 else []
    words = values.astype(str)
    return [(words == word).to_numpy(float) for word in sorted(set(words))[1:]]
