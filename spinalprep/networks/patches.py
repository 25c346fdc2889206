"""Networks in three dimensions: sections along the cord in overlapping stacks, blended."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Volume = NDArray[np.float32]


def predict_stacks(
    windows: Volume, depth: int, run: Callable[[list[Tensor]], list[Tensor]]
) -> Volume:
    """Run a network over stacks of sections that overlap by half, and blend what it says.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, H, W)
        Sections, evenly spaced along the cord.
    depth : int
        Sections of a stack; fewer are repeated at the end.
    run : callable
        Stacks (1, 1, H, W, depth) to maps (1, C, H, W, depth), one for each.

    Returns
    -------
    maps : ndarray of float32, shape (n, C, H, W)
        Means, weighted by the distance from the ends of a stack.
    """
    count = len(windows)
    padded = np.pad(windows, ((0, max(depth - count, 0)), (0, 0), (0, 0)), mode="edge")
    starts = stack_starts(len(padded), depth)
    stacks = [_to_tensor(padded[start : start + depth]) for start in starts]
    weight = np.minimum(np.arange(depth) + 1, depth - np.arange(depth)).astype(np.float32)
    total = np.zeros(len(padded), np.float32)
    summed: Volume | None = None
    for start, found in zip(starts, run(stacks), strict=True):
        maps = np.moveaxis(found[0].numpy(), -1, 0)
        if summed is None:
            summed = np.zeros((len(padded), *maps.shape[1:]), np.float32)
        summed[start : start + depth] += maps * weight[:, None, None, None]
        total[start : start + depth] += weight
    assert summed is not None  # there is at least one stack
    blended: Volume = (summed / total[:, None, None, None])[:count]
    return blended


def stack_starts(count: int, depth: int) -> list[int]:
    """Return where stacks begin that overlap by half and cover all of ``count`` sections.

    Examples
    --------
    >>> stack_starts(10, 4)
    [0, 2, 4, 6]
    >>> stack_starts(9, 4)
    [0, 2, 4, 5]
    """
    starts = list(range(0, count - depth + 1, max(depth // 2, 1)))
    return starts if starts[-1] == count - depth else [*starts, count - depth]


def _to_tensor(sections: Volume) -> Tensor:
    """Return sections (depth, H, W) as a stack (1, 1, H, W, depth)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(sections, 0, -1)))[None, None]
