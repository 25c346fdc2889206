"""From T2w and Gd-T1w to probabilities of tumor, edema and cavity, in two steps.

After Lemay et al. (2021), NeuroImage: Clinical 31:102766, doi:10.1016/j.nicl.2021.102766: a network
finds the cord in T2w as a tube of 30 mm, the images are cropped to the tube's box, and a second
network maps what grows in there, patch by patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError, NoCordError
from spinalprep.image import Image, grid_points, resample_like
from spinalprep.networks.parallel import run_parts, run_whole
from spinalprep.networks.sagittal import to_sagittal
from spinalprep.networks.tumor_maps import STRUCTURES, Structures, Volume
from spinalprep.networks.weights import Model

TUBE_MM = 15.0  # half width
TUBE_SPACING_MM = (2.0, 2.0, 4.0)
Place = tuple[slice, slice, slice]
LEAST_TUBE_MM3 = 3000.0  # smaller pieces of the first network's tube are no cord


@dataclass(frozen=True)
class Contrasts:
    """What the networks see; one may be missing.

    Attributes
    ----------
    t2w, gd_t1w : Image or None
        On one grid, any voxel order.
    """

    t2w: Image | None
    gd_t1w: Image | None

    def __post_init__(self) -> None:
        if self.t2w is None and self.gd_t1w is None:
            raise InputError("a tumor is looked for in T2w and Gd-T1w; got neither")

    @property
    def grid(self) -> Image:
        """The image whose grid counts."""
        image = self.t2w if self.t2w is not None else self.gd_t1w
        assert image is not None
        return image


def find_tube(t2w: Image, model: Model) -> Image:
    """Find the cord as a tube of 30 mm, with the network of the first step.

    Parameters
    ----------
    t2w : Image
        Any voxel order.
    model : Model
        Of task ``tumor_cord``.

    Returns
    -------
    tube : Image of bool
        On a sagittal grid of the network's spacing; the largest piece, of 3 cm3 or more: others lay
        beside the cord of real people, and tumors were found there.

    Raises
    ------
    NoCordError
        If nothing is left.
    """
    coarse = to_sagittal(t2w, model.card["spacing"])
    shown = torch.from_numpy(_scored(coarse.data))[None, None]
    logits = run_whole(model.network, shown)[0, 0]
    found = (logits > 0).numpy()
    pieces, count = ndimage.label(found)
    sizes = ndimage.sum_labels(found, pieces, range(1, count + 1)) * coarse.voxel_volume
    if not count or sizes.max() < LEAST_TUBE_MM3:
        raise NoCordError(
            "the network that localises the cord found none; try --tumor-crop centerline"
        )
    return coarse.with_data(pieces == 1 + int(np.argmax(sizes)))


def cascade_tube(t2w: Image, centerline: Centerline, model: Model) -> tuple[Image, list[str]]:
    """Return the tube that the first network finds; around the centerline where it finds none.

    Returns
    -------
    tube : Image of bool
    warnings : list of str
        Says so where the centerline had to do.
    """
    try:
        return find_tube(t2w, model), []
    except NoCordError:
        words = "the tumor networks see no cord; the images were cropped around the centerline"
        return tube_around(centerline, t2w), [words]


def tube_around(centerline: Centerline, like: Image) -> Image:
    """Return the tube of 30 mm around a centerline, on a sagittal grid of 2 x 2 x 4 mm."""
    coarse = to_sagittal(like, TUBE_SPACING_MM)
    points = grid_points(coarse.shape, coarse.affine)
    near = np.all(
        (points >= centerline.points.min(axis=0) - TUBE_MM)
        & (points <= centerline.points.max(axis=0) + TUBE_MM),
        axis=-1,
    )
    tube = np.zeros(coarse.shape, bool)
    s, x, y = centerline.project(points[near]).T
    tube[near] = (np.hypot(x, y) <= TUBE_MM) & (s >= 0) & (s <= centerline.length)
    return coarse.with_data(tube)


def map_tumors(contrasts: Contrasts, model: Model, tube: Image | None = None) -> Structures[Volume]:
    """Map tumor, edema and cavity, with the network of the second step.

    Parameters
    ----------
    contrasts : Contrasts
        What is missing is shown as zero, which the network learned to do without.
    model : Model
        Of task ``tumor``.
    tube : Image of bool, optional
        Patches are centered on it; without it the whole of the images is looked at.

    Returns
    -------
    probabilities : Structures of float32
        On the grid of the images.

    Raises
    ------
    NoCordError
        If the tube lies outside the images.

    Notes
    -----
    Each contrast is z-scored over a patch, as in training. Patches follow the tube and overlap by
    half along it; without one they fill the image and overlap by half from front to back, too. What
    they say is averaged; nothing is found outside of them.
    """
    like = contrasts.grid
    seen = [
        to_sagittal(resample_like(image, like) if not image.same_grid(like) else image)
        if image is not None
        else None
        for image in (contrasts.t2w, contrasts.gd_t1w)
    ]
    grid = next(image for image in seen if image is not None)
    nothing = np.zeros(grid.shape, np.float32)
    shown = np.stack([image.data if image is not None else nothing for image in seen])
    patch = [min(n, full) for n, full in zip(model.card["patch"], grid.shape, strict=True)]
    places = _everywhere(grid.shape, patch) if tube is None else _along(tube, grid, patch)
    found = _averaged(shown, places, model)
    return Structures(
        *(resample_like(grid.with_data(part), like).data.clip(0, 1) for part in found)
    )


def _scored(values: Volume) -> Volume:
    """Return z-scores of what is not exactly zero, as outside the field of view; zero there."""
    inside = values != 0
    if not inside.any():
        return np.zeros_like(values, np.float32)
    mean, spread = values[inside].mean(), max(float(values[inside].std()), 1e-6)
    return np.where(inside, (values - mean) / spread, 0.0).astype(np.float32)


def _along(tube: Image, grid: Image, patch: Sequence[int]) -> list[Place]:
    """Return patches on a grid that follow a tube, centered on it."""
    there = resample_like(tube.with_data(tube.data.astype(np.float32)), grid).data >= 0.5
    ijk = np.argwhere(there)
    if not len(ijk):
        raise NoCordError("the cord lies outside the image in which a tumor is looked for")
    low, high = int(ijk[:, 0].min()), int(ijk[:, 0].max()) + 1
    length, full = patch[0], grid.shape[0]
    first = min(max(low - max(length - (high - low), 0) // 2, 0), full - length)
    places = []
    for start in patch_starts(max(high - first, length), length, max(length // 2, 1)):
        top = min(first + start, full - length)
        held = ijk[(ijk[:, 0] >= top) & (ijk[:, 0] < top + length)]
        if not len(held):
            continue
        middle = (held[:, 1:].min(axis=0) + held[:, 1:].max(axis=0) + 1) / 2
        across = [
            min(max(round(m - n / 2), 0), most - n)
            for m, n, most in zip(middle.tolist(), patch[1:], grid.shape[1:], strict=True)
        ]
        places.append(_place((top, *across), patch))
    return places


def _everywhere(shape: Sequence[int], patch: Sequence[int]) -> list[Place]:
    """Return patches that fill a volume."""
    strides = (max(patch[0] // 2, 1), max(patch[1] // 2, 1), patch[2])
    starts = [
        patch_starts(count, size, stride)
        for count, size, stride in zip(shape, patch, strides, strict=True)
    ]
    return [_place(corner, patch) for corner in product(*starts)]


def _place(corner: Sequence[int], patch: Sequence[int]) -> Place:
    """Return the slices of a patch."""
    i, j, k = (slice(start, start + n) for start, n in zip(corner, patch, strict=True))
    return i, j, k


def _averaged(shown: Volume, places: Sequence[Place], model: Model) -> Volume:
    """Run a network over patches of contrasts (C, I, J, K) and average what they say."""
    parts = [np.stack([_scored(contrast[place]) for contrast in shown]) for place in places]
    told = run_parts(model.network, [torch.from_numpy(part)[None] for part in parts], torch.sigmoid)
    total = np.zeros((len(STRUCTURES), *shown.shape[1:]), np.float32)
    count = np.zeros(shown.shape[1:], np.float32)
    for place, maps in zip(places, told, strict=True):
        total[(slice(None), *place)] += maps[0].numpy()
        count[place] += 1
    return np.asarray(total / np.maximum(count, 1), np.float32)


def patch_starts(count: int, size: int, stride: int) -> list[int]:
    """Return where patches begin that cover ``count`` voxels; the last ends with them.

    Examples
    --------
    >>> patch_starts(10, 4, 3)
    [0, 3, 6]
    >>> patch_starts(9, 4, 4)
    [0, 4, 5]
    """
    starts = list(range(0, count - size + 1, stride))
    return starts if starts[-1] == count - size else [*starts, count - size]
