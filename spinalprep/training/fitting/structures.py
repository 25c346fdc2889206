"""The loss of one structure a pixel, at every scale that a network gives."""

import torch
from torch import Tensor
from torch.nn import functional

COARSER = 0.5  # weight of a scale, relative to the next finer one


def structure_loss(given: Tensor | list[Tensor], truth: Tensor) -> Tensor:
    """Return soft Dice of the structures, alike for all, plus cross-entropy.

    Parameters
    ----------
    given : Tensor or list of Tensor
        Logits (N, C, H, W) for a softmax; of several scales the finest first.
    truth : Tensor, shape (N, C, H, W)
        One structure a pixel; the first is the background, whose Dice does not count.

    Notes
    -----
    Coarser scales are compared with the share of each structure in their pixels, and weigh half as
    much as the next finer one. A structure that the batch does not show counts by what is invented
    of it.
    """
    scales = [given] if isinstance(given, Tensor) else given
    parts, weights = [], []
    for n, logits in enumerate(scales):
        size = logits.shape[2], logits.shape[3]
        share = truth if n == 0 else functional.adaptive_avg_pool2d(truth, size)
        parts.append(COARSER**n * _one_scale(logits, share))
        weights.append(COARSER**n)
    return torch.stack(parts).sum() / sum(weights)


def _one_scale(logits: Tensor, truth: Tensor) -> Tensor:
    probability = torch.softmax(logits, dim=1)
    entropy = -(truth * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    axes = (0, 2, 3)
    shared = (probability * truth).sum(dim=axes)
    both = (probability + truth).sum(dim=axes)
    dice = (2 * shared + 1) / (both + 1)
    return entropy + 1 - dice[1:].mean()
