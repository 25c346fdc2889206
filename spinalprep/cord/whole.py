"""Volume and mean area of the whole cord, and of ranges of levels, with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spinalprep.cord.intervals import INTERVALS
from spinalprep.cord.shape import is_averaged, summarise
from spinalprep.tables import is_true

ALL = "all"  # vertebral levels
VOLUME = ("volume_mm3", "volume_mm3_lower", "volume_mm3_upper")
PER_MM = "volume_mm3_per_mm"
RANGES = {"C2-C3": (2, 3), "C2-C7": (2, 7)}  # first and last vertebral level; C1 = 1


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN where nothing was measured."""

    value: float
    lower: float
    upper: float

    def rounded(self, digits: int = 2) -> dict[str, float | None]:
        """Return value and interval, None for NaN, as JSON knows none."""
        known = {"value": self.value, "lower": self.lower, "upper": self.upper}
        return {k: round(v, digits) if np.isfinite(v) else None for k, v in known.items()}

    def in_words(self, unit: str) -> str:
        """Return the numbers as text.

        Examples
        --------
        >>> Estimate(71.26, 68.0, 74.5).in_words("mm2")
        '71.3 mm2 (68.0 to 74.5)'
        """
        return f"{self.value:.1f} {unit} ({self.lower:.1f} to {self.upper:.1f})"


def measure_whole(slices: pd.DataFrame) -> tuple[Estimate, Estimate]:
    """Add up the slices of a cord.

    Parameters
    ----------
    slices : DataFrame
        From `shape.measure_slices`.

    Returns
    -------
    volume : Estimate
        Sum of area times length along the centerline over all slices, mm3.
    area : Estimate
        Mean area over the slices that count (`shape.is_averaged`), weighted by their length, mm2.

    Notes
    -----
    The ends of the intervals are sums and means of the slices' own: what makes one slice too
    large makes its neighbors so.

    Examples
    --------
    >>> rows = {"area_mm2": [80.0, 60], "area_mm2_lower": [78.0, 59], "area_mm2_upper": [82.0, 61]}
    >>> table = pd.DataFrame(rows | {"length_mm": [5.0, 5], "complete": [True, False]})
    >>> table["doubtful"] = False
    >>> [estimate.in_words("") for estimate in measure_whole(table)]
    ['700.0  (685.0 to 715.0)', '80.0  (78.0 to 82.0)']
    """
    columns = ["area_mm2", "area_mm2_lower", "area_mm2_upper"]
    length = slices["length_mm"].to_numpy(float)
    areas = slices[columns].to_numpy(float)
    whole = is_averaged(slices)
    volume = length @ areas
    total = float(length[whole].sum())
    mean = length[whole] @ areas[whole] / total if total else np.full(3, np.nan)
    return Estimate(*map(float, volume)), Estimate(*map(float, mean))


def total_table(slices: pd.DataFrame) -> pd.DataFrame:
    """Return a row for all slices together, and one for every range of levels that is all there.

    Parameters
    ----------
    slices : DataFrame
        From `shape.measure_slices`, with ``vertebral_level``, a number or NaN, where it is known.

    Returns
    -------
    total : DataFrame
        As `shape.summarise` returns it, with ``vertebral_level`` ``all`` in the first row, then
        the names of ``RANGES``; number and length of the doubtful slices, which are
        excluded from all means; the volume, which includes them, also per millimeter of the
        centerline. Volume, area and their intervals are those of `measure_whole`. Where no slice
        counts there is the volume alone.

    Notes
    -----
    A range is measured where a slice of every level in it is there and the cord goes on above and
    below: cut off by the field of view its volume would say nothing.
    """
    rows = [_total_row(slices, ALL)]
    if "vertebral_level" in slices:
        level = pd.to_numeric(slices["vertebral_level"], errors="coerce")
        for name, (first, last) in RANGES.items():
            if set(range(first - 1, last + 2)) <= set(level.dropna()):
                rows.append(_total_row(slices[level.between(first, last)], name))
    return pd.concat(rows, ignore_index=True)


def _total_row(slices: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one row for all these slices."""
    total = summarise(slices.assign(vertebral_level=name), "vertebral_level").reindex([0])
    total = total.assign(vertebral_level=name, slices=int(is_averaged(slices).sum()))
    doubtful = is_true(slices["doubtful"])
    total["doubtful_slices"] = int(doubtful.sum())
    total["doubtful_mm"] = float(slices["length_mm"][doubtful].sum())
    volume, area = measure_whole(slices)
    for columns, found in ((VOLUME, volume), (("area_mm2", *INTERVALS["area_mm2"]), area)):
        total[list(columns)] = found.value, found.lower, found.upper
    total[PER_MM] = volume.value / float(slices["length_mm"].sum())
    return total
