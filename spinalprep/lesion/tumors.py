"""From probabilities to tumor, edema and cavity, and their measures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.defaults import (
    EDEMA_THRESHOLD,
    MIN_CAVITY_CM3,
    MIN_EDEMA_CM3,
    MIN_TUMOR_CM3,
    TUMOR_THRESHOLD,
)
from spinalprep.image import Image, to_world, upright
from spinalprep.lesion.instances import EVERY_NEIGHBOUR
from spinalprep.levels.discs import Levels, level_name
from spinalprep.networks.tumor_maps import Mask, Structures, Volume


@dataclass(frozen=True)
class TumorRule:
    """What counts as a structure (Lemay et al. 2021, section 2.5; there, one threshold of 0.5).

    Attributes
    ----------
    threshold, edema_threshold : float
        Least probability; of edema, which the shipped network is never sure of.
    tumor_cm3, edema_cm3, cavity_cm3 : float
        Smaller pieces are dropped; of the abnormality, those under the smallest of the three.
    """

    threshold: float = TUMOR_THRESHOLD
    edema_threshold: float = EDEMA_THRESHOLD
    tumor_cm3: float = MIN_TUMOR_CM3
    edema_cm3: float = MIN_EDEMA_CM3
    cavity_cm3: float = MIN_CAVITY_CM3

    def least_probability(self, structure: str) -> float:
        """Return the probability from which a voxel counts."""
        return self.edema_threshold if structure == "edema" else self.threshold

    def least_mm3(self, structure: str) -> float:
        """Return the volume of the smallest piece that is kept."""
        each = {
            "tumor": self.tumor_cm3,
            "edema": self.edema_cm3,
            "cavity": self.cavity_cm3,
            "abnormality": min(self.tumor_cm3, self.edema_cm3, self.cavity_cm3),
        }
        return 1000.0 * each[structure]


def call_tumors(found: Structures[Volume], voxel_mm3: float, rule: TumorRule) -> Structures[Mask]:
    """Return masks of tumor, edema, cavity and abnormality.

    Each map is cut at its threshold, its holes are filled, and small pieces are dropped. The
    abnormality is what its own map says, and whatever of the others was kept.

    Parameters
    ----------
    found : Structures of float32
        Probabilities.
    voxel_mm3 : float
        Volume of a voxel.
    rule : TumorRule
    """
    masks = {
        name: _kept(soft >= rule.least_probability(name), rule.least_mm3(name) / voxel_mm3)
        for name, soft in found.items()
    }
    whole = np.logical_or.reduce(list(masks.values()))
    return Structures(**{**masks, "abnormality": whole})


def _kept(mask: Mask, least_voxels: float) -> Mask:
    """Fill holes, then drop small pieces; a volume that is just enough, is."""
    if not mask.any():
        return mask
    filled = ndimage.binary_fill_holes(mask)
    pieces, count = ndimage.label(filled, EVERY_NEIGHBOUR)
    sizes = ndimage.sum_labels(filled, pieces, range(1, count + 1))
    large = 1 + np.flatnonzero(sizes >= least_voxels - 1e-6)
    return np.asarray(np.isin(pieces, large))


def measure_tumors(
    masks: Structures[Mask],
    cord: Image,
    centerline: Centerline,
    levels: Levels,
    gd_t1w: Image | None = None,
) -> pd.DataFrame:
    """Measure every structure.

    Parameters
    ----------
    masks : Structures of bool
        See `call_tumors`.
    cord : Image
        Mask on the same grid, any voxel order.
    centerline : Centerline
        RAS+ mm.
    levels : Levels
        Unknown ones leave the columns of levels empty.
    gd_t1w : Image, optional
        On the same grid.

    Returns
    -------
    table : DataFrame
        A row per structure: ``structure``, ``parts``, ``volume_mm3``, ``length_mm`` along the
        cord, ``upper_level`` and ``lower_level``, the largest axial section as ``slice`` (in the
        voxel order LAS),
        ``max_section_mm2`` and ``max_section_percent`` (of the cord with all that grows in it),
        ``enhancement_ratio`` (mean of Gd-T1w over that of the cord elsewhere).
    """
    masks = Structures(**{name: upright(cord.with_data(m)).data for name, m in masks.items()})
    cord, gd_t1w = upright(cord), None if gd_t1w is None else upright(gd_t1w)
    pixel_mm2 = cord.voxel_volume / float(cord.voxel_sizes[2])
    inside = (cord.data > 0) | masks.abnormality
    elsewhere = (cord.data > 0) & ~ndimage.binary_dilation(masks.abnormality, iterations=2)
    rows = []
    for name, mask in masks.items():
        row: dict[str, object] = {
            "structure": name,
            "parts": int(ndimage.label(mask, EVERY_NEIGHBOUR)[1]),
            "volume_mm3": float(mask.sum()) * cord.voxel_volume,
        }
        if mask.any():
            row |= _extent(mask, cord, centerline, levels)
            areas = mask.sum(axis=(0, 1))
            k = int(np.argmax(areas))
            row |= {
                "slice": k,
                "max_section_mm2": float(areas[k]) * pixel_mm2,
                "max_section_percent": 100.0 * float(areas[k]) / float(inside[:, :, k].sum()),
                "enhancement_ratio": _ratio(gd_t1w, mask, elsewhere),
            }
        rows.append(row)
    columns = [
        *("structure", "parts", "volume_mm3", "length_mm", "upper_level", "lower_level"),
        *("slice", "max_section_mm2", "max_section_percent", "enhancement_ratio"),
    ]
    return pd.DataFrame(rows).reindex(columns=columns)


def _extent(mask: Mask, like: Image, line: Centerline, levels: Levels) -> dict[str, object]:
    """Return how far a mask reaches along the cord, in mm and in levels."""
    points = to_world(np.argwhere(mask).astype(float), like.affine)
    s = line.project(points)[:, 0]
    low, high = float(s.min()), float(s.max())
    step = float(like.voxel_sizes[2])  # a voxel has a length, too
    told: dict[str, object] = {"length_mm": high - low + step}
    for column, place in (("upper_level", low), ("lower_level", high)):
        number = int(levels.number_at(place))
        told[column] = level_name(number) if number else None
    return told


def _ratio(image: Image | None, mask: Mask, elsewhere: Mask) -> float | None:
    """Return the mean of an image in a mask over that elsewhere."""
    if image is None or not elsewhere.any():
        return None
    usual = float(image.data[elsewhere].mean())
    return float(image.data[mask].mean()) / usual if usual > 0 else None
