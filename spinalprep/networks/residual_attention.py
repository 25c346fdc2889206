"""Residual units and residual attention modules, the parts of the RA-U-Net."""

from torch import Tensor, nn


class ResidualUnit(nn.Module):
    """Three times batch norm, ReLU and convolution, plus a convolutional identity mapping.

    Parameters
    ----------
    before, after : int
        Channels that come in and leave.

    References
    ----------
    .. [1] He et al. (2016), "Identity mappings in deep residual networks", ECCV,
       doi:10.1007/978-3-319-46493-0_38.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (before, after, after):
            layers += [
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, after, 3, padding=1, bias=False),
            ]
        self.residual = nn.Sequential(*layers)
        self.identity = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, after, H, W) of features (N, before, H, W)."""
        added: Tensor = self.identity(features) + self.residual(features)
        return added


class ResidualAttention(nn.Module):
    """Features T of a trunk branch, weighed by a soft mask M from 0 to 1: (1 + M) T.

    The mask sees the features at half the resolution, and with them a wider surrounding; it can
    point out, but not wipe out, what the trunk shows.

    Parameters
    ----------
    width : int
        Channels, which stay as many.

    References
    ----------
    .. [1] Wang et al. (2017), "Residual attention network for image classification", CVPR,
       doi:10.1109/CVPR.2017.683; one unit before, two in the trunk, one in the mask on each side
       of its halving and enlarging.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = ResidualUnit(width, width)
        self.trunk = nn.Sequential(ResidualUnit(width, width), ResidualUnit(width, width))
        self.mask = nn.Sequential(
            nn.MaxPool2d(2, ceil_mode=True),
            ResidualUnit(width, width),
            ResidualUnit(width, width),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )
        self.weigh = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape (N, width, H, W)."""
        height, width = features.shape[2:]
        features = self.before(features)
        mask: Tensor = self.weigh(self.mask(features)[:, :, :height, :width])
        weighed: Tensor = (1 + mask) * self.trunk(features)
        return weighed
