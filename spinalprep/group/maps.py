"""Lesion probability: people with a lesion over people who cover the voxel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spinalprep.group.domain import Float32, Observation


@dataclass
class Tally:
    """Sums over people, one at a time; memory does not depend on how many there are.

    Attributes
    ----------
    people : int
        Number of people added.
    covering, searched, lesions : ndarray of int32, shape (V,)
        People who cover a voxel; those of them whose lesions are known; those of these with a
        lesion there.
    soft : ndarray of float64, shape (V,)
        Sum of their probabilities; float64, so that the order of thousands of people is
        lost in rounding only.
    soft_covering : ndarray of int32, shape (V,)
        Searched people who have a probability at all.
    """

    people: int
    covering: NDArray[np.int32]
    searched: NDArray[np.int32]
    lesions: NDArray[np.int32]
    soft: NDArray[np.float64]
    soft_covering: NDArray[np.int32]

    @classmethod
    def empty(cls, size: int) -> "Tally":
        """Return the tally of nobody on ``size`` voxels."""
        zeros = (np.zeros(size, np.int32) for _ in range(4))
        covering, searched, lesions, soft_covering = zeros
        return cls(0, covering, searched, lesions, np.zeros(size), soft_covering)

    def add(self, person: Observation) -> None:
        """Count one person."""
        self.people += 1
        self.covering += person.covered
        self.searched += person.searched
        self.lesions += person.lesions_seen
        if person.soft is not None:
            self.soft += np.where(person.covered, person.soft, 0.0)
            self.soft_covering += person.covered


@dataclass(frozen=True)
class Maps:
    """Maps over people; float32, shape (V,); NaN where fewer than ``min_n`` were searched.

    Attributes
    ----------
    probability : ndarray
        Share of the searched people with a lesion; 0 is an observed zero.
    lower, upper : ndarray
        Wilson interval of the share.
    soft : ndarray
        Mean probability over the searched people.
    coverage : ndarray
        Share of all people who cover the voxel; never NaN.
    """

    probability: Float32
    lower: Float32
    upper: Float32
    soft: Float32
    coverage: Float32


def probability_maps(tally: Tally, min_n: int, confidence: float = 0.95) -> Maps:
    """Turn sums into maps.

    Parameters
    ----------
    tally : Tally
        Of at least one person.
    min_n : int
        Voxels in which fewer people were searched are NaN.
    confidence : float
        Of the Wilson interval.
    """
    enough = tally.searched >= max(min_n, 1)
    n = np.where(enough, tally.searched, 1)
    hits = np.where(enough, tally.lesions, 0)
    share = hits / n
    lower, upper = wilson_interval(hits, n, confidence)
    known = np.maximum(tally.soft_covering, 1)
    soft = np.where(tally.soft_covering >= max(min_n, 1), tally.soft / known, np.nan)
    hide = np.where(enough, 0.0, np.nan)
    return Maps(
        (share + hide).astype(np.float32),
        (lower + hide).astype(np.float32),
        (upper + hide).astype(np.float32),
        (soft + hide).astype(np.float32),
        (tally.covering / max(tally.people, 1)).astype(np.float32),
    )


def wilson_interval(
    hits: NDArray[np.integer], n: NDArray[np.integer], confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the score interval of a share (Wilson 1927, JASA 22:209-212).

    Examples
    --------
    >>> low, high = wilson_interval(np.array([0, 5]), np.array([10, 10]))
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.2366], [0.2775, 0.7634])
    """
    z = float(ndtri(0.5 + confidence / 2))
    share = np.asarray(hits) / np.asarray(n)
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4.0 * n**2))
    scale = 1 + z**2 / n
    lower = np.where(hits == 0, 0.0, (middle - half) / scale)
    upper = np.where(np.asarray(hits) == n, 1.0, (middle + half) / scale)
    return lower, upper
