"""The modified 3D U-Net of Isensee et al.: residual context, short localisation, summed outputs."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.01  # slope of the leaky ReLU below zero


class IsenseeUNet3d(nn.Module):
    """3D U-Net with instance norm, leaky ReLU, dropout and deep supervision; any size.

    On the way down each level is a context module, two convolutions with dropout between them
    whose output is added to their input, after a convolution that halves the resolution. On the
    way up voxels are repeated, convolved, joined with the features of the way down and recombined
    by a localisation module. Every level of the way up but the coarsest segments by itself; these
    outputs are enlarged and summed, so that the loss reaches all of them.

    Parameters
    ----------
    in_channels, out_channels : int
        Contrasts, and maps; the network returns logits, for a sigmoid each (maps may overlap).
    filters : int
        Filters of the first level; doubled at every level.
    depth : int
        How often the resolution is halved.
    dropout : float
        Share of channels that are left out in a context module while training.

    References
    ----------
    .. [1] Isensee et al. (2018), "Brain tumor segmentation and radiomics survival prediction:
       contribution to the BRATS 2017 challenge", BrainLes, doi:10.1007/978-3-319-75238-9_25.
    """

    def __init__(
        self, in_channels: int, out_channels: int, filters: int, depth: int, dropout: float = 0.3
    ) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        steps = [(in_channels, filters, 1), *((a, b, 2) for a, b in pairwise(widths))]
        self.down = nn.ModuleList(_Context(*step, dropout) for step in steps)
        self.grow = nn.ModuleList(_grow(deep, flat) for flat, deep in pairwise(widths))
        self.up = nn.ModuleList(_localise(2 * flat, flat) for flat in widths[:-1])
        scales = range(max(depth - 1, 1))
        self.heads = nn.ModuleList(nn.Conv3d(widths[n], out_channels, 1) for n in scales)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, *size) of images (N, in_channels, *size)."""
        size = image.shape[2:]
        i, j, k = size
        factor = 2 ** (len(self.down) - 1)
        pad = [margin for length in size[::-1] for margin in (0, -length % factor)]
        features = functional.pad(image, pad)
        skips = []
        for block in self.down:
            features = block(features)
            skips.append(features)
        told: Tensor | None = None
        for level in reversed(range(len(self.up))):
            joined = torch.cat([self.grow[level](features), skips[level]], dim=1)
            features = self.up[level](joined)
            if level >= len(self.heads):
                continue
            own = self.heads[level](features)
            told = own if told is None else own + _twice(told)
        assert told is not None  # the finest level has a head
        return told[:, :, :i, :j, :k]


class _Context(nn.Module):
    """A convolution that may halve the resolution, and two more whose output is added to its."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Conv3d(before, after, 3, stride=stride, padding=1)
        self.add = nn.Sequential(
            _activated(after),
            nn.Conv3d(after, after, 3, padding=1),
            nn.Dropout3d(dropout),
            _activated(after),
            nn.Conv3d(after, after, 3, padding=1),
        )
        self.leave = _activated(after)

    def forward(self, features: Tensor) -> Tensor:
        entered = self.enter(features)
        left: Tensor = self.leave(entered + self.add(entered))
        return left


def _activated(width: int) -> nn.Sequential:
    """Instance norm and leaky ReLU."""
    return nn.Sequential(nn.InstanceNorm3d(width, affine=True), nn.LeakyReLU(LEAK))


def _grow(deep: int, flat: int) -> nn.Sequential:
    """Repeat every voxel twice in each direction, then halve the number of filters."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv3d(deep, flat, 3, padding=1),
        _activated(flat),
    )


def _localise(before: int, after: int) -> nn.Sequential:
    """Recombine features, then halve their number."""
    return nn.Sequential(
        nn.Conv3d(before, before, 3, padding=1),
        _activated(before),
        nn.Conv3d(before, after, 1),
        _activated(after),
    )


def _twice(maps: Tensor) -> Tensor:
    """Enlarge maps twice in each direction by repeating voxels."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")
