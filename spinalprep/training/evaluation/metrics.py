"""How far a segmentation is from what a person drew: pure functions on arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import bootstrap

from spinalprep.lesion.instances import EVERY_NEIGHBOUR

Mask = NDArray[np.bool_]
OVERLAP = 0.25  # share of a manual lesion that must be found (Gros et al. 2019)


def overlap_measures(found: Mask, truth: Mask) -> dict[str, float]:
    """Compare two masks voxel by voxel.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (I, J, K)
        What the program says, what a person drew.

    Returns
    -------
    measures : dict
        ``dice``, ``relative_volume_difference`` (found over truth, minus one), ``ppv`` (share
        of the found voxels that are true); NaN where the denominator is empty.

    Examples
    --------
    >>> overlap_measures(np.array([True, True]), np.array([True, False]))["ppv"]
    0.5
    """
    both, ours, theirs = int((found & truth).sum()), int(found.sum()), int(truth.sum())
    return {
        "dice": _ratio(2 * both, ours + theirs),
        "relative_volume_difference": _ratio(ours - theirs, theirs),
        "ppv": _ratio(both, ours),
    }


def surface_distances(
    found: Mask, truth: Mask, voxel_sizes: NDArray[np.float64]
) -> dict[str, float]:
    """Measure how far two surfaces are apart, in mm.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (I, J, K)
        A face on the border of the array is where somebody stopped drawing, not a surface.
    voxel_sizes : ndarray of float, shape (3,)
        Edge lengths in mm.

    Returns
    -------
    measures : dict
        ``surface_mm``: mean over the voxels of both surfaces of the distance to the other one;
        ``surface95_mm``: the larger of the two 95th percentiles. NaN if a mask is empty. Both
        come in steps of a voxel.
    """
    if not found.any() or not truth.any():
        return {"surface_mm": np.nan, "surface95_mm": np.nan}
    box = _box(found | truth)
    ours, theirs = _surface(found)[box], _surface(truth)[box]
    if not ours.any() or not theirs.any():  # a mask that fills the array has no surface
        return {"surface_mm": np.nan, "surface95_mm": np.nan}
    there = ndimage.distance_transform_edt(~theirs, sampling=voxel_sizes)[ours]
    back = ndimage.distance_transform_edt(~ours, sampling=voxel_sizes)[theirs]
    return {
        "surface_mm": float(np.concatenate([there, back]).mean()),
        "surface95_mm": float(max(np.percentile(there, 95), np.percentile(back, 95))),
    }


def centerline_measures(
    points: NDArray[np.float64], truth: Mask, voxel_sizes: NDArray[np.float64]
) -> dict[str, float]:
    """Compare a centerline with the middle of the drawn cord, slice by slice.

    Parameters
    ----------
    points : ndarray of float, shape (K, 2)
        First two voxel coordinates of the centerline in every axial slice; NaN where it is not.
    truth : ndarray of bool, shape (I, J, K)
        The drawn cord.
    voxel_sizes : ndarray of float, shape (3,)
        Edge lengths in mm.

    Returns
    -------
    measures : dict
        ``centerline_mm``: root of the mean squared distance in the slice to the center of mass,
        where both are known; ``localisation``: share of the drawn slices in which the
        centerline is inside the drawn cord, a slice without centerline counts as missed.
    """
    drawn = np.flatnonzero(truth.any(axis=(0, 1)))
    apart, inside = [], 0
    for k in drawn:
        if not np.isfinite(points[k]).all():
            continue
        centre = np.array(ndimage.center_of_mass(truth[:, :, k]))
        apart.append(float(np.sum(((points[k] - centre) * voxel_sizes[:2]) ** 2)))
        i, j = np.rint(points[k]).astype(int)
        within = 0 <= i < truth.shape[0] and 0 <= j < truth.shape[1]
        inside += bool(within and truth[i, j, k])
    return {
        "centerline_mm": float(np.sqrt(np.mean(apart))) if apart else np.nan,
        "localisation": _ratio(inside, len(drawn)),
    }


def calibration_error(probability: NDArray[np.float32], truth: Mask, bins: int = 10) -> float:
    """Return the expected calibration error: how far probabilities are from shares.

    Parameters
    ----------
    probability : ndarray of float32, shape (I, J, K)
        What the program says, 0 to 1.
    truth : ndarray of bool, shape (I, J, K)
        What a person drew.
    bins : int
        Of equal width.

    Returns
    -------
    error : float
        Mean over bins, weighted by their voxels, of the distance between the mean probability
        and the share of drawn voxels. Only voxels count that have a probability of 0.01 or are
        drawn: the rest of the image is easy. NaN if there are none.

    References
    ----------
    .. [1] Guo et al. (2017), "On calibration of modern neural networks", ICML, arXiv:1706.04599.

    Examples
    --------
    >>> sure = np.array([0.9, 0.9, 0.9, 0.9])
    >>> calibration_error(sure, np.array([True, True, True, False]))
    0.15
    """
    kept = (probability >= 0.01) | truth
    p, drawn = probability[kept].astype(float), truth[kept]
    if not p.size:
        return np.nan
    place = np.minimum((p * bins).astype(int), bins - 1)
    apart = np.bincount(place, weights=p - drawn, minlength=bins)
    return float(np.round(np.abs(apart).sum() / p.size, 6))


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of one image, counted.

    Attributes
    ----------
    drawn, detected : int
        Lesions that a person drew (26 neighbors), and those of which at least a quarter of
        the voxels were found.
    found, true : int
        Lesions that the program found, and those of which at least a quarter of the voxels
        are drawn.
    clean_slices, clean_found : int
        Axial slices with cord and without a drawn lesion, and those with a lesion found.
    """

    drawn: int
    detected: int
    found: int
    true: int
    clean_slices: int
    clean_found: int

    @property
    def measures(self) -> dict[str, float]:
        """Lesion-wise sensitivity and precision, slice-wise specificity; NaN where 0 of 0."""
        return {
            "lesion_sensitivity": _ratio(self.detected, self.drawn),
            "lesion_precision": _ratio(self.true, self.found),
            "slice_specificity": _ratio(self.clean_slices - self.clean_found, self.clean_slices),
        }


def count_lesions(found: Mask, truth: Mask, cord: Mask) -> LesionCounts:
    """Count lesions by the rule of Gros et al. (2019), NeuroImage 184:901-915.

    Parameters
    ----------
    found, truth, cord : ndarray of bool, shape (I, J, K)
        Lesions found, lesions drawn, and the cord, which says which slices count for the
        specificity (a lesion that is not there has no number, so slices are counted).

    Notes
    -----
    The paper says when a drawn lesion is detected; for a found lesion the same rule is turned
    round here. Two found lesions inside a drawn one both count as true.
    """
    drawn, detected = _met(truth, found)
    ours, true = _met(found, truth)
    clean = cord.any(axis=(0, 1)) & ~truth.any(axis=(0, 1))
    wrong = clean & found.any(axis=(0, 1))
    return LesionCounts(drawn, detected, ours, true, int(clean.sum()), int(wrong.sum()))


def bootstrap_interval(
    values: NDArray[np.float64], seed: int = 0, draws: int = 5000
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean over people.

    Parameters
    ----------
    values : ndarray of float, shape (N,)
        One value per person; NaN is left out.
    seed, draws : int
        Of the resampling with replacement.

    Returns
    -------
    lower, upper : float
        NaN with fewer than three people: no claim.
    """
    known = values[np.isfinite(values)]
    if len(known) < 3:
        return np.nan, np.nan
    chance = np.random.default_rng(seed)
    ends = bootstrap((known,), np.mean, n_resamples=draws, method="percentile", rng=chance)
    return float(ends.confidence_interval.low), float(ends.confidence_interval.high)


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Pearson's r of two columns; NaN with fewer than three people or no spread."""
    known = np.isfinite(first) & np.isfinite(second)
    a, b = first[known], second[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _met(lesions: Mask, other: Mask) -> tuple[int, int]:
    """Return how many lesions there are, and of how many a quarter lies in the other mask."""
    labels, count = ndimage.label(lesions, structure=EVERY_NEIGHBOUR)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(labels[other], minlength=count + 1)[1:]
    return int(count), int((shared >= OVERLAP * sizes).sum())


def _surface(mask: Mask) -> Mask:
    """Return the voxels of a mask that touch its outside by a face."""
    inner = ndimage.binary_erosion(mask, border_value=1)
    surface: Mask = mask & ~inner
    return surface


def _box(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box around a mask."""
    return tuple(ndimage.find_objects(mask.astype(np.uint8))[0])


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else np.nan
