"""A U-Net of many levels, all equally wide, whose blocks add what they were given."""

from torch import Tensor, nn

from spinalprep.networks.convolved_unet import ConvolvedUNet


class DeepUNet2d(ConvolvedUNet):
    """DeepUNet: down-blocks and up-blocks with a plus connection each; any height and width.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters between blocks; twice as many inside a block. 32 as published.
    levels : int
        Resolutions, the first included; at most so many that the coarsest is two pixels wide.
    in_channels : int
        Images of every sample.

    References
    ----------
    .. [1] Li et al. (2018), "DeepUNet: a deep fully convolutional network for pixel-level sea-land
       segmentation", IEEE J Sel Top Appl Earth Obs Remote Sens 11:3954-3962,
       doi:10.1109/JSTARS.2018.2833382.
    """

    def __init__(
        self, out_channels: int, filters: int = 32, levels: int = 7, in_channels: int = 1
    ) -> None:
        first = nn.Sequential(nn.Conv2d(in_channels, filters, 3, padding=1), nn.ReLU())
        super().__init__(
            down=[
                nn.Sequential(first, PlusBlock(filters, filters))
                if level == 0
                else PlusBlock(filters, filters)
                for level in range(levels)
            ],
            grow=[nn.Upsample(scale_factor=2) for _ in range(levels - 1)],
            up=[PlusBlock(2 * filters, filters) for _ in range(levels - 1)],
            head=nn.Conv2d(filters, out_channels, 1),
            halve=nn.functional.max_pool2d,
        )


class PlusBlock(nn.Module):
    """Two 3 x 3 convolutions, the inner one twice as wide, plus the block's first channels.

    Parameters
    ----------
    before : int
        Channels that come in. Of the features of two levels those from below come first: they are
        added.
    after : int
        Channels that leave, no more than come in.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.after = after
        self.convolved = nn.Sequential(
            nn.Conv2d(before, 2 * after, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * after, after, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, after, H, W) of features (N, before, H, W)."""
        return nn.functional.relu(self.convolved(features) + features[:, : self.after])
