"""Where the discs and vertebral levels of a template are along its axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import TemplateError
from spinalprep.image.volume import Float, to_world, world_affine
from spinalprep.template.files import Template

if TYPE_CHECKING:
    import pandas as pd

LAST_DISC = 30  # above that, labels mark other things (49, 50: pontomedullary; 60: conus)


def disc_points(template: Template) -> dict[int, NDArray[np.float64]]:
    """Return the RAS+ position, shape (3,), of each disc of a template, in order of number.

    Disc n lies above vertebra n; labels beyond 30 (pontomedullary groove and junction, conus)
    are no discs and are left out.

    Raises
    ------
    TemplateError
        If fewer than two discs are labelled, or they are not ordered from top to bottom.
    """
    volume: Any = nib.loadsave.load(template.discs)
    data = np.asanyarray(volume.dataobj)
    voxels = np.argwhere(data > 0)
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


def level_table(heights: Mapping[int, float]) -> pd.DataFrame:
    """Return one row per vertebral level that lies between two discs.

    Parameters
    ----------
    heights : mapping of int to float
        Disc number to RAS+ z in mm, as `disc_heights` returns it.

    Returns
    -------
    table : DataFrame
        Columns ``level`` (C1 = 1), ``top_z_mm``, ``bottom_z_mm``, ``length_mm``.
    """
    import pandas as pd

    rows = [
        (level, heights[level], heights[level + 1], heights[level] - heights[level + 1])
        for level in sorted(heights)
        if level + 1 in heights
    ]
    return pd.DataFrame(rows, columns=["level", "top_z_mm", "bottom_z_mm", "length_mm"])


def continuous_level(z: Float | float, heights: Mapping[int, float]) -> NDArray[np.float64]:
    """Return the level at heights of the template, as number + fraction of the way down.

    Parameters
    ----------
    z : float or ndarray of float
        RAS+ z in mm, on the template.
    heights : mapping of int to float
        Disc number to RAS+ z in mm.

    Returns
    -------
    level : ndarray of float64, shape of ``z``
        n at disc n, n + 0.5 in the middle of vertebra n; NaN above the first disc and below
        the last.

    Examples
    --------
    >>> continuous_level([0.0, -5.0, -10.0, -13.0, 1.0], {3: 0.0, 4: -10.0, 5: -22.0})
    array([3.  , 3.5 , 4.  , 4.25,  nan])
    """
    discs = np.array(sorted(heights), np.float64)
    depth = -np.array([heights[int(disc)] for disc in discs])
    return np.asarray(
        np.interp(-np.asarray(z, np.float64), depth, discs, left=np.nan, right=np.nan)
    )


def _check_order(discs: Mapping[int, NDArray[np.float64]], path: Path) -> None:
    """Refuse discs that do not go down as their numbers go up."""
    heights = [discs[disc][2] for disc in sorted(discs)]
    if len(heights) < 2 or (np.diff(heights) >= 0).any():
        raise TemplateError(
            f"template file {path} has the discs {sorted(discs)} out of order or fewer than two; "
            "expected disc labels that go down as their numbers go up"
        )
