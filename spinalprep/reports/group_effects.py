"""Figures of a comparison: where two cohorts differ, and in which direction."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spinalprep.image import Image
from spinalprep.levels.discs import level_name
from spinalprep.reports.group_figures import (
    Anatomy,
    colour_bar,
    draw_tile,
    people_text,
    side_letters,
    tile_places,
)

DIRECTION = "PuOr"  # two-sided and told apart by everybody
ALPHA = 0.05


def effect_tiles(
    anatomy: Anatomy, effect: Image, p: Image, question: str, sizes: Sequence[int]
) -> Figure | None:
    """Draw the effect of largest size of every level where p is at most 0.05, with its sign.

    Parameters
    ----------
    anatomy : Anatomy
    effect, p : Image
        Effect, and p corrected for the family of voxels; NaN where nothing was tested.
    question : str
        In words; says what a positive effect means.
    sizes : sequence of int
        Fewest and most people of a tested voxel.
    """
    tested = np.isfinite(p.data)
    found = np.zeros(p.shape, bool)
    found[tested] = p.data[tested] <= ALPHA
    slices = {n: k for n, k in anatomy.level_slices().items() if n > 0}
    shown = [n for n, k in slices.items() if found[:, :, k].any()]
    if not shown:
        return None
    top = float(np.abs(effect.data[found]).max())
    scale = Normalize(-top, top)
    places = tile_places(len(shown))
    blocks, across = (1 + max(own) for own in zip(*places, strict=True))
    width = 1.2 * across + 3.0
    figure = Figure(figsize=(width, 1.4 * blocks + 0.6))
    axes = figure.subplots(blocks, across, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for place, n in zip(places, shown, strict=True):
        axis = axes[place]
        where = (*anatomy.window(), slices[n])
        plane = _strongest(np.where(found, effect.data, 0)[where])
        plane[~tested[where].any(axis=2)] = np.nan
        axis.set_axis_on()
        draw_tile(axis, plane, anatomy, slices[n], scale, DIRECTION)
        axis.set_title(level_name(n), fontsize=9, pad=3)
        axis.set_xlabel(f"{int(found[where].sum())} voxels", fontsize=8, labelpad=2)
    side_letters(axes[0][0], anatomy)
    people = f"{people_text(sizes)} per voxel" if len(sizes) else "n unknown"
    figure.text(0.02, 0.98, f"{question}, {people}", fontsize=8, va="top")
    figure.subplots_adjust(0.02, 0.12, 1 - 2.8 / width, 0.82, 0.06, 0.3)
    colour_bar(figure, scale, f"effect where p <= {ALPHA:g}", DIRECTION, room=2.6)
    return figure


def _strongest(block: np.ndarray) -> np.ndarray:
    """Return the value of largest size along the slices, with its sign."""
    index = np.abs(block).argmax(axis=2)[:, :, None]
    plane: np.ndarray = np.take_along_axis(block, index, axis=2)[:, :, 0].astype(np.float32)
    return plane
