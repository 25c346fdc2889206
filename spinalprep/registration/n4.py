"""The N4 algorithm on a small grid: fit the smooth field that sharpens the histogram.

Tustison et al. 2010 (IEEE TMI, doi:10.1109/TMI.2010.2046908), as ITK and ANTs compute it: the
histogram is sharpened as in N3 (Sled et al. 1998, doi:10.1109/42.668698), and the field is a cubic
B-spline, fitted to scattered voxels as in Lee et al. 1997 (doi:10.1109/2945.620490). On a grid the
weights of a spline are products of those along the axes, so that every sum over voxels and knots
is a product of small matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 200  # of the histogram; this and the next three are the defaults of ITK
WIDTH = 0.15  # full width at half maximum of the field in the histogram, in logarithms
NOISE = 0.01  # of the Wiener filter
EDGE = 1e-3  # of a voxel: the last one lies this much inside the last span
ORDER = 3

Grid = NDArray[np.float64]


def fit_log_field(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    distance_mm: float,
    rounds: Sequence[int],
    tolerance: float,
) -> Grid:
    """Return the logarithm of the field by which an image is brighter than an even one.

    Parameters
    ----------
    image : ndarray, shape (I, J, K)
        Positive inside the mask.
    mask : ndarray of bool, shape (I, J, K)
        Voxels that count.
    spacing : sequence of float
        Voxel sizes in mm.
    distance_mm : float
        Between the knots at the first level; halved at each.
    rounds : sequence of int
        Largest number of iterations of every level.
    tolerance : float
        A level ends once the ratio of two successive fields varies by less (SD over mean).

    Returns
    -------
    log_field : ndarray of float64, shape (I, J, K)
        At every voxel, those outside the mask included.
    """
    given = np.log(image[mask].astype(np.float64))
    axes = [_Axis.of(n, step, distance_mm) for n, step in zip(image.shape, spacing, strict=True)]
    knots = np.zeros([axis.knots for axis in axes])
    fields = np.zeros(image.shape)
    for level, most in enumerate(rounds):
        if level:
            axes = [axis.halved() for axis in axes]
            knots = _refined(knots)
        fit = _Fit(axes, mask)
        for _ in range(most):
            uneven = given - fields[mask]
            knots = knots + fit.knots(uneven - _sharpened(uneven))
            before, fields = fields, fit.field(knots)
            if _variation(np.exp(before[mask] - fields[mask])) <= tolerance:
                break
    return fields


@dataclass(frozen=True)
class _Axis:
    """One axis of the grid: ``spans`` between knots that cover ``voxels``, of which ``n`` are ours.

    ITK pads the image until whole spans of the wanted length fit; ``first`` is where ours begin.
    """

    n: int
    first: int
    voxels: int
    spans: int

    @classmethod
    def of(cls, n: int, step: float, distance_mm: float) -> "_Axis":
        """Return the axis of the first level."""
        length = (n - 1) * step
        spans = max(int(np.ceil(length / distance_mm)), 1)
        more = int((spans * distance_mm - length) / step + 0.5)
        return cls(n, more // 2, n + more, spans)

    def halved(self) -> "_Axis":
        """Return the axis with twice as many spans."""
        return _Axis(self.n, self.first, self.voxels, 2 * self.spans)

    @property
    def knots(self) -> int:
        """Control points: one per span, and as many more as the order."""
        return self.spans + ORDER

    def weights(self) -> Grid:
        """Return the weight of each control point at each voxel, shape (n, knots)."""
        per_voxel = self.spans / max(self.voxels - 1, 1)
        place = (self.first + np.arange(self.n)) * per_voxel
        edge = EDGE * per_voxel
        place = np.where(np.abs(place - self.spans) <= edge, self.spans - edge, place)
        span = np.floor(place).astype(int)
        u = place - span
        weights = np.zeros((self.n, self.knots))
        rows = np.arange(self.n)
        weights[rows, span] = (1 - u) ** 3 / 6
        weights[rows, span + 1] = (3 * u**3 - 6 * u**2 + 4) / 6
        weights[rows, span + 2] = (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6
        weights[rows, span + 3] = u**3 / 6
        return weights


class _Fit:
    """Fits control points to values at the voxels of a mask, at one level."""

    def __init__(self, axes: Sequence[_Axis], mask: NDArray[np.bool_]) -> None:
        self.mask = mask
        self.weights = [axis.weights() for axis in axes]
        self.cubed = [weights**3 for weights in self.weights]
        squared = [weights**2 for weights in self.weights]
        i, j, k = (weights.sum(axis=1) for weights in squared)
        self.shares = (i[:, None, None] * j[:, None] * k)[mask]
        self.total = _gathered(mask.astype(np.float64), squared)

    def knots(self, values: NDArray[np.float64]) -> Grid:
        """Return control points whose spline is near values, shape (voxels of the mask,)."""
        whole = np.zeros(self.mask.shape)
        whole[self.mask] = values / self.shares
        fitted = _gathered(whole, self.cubed)
        return np.divide(fitted, self.total, out=np.zeros_like(fitted), where=self.total > 0)

    def field(self, knots: Grid) -> Grid:
        """Return the spline at every voxel of the grid."""
        return _gathered(knots, [weights.T for weights in self.weights])


def _gathered(values: Grid, weights: Sequence[Grid]) -> Grid:
    """Return the sums over three axes, each weighted: (I, J, K) with (I, A), (J, B), (K, C)."""
    for matrix in weights:  # the first axis goes, its new one comes last
        values = np.asarray(np.tensordot(values, matrix, (0, 0)), np.float64)
    return values


def _refined(knots: Grid) -> Grid:
    """Return control points of the same spline with a knot more in the middle of each span."""
    for axis in range(knots.ndim):
        c = np.moveaxis(knots, axis, 0)
        fine = np.empty((2 * len(c) - ORDER, *c.shape[1:]))
        fine[::2] = (c[:-1] + c[1:]) / 2
        fine[1::2] = (c[:-2] + 6 * c[1:-1] + c[2:]) / 8
        knots = np.moveaxis(fine, 0, axis)
    return knots


def _sharpened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what values would be, on average, without a field that blurs their histogram."""
    lowest, highest = float(values.min()), float(values.max())
    step = (highest - lowest) / (BINS - 1)
    if step <= 0:
        return values
    place = (values - lowest) / step
    low = np.minimum(place.astype(int), BINS - 1)
    share = place - low
    counts = np.bincount(low, 1 - share, BINS + 1) + np.bincount(low + 1, share, BINS + 1)
    expected = _expectation(counts[:BINS].astype(np.float64), lowest, step)
    return np.interp(place, np.arange(BINS), expected)


