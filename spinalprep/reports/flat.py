"""Slices of an image as they are: not along the cord."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image
from spinalprep.reports import views
from spinalprep.reports.views import View, Window

FLAT_PIXELS = (560.0, 260.0)  # largest width and height, as style.css has them
FLAT_HALF_MM = 60.0


def whole_views(first: Image, second: Image | None = None, cord: Image | None = None) -> list[View]:
    """Return three axial slices and the middle sagittal one of an image.

    Parameters
    ----------
    first : Image
        In the voxel order LAS.
    second : Image or None
        Another image on the same grid, shown in place of the first by a slider.
    cord : Image or None
        A slice that is longer from front to back than `FLAT_HALF_MM` on both sides is cut there:
        around this mask, without it around the middle.
    """
    images = [first] if second is None else [first, second]
    windows = [views.window_around(image, None) for image in images]
    depth = first.shape[2]
    left, front, up = (float(size) for size in first.voxel_sizes)
    shown = []
    for share in (0.8, 0.5, 0.2):
        k = int(depth * share)
        kept = _front(first, cord, k)
        pixels = [image.data[:, kept, k] for image in images]
        shown.append(_flat(pixels, windows, (left, front), views.AXIAL, f"axial slice {k}"))
    pixels = [image.data[first.shape[0] // 2, ::-1] for image in images]
    shown.append(_flat(pixels, windows, (front, up), views.SAGITTAL, "middle sagittal slice"))
    return shown


def _front(image: Image, cord: Image | None, k: int) -> slice:
    """Return what is shown of an axial slice from back to front."""
    length, half = image.shape[1], round(FLAT_HALF_MM / float(image.voxel_sizes[1]))
    inside = cord.data[:, :, k].max(axis=0) > 0.5 if cord is not None else np.zeros(length, bool)
    middle = int(np.flatnonzero(inside).mean()) if inside.any() else length // 2
    low = int(np.clip(middle - half, 0, max(length - 2 * half, 0)))
    return slice(low, low + 2 * half)


def _flat(
    pixels: Sequence[NDArray[np.float32]],
    windows: Sequence[Window],
    sizes: tuple[float, float],
    sides: views.Sides,
    caption: str,
) -> View:
    """Return voxels of one plane as they are."""
    pictures = tuple(
        views.encode(plane, window) for plane, window in zip(pixels, windows, strict=True)
    )
    width, height = pixels[0].shape[0] * sizes[0], pixels[0].shape[1] * sizes[1]
    letter = views.letter_mm(width, height, FLAT_PIXELS)
    drawn = views.marks(sides, width, height, letter=letter)
    return View(pictures, width, height, drawn, caption, caption)
