"""Vertebral levels of the axial slices of a cord, and its shape per level."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.shape import is_averaged, summarise
from spinalprep.image import Image, upright
from spinalprep.levels.discs import Levels, level_name
from spinalprep.normative.table import Norms, Subject, score_levels


def slice_levels(vertebrae: Image, slices: Sequence[int]) -> NDArray[np.float64]:
    """Return the vertebral level of axial slices: that of most of their voxels.

    Parameters
    ----------
    vertebrae : Image of int, shape (I, J, K)
        From `label.label_vertebrae`, any voxel order.
    slices : sequence of int, length N
        Counted upwards from 0, the lowest.

    Returns
    -------
    numbers : ndarray of float64, shape (N,)
        C1 = 1; NaN where no voxel has a level.
    """
    labels = upright(vertebrae).data.astype(int)
    counts = [np.bincount(labels[:, :, k][labels[:, :, k] > 0]) for k in slices]
    return np.array([float(n.argmax()) if len(n) else np.nan for n in counts])


def measure_levels(
    slices: pd.DataFrame,
    levels: Levels | None = None,
    norms: Norms | None = None,
    subject: Subject | None = None,
) -> pd.DataFrame:
    """Average the slices of every vertebral level, and hold them against healthy people.

    Parameters
    ----------
    slices : DataFrame
        From `cord.shape.measure_slices`, with ``vertebral_level``, a number or NaN.
    levels : Levels, optional
        Where the discs are.
    norms : Norms, optional
        Without norms or levels there are no z-scores.
    subject : Subject, optional
        Whose cord it is.

    Returns
    -------
    summary : DataFrame
        As `cord.shape.summarise` returns it, with the columns of `score_levels`.
    """
    summary = summarise(slices, "vertebral_level")
    if levels is None or norms is None:
        return summary
    at = levels.level_at(slices["s_mm"].to_numpy(float))
    counted = slices.assign(level_at=at)[is_averaged(slices)]
    return score_levels(summary, counted, norms, subject or Subject())


def with_level_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its vertebral levels by name; unknown ones stay missing.

    Examples
    --------
    >>> with_level_names(pd.DataFrame({"vertebral_level": [3.0, np.nan]}))
      vertebral_level
    0              C3
    1             NaN
    """
    numbers = pd.to_numeric(table["vertebral_level"], errors="coerce")
    names = [None if pd.isna(n) else level_name(int(n)) for n in numbers]
    return table.assign(vertebral_level=names)
