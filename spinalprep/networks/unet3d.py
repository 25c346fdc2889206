"""A three-dimensional U-Net on patches along the centerline."""

from torch import nn

from spinalprep.networks.convolved_unet import ConvolvedUNet


class UNet3d(ConvolvedUNet):
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
        widths = [filters * 2**level for level in range(depth + 1)]
        super().__init__(
            down=[
                _block(before, width, dropout)
                for before, width in zip([1, *widths[:-1]], widths, strict=True)
            ],
            grow=[
                nn.ConvTranspose3d(deep, flat, 2, stride=2)
                for deep, flat in zip(widths[:0:-1], widths[-2::-1], strict=True)
            ],
            up=[_block(2 * flat, flat, dropout) for flat in widths[-2::-1]],
            head=nn.Conv3d(filters, out_channels, 1),
            halve=nn.functional.max_pool3d,
        )


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
