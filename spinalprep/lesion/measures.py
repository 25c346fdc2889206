"""What each lesion measures, along the cord and across it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image, to_world

COLUMNS = (
    "lesion",
    "volume_mm3",
    "length_mm",
    "width_ap_mm",
    "width_rl_mm",
    "max_equivalent_diameter_mm",
    "max_axial_damage_ratio",
    "s_mm",
    "x_mm",
    "y_mm",
    "z_mm",
    "vertebral_level",
)


def measure_lesions(
    labels: Image, cord: Image, centerline: Centerline, levels: Image | None = None
) -> pd.DataFrame:
    """Measure every lesion in the frame of the centerline.

    Parameters
    ----------
    labels : Image of int, shape (I, J, K)
        Lesions 1 to N, voxel order LAS.
    cord : Image, shape (I, J, K)
        Cord mask.
    centerline : Centerline
        RAS+ mm.
    levels : Image of int, optional
        Vertebral levels, C1 = 1.

    Returns
    -------
    table : DataFrame
        A row per lesion: ``volume_mm3``; ``length_mm``, its extent along the centerline;
        ``width_ap_mm`` and ``width_rl_mm``, its extents across; ``max_equivalent_diameter_mm``
        of the circle of the largest section; ``max_axial_damage_ratio``, the largest share of
        the cord's section; the arc length from the top of the centerline and the centre of
        mass, RAS+ mm; ``vertebral_level`` (most of its voxels; NaN where unknown).

    Notes
    -----
    Positions are those of voxel centres in straight space. The length is their extent along
    the cord plus the reach of a slice; the widths are the largest extents of one slice, seen
    along the tangent, plus the reach of a pixel: a tilted cord does not widen its lesions.
    """
    rows = [
        _measure(number, labels, cord, centerline, levels)
        for number in range(1, int(labels.data.max(initial=0)) + 1)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measure(
    number: int, labels: Image, cord: Image, centerline: Centerline, levels: Image | None
) -> dict[str, Any]:
    """Return the measures of one lesion."""
    ijk = np.argwhere(labels.data == number)
    points = to_world(ijk.astype(float), labels.affine)
    sxy = centerline.project(points)
    tangent = centerline.frame(float(sxy[:, 0].mean()))[2]
    length, width_rl, width_ap = _extents(ijk, sxy, labels, centerline)
    section, damage = _largest_section(ijk, labels, cord, abs(float(tangent @ _normal(labels))))
    centre = points.mean(axis=0)
    return {
        "lesion": number,
        "volume_mm3": len(ijk) * labels.voxel_volume,
        "length_mm": float(length),
        "width_ap_mm": float(width_ap),
        "width_rl_mm": float(width_rl),
        "max_equivalent_diameter_mm": 2.0 * float(np.sqrt(section / np.pi)),
        "max_axial_damage_ratio": damage,
        "s_mm": float(sxy[:, 0].mean()),
        **{f"{axis}_mm": float(value) for axis, value in zip("xyz", centre, strict=True)},
        "vertebral_level": _level(ijk, levels),
    }


def _extents(
    ijk: NDArray[np.intp], sxy: NDArray[np.float64], labels: Image, centerline: Centerline
) -> tuple[float, float, float]:
    """Return the extents of a lesion along s, x and y in mm."""
    right, anterior, tangent = centerline.frame(float(sxy[:, 0].mean()))
    reach = np.abs(np.stack([tangent, right, anterior]) @ labels.affine[:3, :3])  # of a voxel
    slices = ijk[:, 2] - ijk[:, 2].min()
    across = [
        float((_highest(slices, values) + _highest(slices, -values)).max()) + float(edge)
        for values, edge in zip(sxy.T[1:], reach[1:, :2].max(axis=1), strict=True)
    ]
    return float(np.ptp(sxy[:, 0]) + reach[0, 2]), across[0], across[1]


def _highest(slices: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest value in each slice; minus infinity in an empty one."""
    highest = np.full(int(slices.max()) + 1, -np.inf)
    np.maximum.at(highest, slices, values)
    return highest


def _largest_section(
    ijk: NDArray[np.intp], labels: Image, cord: Image, cosine: float
) -> tuple[float, float]:
    """Return the largest area across the cord in mm2 and the largest share of its section."""
    slices, counts = np.unique(ijk[:, 2], return_counts=True)
    pixel = float(np.linalg.norm(np.cross(labels.affine[:3, 0], labels.affine[:3, 1])))
    whole = (cord.data[:, :, slices] > 0).sum(axis=(0, 1))
    shares = counts / np.maximum(whole, counts)
    return float(counts.max()) * pixel * cosine, float(shares.max())


def _normal(image: Image) -> NDArray[np.float64]:
    """Return the unit normal of the axial slices."""
    normal = np.cross(image.affine[:3, 0], image.affine[:3, 1])
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit


def _level(ijk: NDArray[np.intp], levels: Image | None) -> float:
    """Return the level that holds most of the voxels; NaN where none is known."""
    if levels is None:
        return float("nan")
    values = levels.data[tuple(ijk.T)].astype(int)
    known = values[values > 0]
    return float(np.bincount(known).argmax()) if len(known) else float("nan")
