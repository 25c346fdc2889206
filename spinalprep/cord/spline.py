"""Smooth curves through scattered points, by penalized B-splines."""

import numpy as np
import scipy
from numpy.typing import NDArray

from spinalprep.image import Float

Array = NDArray[np.float64]

DEGREE = 5
KNOTS_PER_WAVE = 2.0  # knots per smoothing length; more change nothing
MOST_KNOTS = 400
STRAIGHT = 0.02  # weight of the second derivative against the third, where data are too few
ROUNDS = 12
AGREES = 0.3  # mm: residuals below it are never called stray
STRAY = 3.0  # standard deviations at which a point has lost three quarters of its weight


def smooth_curve(
    u: Array, points: Float, trust: Float, smoothing: float
) -> "scipy.interpolate.BSpline":
    """Fit a smooth curve that stray points do not bend.

    Parameters
    ----------
    u : ndarray of float, shape (M,)
        Where along the curve each point lies, in mm, rising; at least two values.
    points : ndarray of float, shape (M, 3)
        mm.
    trust : ndarray of float, shape (M,)
        Weight of every point; a positive one for two points at least.
    smoothing : float
        Length L in mm: a wave of length 2 pi L keeps half of its amplitude.

    Returns
    -------
    curve : BSpline
        From ``u`` to points (..., 3), degree 5.

    Notes
    -----
    Minimizes the sum of squared residuals times the mean distance of the points, plus L^6 times
    the integral of the squared third derivative [1]_. The distance makes the result independent
    of the slice thickness; the third derivative, in place of the usual second, leaves circles
    as they are, so that a bent neck is not flattened at its ends. Weights are then multiplied
    by Geman and McClure's ``1 / (1 + (r / 3 sd)^2)^2`` of the residual r, with sd from their
    median, and the fit is repeated.

    References
    ----------
    .. [1] Eilers and Marx (1996), "Flexible smoothing with B-splines and penalties",
       Statistical Science 11:89-121, doi:10.1214/ss/1038425655.
    """
    knots = _knots(u[0], u[-1], smoothing)
    basis = scipy.interpolate.BSpline.design_matrix(u, knots, DEGREE).toarray()
    penalty = _penalty(knots, smoothing)
    distance = (u[-1] - u[0]) / (len(u) - 1)
    weights = trust / trust.max()
    steady = np.ones(len(u))
    for _ in range(ROUNDS):
        weighted = (basis * (weights * steady * distance)[:, None]).T
        coefficients = np.linalg.solve(weighted @ basis + penalty, weighted @ points)
        apart = np.linalg.norm(points - basis @ coefficients, axis=1)
        steady = 1 / (1 + (apart / (STRAY * _spread(apart, weights))) ** 2) ** 2
    return scipy.interpolate.BSpline(knots, coefficients, DEGREE)


def _knots(start: float, end: float, smoothing: float) -> Array:
    """Return the knots of a spline between ``start`` and ``end``, the ends repeated."""
    pieces = int(np.clip(np.ceil((end - start) / smoothing * KNOTS_PER_WAVE), 4, MOST_KNOTS))
    inner = np.linspace(start, end, pieces + 1)
    return np.concatenate([np.full(DEGREE, start), inner, np.full(DEGREE, end)])


def _penalty(knots: Array, smoothing: float) -> Array:
    """Return the matrix of the roughness of a spline's coefficients."""
    count = len(knots) - DEGREE - 1
    every = scipy.interpolate.BSpline(knots, np.eye(count), DEGREE)
    pieces = count - DEGREE
    grid = np.linspace(knots[0], knots[-1], 8 * pieces + 1)
    middle = (grid[1:] + grid[:-1]) / 2
    step = grid[1] - grid[0]
    third, second = every.derivative(3)(middle), every.derivative(2)(middle)
    rough = smoothing**6 * third.T @ third + STRAIGHT * smoothing**4 * second.T @ second
    matrix: Array = rough * step
    return matrix


def _spread(apart: Array, weights: Array) -> float:
    """Return the standard deviation of residuals from their weighted median, at least 0.3 mm."""
    order = np.argsort(apart)
    share = np.cumsum(weights[order])
    median = apart[order][np.searchsorted(share, share[-1] / 2)]
    return max(float(median) / 1.18, AGREES)  # the median of |r| in a plane is 1.18 sd
