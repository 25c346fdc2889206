"""Shape of the cord, slice by slice."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage.measure import find_contours

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.section import cord_sections
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Image, to_world

METRICS = (
    "area_mm2",
    "diameter_ap_mm",
    "diameter_rl_mm",
    "eccentricity",
    "orientation_deg",
    "solidity",
)


GM_METRICS = ("gm_area_mm2", "gm_ratio")


def measure_slices(cord: Image, centerline: Centerline, gm: Image | None = None) -> pd.DataFrame:
    """Measure the cord in every axial slice, corrected for its tilt.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask or probability (soft voxels count as their share of a voxel), voxel order LAS.
    centerline : Centerline
        RAS+ mm.
    gm : Image, shape (I, J, K), optional
        Mask or probability of the grey matter on the same grid.

    Returns
    -------
    table : DataFrame
        A row per slice with cord, superior first: ``slice`` (index k), ``z_mm`` and ``s_mm`` of
        its centre of mass, ``area_mm2``, ``diameter_ap_mm``, ``diameter_rl_mm``,
        ``eccentricity``, ``orientation_deg`` (of the long axis against right, positive to the
        front), ``solidity``, ``length_mm`` along the centerline, ``tilt_deg``, and ``complete``,
        false where the cord reaches the border of the image. With ``gm`` also ``gm_area_mm2``,
        corrected like the area, and ``gm_ratio``, its share of the cord; NaN in slices without.

    Raises
    ------
    EmptyMaskError
        If no voxel is over zero.

    Notes
    -----
    The area of the axial section is multiplied by the cosine of the true angle between the
    normal of the slice and the tangent, 1 / sqrt(1 + tan2 a + tan2 b) for tilts a and b about
    the two in-plane axes, where SCT [1]_ takes cos a cos b. Diameters are those of the ellipse
    of equal second moments, of the section projected along the tangent.

    References
    ----------
    .. [1] De Leener et al. (2017), "SCT: Spinal Cord Toolbox", NeuroImage 145:24-43,
       doi:10.1016/j.neuroimage.2016.10.009.
    """
    weights = cord_sections(cord.data)
    slices = np.flatnonzero(weights.sum(axis=(0, 1)) > 0)
    if not len(slices):
        raise EmptyMaskError("the cord mask has no voxel; expected at least 1")
    rows = [_measure(weights[:, :, k], int(k), cord.affine, centerline) for k in slices[::-1]]
    table = pd.DataFrame(rows)
    if gm is not None:
        inside = np.where(weights > 0, gm.data, 0.0).sum(axis=(0, 1), dtype=float)
        share = (inside / np.maximum(weights.sum(axis=(0, 1)), 1e-9))[table["slice"]]
        share[share == 0] = np.nan  # nobody saw grey matter there
        table["gm_area_mm2"] = table["area_mm2"] * share
        table["gm_ratio"] = share
    return table


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
        A row per group: number of complete slices, length, mean and standard deviation
        (``_sd``; between slices, divisor n - 1) of every metric.
    """
    whole = table[table["complete"]]
    groups = whole.groupby(by, sort=True)
    summary = pd.DataFrame({"slices": groups.size(), "length_mm": groups["length_mm"].sum()})
    for metric in (*METRICS, *(name for name in GM_METRICS if name in whole)):
        summary[metric] = groups[metric].mean()
        summary[f"{metric}_sd"] = groups[metric].std()
    return summary.reset_index()


def _measure(
    weights: NDArray[np.float64], k: int, affine: NDArray[np.float64], centerline: Centerline
) -> dict[str, Any]:
    """Return the measures of one slice."""
    ij = np.argwhere(weights > 0)
    share = weights[tuple(ij.T)]
    points = to_world(np.column_stack([ij, np.full(len(ij), k)]).astype(float), affine)
    centre = share @ points / share.sum()
    s = float(centerline.project(centre)[0])
    right, anterior, tangent = centerline.frame(s)
    normal = np.cross(affine[:3, 0], affine[:3, 1])  # its length is the area of a pixel in mm2
    pixel = float(np.linalg.norm(normal))
    cosine = float(abs(tangent @ normal)) / pixel
    across = (points - centre) @ np.stack([right, anterior], axis=1)
    covariance = (across * share[:, None]).T @ across / share.sum()
    return {
        "slice": k,
        "z_mm": float(centre[2]),
        "s_mm": s,
        "area_mm2": float(share.sum()) * pixel * cosine,
        **_ellipse(covariance),
        "solidity": _solidity(weights),
        "length_mm": float(abs(affine[:3, 2] @ normal)) / pixel / cosine,
        "tilt_deg": float(np.degrees(np.arccos(min(cosine, 1.0)))),
        "complete": not _touches_border(weights),
    }


def _ellipse(covariance: NDArray[np.float64]) -> dict[str, float]:
    """Return diameters, eccentricity and orientation of the ellipse of equal moments."""
    values, vectors = np.linalg.eigh(covariance)
    minor, major = 4.0 * np.sqrt(np.maximum(values, 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    angle = (angle + 90.0) % 180.0 - 90.0
    lies_flat = abs(angle) <= 45.0
    return {
        "diameter_ap_mm": float(minor if lies_flat else major),
        "diameter_rl_mm": float(major if lies_flat else minor),
        "eccentricity": float(np.sqrt(1.0 - (minor / major) ** 2)) if major > 0 else 0.0,
        "orientation_deg": angle if lies_flat else angle - np.copysign(90.0, angle),
    }


def _solidity(weights: NDArray[np.float64]) -> float:
    """Return the share of the convex hull of the half-way contour that is cord.

    A ratio of areas, so tilt and pixel size cancel.
    """
    contours = find_contours(np.pad(weights, 1), 0.5)  # type: ignore[no-untyped-call]
    outline = max(contours, key=len, default=np.empty((0, 2)))
    if len(outline) < 4:
        return float("nan")
    i, j = outline.T
    area = abs(float(i[:-1] @ j[1:] - i[1:] @ j[:-1])) / 2
    return area / float(ConvexHull(outline).volume)  # in a plane, scipy's volume is the area


def _touches_border(weights: NDArray[np.float64]) -> bool:
    edges = (weights[0], weights[-1], weights[:, 0], weights[:, -1])
    return any(bool((edge >= 0.5).any()) for edge in edges)
