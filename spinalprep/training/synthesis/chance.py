"""What generators draw: numbers, shares of samples, smooth fields; always from a given source."""

import torch
from torch import Tensor
from torch.nn import functional


def uniform(low: float, high: float, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Draw between two bounds."""
    return low + (high - low) * torch.rand(shape, generator=draw)


def chance(share: float, count: int, draw: torch.Generator, axes: int = 2) -> Tensor:
    """Return True for a share of the samples, shape (N, 1, 1, 1) for two ``axes`` of pixels."""
    return torch.rand((count, 1, *(1,) * axes), generator=draw) < share


def smooth_noise(
    shape: tuple[int, int, int],
    knots: int,
    size: int | tuple[int, ...],
    draw: torch.Generator,
) -> Tensor:
    """Return smooth fields (N, C, height, width) of about unit variance from ``knots`` per height.

    One number for ``size`` is that of squares.
    """
    height, width = (size, size) if isinstance(size, int) else size
    along = max(round(knots * width / height), knots)
    coarse = torch.randn((*shape[:2], knots, along), generator=draw)
    return functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
