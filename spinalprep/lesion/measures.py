"""What each lesion measures, along the cord and across it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.section import cord_sections
from spinalprep.image import Image, on_grid_of, to_world, upright
from spinalprep.lesion.bridges import measure_bridges
from spinalprep.lesion.frame import Array, CordFrame, cord_frame, cut_sections

COLUMNS = (
    "lesion",
    "volume_mm3",
    "outside_mm3",
    "length_mm",
    "width_ap_mm",
    "width_rl_mm",
    "max_equivalent_diameter_mm",
    "max_axial_damage_ratio",
    "midsagittal_length_mm",
    "midsagittal_width_mm",
    "midsagittal_spared_percent",
    "bridge_ventral_mm",
    "bridge_dorsal_mm",
    "bridge_total_mm",
    "bridge_ventral_percent",
    "bridge_dorsal_percent",
    "bridge_left_mm",
    "bridge_right_mm",
    "distance_c1_mm",
    "s_mm",
    "x_mm",
    "y_mm",
    "z_mm",
    "position_rl",
    "position_ap",
    "vertebral_level",
    "level_percent",
    "doubtful",
)
TOTAL_COLUMNS = (
    "lesions",
    "volume_mm3",
    "outside_mm3",
    "largest_mm3",
    "length_mm",
    "cord_mm3",
    "percent_of_cord",
    "max_axial_damage_ratio",
    "refused_lesions",
    "refused_mm3",
)
FINEST_MM, COARSEST_MM = 0.5, 1.0  # between sections along the cord
REACH_MM = 20.0  # around a lesion there is no more of its sections than this
WHOLE = 0.5  # share of the usual section under which the cord's end is no section


def measure_lesions(
    labels: Image,
    cord: Image,
    centerline: Centerline,
    levels: Image | None = None,
    top_of_c1: float | None = None,
    doubtful: Collection[int] = (),
) -> pd.DataFrame:
    """Measure every lesion in the frame of the cord.

    Parameters
    ----------
    labels, cord : Image of int, shape (I, J, K)
        Lesions 1 to N, and the mask of the cord, on the same voxels in any order.
    centerline : Centerline
        RAS+ mm.
    levels : Image of int, optional
        Vertebral levels, C1 = 1.
    top_of_c1 : float, optional
        Arc length of the top of C1 in mm, from `top_of_c1`.
    doubtful : collection of int
        Axial slices in which the outline of the cord is doubtful.

    Returns
    -------
    table : DataFrame
        A row per lesion: ``volume_mm3``, of which ``outside_mm3`` beyond the cord; ``length_mm``
        along the centerline; ``width_ap_mm`` and ``width_rl_mm``, the largest extents across;
        ``max_equivalent_diameter_mm`` of the circle of the largest section and
        ``max_axial_damage_ratio``, the largest share of a section of the cord, both across the
        cord; length and width in the midsagittal plane, and tissue bridges (`measure_bridges`);
        ``distance_c1_mm`` of the center from the top of C1; center of mass, as arc length, in
        RAS+ mm, and in half diameters of the cord (``position_rl``, ``position_ap``: 0 middle,
        1 right or front edge); ``vertebral_level`` of most of the voxels with their share;
        ``doubtful`` where most of them lie in such slices. NaN where unknown.

    Notes
    -----
    Length and widths are extents of voxel centers in the cord's frame plus the reach of a slice
    or a pixel; the widths are those of one slice, seen along the tangent, so that a tilted cord
    does not widen its lesions. Sections are cut across the cord (`cut_sections`), in which voxels
    outside the cord don't count. What is measured follows SCT's ``sct_analyze_lesion`` [1]_.

    References
    ----------
    .. [1] De Leener et al. (2017), "SCT: Spinal Cord Toolbox", NeuroImage 145:24-43,
       doi:10.1016/j.neuroimage.2016.10.009.
    """
    labels = upright(labels)
    cord = on_grid_of(labels, cord, "the cord")
    levels = None if levels is None else on_grid_of(labels, levels, "the image of levels")
    every = np.argwhere(labels.data > 0)
    if not len(every):
        return pd.DataFrame(columns=list(COLUMNS))
    body = cord.with_data(cord_sections(cord.data) > 0)  # an island has no part in the frame
    frame = cord_frame(body, centerline)
    numbers = np.rint(labels.data[tuple(every.T)]).astype(int)
    top = np.nan if top_of_c1 is None else top_of_c1
    rows = []
    for number in np.unique(numbers[numbers > 0]).tolist():
        ijk = every[numbers == number]
        row = {"lesion": number} | _measure(ijk, labels, body, frame) | _level(ijk, levels)
        row["outside_mm3"] = int((cord.data[tuple(ijk.T)] <= 0).sum()) * labels.voxel_volume
        row["doubtful"] = bool(np.isin(ijk[:, 2], list(doubtful)).mean() > 0.5)
        rows.append(row | {"distance_c1_mm": row["s_mm"] - top})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sum_lesions(
    table: pd.DataFrame, labels: Image, cord: Image, refused_mm3: Sequence[float] = ()
) -> pd.DataFrame:
    """Return one row with what all lesions of a cord measure together.

    Parameters
    ----------
    table : DataFrame
        From `measure_lesions`.
    labels, cord : Image, shape (I, J, K)
        As there.
    refused_mm3 : sequence of float
        Volumes of what a network proposed and the image does not bear out.

    Returns
    -------
    totals : DataFrame
        Number of lesions, their volume, how much of it lies outside, the largest one's, the sum
        of their lengths, the volume of the cord that was found and the share of it that is lesion
        in percent, the largest axial damage ratio (0 without a lesion), and number and volume of
        what was refused.
    """
    labels = on_grid_of(cord, labels, "the image of lesions")
    inside = cord.data > 0
    whole = float(inside.sum()) * cord.voxel_volume
    hit = float((inside & (labels.data > 0)).sum()) * cord.voxel_volume
    row = {
        "lesions": len(table),
        "volume_mm3": table["volume_mm3"].sum(),
        "outside_mm3": table["outside_mm3"].sum(),
        "largest_mm3": table["volume_mm3"].max() if len(table) else 0.0,
        "length_mm": table["length_mm"].sum(),
        "cord_mm3": whole,
        "percent_of_cord": 100.0 * hit / whole if whole else np.nan,
        "max_axial_damage_ratio": table["max_axial_damage_ratio"].max() if len(table) else 0.0,
        "refused_lesions": len(refused_mm3),
        "refused_mm3": sum(refused_mm3),
    }
    return pd.DataFrame([row], columns=list(TOTAL_COLUMNS))


def top_of_c1(disc_s: Mapping[int, float], template_z: Mapping[int, float]) -> float | None:
    """Return the arc length of the top of C1 (disc 1), by the template's spacings if unseen.

    Parameters
    ----------
    disc_s : mapping of int to float
        Arc length of the discs that are known, mm.
    template_z : mapping of int to float
        Height of the template's discs, mm.

    Examples
    --------
    >>> top_of_c1({3: 10.0, 4: 30.0}, {1: 0.0, 2: -20.0, 3: -36.0, 4: -54.0})
    -26.0
    """
    if 1 in disc_s:
        return float(disc_s[1])
    shared = sorted(set(disc_s) & set(template_z))
    if 1 not in template_z or not shared:
        return None
    first = shared[0]
    return float(disc_s[first] - (template_z[1] - template_z[first]))


def _measure(
    ijk: NDArray[np.intp], labels: Image, cord: Image, frame: CordFrame
) -> dict[str, float]:
    """Return the measures of the voxels of one lesion."""
    points = to_world(ijk.astype(float), labels.affine)
    sxy = frame.centerline.project(points)
    uv, share = frame.place(sxy)
    length, width_rl, width_ap = _extents(ijk, sxy[:, 0], uv, labels.affine, frame)
    centre = points.mean(axis=0)
    return {
        "volume_mm3": len(ijk) * labels.voxel_volume,
        "length_mm": length,
        "width_ap_mm": width_ap,
        "width_rl_mm": width_rl,
        **_across(ijk, sxy[:, 0], labels, cord, frame),
        "s_mm": float(sxy[:, 0].mean()),
        **{f"{axis}_mm": float(value) for axis, value in zip("xyz", centre, strict=True)},
        "position_rl": float(share[:, 0].mean()),
        "position_ap": float(share[:, 1].mean()),
    }


def _extents(
    ijk: NDArray[np.intp], s: Array, uv: Array, affine: Array, frame: CordFrame
) -> tuple[float, float, float]:
    """Return the extents of a lesion along the cord, right-left and front-back in mm."""
    _, right, front, tangent = frame.axes_at(s.mean())
    reach = np.abs(np.stack([tangent, right, front]) @ affine[:3, :3])  # of a voxel
    slices = ijk[:, 2] - ijk[:, 2].min()
    across = [
        float((_highest(slices, values) + _highest(slices, -values)).max()) + float(edge)
        for values, edge in zip(uv.T, reach[1:, :2].max(axis=1), strict=True)
    ]
    return float(np.ptp(s) + reach[0, 2]), across[0], across[1]


def _highest(slices: NDArray[np.intp], values: Array) -> Array:
    """Return the largest value in each slice; minus infinity in an empty one."""
    highest = np.full(int(slices.max()) + 1, -np.inf)
    np.maximum.at(highest, slices, values)
    return highest


def _across(
    ijk: NDArray[np.intp], s: Array, labels: Image, cord: Image, frame: CordFrame
) -> dict[str, float]:
    """Return what the sections across a lesion measure."""
    reach = np.ceil(REACH_MM / labels.voxel_sizes).astype(int)  # sections of a tilted cord lean
    low = np.maximum(ijk.min(axis=0) - reach, 0)
    high = np.minimum(ijk.max(axis=0) + 1 + reach, labels.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    affine = labels.affine.copy()
    affine[:3, 3] = to_world(low.astype(float), affine)
    mask = np.zeros(high - low, bool)
    mask[tuple((ijk - low).T)] = True
    at, step = _places(s, float(abs(frame.axes_at(s.mean())[3] @ affine[:3, 2])), labels)
    (whole, lesion), u, v = cut_sections(
        (Image(cord.data[box] > 0, affine), Image(mask, affine)), frame, at
    )
    lesion = np.minimum(lesion, whole)
    pixel = float((u[1] - u[0]) * (v[1] - v[0]))
    area, part = whole.sum(axis=(1, 2)) * pixel, lesion.sum(axis=(1, 2)) * pixel
    full = area >= WHOLE * np.median(area)
    ratio = part[full] / np.maximum(area[full], pixel)
    return {
        "max_equivalent_diameter_mm": 2.0 * float(np.sqrt(part.max(initial=0.0) / np.pi)),
        "max_axial_damage_ratio": float(ratio.max(initial=0.0)),
        **measure_bridges(whole, lesion, (u, v), step),
    }


def _places(s: Array, slice_mm: float, labels: Image) -> tuple[Array, float]:
    """Return where a lesion is cut, from face to face of its outermost slices, and the step."""
    first, length = s.min() - slice_mm / 2, np.ptp(s) + slice_mm
    step = np.clip(labels.voxel_sizes[2] / 2, FINEST_MM, COARSEST_MM)
    count = max(round(length / step), 1)
    return first + (np.arange(count) + 0.5) * length / count, float(length / count)


def _level(ijk: NDArray[np.intp], levels: Image | None) -> dict[str, Any]:
    """Return the level that holds most of the voxels, and their share in percent."""
    if levels is not None:
        values = levels.data[tuple(ijk.T)].astype(int)
        counts = np.bincount(values[values > 0])
        if len(counts):
            level = int(counts.argmax())
            return {
                "vertebral_level": float(level),
                "level_percent": 100.0 * float(counts[level]) / len(ijk),
            }
    return {"vertebral_level": np.nan, "level_percent": np.nan}
