"""Which of the lesions that a network proposes are called."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.image import Image
from spinalprep.lesion.evidence import Evidence, weigh_lesions
from spinalprep.lesion.instances import SHORTEST_MM, lesion_instances

# Chosen on synthetic subjects in noise that grows along the cord, see docs/lesion.md.
LEAST_Z = 4.0
LEAST_CNR = 2.0
LEAST_CONTRAST = 0.12  # of the step to the fluid


@dataclass(frozen=True)
class LesionRule:
    """Criteria that a lesion has to meet.

    Attributes
    ----------
    threshold, min_mm3, min_length_mm : float
        See `lesion_instances`.
    least_z, least_cnr, least_contrast : float
        Minimum image evidence, see `Evidence`. If too little cord around a lesion is in view to
        compute its ``z``, the others decide, and the contrast has to be twice as large. A lesion
        that fills all of the cord in view is accepted.
    proof : bool
        False for manual lesions, which are accepted without image evidence.
    """

    threshold: float = LESION_THRESHOLD
    min_mm3: float = MIN_LESION_MM3
    min_length_mm: float = SHORTEST_MM
    least_z: float = LEAST_Z
    least_cnr: float = LEAST_CNR
    least_contrast: float = LEAST_CONTRAST
    proof: bool = True

    def bears_out(self, evidence: Evidence) -> bool:
        """Tell whether the image evidence supports a lesion."""
        if not self.proof or np.isnan(evidence.contrast):
            return True
        known = not np.isnan(evidence.z)
        least = self.least_contrast if known else 2 * self.least_contrast
        stands_out = evidence.contrast >= least and evidence.cnr >= self.least_cnr
        return stands_out and (not known or evidence.z >= self.least_z)


DRAWN = LesionRule(threshold=0.5, min_mm3=0.0, min_length_mm=0.0, proof=False)


@dataclass(frozen=True)
class CalledLesions:
    """Lesions, and what was refused.

    Attributes
    ----------
    labels : ndarray of int32, shape (I, J, K)
        Lesions 1 to N, the largest first; 0 outside; on the grid of the proposals.
    evidence : tuple of Evidence
        Of the lesions 1 to N.
    refused : ndarray of int32, shape (I, J, K)
        Proposals that the image does not bear out, numbered likewise.
    """

    labels: NDArray[np.int32]
    evidence: tuple[Evidence, ...]
    refused: NDArray[np.int32]

    def beside_refused(self) -> NDArray[np.bool_]:
        """Return what was refused and the two voxels around it, but no lesion, (I, J, K)."""
        cube = np.ones((3, 3, 3), bool)
        near = ndimage.binary_dilation(self.refused > 0, cube, 2)
        beside: NDArray[np.bool_] = near & (self.labels == 0)
        return beside


def call_lesions(
    probability: Image, image: Image, cord: Image, centerline: Centerline, rule: LesionRule
) -> CalledLesions:
    """Call the lesions that a network proposes and the image bears out.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        Of a lesion, any voxel order.
    image : Image, shape (I, J, K)
        Intensities on the same voxels, bias-corrected.
    cord : Image, shape (I, J, K)
        Mask on the same voxels.
    centerline : Centerline
        RAS+ mm.
    rule : LesionRule
        What has to be true of a lesion.
    """
    limits = rule.threshold, rule.min_mm3, rule.min_length_mm
    proposed = lesion_instances(probability, cord, *limits)
    evidence = weigh_lesions(probability.with_data(proposed), image, cord, centerline)
    kept = [n for n, found in enumerate(evidence) if rule.bears_out(found)]
    refused = [n for n in range(len(evidence)) if n not in kept]
    return CalledLesions(
        _renumbered(proposed, kept),
        tuple(evidence[n] for n in kept),
        _renumbered(proposed, refused),
    )


def _renumbered(labels: NDArray[np.int32], kept: list[int]) -> NDArray[np.int32]:
    """Return labels 1 to N of those lesions (0 is the first); 0 elsewhere."""
    number = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    number[np.array(kept, int) + 1] = np.arange(1, len(kept) + 1)
    renumbered: NDArray[np.int32] = number[labels]
    return renumbered
