"""Whether areas are such as healthy people have: for the quality gates, not for z-scores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.normative.calibration import Calibration
from spinalprep.normative.table import Norms, to_scale

Array = NDArray[np.float64]

AREA = "area_mm2"


@dataclass(frozen=True)
class Extremes:
    """The sections that are furthest from healthy people.

    Attributes
    ----------
    above, below : float or None
        Standard deviations of the logarithm of the area, at least 0: of the largest section above
        the mean at its level, and of the smallest below it. None where no section can be judged.
    """

    above: float | None
    below: float | None


def furthest_areas(table: pd.DataFrame, norms: Norms, calibration: Calibration) -> Extremes:
    """Hold the area of each section against healthy people of both sexes.

    Parameters
    ----------
    table : DataFrame
        A row per slice: ``area_mm2``, corrected for tilt, and ``vertebral_level`` as a number,
        NaN where it is not known.
    norms : Norms
    calibration : Calibration
        By how much our masks are larger than those of the norms. Its offsets are used for every
        mask and level, the nearest level's where it has none: a gate says where to look, and no
        more is claimed than that.

    Returns
    -------
    extremes : Extremes
        A section of unknown level, or of one that the norms lack, is held against the level that
        it fits best; how small it is can't be said there, as the cord tapers at its lower end.
    """
    levels = norms.of_levels(AREA).sort_index()
    area = to_scale(AREA, table[AREA])
    level = table["vertebral_level"].to_numpy(float)
    known = np.isin(level, levels.index) & np.isfinite(area)
    middle, sd = _in_our_masks(levels, calibration)
    z = (area[:, None] - middle) / sd
    own = np.searchsorted(levels.index.to_numpy(float), np.where(known, level, levels.index[0]))
    here = z[np.arange(len(z)), own]
    return Extremes(
        above=_largest(np.where(known, here, z.min(axis=1, initial=np.inf))),
        below=_largest(-here[known]),
    )


def _in_our_masks(levels: pd.DataFrame, calibration: Calibration) -> tuple[Array, Array]:
    """Return mean and SD of healthy people by level, on the scale of `Norms`."""
    own = calibration.table[calibration.table["measure"] == AREA].sort_values("vertebral_level")
    measured, wanted = own["vertebral_level"].to_numpy(float), levels.index.to_numpy(float)
    offset, spread = (np.interp(wanted, measured, own[name]) for name in ("offset", "spread"))
    middle = to_scale(AREA, levels["mean"]) + offset
    return middle, np.hypot(levels["sd"].to_numpy(float), spread)


def _largest(values: Array) -> float | None:
    """Return the largest finite value, at least 0."""
    found = values[np.isfinite(values)]
    return max(float(found.max()), 0.0) if len(found) else None
