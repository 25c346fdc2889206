"""One mask out of those of several raters, and how good each rater is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.training.evaluation.metrics import Mask

START = 0.99999  # sensitivity and specificity before the first step
CLOSE = 1e-7  # change of every sensitivity and specificity that ends the search
LONGEST = 500
MARGIN = 3  # voxels around all masks together


@dataclass(frozen=True)
class Consensus:
    """What several raters say together.

    Attributes
    ----------
    probability : ndarray of float32, shape (I, J, K)
        That a voxel belongs to the structure.
    mask : ndarray of bool, shape (I, J, K)
        The consensus.
    sensitivity, specificity : ndarray of float, shape (R,)
        Of every rater, in the region that was compared.
    steps : int
        Of the search; 0 for a vote.
    """

    probability: NDArray[np.float32]
    mask: Mask
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]
    steps: int = 0


def majority(masks: Sequence[Mask]) -> Consensus:
    """Return the voxels that more than half of the raters drew; of two raters, those of both.

    Parameters
    ----------
    masks : sequence of ndarray of bool, shape (I, J, K)
        One per rater.
    """
    drawn = np.stack(masks)
    share = drawn.mean(axis=0, dtype=np.float32)
    mask = 2 * drawn.sum(axis=0) > len(drawn)
    region = region_of(masks)
    truth = mask[region].astype(np.float64)[None]
    sensitivity, specificity = _quality(drawn[:, *region].reshape(len(drawn), -1), truth.ravel())
    return Consensus(share, mask, sensitivity, specificity)


def staple(masks: Sequence[Mask]) -> Consensus:
    """Estimate the hidden truth and every rater's quality by expectation maximization (STAPLE).

    Parameters
    ----------
    masks : sequence of ndarray of bool, shape (I, J, K)
        One per rater.

    Notes
    -----
    Only the smallest box around all masks counts, with 3 voxels around it (fewer at the border of
    the image): in a whole image nearly every voxel is background, and every specificity nearly 1.
    The prior of a voxel is the mean of all masks in the box. Raters are taken to err independently
    of each other and of the place.

    References
    ----------
    .. [1] Warfield et al. (2004), "Simultaneous truth and performance level estimation (STAPLE): an
       algorithm for the validation of image segmentation", IEEE Trans Med Imaging 23:903-921,
       doi:10.1109/TMI.2004.828354, equations 13 to 18.
    """
    region = region_of(masks)
    drawn = np.stack([mask[region] for mask in masks]).reshape(len(masks), -1)
    # voxels that the same raters drew have the same probability: one column for all of them
    patterns, place, counts = np.unique(drawn, axis=1, return_inverse=True, return_counts=True)
    prior = float(drawn.mean())
    sensitivity = specificity = np.full(len(masks), START)
    steps, change = 0, 1.0
    while change >= CLOSE and steps < LONGEST:
        steps += 1
        truth = _expect(patterns, sensitivity, specificity, prior)
        before = sensitivity, specificity
        sensitivity, specificity = _quality(patterns, truth, counts)
        apart = np.stack([sensitivity - before[0], specificity - before[1]])
        change = float(np.abs(np.nan_to_num(apart)).max())
    probability = np.zeros(masks[0].shape, np.float32)
    shape = probability[region].shape
    truth = _expect(patterns, sensitivity, specificity, prior)
    probability[region] = truth[place.ravel()].reshape(shape)
    return Consensus(probability, probability > 0.5, sensitivity, specificity, steps)


def region_of(masks: Sequence[Mask]) -> tuple[slice, ...]:
    """Return the box around all masks with a margin; the whole image if all are empty."""
    union = np.any(masks, axis=0)
    boxes = ndimage.find_objects(union.astype(np.uint8))
    if not boxes:
        return (slice(None),) * masks[0].ndim
    box: tuple[slice, ...] = boxes[0]
    return tuple(slice(max(axis.start - MARGIN, 0), axis.stop + MARGIN) for axis in box)


def _expect(
    drawn: Mask,
    sensitivity: NDArray[np.float64],
    specificity: NDArray[np.float64],
    prior: float,
) -> NDArray[np.float64]:
    """Return the probability of every column (N,) of what raters drew (R, N)."""
    p, q = (np.clip(part, 1e-12, 1 - 1e-12)[:, None] for part in (sensitivity, specificity))
    inside = np.where(drawn, np.log(p), np.log(1 - p)).sum(axis=0)
    outside = np.where(drawn, np.log(1 - q), np.log(q)).sum(axis=0)
    prior = min(max(prior, 1e-12), 1 - 1e-12)
    odds = inside - outside + np.log(prior / (1 - prior))
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
    return probability


def _quality(
    drawn: Mask, truth: NDArray[np.float64], counts: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sensitivity and specificity (R,) against a truth (N,); NaN where there is none."""
    weight = np.ones(truth.shape) if counts is None else counts
    inside, outside = truth * weight, (1 - truth) * weight
    with np.errstate(invalid="ignore"):
        sensitivity = (drawn @ inside) / inside.sum()
        specificity = (~drawn @ outside) / outside.sum()
    return sensitivity, specificity


def fleiss_kappa(masks: Sequence[Mask]) -> float:
    """Return Fleiss' kappa of raters, in the region of `region_of`.

    Parameters
    ----------
    masks : sequence of ndarray of bool, shape (I, J, K)
        One per rater.

    Returns
    -------
    kappa : float
        1 for full agreement, 0 for what chance gives; NaN if nobody drew anything.
    """
    region = region_of(masks)
    drawn = np.stack([mask[region] for mask in masks]).reshape(len(masks), -1)
    votes = drawn.sum(axis=0)
    return kappa_of_counts(np.stack([votes, len(masks) - votes], axis=1))


def kappa_of_counts(counts: NDArray[np.intp]) -> float:
    """Return Fleiss' kappa of a table: rows are subjects, columns classes, values raters.

    References
    ----------
    .. [1] Fleiss (1971), "Measuring nominal scale agreement among many raters", Psychological
       Bulletin 76:378-382, doi:10.1037/h0031619.
    """
    raters = int(counts[0].sum())
    agreed = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares**2).sum())
    if by_chance >= 1:
        return float("nan")
    return float((agreed.mean() - by_chance) / (1 - by_chance))