def _expectation(counts: NDArray[np.float64], lowest: float, step: float) -> NDArray[np.float64]:
    """Return the mean true value of each bin, by Wiener deconvolution of a histogram."""
    size = 2 ** (int(np.ceil(np.log2(BINS))) + 1)
    before = (size - BINS) // 2
    padded = np.zeros(size)
    padded[before : before + BINS] = counts
    width = WIDTH / step
    away = np.minimum(np.arange(size), size - np.arange(size))
    blur = np.exp(-4 * np.log(2) * (away / width) ** 2) * 2 * np.sqrt(np.log(2) / np.pi) / width
    through = np.fft.rfft(blur)
    wiener = (np.conj(through) / (np.abs(through) ** 2 + NOISE)).real
    true = np.maximum(np.fft.irfft(np.fft.rfft(padded) * wiener, size), 0)
    centers = lowest + (np.arange(size) - before) * step
    above = np.fft.irfft(np.fft.rfft(centers * true) * through, size)
    below = np.fft.irfft(np.fft.rfft(true) * through, size)
    mean = np.divide(above, below, out=np.zeros(size), where=below != 0)
    return mean[before : before + BINS]


def _variation(ratio: NDArray[np.float64]) -> float:
    """Return the standard deviation over the mean."""
    return float(ratio.std(ddof=1) / ratio.mean())
