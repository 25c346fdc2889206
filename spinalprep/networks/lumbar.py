"""From T2w and T1w to probabilities of the lumbar structures, in sagittal slices.

After Sáenz-Gamboa et al. (2021), ICPR, doi:10.1109/ICPR48806.2021.9412934: both contrasts are two
channels of one two-dimensional network.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.image import Image, resample_like
from spinalprep.networks.parallel import run_parts
from spinalprep.networks.sagittal import to_sagittal
from spinalprep.networks.tumor import patch_starts
from spinalprep.networks.weights import Model

WINDOW = 192, 160  # pixels, as in training
AS_ONE = 1.25  # slices that are larger than a window by up to this factor are one window
THINNEST_MM = 2.0  # slices are averaged to this thickness
BRIGHT = 98.0  # percentile that becomes 1
SMALLEST_MM = 60.0  # of the image in its sagittal planes
Volume = NDArray[np.float32]


def map_structures(
    t2w: Image | None, t1w: Image | None, model: Model, like: Image | None = None
) -> Volume:
    """Map the structures.

    Parameters
    ----------
    t2w, t1w : Image or None
        Any grids; one may be missing, which the network learned to do without.
    model : Model
        Of task ``lumbar``.
    like : Image, optional
        On whose grid the answer is; the first of the two that is there if not given.

    Returns
    -------
    probabilities : ndarray of float32, shape (C, I, J, K)
        Of the classes on the model's card, background first; their sum is 1, but background alone
        outside the image.

    Raises
    ------
    InputError
        Without any image, and if an image is too small in its sagittal planes.

    Notes
    -----
    Windows overlap by a quarter or more, and what they say is averaged.
    """
    like = next((image for image in (like, t2w, t1w) if image is not None), None)
    if like is None or (t2w is None and t1w is None):
        raise InputError("lumbar structures are looked for in T2w and T1w; got neither")
    spacing = [*model.card["spacing"], _thickness(like)]
    grid = to_sagittal(like, spacing)
    if min(grid.shape[0] * spacing[0], grid.shape[1] * spacing[1]) < SMALLEST_MM:
        raise InputError(
            f"the image is {grid.shape[0] * spacing[0]:.0f} x {grid.shape[1] * spacing[1]:.0f} mm "
            f"in its sagittal planes; a lumbar spine needs {SMALLEST_MM:.0f} mm or more"
        )
    seen = [_scaled(image, grid, spacing) for image in (t2w, t1w)]
    found = _stitched(np.stack(seen), model)
    maps = [resample_like(grid.with_data(part), like).data.clip(0, 1) for part in found[1:]]
    rest = np.clip(1 - np.sum(maps, axis=0, dtype=np.float32), 0, 1)
    return np.stack([rest, *maps]).astype(np.float32)


def _thickness(image: Image) -> float:
    """Return the spacing from left to right, in mm, but not thinner than slices are looked at."""
    across = np.abs(image.affine[0, :3] / image.voxel_sizes)
    return max(float(image.voxel_sizes[int(np.argmax(across))]), THINNEST_MM)


def _scaled(image: Image | None, grid: Image, spacing: list[float]) -> Volume:
    """Return an image on the grid, each slice over its percentile 98; zero without one."""
    if image is None:
        return np.zeros(grid.shape, np.float32)
    turned = to_sagittal(image, spacing)
    values = turned.data if turned.same_grid(grid) else resample_like(turned, grid).data
    values = np.clip(np.nan_to_num(values), 0, None)
    bright = np.percentile(values, BRIGHT, axis=(0, 1), keepdims=True)
    return np.asarray(np.clip(values / np.maximum(bright, 1e-6), 0, 1.5), np.float32)


def _stitched(shown: Volume, model: Model) -> Volume:
    """Run a network over windows of slices (2, S, A, L) and average what they say, (C, S, A, L)."""
    height, width, count = shown.shape[1:]
    size = [
        full if full <= AS_ONE * n else n for n, full in zip(WINDOW, (height, width), strict=True)
    ]
    starts = [
        patch_starts(n, part, 3 * part // 4) for n, part in zip((height, width), size, strict=True)
    ]
    classes = len(model.card["classes"])
    total = np.zeros((classes, height, width, count), np.float32)
    weight = np.zeros((height, width, 1), np.float32)
    slices = torch.from_numpy(np.ascontiguousarray(shown.transpose(3, 0, 1, 2)))
    for i in starts[0]:
        for j in starts[1]:
            rows, columns = slice(i, i + size[0]), slice(j, j + size[1])
            parts = torch.split(slices[:, :, rows, columns].contiguous(), 1)
            told = torch.cat(run_parts(model.network, parts, _classes)).numpy()
            total[:, rows, columns] += told.transpose(1, 2, 3, 0)
            weight[rows, columns] += 1
    return np.asarray(total / weight, np.float32)


def _classes(logits: torch.Tensor) -> torch.Tensor:
    """Return probabilities of classes of which a pixel is one."""
    return torch.softmax(logits, dim=1)
