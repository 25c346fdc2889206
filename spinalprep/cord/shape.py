"""Shape of the cord, slice by slice."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.compression import compression_along
from spinalprep.cord.intervals import GM_METRICS, INTERVALS, add_grey_matter, add_intervals
from spinalprep.cord.outline import SHAPE, measure_outline
from spinalprep.cord.section import HALF, cord_sections
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Image, on_grid_of, to_world, upright
from spinalprep.tables import is_true

METRICS = ("area_mm2", *SHAPE)


def measure_slices(
    cord: Image,
    centerline: Centerline,
    gm: Image | None = None,
    spread: Image | None = None,
    *,
    gm_found: bool = False,
    doubtful: Collection[int] = (),
) -> pd.DataFrame:
    """Measure the cord in every axial slice, corrected for its tilt.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask or probability (soft voxels count as their share of a voxel), any voxel order.
    centerline : Centerline
        RAS+ mm.
    gm : Image, shape (I, J, K), optional
        Mask or probability of the gray matter on the same grid.
    spread : Image, shape (I, J, K), optional
        Standard deviation of ``cord``, on the same grid, where a network made it.
    gm_found : bool
        Whether a network made ``gm``.
    doubtful : collection of int
        Axial slices in which the outline of the cord is doubtful (`ends.cord_extent`).

    Returns
    -------
    table : DataFrame
        A row per slice with cord, superior first: ``slice`` (axial, counted upwards from 0, the
        lowest: index k in LAS), ``z_mm`` and ``s_mm`` of its center of mass, ``area_mm2``, the
        shape (`outline.measure_outline`), area and diameters with intervals
        (`intervals.add_intervals`), ``mscc_percent`` (`compression_along`), ``length_mm`` along
        the centerline, ``tilt_deg``, ``complete``, false where the cord reaches the image's
        border, and ``doubtful``. With ``gm`` also ``gm_area_mm2``, corrected alike, and
        ``gm_ratio``, with intervals; NaN in slices without.

    Raises
    ------
    EmptyMaskError
        If no voxel is over zero.
    InputError
        If ``gm`` or ``spread`` is on another grid.

    Notes
    -----
    The axial area is multiplied by the cosine of the true angle between slice normal and tangent,
    1 / sqrt(1 + tan2 a + tan2 b) for tilts a, b about the in-plane axes; SCT [1]_: cos a cos b.
    The shape is that of the outline projected along the tangent.

    References
    ----------
    .. [1] De Leener et al. (2017), "SCT: Spinal Cord Toolbox", NeuroImage 145:24-43,
       doi:10.1016/j.neuroimage.2016.10.009.
    """
    cord = upright(cord)
    weights = cord_sections(cord.data)
    if not weights.any():
        raise EmptyMaskError("the cord mask is empty; expected at least 1")
    table = _Frames(cord.affine, centerline).measure_all(weights)
    table["complete"] = ~_touches_border(weights)[table["slice"]]
    table["doubtful"] = table["slice"].isin(list(doubtful))
    table["mscc_percent"] = _compression(table)
    pixel = float(cord.voxel_sizes[0]), float(cord.voxel_sizes[1])
    sd = None if spread is None else on_grid_of(cord, spread, "the spread").data
    table = add_intervals(table, weights, pixel, sd)
    if gm is None:
        return table
    grey = on_grid_of(cord, gm, "the gray matter").data.astype(np.float64)
    return add_grey_matter(table, weights, pixel, grey, found=gm_found)


def is_averaged(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which slices count in means: those that are ``complete`` and not ``doubtful``."""
    return is_true(table["complete"]) & ~is_true(table["doubtful"])


def summarise(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Average the slices of every group.

    Parameters
    ----------
    table : DataFrame
        From `measure_slices`, with one more column.
    by : str
        That column, for example ``vertebral_level``.

    Returns
    -------
    summary : DataFrame
        A row per group: number of slices that count (`is_averaged`), their length, mean and
        standard deviation (``_sd``; between slices, divisor n - 1) of every metric, and the largest
        ``mscc_percent``. The ends of intervals are means, too: what makes one slice too large
        makes its neighbors so.
    """
    whole = table[is_averaged(table)]
    groups = whole.groupby(by, sort=True)
    summary = pd.DataFrame({"slices": groups.size(), "length_mm": groups["length_mm"].sum()})
    for metric in (*METRICS, *(name for name in GM_METRICS if name in whole)):
        summary[metric] = groups[metric].mean()
        summary[f"{metric}_sd"] = groups[metric].std()
        if metric in INTERVALS:
            ends = list(INTERVALS[metric])
            summary[ends] = groups[ends].mean()
    summary["mscc_percent"] = groups["mscc_percent"].max()
    return summary.reset_index()


@dataclass(frozen=True)
class _Frames:
    """How axial slices lie to the cord."""

    affine: NDArray[np.float64]
    centerline: Centerline

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """Normal of the slices; its length is the area of a pixel in mm2."""
        return np.asarray(np.cross(self.affine[:3, 0], self.affine[:3, 1]))

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel of the slices."""
        return float(np.linalg.norm(self.normal))

    def measure_all(self, weights: NDArray[np.float64]) -> pd.DataFrame:
        """Return the measures of every slice that has cord, superior first."""
        area, centres, slices = _centres(weights)
        centre = to_world(centres, self.affine)
        s = self.centerline.project(centre)[:, 0]
        right, anterior, tangent = self.centerline.frame(s)
        cosine = np.minimum(np.abs(tangent @ self.normal) / self.pixel_mm2, 1.0)
        thickness = float(abs(self.affine[:3, 2] @ self.normal)) / self.pixel_mm2
        planes = np.stack([right, anterior], axis=1) @ self.affine[:3, :2]
        level = HALF * float(weights.max())
        shapes = [
            measure_outline(_crop(weights[:, :, k]), plane, level)
            for k, plane in zip(slices, planes, strict=True)
        ]
        where = {"slice": slices, "z_mm": centre[:, 2], "s_mm": s}
        where["area_mm2"] = area * self.pixel_mm2 * cosine
        table = pd.concat([pd.DataFrame(where), pd.DataFrame(shapes, columns=list(SHAPE))], axis=1)
        return table.assign(length_mm=thickness / cosine, tilt_deg=np.degrees(np.arccos(cosine)))


def _centres(
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return sum, center of mass (n, 3) in voxels, and index of the slices with cord, top first."""
    along_i, along_j = weights.sum(axis=1), weights.sum(axis=0)
    slices = np.flatnonzero(along_i.sum(axis=0) > 0)[::-1]
    total = along_i[:, slices].sum(axis=0)
    i = np.arange(len(along_i)) @ along_i[:, slices] / total
    j = np.arange(len(along_j)) @ along_j[:, slices] / total
    return total, np.column_stack([i, j, slices]), slices


def _crop(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the box around a section."""
    (i, j) = (np.flatnonzero(weights.any(axis=axis)) for axis in (1, 0))
    return weights[i[0] : i[-1] + 1, j[0] : j[-1] + 1]


def _compression(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the compression of every slice in percent, from those that count in means."""
    whole = np.where(is_averaged(table), table["diameter_ap_mm"], np.nan)
    s, length = table["s_mm"].to_numpy(float), table["length_mm"].to_numpy(float)
    return compression_along(s, whole, length)


def _touches_border(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell in which slices the cord reaches the border of the image."""
    edges = (weights[0], weights[-1], weights[:, 0], weights[:, -1])
    touched: NDArray[np.bool_] = np.any([(edge >= 0.5).any(axis=0) for edge in edges], axis=0)
    return touched
