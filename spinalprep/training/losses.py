"""Losses on probabilities; tensors (N, C, H, W), means over what is known."""

import torch
from torch import Tensor
from torch.nn import functional


def dice_loss(probability: Tensor, truth: Tensor, weight: Tensor, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft Dice of the batch, channel by channel.

    Parameters
    ----------
    probability, truth : Tensor, shape (N, C, H, W)
        0 to 1.
    weight : Tensor, shape (N, C, 1, 1)
        Zero for samples in which a channel is unknown.

    References
    ----------
    .. [1] Milletari et al. (2016), "V-Net", 3DV, doi:10.1109/3DV.2016.79.

    Examples
    --------
    >>> mask = torch.tensor([[[[1.0, 0.0]]]])
    >>> float(dice_loss(mask, mask, torch.ones(1, 1, 1, 1)))
    0.0
    """
    shared = (probability * truth * weight).sum(dim=(0, 2, 3))
    both = ((probability**2 + truth**2) * weight).sum(dim=(0, 2, 3))
    return (1 - (2 * shared + smooth) / (both + smooth)).mean()


def cross_entropy(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the binary cross-entropy over known channels."""
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    pixels = truth.shape[2] * truth.shape[3]
    return (each * weight).sum() / (weight.sum() * pixels).clamp(min=1)


def tversky_loss(
    probability: Tensor,
    truth: Tensor,
    weight: Tensor,
    false_negatives: float = 0.6,
    gamma: float = 1.0,
) -> Tensor:
    """Return the focal Tversky loss, ``(1 - TI) ** (1 / gamma)``; Tversky's own with gamma 1.

    Parameters
    ----------
    probability, truth, weight
        As in `dice_loss`.
    false_negatives : float
        Weight alpha of what is missed; what is invented weighs one minus it.
    gamma : float
        Focus on hard channels, 1 to 3.

    References
    ----------
    .. [1] Abraham and Khan (2019), "A novel focal Tversky loss function", ISBI,
       doi:10.1109/ISBI.2019.8759329.
    """
    shared = (probability * truth * weight).sum(dim=(0, 2, 3))
    missed = ((1 - probability) * truth * weight).sum(dim=(0, 2, 3))
    invented = (probability * (1 - truth) * weight).sum(dim=(0, 2, 3))
    index = (shared + 1) / (
        shared + false_negatives * missed + (1 - false_negatives) * invented + 1
    )
    return ((1 - index) ** (1 / gamma)).mean()


def mixed_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return soft Dice plus cross-entropy, the mix that the shipped weights were trained with."""
    probability = torch.sigmoid(logits)
    return dice_loss(probability, truth, weight) + cross_entropy(logits, truth, weight)
