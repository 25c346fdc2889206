"""Topologies of lumbar segmentation: a frozen configuration says which parts a U-Net is made of."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spinalprep.networks.fcn8 import FCN8
from spinalprep.networks.topology_blocks import (
    Activation,
    AttentionGate,
    MultiKernel,
    convolutions,
    unet_encoder,
    vgg16_encoder,
)
from spinalprep.networks.unet2d import halve

CONTRASTS, CLASSES = 2, 12  # T1w and T2w; background and eleven structures


@dataclass(frozen=True)
class Topology:
    """What a network is made of.

    Attributes
    ----------
    attention : bool
        Attention gates in place of plain skips (A).
    deep : bool
        Deep supervision of the expanding path (D).
    multi_kernel : bool
        Kernels of several sizes at the input (M).
    vgg : bool
        VGG16 as the contracting path, not pre-trained (V).
    fcn : bool
        FCN8 in place of a U-Net; has none of the parts above.
    activation : str
        ``relu`` or ``prelu``, after every convolution.
    filters : int
        Of the first level.
    levels : int
        Resolutions of a U-Net, the first included; at most five with VGG16. FCN8 has six.
    """

    attention: bool = False
    deep: bool = False
    multi_kernel: bool = False
    vgg: bool = False
    fcn: bool = False
    activation: Activation = "relu"
    filters: int = 32
    levels: int = 5

    def __post_init__(self) -> None:
        if self.fcn and (self.attention or self.deep or self.multi_kernel or self.vgg):
            raise ValueError("FCN8 has no attention, deep supervision, multi-kernel input or VGG16")
        if self.vgg and self.levels > 5:
            raise ValueError(f"VGG16 has five resolutions; got {self.levels} levels")

    def network(self, in_channels: int = CONTRASTS, out_channels: int = CLASSES) -> nn.Module:
        """Return the network, its weights by torch's own source of chance."""
        if self.fcn:
            return FCN8(in_channels, out_channels, self.filters, self.activation)
        return ComposedUNet(self, in_channels, out_channels)


class ComposedUNet(nn.Module):
    """A U-Net of the parts that a topology names; any height and width.

    With deep supervision every resolution of the expanding path segments by itself; what a coarser
    one says is enlarged and added, and while it trains the network returns the sums of all
    resolutions, the finest first, so that each gets a loss of its own.

    Parameters
    ----------
    topology : Topology
        Of a U-Net.
    in_channels, out_channels : int
        Contrasts, and classes (logits for a softmax).

    Notes
    -----
    The poster publishes neither norms nor how scales are joined: instance norm here, and summed
    scales after Zeng et al. [2]_, [3]_.

    References
    ----------
    .. [1] Sáenz-Gamboa et al. (2021), "Automatic semantic segmentation of structural elements
       related to the spinal cord in the lumbar region by using convolutional neural networks",
       ICPR, doi:10.1109/ICPR48806.2021.9412934.
    .. [2] Zeng et al. (2017), "3D U-net with multi-level deep supervision", MLMI,
       doi:10.1007/978-3-319-67389-9_32.
    .. [3] Kayalibay et al. (2017), "CNN-based segmentation of medical imaging data",
       arXiv:1701.03056.
    """

    def __init__(self, topology: Topology, in_channels: int, out_channels: int) -> None:
        super().__init__()
        act, filters = topology.activation, topology.filters
        entered = filters if topology.multi_kernel else in_channels
        self.enter: nn.Module = nn.Identity()
        if topology.multi_kernel:
            self.enter = MultiKernel(in_channels, filters, act)
        encoder = vgg16_encoder if topology.vgg else unet_encoder
        blocks, widths = encoder(entered, filters, topology.levels, act)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.down = nn.ModuleList(blocks)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(deep, flat, 2, stride=2) for deep, flat in pairs
        )
        self.gates = nn.ModuleList(
            AttentionGate(flat, flat) for _, flat in pairs if topology.attention
        )
        self.up = nn.ModuleList(convolutions(2 * flat, flat, 2, act) for _, flat in pairs)
        heads = [flat for _, flat in pairs] if topology.deep else [filters]
        self.heads = nn.ModuleList(nn.Conv2d(width, out_channels, 1) for width in heads)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Return logits (N, out_channels, H, W) of images (N, in_channels, H, W).

        While it trains, deep supervision adds those of the coarser resolutions, each half as large
        as the one before (rounded up to whole pixels).
        """
        height, width = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        features = nn.functional.pad(image, (0, -width % factor, 0, -height % factor))
        features = self.enter(features)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else halve(features))
            skips.append(features)
        scales = self._way_back(features, skips[-2::-1])
        cut = [
            scale[:, :, : -(-height // 2**n), : -(-width // 2**n)] for n, scale in enumerate(scales)
        ]
        return cut if self.training and len(cut) > 1 else cut[0]

    def _way_back(self, features: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """Return the logits of every resolution that segments, the finest first."""
        told: list[Tensor] = []
        silent = len(self.up) - len(self.heads)  # the coarsest resolutions, which do not segment
        for n, (grow, block, skip) in enumerate(zip(self.grow, self.up, skips, strict=True)):
            wide = grow(features)
            across = self.gates[n](skip, wide) if len(self.gates) else skip
            features = block(torch.cat([wide, across], dim=1))
            if n < silent:
                continue
            own = self.heads[n - silent](features)
            told.insert(0, own + _twice(told[0]) if told else own)
        return told


def _twice(maps: Tensor) -> Tensor:
    """Enlarge maps twice in both directions."""
    return nn.functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


# Table of the published configurations with the best results; filters, activations as there.
TOPOLOGIES: dict[str, Topology] = {
    "UAD": Topology(attention=True, deep=True, filters=16),
    "UVAD": Topology(vgg=True, attention=True, deep=True, activation="prelu", filters=32),
    "UAMD": Topology(attention=True, multi_kernel=True, deep=True, filters=16),
    "UVD": Topology(vgg=True, deep=True, activation="prelu", filters=32),
    "UMD": Topology(multi_kernel=True, deep=True, filters=32),
    "UD": Topology(deep=True, filters=64),
    "U1": Topology(filters=64),
    "FCN": Topology(fcn=True, filters=32),
}
