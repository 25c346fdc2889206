"""What of the template an image shows, and the shape of the cord on the template's slices."""

from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.intervals import GM_METRICS, INTERVALS
from spinalprep.cord.outline import SHAPE
from spinalprep.image import Image, back_on, on_grid_of, to_world, upright
from spinalprep.registration.resampling import Grid, Moving, resample_together
from spinalprep.registration.transform import Transform
from spinalprep.tables import is_true

MEASURES = ("area_mm2", *SHAPE, "mscc_percent", *GM_METRICS)
PLACE = ("template_slice", "vertebral_level", "s_mm", "doubtful")
INTERPOLATED = tuple(chain.from_iterable((name, *INTERVALS.get(name, ())) for name in MEASURES))


def bring_to_template(
    image: Image, cord: Image, forward: Transform, grid: Grid
) -> tuple[Image, Image, Image]:
    """Resample an image and its cord on the template's grid, and mark what the image covers.

    Parameters
    ----------
    image : Image
        The reference image; its faces, not its voxel centers, bound the field of view.
    cord : Image
        On the same grid, mask or probability.
    forward : Transform
        RAS+ points of the template to those of the image.
    grid : tuple of (shape, affine)
        The template's.

    Returns
    -------
    image : Image
        By cubic splines, float32.
    cord : Image
        Mask, uint8.
    coverage : Image
        uint8: 1 inside the field of view, in the axial slices in which the cord was found.
        Elsewhere nothing was observed: no lesion there says nothing.
    """
    view = image.with_data(np.broadcast_to(np.float32(1.0), image.shape))
    moving = [Moving(image, 3), Moving(cord, 1, 0.5), Moving(view, 0, 0.5)]
    moved, mask, covered = resample_together(moving, forward, grid)
    seen = upright(mask)
    slices = np.broadcast_to(seen.data.any(axis=(0, 1)), seen.shape)
    covered.data[~back_on(slices, mask)] = 0
    return moved, mask, covered


def shape_on_template(
    perslice: pd.DataFrame,
    centerline: Centerline,
    forward: Transform,
    template_cord: Image,
    template_levels: Image,
) -> pd.DataFrame:
    """Interpolate the shape of the cord at the template's axial slices.

    Parameters
    ----------
    perslice : DataFrame
        From `cord.shape.measure_slices`.
    centerline : Centerline
        Of the subject, RAS+ mm.
    forward : Transform
        RAS+ points of the template to those of the subject.
    template_cord, template_levels : Image, shape (I, J, K)
        Cord and vertebral levels of the template, any voxel order.

    Returns
    -------
    table : DataFrame
        A row per template slice between the outermost whole slices of the subject, superior
        first: ``template_slice`` (axial, counted upwards from 0: index k in LAS),
        ``vertebral_level`` as a number, ``s_mm`` on the subject's centerline, ``doubtful`` where
        any of it comes from a doubtful slice, and the metrics, linear in arc length between its
        slices.
    """
    template_cord = upright(template_cord)
    template_levels = on_grid_of(template_cord, template_levels, "the template's levels")
    where = [np.flatnonzero(template_cord.data.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    depth = where[2]
    weights = template_cord.data[np.ix_(*where)].astype(np.float64)
    total = weights.sum(axis=(0, 1))
    i = np.einsum("ijk,i->k", weights, where[0]) / total
    j = np.einsum("ijk,j->k", weights, where[1]) / total
    there = forward.apply(to_world(np.column_stack([i, j, depth]), template_cord.affine))
    s = centerline.project(there)[:, 0]
    whole = perslice[is_true(perslice["complete"])].sort_values("s_mm")
    columns = [name for name in INTERPOLATED if name in whole]
    if len(whole) < 2:
        return pd.DataFrame(columns=[*PLACE, *columns])
    own = whole["s_mm"].to_numpy(float)
    inside = np.flatnonzero((s >= own[0]) & (s <= own[-1]))[::-1]
    table = pd.DataFrame({"template_slice": depth[inside]})
    table["vertebral_level"] = _levels(template_levels, depth[inside])
    table["s_mm"] = s[inside]
    table["doubtful"] = np.interp(s[inside], own, is_true(whole["doubtful"]).astype(float)) > 0
    for name in columns:
        table[name] = np.interp(s[inside], own, whole[name].to_numpy(float))
    return table


def _levels(levels: Image, slices: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the commonest level of each slice; NaN where there is none."""
    counts = [np.bincount(levels.data[:, :, k].astype(int).ravel(), minlength=2) for k in slices]
    return np.array([n[1:].argmax() + 1.0 if n[1:].any() else np.nan for n in counts])
