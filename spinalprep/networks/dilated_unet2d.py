"""The two-dimensional U-Net with a dilated contracting path that finds the centerline."""

import torch
from torch import Tensor, nn


class DilatedUNet2d(nn.Module):
    """U-Net with batch norm and dropout after every convolution; any height and width.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters of the first level; doubled at every level.
    levels : int
        Resolutions, the first included.
    dilation : int
        Of both convolutions of every block of the contracting path.
    dropout : float
        Share of channels that are left out while training.
    """

    def __init__(
        self, out_channels: int, filters: int, levels: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            _block(before, width, dilation, dropout)
            for before, width in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(deep, flat, 2, stride=2)
            for deep, flat in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(_block(2 * flat, flat, 1, dropout) for flat in widths[-2::-1])
        self.head = nn.Conv2d(filters, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, H, W) of images (N, 1, H, W)."""
        height, width = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        features = nn.functional.pad(image, (0, -width % factor, 0, -height % factor))
        skips = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else nn.functional.max_pool2d(features, 2))
            skips.append(features)
        for grow, block, skip in zip(self.grow, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([grow(features), skip], dim=1))
        logits: Tensor = self.head(features)[:, :, :height, :width]
        return logits


def _block(before: int, after: int, dilation: int, dropout: float) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with ReLU, batch norm and dropout."""
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [
            nn.Conv2d(width, after, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Dropout2d(dropout),
        ]
    return nn.Sequential(*layers)
