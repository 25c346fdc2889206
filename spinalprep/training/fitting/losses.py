"""Losses; tensors (N, C, H, W) or (N, C, H, W, D), means over what is known.

A recipe names a loss, or a sum: ``"dice + cross_entropy"``, ``"focal_tversky + 0.5 focal"``.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spinalprep.errors import UsageError

USUAL = "dice + cross_entropy"  # what the shipped weights were trained with
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits, truth, weight
# What a network gives, truth, weight; a task whose network gives several scales has one of its own.
Objective = Callable[[Any, Tensor, Tensor], Tensor]


def dice_loss(probability: Tensor, truth: Tensor, weight: Tensor, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft Dice of the batch, channel by channel.

    Parameters
    ----------
    probability, truth : Tensor, shape (N, C, ...)
        0 to 1.
    weight : Tensor, shape (N, C, 1, 1) or (N, C, 1, 1, 1)
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
    shared = (probability * truth * weight).sum(dim=_voxels(truth))
    both = ((probability**2 + truth**2) * weight).sum(dim=_voxels(truth))
    return (1 - (2 * shared + smooth) / (both + smooth)).mean()


def generalised_dice_loss(probability: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return one minus the generalized Dice: channels count by one over their squared volume.

    A channel that the batch does not show counts as if it had one voxel.

    Parameters
    ----------
    probability, truth, weight
        As in `dice_loss`.

    References
    ----------
    .. [1] Sudre et al. (2017), "Generalised Dice overlap as a deep learning loss function for
       highly unbalanced segmentations", DLMIA, doi:10.1007/978-3-319-67558-9_28.
    """
    volume = (truth * weight).sum(dim=_voxels(truth))
    share = 1 / volume.clamp(min=1.0) ** 2
    shared = (probability * truth * weight).sum(dim=_voxels(truth))
    both = ((probability + truth) * weight).sum(dim=_voxels(truth))
    return 1 - 2 * (share * shared).sum() / (share * both).sum().clamp(min=1e-6)


def cross_entropy(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the binary cross-entropy over known channels."""
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return _known_mean(each, weight)


def focal_loss(logits: Tensor, truth: Tensor, weight: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the focal loss: cross-entropy times ``(1 - p) ** gamma``, p of what is true.

    Parameters
    ----------
    logits : Tensor, shape (N, C, ...)
        Before the sigmoid.
    truth, weight
        As in `dice_loss`; for a soft truth p is its mean, 1 - |probability - truth|.
    gamma : float
        0 is cross-entropy.

    References
    ----------
    .. [1] Lin et al. (2017), "Focal loss for dense object detection", ICCV,
       doi:10.1109/ICCV.2017.324.
    """
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    wrong = (torch.sigmoid(logits) - truth).abs()
    return _known_mean(each * wrong**gamma, weight)


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
    shared = (probability * truth * weight).sum(dim=_voxels(truth))
    missed = ((1 - probability) * truth * weight).sum(dim=_voxels(truth))
    invented = (probability * (1 - truth) * weight).sum(dim=_voxels(truth))
    index = (shared + 1) / (
        shared + false_negatives * missed + (1 - false_negatives) * invented + 1
    )
    return ((1 - index).clamp(min=1e-7) ** (1 / gamma)).mean()  # finite slope at a perfect fit


def _of_probability(loss: Loss) -> Loss:
    return lambda logits, truth, weight: loss(torch.sigmoid(logits), truth, weight)


def _tversky(alpha: float = 0.4, beta: float | None = None) -> Loss:
    """Return Tversky's loss, in the convention of its paper: beta weighs what is missed.

    References
    ----------
    .. [1] Salehi et al. (2017), "Tversky loss function for image segmentation using 3D fully
       convolutional deep networks", MLMI, doi:10.1007/978-3-319-67389-9_44.
    """
    missed = _share(1 - alpha if beta is None else beta, alpha)
    return _of_probability(partial(tversky_loss, false_negatives=missed))


def _focal_tversky(gamma: float = 4 / 3, alpha: float = 0.6, beta: float | None = None) -> Loss:
    """Return the focal Tversky loss, in the convention of its paper: alpha weighs what is missed.

    See `tversky_loss` for the paper.
    """
    missed = _share(alpha, 1 - alpha if beta is None else beta)
    if gamma < 1:
        raise UsageError(f"focal_tversky: gamma is {gamma:g}; expected 1 or more")
    return _of_probability(partial(tversky_loss, false_negatives=missed, gamma=gamma))


def _share(missed: float, invented: float) -> float:
    """Return the weight of what is missed, where the two weights are shares of one."""
    if not 0 <= missed <= 1 or abs(missed + invented - 1) > 1e-6:
        raise UsageError("alpha and beta of a Tversky loss: expected two shares that add up to 1")
    return missed


TUNABLE: dict[str, Callable[..., Loss]] = {"tversky": _tversky, "focal_tversky": _focal_tversky}
LOSSES: dict[str, Loss] = {
    "dice": _of_probability(dice_loss),
    "generalised_dice": _of_probability(generalised_dice_loss),
    "tversky": _tversky(),
    "focal_tversky": _focal_tversky(),
    "focal": focal_loss,
    "cross_entropy": cross_entropy,
}


def find_loss(words: str) -> Loss:
    """Return the loss that a recipe names.

    Parameters
    ----------
    words : str
        Names of ``LOSSES``, joined by ``+``, each with a factor before it if it is not 1. Those of
        Tversky take numbers: ``tversky(alpha=0.4)``, ``focal_tversky(gamma=1.33, alpha=0.6)``.
        Which of alpha and beta weighs what is missed follows the paper of each: beta in the first,
        alpha in the second.

    Raises
    ------
    UsageError
        If a part is no name of a loss.

    Examples
    --------
    >>> zero = torch.zeros(1, 1, 1, 2)
    >>> float(find_loss("2 cross_entropy")(zero, zero, torch.ones(1, 1, 1, 1)))
    1.3862943649291992
    """
    parts: list[tuple[float, Loss]] = []
    for part in words.split("+"):
        told = re.fullmatch(r"\s*(\d+(?:\.\d+)?)?\s*\*?\s*([a-z_]+)\s*(?:\((.*)\))?\s*", part)
        if told is None or told[2] not in LOSSES:
            raise UsageError(
                f"loss {words!r}: {part.strip()!r} is not one of {', '.join(LOSSES)}; expected "
                "names joined by +, with factors if not 1"
            )
        parts.append((float(told[1] or 1.0), _loss_of(told[2], told[3])))
    return lambda logits, truth, weight: torch.stack(
        [factor * loss(logits, truth, weight) for factor, loss in parts]
    ).sum()


def _loss_of(name: str, numbers: str | None) -> Loss:
    """Return a loss, with numbers of its own where some are told."""
    if numbers is None:
        return LOSSES[name]
    pairs = [part.partition("=") for part in numbers.split(",")]
    try:
        told = {key.strip(): float(value) for key, _, value in pairs}
        return TUNABLE[name](**told)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"loss {name}({numbers}): expected numbers such as focal_tversky(gamma=1.33, alpha=0.6)"
        ) from error


def _known_mean(each: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over the voxels of known channels."""
    voxels = each[0, 0].numel()
    return (each * weight).sum() / (weight.sum() * voxels).clamp(min=1)


def _voxels(tensor: Tensor) -> tuple[int, ...]:
    """Return the axes of samples and voxels, all but the channels."""
    return (0, *range(2, tensor.ndim))
