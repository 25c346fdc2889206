"""What a network is shown in one step."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples.

    Attributes
    ----------
    image : Tensor, shape (N, channels, ...)
        0 to 1, of as many dimensions as the network convolves.
    truth : Tensor, shape (N, C, ...)
        Share of each pixel or voxel, or a heat map.
    weight : Tensor, shape (N, C, 1, ...)
        Zero where the truth is unknown.
    """

    image: Tensor
    truth: Tensor
    weight: Tensor
