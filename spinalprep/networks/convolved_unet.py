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
    skips : iterable of nn.Module, optional
        What the features of every resolution but the coarsest pass on their way across, the
        finest first; they cross as they are if not given.
    """

    def __init__(
        self,
        down: Iterable[nn.Module],
        grow: Iterable[nn.Module],
        up: Iterable[nn.Module],
        head: nn.Module,
        halve: Callable[[Tensor, int], Tensor],
        skips: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.down, self.grow, self.up = map(nn.ModuleList, (down, grow, up))
        self.head = head
        self.skips = nn.ModuleList(skips) or nn.ModuleList(nn.Identity() for _ in self.up)
        self._halve = halve

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, *size) of images (N, in_channels, *size)."""
        size = image.shape[2:]
        factor = 2 ** (len(self.down) - 1)
        pad = [margin for length in size[::-1] for margin in (0, -length % factor)]
        features = nn.functional.pad(image, pad)
        across = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else self._halve(features, 2))
            across.append(features)
        way_back = zip(self.grow, self.up, self.skips[::-1], across[-2::-1], strict=True)
        for grow, block, skip, flat in way_back:
            features = block(torch.cat([grow(features), skip(flat)], dim=1))
        logits: Tensor = self.head(features)[(..., *(slice(length) for length in size))]
        return logits
