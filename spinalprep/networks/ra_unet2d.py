"""The two-dimensional residual attention-aware U-Net."""

from torch import nn

from spinalprep.networks.convolved_unet import ConvolvedUNet
from spinalprep.networks.residual_attention import ResidualAttention, ResidualUnit


class RAUNet2d(ConvolvedUNet):
    """RA-U-Net: residual units in all but first and last level, attention on the skips; any size.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters of the first level; doubled at every level.
    levels : int
        Resolutions, the first included.
    in_channels : int
        Images of every sample.

    Notes
    -----
    The paper publishes no numbers of filters, levels or parameters, and not how many units an
    attention module has; here they are those of the residual attention network it cites.

    References
    ----------
    .. [1] Bueno et al. (2022), "Automated cervical spinal cord segmentation in real-world MRI of
       multiple sclerosis patients by optimized hybrid residual attention-aware convolutional
       neural networks", J Digit Imaging 35:1131-1142, doi:10.1007/s10278-022-00637-4.
    """

    def __init__(
        self, out_channels: int, filters: int = 32, levels: int = 5, in_channels: int = 1
    ) -> None:
        widths = [filters * 2**level for level in range(levels)]
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        super().__init__(
            down=[
                _plain(in_channels, filters),
                *(ResidualUnit(width // 2, width) for width in widths[1:]),
            ],
            grow=[nn.ConvTranspose2d(deep, flat, 2, stride=2) for deep, flat in pairs],
            up=[
                *(ResidualUnit(2 * flat, flat) for _, flat in pairs[:-1]),
                _plain(2 * filters, filters),
            ],
            head=nn.Conv2d(filters, out_channels, 1),
            halve=nn.functional.max_pool2d,
            skips=[ResidualAttention(width) for width in widths[:-1]],
        )


def _plain(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [
            nn.Conv2d(width, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
