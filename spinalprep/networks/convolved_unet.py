"""What U-Nets that learn how to enlarge have in common, in two and in three dimensions."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


class ConvolvedUNet(nn.Module):
    """U-Net of given blocks, with transposed convolutions on the way up; any size.

    Parameters
    ----------
    down, up : iterable of nn.Module
        Blocks of every resolution, the finest first, and of the way back.
    grow : iterable of nn.Module
        Before each block of the way back, what doubles the resolution.
    head : nn.Module
        From the finest features to logits.
    halve : callable
        Pooling by two in every direction.
    """

    def __init__(
        self,
        down: Iterable[nn.Module],
        grow: Iterable[nn.Module],
        up: Iterable[nn.Module],
        head: nn.Module,
        halve: Callable[[Tensor, int], Tensor],
    ) -> None:
        super().__init__()
        self.down, self.grow, self.up = map(nn.ModuleList, (down, grow, up))
        self.head = head
        self._halve = halve

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, *size) of images (N, 1, *size)."""
        size = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        pad = [margin for length in size[::-1] for margin in (0, -length % factor)]
        features = nn.functional.pad(image, pad)
        skips = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else self._halve(features, 2))
            skips.append(features)
        for grow, block, skip in zip(self.grow, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([grow(features), skip], dim=1))
        logits: Tensor = self.head(features)[(..., *(slice(length) for length in size))]
        return logits
