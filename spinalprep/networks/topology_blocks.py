"""Parts that a topology joins: convolutions, VGG16's encoder, many kernels, attention gates."""

from typing import Literal

import torch
from torch import Tensor, nn

from spinalprep.networks.unet2d import InstanceNorm

Activation = Literal["relu", "prelu"]
VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)  # of every resolution
VGG16_WIDTHS = (1, 2, 4, 8, 8)  # in first filters, 64 in the publication
KERNELS = (1, 3, 5, 7)  # edges of the kernels that look at the input side by side


def activation(name: Activation) -> nn.Module:
    """Return a new activation; a PReLU has one slope to learn."""
    return nn.PReLU() if name == "prelu" else nn.ReLU()


def convolutions(before: int, after: int, count: int, act: Activation) -> nn.Sequential:
    """Return 3 x 3 convolutions, each with instance norm and an activation.

    Parameters
    ----------
    before, after : int
        Channels that come in and leave.
    count : int
        How many convolutions.
    act : str
        ``relu`` or ``prelu``.
    """
    layers: list[nn.Module] = []
    for n in range(count):
        layers += [
            nn.Conv2d(before if n == 0 else after, after, 3, padding=1, bias=False),
            InstanceNorm(after, affine=True),
            activation(act),
        ]
    return nn.Sequential(*layers)


def unet_encoder(
    in_channels: int, filters: int, levels: int, act: Activation
) -> tuple[list[nn.Module], list[int]]:
    """Return the blocks of a U-Net's contracting path and their widths, doubled at every level."""
    widths = [filters * 2**level for level in range(levels)]
    return _encoder(in_channels, widths, [2] * levels, act), widths


def vgg16_encoder(
    in_channels: int, filters: int, levels: int, act: Activation
) -> tuple[list[nn.Module], list[int]]:
    """Return the convolutional blocks of VGG16 and their widths, without its pooling.

    Parameters
    ----------
    in_channels, filters, levels, act
        As in `topology.Topology`; at most five levels.

    References
    ----------
    .. [1] Simonyan and Zisserman (2014), "Very deep convolutional networks for large-scale image
       recognition", arXiv:1409.1556, configuration D.
    """
    widths = [filters * factor for factor in VGG16_WIDTHS[:levels]]
    return _encoder(in_channels, widths, list(VGG16_CONVOLUTIONS[:levels]), act), widths


def _encoder(
    in_channels: int, widths: list[int], counts: list[int], act: Activation
) -> list[nn.Module]:
    before = [in_channels, *widths[:-1]]
    return [
        convolutions(a, b, count, act) for a, b, count in zip(before, widths, counts, strict=True)
    ]


class MultiKernel(nn.Module):
    """Kernels of 1, 3, 5 and 7 pixels side by side on the input, joined by a 1 x 1 convolution.

    Parameters
    ----------
    before, after : int
        Channels that come in and leave.
    act : str
        ``relu`` or ``prelu``.

    References
    ----------
    .. [1] Szegedy et al. (2015), "Going deeper with convolutions", CVPR,
       doi:10.1109/CVPR.2015.7298594.
    """

    def __init__(self, before: int, after: int, act: Activation) -> None:
        super().__init__()
        each = max(after // len(KERNELS), 1)
        self.branches = nn.ModuleList(
            nn.Conv2d(before, each, size, padding=size // 2) for size in KERNELS
        )
        self.join = nn.Sequential(
            InstanceNorm(each * len(KERNELS), affine=True),
            activation(act),
            nn.Conv2d(each * len(KERNELS), after, 1, bias=False),
            InstanceNorm(after, affine=True),
            activation(act),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return features (N, after, H, W) of images (N, before, H, W)."""
        joined: Tensor = self.join(torch.cat([branch(image) for branch in self.branches], dim=1))
        return joined


class AttentionGate(nn.Module):
    """What crosses from the contracting path, weighed from 0 to 1 by what is known deeper down.

    Parameters
    ----------
    width, gate : int
        Channels of what crosses, and of the deeper features at the same resolution.

    References
    ----------
    .. [1] Oktay et al. (2018), "Attention U-Net: learning where to look for the pancreas", MIDL,
       arXiv:1804.03999.
    """

    def __init__(self, width: int, gate: int) -> None:
        super().__init__()
        inner = max(width // 2, 1)
        self.of_skip = nn.Conv2d(width, inner, 1, bias=False)
        self.of_gate = nn.Conv2d(gate, inner, 1)
        self.weigh = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Return the skip (N, width, H, W), weighed."""
        together = nn.functional.relu(self.of_skip(skip) + self.of_gate(gate))
        weighed: Tensor = skip * torch.sigmoid(self.weigh(together))
        return weighed
