"""The two-dimensional U-Net with a dilated contracting path that finds the centerline."""

from torch import nn

from spinalprep.networks.convolved_unet import ConvolvedUNet


class DilatedUNet2d(ConvolvedUNet):
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
        widths = [filters * 2**level for level in range(levels)]
        super().__init__(
            down=[
                _block(before, width, dilation, dropout)
                for before, width in zip([1, *widths[:-1]], widths, strict=True)
            ],
            grow=[
                nn.ConvTranspose2d(deep, flat, 2, stride=2)
                for deep, flat in zip(widths[:0:-1], widths[-2::-1], strict=True)
            ],
            up=[_block(2 * flat, flat, 1, dropout) for flat in widths[-2::-1]],
            head=nn.Conv2d(filters, out_channels, 1),
            halve=nn.functional.max_pool2d,
        )


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
