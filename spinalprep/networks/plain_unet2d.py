"""The two-dimensional U-Net as it was first published, with padded convolutions."""

from torch import nn

from spinalprep.networks.convolved_unet import ConvolvedUNet


class PlainUNet2d(ConvolvedUNet):
    """U-Net without any norm: convolutions, ReLU, pooling, up-convolutions; any height and width.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters of the first level; doubled at every level. 64 as published.
    levels : int
        Resolutions, the first included. 5 as published.
    in_channels : int
        Images of every sample.

    References
    ----------
    .. [1] Ronneberger et al. (2015), "U-Net: convolutional networks for biomedical image
       segmentation", MICCAI, doi:10.1007/978-3-319-24574-4_28. Its convolutions are not padded, so
       that its maps are smaller than its images; here they are of one size.
    """

    def __init__(
        self, out_channels: int, filters: int = 64, levels: int = 5, in_channels: int = 1
    ) -> None:
        widths = [filters * 2**level for level in range(levels)]
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        super().__init__(
            down=[
                _block(before, width)
                for before, width in zip([in_channels, *widths[:-1]], widths, strict=True)
            ],
            grow=[nn.ConvTranspose2d(deep, flat, 2, stride=2) for deep, flat in pairs],
            up=[_block(2 * flat, flat) for _, flat in pairs],
            head=nn.Conv2d(filters, out_channels, 1),
            halve=nn.functional.max_pool2d,
        )


def _block(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )
