"""A small two-dimensional U-Net."""

import sys

import torch
from torch import Tensor, nn


class UNet2d(nn.Module):
    """U-Net with instance norm and bilinear up-sampling; any height and width.

    Parameters
    ----------
    out_channels : int
        Number of maps; the network returns logits.
    filters : int
        Filters of the first level; doubled at every level, at most eight times.
    levels : int
        Resolutions, the first included.
    dilation : int
        Dilation of the second convolution in the contracting path.
    in_channels : int
        Images of every sample.
    """

    def __init__(
        self,
        out_channels: int,
        filters: int,
        levels: int,
        dilation: int = 1,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        widths = [filters * 2 ** min(level, 3) for level in range(levels)]
        self.down = nn.ModuleList(
            block(before, width, dilation)
            for before, width in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            block(deep + flat, flat)
            for deep, flat in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(filters, out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, H, W) of images (N, in_channels, H, W), 0 to 1."""
        height, width = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        pad = (0, -width % factor, 0, -height % factor)
        features = nn.functional.pad(image, pad)
        skips = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else halve(features))
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            wide = nn.functional.interpolate(
                features, scale_factor=2, mode="bilinear", align_corners=False
            )
            features = block(torch.cat([wide, skip], dim=1))
        logits: Tensor = self.head(features)[:, :, :height, :width]
        return logits


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm by torch's group norm of one channel a group, four times as fast on a CPU.

    Where channels come last (inference), torch's own loses digits (probabilities were off by up to
    2e-4): mean and variance are then taken one after the other.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Return the image with every channel of mean 0 and variance 1, scaled and shifted."""
        if _in_export():  # ONNX Runtime has its own fast one
            return super().forward(image)
        if torch.is_grad_enabled():  # training, in bfloat16 where it may
            return self._grouped(image)
        if not image.is_contiguous() and image.is_contiguous(memory_format=torch.channels_last):
            return self._channels_last(image)
        return self._grouped(image)

    def _grouped(self, image: Tensor) -> Tensor:
        """Return the same by torch's group norm."""
        return nn.functional.group_norm(image, self.num_features, self.weight, self.bias, self.eps)

    def _channels_last(self, image: Tensor) -> Tensor:
        """Return the same for an image whose memory runs over (N, H, W, C)."""
        pixels = image.permute(0, 2, 3, 1)
        flat = pixels.flatten(1, 2)
        apart = flat - flat.mean(1, keepdim=True)
        scale = self.weight * torch.rsqrt(apart.square().mean(1, keepdim=True) + self.eps)
        return torch.addcmul(self.bias, apart, scale).view(pixels.shape).permute(0, 3, 1, 2)


def _in_export() -> bool:
    """Tell whether a network is on its way to ONNX; the module is there then, and slow to load."""
    return "torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export()


def halve(image: Tensor) -> Tensor:
    """Return the maximum of every 2 x 2 pixels; ten times as fast as max_pool2d on a CPU."""
    if _in_export():
        return nn.functional.max_pool2d(image, 2)
    rows = torch.maximum(image[:, :, ::2], image[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def block(before: int, after: int, dilation: int = 1) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with instance norm and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        InstanceNorm(after, affine=True),
        nn.LeakyReLU(0.01, inplace=True),
        nn.Conv2d(after, after, 3, padding=dilation, dilation=dilation, bias=False),
        InstanceNorm(after, affine=True),
        nn.LeakyReLU(0.01, inplace=True),
    )
