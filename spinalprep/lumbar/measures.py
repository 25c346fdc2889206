"""The table of a lumbar segmentation."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.image import Image, grid_points
from spinalprep.lumbar.spine import Disc
from spinalprep.lumbar.structures import CANAL, MUSCLE, MUSCLE_FAT, STRUCTURES

SLAB_MM = 5.0  # above and below a disc, in which the canal is measured
COLUMNS = (
    *("structure", "level", "level_probability", "volume_mm3", "disc_height_mm"),
    *("disc_signal_ratio", "canal_area_mm2", "fat_percent"),
)


def measure_lumbar(structures: Image, discs: list[Disc], image: Image | None) -> pd.DataFrame:
    """Measure every structure, then every disc.

    Parameters
    ----------
    structures : Image of int
        See `structures.STRUCTURES`.
    discs : list of Disc
        Upwards; see `spine.name_discs`.
    image : Image or None
        T2w on the same grid, for the signal of discs.

    Returns
    -------
    table : DataFrame
        Columns as in ``COLUMNS``: a row per structure with its volume (that of muscle with the
        share of fat, ``fat_percent``: fat in and between the muscles over both); a row per disc
        with its mean signal over that of fluid, the median of the canal within 5 mm of the disc,
        and the area of the canal there, across the spine (both NaN where none is seen).
    """
    counts = np.bincount(structures.data.astype(int).ravel(), minlength=len(STRUCTURES))
    volumes = counts * structures.voxel_volume
    rows: list[dict[str, object]] = [
        {"structure": name, "volume_mm3": float(volumes[value])}
        for value, name in enumerate(STRUCTURES)
        if value
    ]
    both = float(volumes[MUSCLE] + volumes[MUSCLE_FAT])
    if both > 0:
        rows[MUSCLE - 1]["fat_percent"] = 100 * float(volumes[MUSCLE_FAT]) / both
    points = grid_points(structures.shape, structures.affine)
    canal = structures.data == CANAL
    for n, disc in enumerate(discs):
        near = canal & _beside(points, discs, n)
        area = float(near.sum()) * structures.voxel_volume / (2 * SLAB_MM)
        rows.append(
            {
                "structure": "intervertebral disc",
                "level": disc.name,
                "level_probability": disc.probability if disc.name else None,
                "volume_mm3": float(disc.mask.sum()) * structures.voxel_volume,
                "disc_height_mm": disc.height_mm,
                "disc_signal_ratio": _signal(image, disc.mask, near),
                "canal_area_mm2": area or None,  # no canal in view is not one of no area
            }
        )
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def _beside(points: NDArray[np.float64], discs: list[Disc], n: int) -> NDArray[np.bool_]:
    """Tell of every voxel whether it lies within the slab of a disc, across the spine."""
    below, above = discs[max(n - 1, 0)].centre, discs[min(n + 1, len(discs) - 1)].centre
    way = above - below
    way = way / max(float(np.linalg.norm(way)), 1e-6)
    along: NDArray[np.float64] = (points - discs[n].centre) @ way
    return np.asarray(np.abs(along) <= SLAB_MM)


def _signal(image: Image | None, disc: NDArray[np.bool_], canal: NDArray[np.bool_]) -> float | None:
    if image is None or not canal.any():
        return None
    fluid = float(np.median(image.data[canal]))
    return float(image.data[disc].mean()) / fluid if fluid > 0 else None
