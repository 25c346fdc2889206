"""Where the discs of a template are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import TemplateError
from spinalprep.image.volume import to_world, world_affine
from spinalprep.template.files import Template

LAST_DISC = 30  # above that, labels mark other things (49, 50: pontomedullary; 60: conus)


def disc_points(template: Template) -> dict[int, NDArray[np.float64]]:
    """Return the RAS+ position, shape (3,), of each disc of a template, in order of number.

    Disc n lies above vertebra n; labels beyond 30 (pontomedullary groove and junction, conus)
    are no discs and are left out.

    Raises
    ------
    TemplateError
        If fewer than two discs are labeled, or they are not ordered from top to bottom.
    """
    volume: Any = nib.loadsave.load(template.discs)
    data = np.asanyarray(volume.dataobj)
    voxels = np.argwhere(data.T > 0)[:, ::-1]  # as NIfTI is stored: a third of the time
    voxels = voxels[np.lexsort(voxels.T[::-1])]
    values = np.rint(data[tuple(voxels.T)]).astype(int)
    points = to_world(voxels.astype(np.float64), world_affine(volume))
    discs = {
        int(value): points[values == value].mean(axis=0)
        for value in np.unique(values)
        if value <= LAST_DISC
    }
    _check_order(discs, template.discs)
    return discs


def disc_heights(template: Template) -> dict[int, float]:
    """Return the RAS+ z in mm of each disc of a template (disc n lies above vertebra n)."""
    return {disc: float(point[2]) for disc, point in disc_points(template).items()}


def _check_order(discs: Mapping[int, NDArray[np.float64]], path: Path) -> None:
    """Refuse discs that do not go down as their numbers go up."""
    heights = [discs[disc][2] for disc in sorted(discs)]
    if len(heights) < 2 or (np.diff(heights) >= 0).any():
        raise TemplateError(
            f"template file {path} has the discs {sorted(discs)} out of order or fewer than "
            "two; expected disc positions that descend as their numbers increase"
        )
