"""A three-dimensional U-Net on patches along the centerline."""

import torch
from torch import Tensor, nn


class UNet3d(nn.Module):
    """3D U-Net with batch norm, up-convolutions and dropout; any size.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters of the first level; doubled at every level.
    depth : int
        How often the resolution is halved.
    dropout : float
        Share of channels that are left out while training, after every block.

    References
    ----------
    .. [1] Cicek et al. (2016), "3D U-Net: learning dense volumetric segmentation from sparse
       annotation", MICCAI, doi:10.1007/978-3-319-46723-8_49.
    """

    def __init__(self, out_channels: int, filters: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _block(before, width, dropout)
            for before, width in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.grow = nn.ModuleList(
            nn.ConvTranspose3d(deep, flat, 2, stride=2)
            for deep, flat in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(_block(2 * flat, flat, dropout) for flat in widths[-2::-1])
        self.head = nn.Conv3d(filters, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, I, J, K) of images (N, 1, I, J, K)."""
        size = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        pad = [margin for length in size[::-1] for margin in (0, -length % factor)]
        features = nn.functional.pad(image, pad)
        skips = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else nn.functional.max_pool3d(features, 2))
            skips.append(features)
        for grow, block, skip in zip(self.grow, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([grow(features), skip], dim=1))
        logits: Tensor = self.head(features)[:, :, : size[0], : size[1], : size[2]]
        return logits


def _block(before: int, after: int, dropout: float) -> nn.Sequential:
    """Two 3 x 3 x 3 convolutions, each with batch norm and ReLU, then dropout."""
    return nn.Sequential(
        nn.Conv3d(before, after, 3, padding=1),
        nn.BatchNorm3d(after),
        nn.ReLU(),
        nn.Conv3d(after, after, 3, padding=1),
        nn.BatchNorm3d(after),
        nn.ReLU(),
        nn.Dropout3d(dropout),
    )
