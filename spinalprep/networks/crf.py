"""A conditional random field over a probability map: mean field with local Gaussian kernels."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinalprep.image import Image

LEAST = 0.01  # where no probability is larger nothing changes
MARGIN = 2  # kernels around what may change, whose grays are looked at


@dataclass(frozen=True)
class Field:
    """Numbers of a field; how they were chosen is told in docs/toolkit.md.

    Attributes
    ----------
    strength : float
        Of neighbors, in logits: how far they can move a voxel on which all of them agree.
    sd_mm : float
        Of the kernel over distance; voxels up to two of them away are neighbors.
    sd_grey : float
        Of the kernel over difference of intensity, as a share of the range between the percentiles
        5 and 95 around the structure.
    steps : int
        Mean-field updates.
    """

    strength: float = 2.0
    sd_mm: float = 1.2
    sd_grey: float = 0.1
    steps: int = 5


def refine(probability: Image, image: Image, field: Field | None = None) -> NDArray[np.float32]:
    """Return probabilities that agree with neighbors of the same intensity.

    Parameters
    ----------
    probability : Image, shape (I, J, K)
        0 to 1.
    image : Image, shape (I, J, K)
        Intensities of the same voxels.
    field : Field, optional

    Returns
    -------
    refined : ndarray of float32, shape (I, J, K)
        As given where no probability near by is over 0.01.

    Notes
    -----
    Two classes and a Potts model: with weights ``k`` of the neighbors, normalized to a sum of 1,
    ``logit q_i = logit p_i + strength * sum_j k_ij (2 q_j - 1)``, all voxels at once [1]_. Kernels
    are cut off instead of being dense, as in [2]_.

    References
    ----------
    .. [1] Krähenbühl and Koltun (2011), "Efficient inference in fully connected CRFs with Gaussian
       edge potentials", NIPS, arXiv:1210.5644.
    .. [2] Teichmann and Cipolla (2019), "Convolutional CRFs for semantic segmentation", BMVC,
       arXiv:1805.04777.
    """
    field = field or Field()
    given = np.asarray(probability.data, np.float32)
    reach = np.maximum(np.floor(2 * field.sd_mm / probability.voxel_sizes), 0).astype(int)
    near = np.argwhere(given > LEAST)
    if not len(near):
        return given
    low = np.maximum(near.min(axis=0) - MARGIN * reach, 0)
    high = near.max(axis=0) + MARGIN * reach + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    grey = np.asarray(image.data[box], np.float32)
    dark, bright = np.percentile(grey, [5, 95])
    scaled = torch.from_numpy((grey - dark) / max(float(bright - dark), 1e-6))
    unary = torch.logit(torch.from_numpy(given[box]), eps=1e-4)
    kernels = [
        (shift, _weights(scaled, shift, probability.voxel_sizes, field))
        for shift in product(*(range(-n, n + 1) for n in reach))
        if any(shift)
    ]
    total = torch.stack([weights for _, weights in kernels]).sum(dim=0).clamp(min=1e-6)
    belief = torch.sigmoid(unary)
    for _ in range(field.steps):
        message = torch.zeros_like(belief)
        for shift, weights in kernels:
            message += weights * (2 * _shifted(belief, shift) - 1)
        belief = torch.sigmoid(unary + field.strength * message / total)
    refined = given.copy()
    refined[box] = belief.numpy()
    return refined


def _weights(
    grey: Tensor, shift: tuple[int, ...], sizes: NDArray[np.float64], field: Field
) -> Tensor:
    """Return the weight of one neighbor of every voxel; 0 where it is outside."""
    apart = float(np.sum((np.array(shift) * sizes) ** 2))
    alike = torch.exp(-((_shifted(grey, shift) - grey) ** 2) / (2 * field.sd_grey**2))
    inside = _shifted(torch.ones_like(grey), shift)
    return alike * inside * float(np.exp(-apart / (2 * field.sd_mm**2)))


def _shifted(values: Tensor, shift: tuple[int, ...]) -> Tensor:
    """Return the neighbor at ``shift`` of every voxel, 0 outside."""
    moved = torch.zeros_like(values)
    here = tuple(
        slice(max(-n, 0), size - max(n, 0)) for n, size in zip(shift, values.shape, strict=True)
    )
    there = tuple(
        slice(max(n, 0), size - max(-n, 0)) for n, size in zip(shift, values.shape, strict=True)
    )
    moved[here] = values[there]
    return moved
