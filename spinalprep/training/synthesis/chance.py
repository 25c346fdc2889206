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
    shape: tuple[int, int, int], knots: int, size: int, draw: torch.Generator
) -> Tensor:
    """Return smooth fields (N, C, size, size) of about unit variance from ``knots`` per edge."""
    coarse = torch.randn((*shape[:2], knots, knots), generator=draw)
    return functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
