"""What more people would bring: the error of a network over the people it was taught by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from spinalprep.errors import InputError

Array = NDArray[np.float64]
SMALLEST = 1e-6  # an error of zero has no logarithm


@dataclass(frozen=True)
class LearningCurve:
    """A power law, error = ``scale`` times people to the power of minus ``rate``.

    Attributes
    ----------
    scale : float
        Error with one person, such as 1 - Dice.
    rate : float
        How fast it falls; 0 or less: more people bring nothing.
    """

    scale: float
    rate: float

    def predict(self, people: Array) -> Array:
        """Return the error with so many people."""
        return np.asarray(self.scale * np.asarray(people, float) ** -self.rate)


def fit_learning_curve(people: Array, error: Array) -> LearningCurve:
    """Fit a power law through errors of people left out.

    Parameters
    ----------
    people : ndarray of float, shape (N,)
        How many were trained on.
    error : ndarray of float, shape (N,)
        Mean error of those who were not, 0 to 1.

    Raises
    ------
    InputError
        If there are fewer than two different numbers of people.

    Notes
    -----
    Least squares of the logarithms [1]_. The law has no floor: raters disagree, so that far
    beyond the largest number seen it promises too much.

    References
    ----------
    .. [1] Hestness et al. (2017), "Deep learning scaling is predictable, empirically",
       arXiv:1712.00409.

    Examples
    --------
    >>> curve = fit_learning_curve(np.array([1.0, 2, 4]), np.array([0.08, 0.04, 0.02]))
    >>> round(curve.scale, 6), round(curve.rate, 6), float(curve.predict(np.array([8]))[0].round(6))
    (0.08, 1.0, 0.01)
    """
    if len(np.unique(people)) < 2:
        raise InputError("a learning curve needs at least two numbers of subjects; got one")
    slope, level = np.polyfit(np.log(people), np.log(np.maximum(error, SMALLEST)), 1)
    return LearningCurve(float(np.exp(level)), float(-slope))


def predict_interval(
    people: Array, errors: Array, target: float, seed: int = 0, draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval, over people left out, of a predicted error.

    Parameters
    ----------
    people : ndarray of float, shape (N,)
        How many were trained on.
    errors : ndarray of float, shape (N, P)
        Error of every person who was left out, one column each.
    target : float
        Number of people to predict for.
    seed, draws : int
        Of the resampling of columns.

    Returns
    -------
    lower, upper : float
        NaN with fewer than three people left out: no claim.
    """
    if errors.shape[1] < 3:
        return np.nan, np.nan

    def predicted(columns: NDArray[np.intp]) -> float:
        curve = fit_learning_curve(people, errors[:, columns].mean(axis=1))
        return float(curve.predict(np.array([target]))[0])

    everybody, chance = np.arange(errors.shape[1]), np.random.default_rng(seed)
    ends = bootstrap(
        (everybody,),
        predicted,
        n_resamples=draws,
        vectorized=False,
        method="percentile",
        rng=chance,
    )
    return float(ends.confidence_interval.low), float(ends.confidence_interval.high)
