"""What the quality gates look at, gathered from the outputs of stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinalprep.cord.mask import count_components
from spinalprep.image import load
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.tables import read_table


def measure_quality(outputs: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the value of every gate that the finished stages of a job allow."""
    measured: dict[str, float | None] = {}
    cord = outputs.get("manual", outputs.get("automatic"))
    if cord is not None:
        measured["components"] = count_components(load(Path(cord.cord.fspath)).data > 0)
        levels = known_levels(outputs)
        measured["level_confidence"] = levels.confidence
        measured["disc_residual_mm"] = levels.residual_mm
    if "shape" in outputs:
        found = "manual" not in outputs and "automatic" in outputs
        unseen = outputs["automatic"].unseen if found else 0  # a person decides where to begin
        measured |= _shape(Path(outputs["shape"].perslice.fspath), unseen)
    if "template" in outputs:
        found = outputs["template"].measures
        measured["dice_template"] = float(found["dice_subject"])
        measured["jacobian_min"] = float(found["jacobian_min"])
    if "lesion" in outputs:
        measured["lesion_outside_cord"] = float(outputs["lesion"].outside)
    gains = [
        float(found.measures["gain"])
        for stage, found in outputs.items()
        if stage.startswith("coregister_") and not found.measures.get("headers_hold", False)
    ]
    if gains:
        measured["coreg_gain"] = float(np.nan_to_num(min(gains), nan=0.0))
    return measured


def known_levels(outputs: Mapping[str, Any]) -> Levels:
    """Return the vertebral levels of a job; unknown where its stage found none, or has not run."""
    stage = outputs.get("levels")
    if stage is None or stage.levels is None:
        return Levels({})
    return read_levels(Path(stage.levels.fspath))


def _shape(path: Path, unseen: int) -> dict[str, float | None]:
    """Return the largest relative jump of the area between neighbours, and the coverage.

    ``unseen`` slices lie beyond the cord's ends, where its centerline goes on without it.
    """
    table = read_table(path).sort_values("slice")
    slices = table["slice"].to_numpy(int)
    whole = table[table["complete"].astype(str).str.lower() == "true"]
    inner = whole.iloc[1:-1]  # the first and the last slice may be cut by the field of view
    area = inner["area_mm2"].to_numpy(float)
    neighbours = np.diff(inner["slice"].to_numpy(int)) == 1  # beyond a gap the cord may differ
    jumps = np.abs(np.diff(area))[neighbours] / (np.median(area) if len(area) else np.nan)
    return {
        "area_jump": float(jumps.max()) if len(jumps) else None,
        "coverage": len(slices) / float(slices[-1] - slices[0] + 1 + unseen),
    }
