"""From a heat map to the centerline: the best curve of all, or none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import NoCordError
from spinalprep.image import Image, to_world

ABSENT = 0.15  # a probability below it speaks against the cord
FLOOR = 0.01
SMOOTHNESS = 0.15  # cost of a step of 1 mm between slices 1 mm apart
LEAST_HEAT = 0.35  # the mean along the path that is called a cord
KERNEL_MM = 3.0  # standard deviation of the window that refines a point


@dataclass(frozen=True)
class Trace:
    """The path of the centerline through a heat map.

    Attributes
    ----------
    points : ndarray of float64, shape (M, 3)
        One point per axial slice with cord, RAS+ mm, superior first.
    confidence : ndarray of float64, shape (M,)
        Heat at the points, 0 to 1.
    """

    points: NDArray[np.float64]
    confidence: NDArray[np.float64]


def trace_centerline(
    heat: Image, smoothness: float = SMOOTHNESS, least_heat: float = LEAST_HEAT
) -> Trace:
    """Find the one curve along superior-inferior that best explains a heat map.

    Parameters
    ----------
    heat : Image, shape (I, J, K)
        Probability of the centerline, 0 to 1, voxel order LAS.
    smoothness : float
        Cost of a step of d mm between slices g mm apart, in units of log probability:
        ``smoothness * d**2 / g``.
    least_heat : float
        Mean heat along the curve under which there is no cord.

    Returns
    -------
    trace : Trace

    Raises
    ------
    NoCordError
        If no curve convinces.

    Notes
    -----
    OptiC's global optimisation [1]_ by dynamic programming, with two changes: costs are in mm,
    and the curve may begin and end in any slice: a slice adds ``log(heat / 0.15)``, so that
    slices that speak against the cord (brain, air, below the conus) are left out where nothing
    is gained behind them, as in the search for the best segment of a sequence. Points are the
    modes of the heat near the best voxels.

    References
    ----------
    .. [1] Gros et al. (2018), "Automatic spinal cord localization, robust to MRI contrasts using
       global curve optimization", Medical Image Analysis 44:215-227,
       doi:10.1016/j.media.2017.12.001.
    """
    probability = np.clip(np.nan_to_num(heat.data.astype(np.float32)), 0.0, 1.0)
    gain = np.log(np.maximum(probability, FLOOR) / ABSENT)
    path = _best_path(gain, heat.voxel_sizes, smoothness)
    confidence = probability[tuple(path.T)].astype(float)
    if not len(path) or confidence.mean() < least_heat:
        best = float(probability.max())
        mean = float(confidence.mean()) if len(path) else 0.0
        raise NoCordError(
            f"no cord found: the best curve has a mean probability of {mean:.2f} (highest voxel "
            f"{best:.2f}); expected at least {least_heat:.2f}"
        )
    refined = _centre_of_heat(probability, path, heat.voxel_sizes)
    return Trace(to_world(refined, heat.affine), confidence)


def _best_path(
    gain: NDArray[np.float32], sizes: NDArray[np.float64], smoothness: float
) -> NDArray[np.intp]:
    """Return the voxels of the best path, top first, shape (M, 3); empty when none gains."""
    depth = gain.shape[2]
    reach = [max(int(np.ceil((2.0 + 1.2 * sizes[2]) / size)), 1) for size in sizes[:2]]
    cost = [smoothness * size**2 / sizes[2] for size in sizes[:2]]
    best = gain[:, :, depth - 1].copy()
    came = np.full((2, *gain.shape), np.iinfo(np.int16).min, np.int16)  # minimum: starts here
    tops: list[tuple[float, int]] = [(float(best.max()), depth - 1)]
    champions = {depth - 1: _peak(best)}
    for k in range(depth - 2, -1, -1):
        across, from_j = _shifted_maximum(best, 1, reach[1], cost[1])
        moved, from_i = _shifted_maximum(across, 0, reach[0], cost[0])
        goes_on = moved > 0
        best = gain[:, :, k] + np.where(goes_on, moved, 0.0)
        rows = np.clip(np.arange(gain.shape[0])[:, None] + from_i, 0, gain.shape[0] - 1)
        columns = np.arange(gain.shape[1])[None, :]
        came[0, :, :, k] = np.where(goes_on, from_i, came[0, :, :, k])
        came[1, :, :, k] = np.where(goes_on, from_j[rows, columns], came[1, :, :, k])
        champions[k] = _peak(best)
        tops.append((float(best.max()), k))
    score, k = max(tops)
    if score <= 0:
        return np.empty((0, 3), np.intp)
    return _backtrack(came, (*champions[k], k))


def _peak(values: NDArray[np.float32]) -> tuple[int, int]:
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(row), int(column)


def _shifted_maximum(
    values: NDArray[np.float32], axis: int, reach: int, cost: float
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return ``max over d of values[p + d] - cost d**2`` along one axis, and the best d."""
    best = values.copy()
    shift = np.zeros(values.shape, np.int16)
    view, found = np.moveaxis(best, axis, 0), np.moveaxis(shift, axis, 0)
    source = np.moveaxis(values, axis, 0)
    length = len(source)
    for d in range(1, min(reach, length - 1) + 1):
        for here, there, step in (
            (slice(0, length - d), slice(d, length), d),
            (slice(d, length), slice(0, length - d), -d),
        ):
            candidate = source[there] - np.float32(cost * d * d)
            better = candidate > view[here]
            view[here][better] = candidate[better]
            found[here][better] = step
    return best, shift


def _backtrack(came: NDArray[np.int16], end: tuple[int, int, int]) -> NDArray[np.intp]:
    """Follow the stored steps from the inferior end up to where the path starts."""
    i, j, k = end
    path = [(i, j, k)]
    while came[0, i, j, k] != np.iinfo(np.int16).min:
        i, j, k = i + int(came[0, i, j, k]), j + int(came[1, i, j, k]), k + 1
        path.append((i, j, k))
    return np.array(path[::-1], np.intp)


def _centre_of_heat(
    heat: NDArray[np.float32], path: NDArray[np.intp], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move every point to the mode of the heat in its slice by mean shift, shape (M, 3)."""
    refined = path.astype(float)
    reach = [max(round(2 * KERNEL_MM / size), 1) for size in sizes[:2]]
    for row, (i, j, k) in enumerate(path):
        low = max(i - reach[0], 0), max(j - reach[1], 0)
        window = heat[low[0] : i + reach[0] + 1, low[1] : j + reach[1] + 1, k].astype(float)
        if window.max() < FLOOR:
            continue
        a, b = np.indices(window.shape)
        a, b = a + low[0], b + low[1]
        for _ in range(8):
            apart = ((a - refined[row, 0]) * sizes[0]) ** 2 + (
                (b - refined[row, 1]) * sizes[1]
            ) ** 2
            weight = window * np.exp(-apart / (2 * KERNEL_MM**2))
            refined[row, :2] = (a * weight).sum() / weight.sum(), (b * weight).sum() / weight.sum()
    return refined
