"""The fully convolutional network FCN8 on VGG16's encoder."""

import torch
from torch import Tensor, nn

from spinalprep.networks.topology_blocks import Activation, activation, vgg16_encoder
from spinalprep.networks.unet2d import InstanceNorm, halve

LEVELS = 5  # resolutions of VGG16, each followed by pooling
FULLY_CONNECTED = 16  # width of its last layers in first filters; 64 in the publication


class FCN8(nn.Module):
    """VGG16 whose last layers are convolutions; pools 3, 4 and 5 segment together; any size.

    Parameters
    ----------
    in_channels, out_channels : int
        Contrasts, and classes (logits for a softmax).
    filters : int
        Of the first level; 64 in the publication, whose encoder was pre-trained.
    act : str
        ``relu`` or ``prelu``.

    Notes
    -----
    Transposed convolutions enlarge twice, twice and eight times; they begin as bilinear
    interpolation. The two layers between encoder and classes are a quarter as wide as in the
    publication, relative to the first filters.

    References
    ----------
    .. [1] Long et al. (2015), "Fully convolutional networks for semantic segmentation", CVPR,
       doi:10.1109/CVPR.2015.7298965.
    """

    def __init__(
        self, in_channels: int, out_channels: int, filters: int, act: Activation = "relu"
    ) -> None:
        super().__init__()
        blocks, widths = vgg16_encoder(in_channels, filters, LEVELS, act)
        self.down = nn.ModuleList(blocks)
        wide = FULLY_CONNECTED * filters
        layers: list[nn.Module] = []
        for before, size in ((widths[-1], 7), (wide, 1)):
            layers += [
                nn.Conv2d(before, wide, size, padding=size // 2, bias=False),
                InstanceNorm(wide, affine=True),
                activation(act),
                nn.Dropout2d(0.5),
            ]
        self.deepest = nn.Sequential(*layers)
        self.heads = nn.ModuleList(
            nn.Conv2d(width, out_channels, 1) for width in (widths[2], widths[3], wide)
        )
        self.grow = nn.ModuleList(_enlarge(out_channels, by) for by in (8, 2, 2))

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, H, W) of images (N, in_channels, H, W)."""
        height, width = image.shape[2:]
        factor = 2 ** len(self.down)
        features = nn.functional.pad(image, (0, -width % factor, 0, -height % factor))
        pools: list[Tensor] = []
        for block in self.down:
            features = halve(block(features))
            pools.append(features)
        logits: Tensor = self.heads[2](self.deepest(features))
        for n in (1, 0):
            logits = self.heads[n](pools[2 + n]) + self.grow[1 + n](logits)
        whole: Tensor = self.grow[0](logits)
        return whole[:, :, :height, :width]


def _enlarge(channels: int, by: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that begins as bilinear interpolation, channel by channel."""
    layer = nn.ConvTranspose2d(channels, channels, 2 * by, stride=by, padding=by // 2, bias=False)
    ramp = 1 - (torch.arange(2 * by) - by + 0.5).abs() / by
    with torch.no_grad():
        layer.weight.zero_()
        for n in range(channels):
            layer.weight[n, n] = ramp[:, None] * ramp
    return layer
