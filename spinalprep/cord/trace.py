"""From a heat map to the centerline: the best curve of all, or none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.errors import NoCordError
from spinalprep.image import Image, to_world, upright

ABSENT = 0.15  # a probability below it speaks against the cord
FLOOR = 0.01
SMOOTHNESS = 0.15  # cost of a step of 1 mm between slices 1 mm apart
LEAST_HEAT = 0.35  # the mean along the path that is called a cord
LEAST_LENGTH_MM = 10.0  # a shorter curve is a blob, unless it crosses half of the image
EVIDENCE_MM = 1.0  # thinner slices see what their neighbors see: each counts for less
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


def find_centerline(heat: Image) -> tuple[Centerline, float]:
    """Return the smooth curve along a heat map, and its mean heat; see `trace_centerline`.

    Parameters
    ----------
    heat : Image, shape (I, J, K)
        Probability of the centerline, 0 to 1, any voxel order.

    Returns
    -------
    centerline : Centerline
        RAS+ mm.
    confidence : float
        0 to 1.
    """
    trace = trace_centerline(heat)
    line = fit_centerline(trace.points, weights=trace.confidence)
    return line, float(trace.confidence.mean())


def trace_centerline(
    heat: Image, smoothness: float = SMOOTHNESS, least_heat: float = LEAST_HEAT
) -> Trace:
    """Find the one curve along superior-inferior that best explains a heat map.

    Parameters
    ----------
    heat : Image, shape (I, J, K)
        Probability of the centerline, 0 to 1, any voxel order.
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
    OptiC's global optimization [1]_ by dynamic programming, with two changes: costs are in mm,
    and the curve may begin and end in any slice: a slice adds ``log(heat / 0.15)`` (thinner
    ones than 1 mm their share of it), so that slices that speak against the cord (brain, air,
    below the conus) are left out where nothing is gained behind them, as in the search for the
    best segment of a sequence. Steps are searched up to 1.2 mm per mm and 2 mm more, which
    keeps the search linear in the voxels without a distance transform. Points are the modes of
    the heat near the best voxels. A curve of one slice, or shorter than 10 mm and than half of
    the image, is no cord.

    References
    ----------
    .. [1] Gros et al. (2018), "Automatic spinal cord localization, robust to MRI contrasts using
       global curve optimization", Medical Image Analysis 44:215-227,
       doi:10.1016/j.media.2017.12.001.
    """
    heat = upright(heat)
    probability = np.clip(np.nan_to_num(heat.data.astype(np.float32)), 0.0, 1.0)
    gap = float(heat.voxel_sizes[2])
    share = np.float32(min(gap / EVIDENCE_MM, 1.0))
    gain = share * np.log(np.maximum(probability, FLOOR) / np.float32(ABSENT))
    path = _best_path(gain, heat.voxel_sizes, smoothness)
    confidence = probability[tuple(path.T)].astype(float)
    least = max(min(LEAST_LENGTH_MM, heat.shape[2] * gap / 2), 1.5 * gap)
    if len(path) * gap < least or confidence.mean() < least_heat:
        best = float(probability.max())
        mean = float(confidence.mean()) if len(path) else 0.0
        raise NoCordError(
            f"no cord found: the best curve is {len(path) * gap:.0f} mm long, its mean "
            f"probability {mean:.2f} (highest voxel {best:.2f}); expected at least {least:.0f} mm "
            f"and {least_heat:.2f}"
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
    best = np.ascontiguousarray(np.moveaxis(gain, 2, 0))  # (K, I, J), filled from the top
    for k in range(depth - 2, -1, -1):
        across = _shifted_maximum(best[k + 1], 1, reach[1], cost[1])
        above = _shifted_maximum(across, 0, reach[0], cost[0])
        best[k] += np.maximum(above, 0.0)  # a path that has lost more than it won starts anew
    k, i, j = (int(n) for n in np.unravel_index(int(best.argmax()), best.shape))
    if best[k, i, j] <= 0:
        return np.empty((0, 3), np.intp)
    path = [(i, j, k)]
    while k < depth - 1:
        gained, i, j = _step_above(best[k + 1], (i, j), reach, cost)
        if gained <= 0:
            break
        k += 1
        path.append((i, j, k))
    return np.array(path[::-1], np.intp)


def _shifted_maximum(
    values: NDArray[np.float32], axis: int, reach: int, cost: float
) -> NDArray[np.float32]:
    """Return ``max over d of values[p + d] - cost d**2`` along one axis."""
    best = values.copy()
    view, source = np.moveaxis(best, axis, 0), np.moveaxis(values, axis, 0)
    length = len(source)
    for d in range(1, min(reach, length - 1) + 1):
        lowered = source - np.float32(cost * d * d)
        np.maximum(view[:-d], lowered[d:], out=view[:-d])
        np.maximum(view[d:], lowered[:-d], out=view[d:])
    return best


def _step_above(
    above: NDArray[np.float32], at: tuple[int, int], reach: list[int], cost: list[float]
) -> tuple[float, int, int]:
    """Return what the best step to the slice above gains, and the voxel it leads to."""
    low = [max(n - r, 0) for n, r in zip(at, reach, strict=True)]
    window = above[low[0] : at[0] + reach[0] + 1, low[1] : at[1] + reach[1] + 1]
    a, b = np.ogrid[: window.shape[0], : window.shape[1]]
    steps = cost[0] * (a + low[0] - at[0]) ** 2 + cost[1] * (b + low[1] - at[1]) ** 2
    gained = window - steps
    i, j = np.unravel_index(int(gained.argmax()), gained.shape)
    return float(gained[i, j]), low[0] + int(i), low[1] + int(j)


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
