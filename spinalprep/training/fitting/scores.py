"""How a batch was segmented: scores of thresholded maps, for the curve of a training."""

from dataclasses import astuple, dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Confusion:
    """Voxels counted by what they are and what they were called; numbers, or masks of a kind.

    Attributes
    ----------
    hits, invented, missed, empty : float
        True positives, false positives, false negatives, true negatives.
    """

    hits: float = 0.0
    invented: float = 0.0
    missed: float = 0.0
    empty: float = 0.0

    def __add__(self, other: "Confusion") -> "Confusion":
        """Return the counts of both together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Confusion(*(ours + theirs for ours, theirs in pairs))

    @property
    def dice(self) -> float:
        """Twice the shared voxels over those of both; NaN if there are none."""
        both = 2 * self.hits + self.invented + self.missed
        return 2 * self.hits / both if both else float("nan")

    @property
    def matthews(self) -> float:
        """Matthews correlation coefficient, -1 to 1.

        Zero where a row or a column of the table is empty, as is usual.

        References
        ----------
        .. [1] Chicco and Jurman (2020), "The advantages of the Matthews correlation coefficient
           (MCC) over F1 score and accuracy in binary classification evaluation", BMC Genomics 21:6,
           doi:10.1186/s12864-019-6413-7.

        Examples
        --------
        >>> Confusion(hits=6, invented=1, missed=2, empty=3).matthews
        0.478...
        """
        tp, fp, fn, tn = self.hits, self.invented, self.missed, self.empty
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return float((tp * tn - fp * fn) / margins**0.5) if margins > 0 else 0.0


def confusion(logits: Tensor, truth: Tensor, weight: Tensor) -> Confusion:
    """Count the voxels of a batch, all known channels together.

    Parameters
    ----------
    logits : Tensor, shape (N, C, ...)
        Positive where something was found.
    truth : Tensor, shape (N, C, ...)
        Something is there from one half on.
    weight : Tensor, shape (N, C, 1, ...)
        Zero for samples in which a channel is unknown.
    """
    known = (weight > 0).expand_as(truth)
    found, there = logits > 0, truth >= 0.5
    parts = (found & there, found & ~there, ~found & there, ~found & ~there)
    return Confusion(*(float(torch.count_nonzero(part & known)) for part in parts))
