"""What the quality gates look at, gathered from what the stages left."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from spinalprep import stages
from spinalprep.cord.cauda import cauda_length
from spinalprep.cord.edge import edge_shares, worst_stretch
from spinalprep.cord.files import read_centerline
from spinalprep.cord.jumps import steepest_change
from spinalprep.cord.mask import count_components
from spinalprep.cord.shape import is_averaged
from spinalprep.image import load
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.normative.calibration import load_calibration
from spinalprep.normative.plausible import furthest_areas
from spinalprep.normative.table import load_norms
from spinalprep.stages import Results
from spinalprep.tables import is_true, read_table

BRIGHT_FLUID = "T2w"  # in which cauda equina is told from cord


def measure_quality(results: Results, contrast: str = "") -> dict[str, float | None]:
    """Return the value of every gate that the finished stages of a session run allow.

    ``contrast`` is that of the reference image.
    """
    measured: dict[str, float | None] = {}
    automatic, manual = results.get(stages.AUTOMATIC), results.get(stages.MANUAL)
    cord = manual or automatic
    if cord is not None:
        measured["components"] = count_components(load(cord.cord).data > 0)
        if (seen := results.get(stages.PREPROCESS)) is not None:
            doubtful = automatic.doubtful if manual is None and automatic is not None else []
            measured["edge"] = _edge(seen.image, cord.probability, doubtful)
            if manual is None and contrast == BRIGHT_FLUID:
                measured["cauda_mm"] = cauda_length(
                    load(seen.image), load(cord.probability), read_centerline(cord.centerline)
                )
        levels = known_levels(results)
        measured["level_confidence"] = levels.confidence
        measured["disc_residual_mm"] = levels.residual_mm
    if (shape := results.get(stages.SHAPE)) is not None:
        found = automatic if manual is None else None  # a person decides where to begin
        measured |= _shape(shape.perslice, found.unseen if found is not None else 0)
    if (fit := results.get(stages.TEMPLATE)) is not None:
        measured["dice_template"] = fit.measures.dice_subject
        measured["jacobian_min"] = fit.measures.jacobian_min
    if (lesions := results.get(stages.LESION)) is not None:
        measured["lesion_outside_cord"] = lesions.outside
    fits = [found.measures for found in results.each(stages.COREGISTER).values()]
    gains = [fit.gain for fit in fits if not fit.headers_hold]
    if gains:
        measured["coreg_gain"] = float(np.nan_to_num(min(gains), nan=0.0))
    return measured


def known_levels(results: Results) -> Levels:
    """Return the vertebral levels; unknown where their stage found none, or has not run."""
    found = results.get(stages.LEVELS)
    return Levels({}) if found is None or found.levels is None else read_levels(found.levels)


def _edge(image: Path, cord: Path, doubtful: Collection[int]) -> float | None:
    """Return the share of the outline that the image shows, in the worst 10 mm between the ends.

    Ends that are ``doubtful`` have a gate of their own.
    """
    seen = load(image)
    shares = edge_shares(seen, load(cord))
    inner = [k for k in sorted(shares) if k not in doubtful][1:-1]  # as for areas
    return worst_stretch({k: shares[k] for k in inner}, float(seen.voxel_sizes[2]))


def _shape(path: Path, unseen: int) -> dict[str, float | None]:
    """Return how fast the area changes, how usual it is, coverage, and what is doubtful.

    ``unseen`` slices lie beyond the cord's ends, where its centerline goes on without it.
    """
    table = read_table(path).sort_values("slice")
    slices = table["slice"].to_numpy(int)
    whole = table[is_averaged(table)]
    inner = whole.iloc[1:-1]  # the first and the last slice may be cut by the field of view
    extremes = furthest_areas(inner, load_norms(), load_calibration())
    return {
        "area_jump": steepest_change(inner),
        "area_norm": extremes.above,
        "area_norm_low": extremes.below,
        "coverage": len(slices) / float(slices[-1] - slices[0] + 1 + unseen),
        "doubtful_mm": float(table["length_mm"][is_true(table["doubtful"])].sum()),
    }
