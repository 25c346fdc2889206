"""The normative table, and how far a person is from it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spinalprep.cord.compression import compression_along
from spinalprep.tables import is_true, read_table

Array = NDArray[np.float64]

SHIPPED = Path(__file__).parents[1] / "data" / "normative" / "healthy-adults_PAM50.tsv.gz"
EVERYBODY = "all"
MEASURES = ("area_mm2", "diameter_ap_mm", "diameter_rl_mm", "compression_ratio")
Z_COLUMNS = {name: f"{name.removesuffix('_mm2').removesuffix('_mm')}_z" for name in MEASURES}
LOGARITHMIC = MEASURES[:3]  # sizes are skewed to the large, their logarithms hardly
LEAST_SHARE = 0.5  # of the slices of a level that must be seen
NORMAL_95 = 1.96


@dataclass(frozen=True)
class Subject:
    """Whose cord it is; None where it is not known.

    Attributes
    ----------
    age : float or None
        Years.
    sex : str or None
        ``F`` or ``M``.
    """

    age: float | None = None
    sex: str | None = None


@dataclass(frozen=True)
class Norms:
    """Healthy adults on the slices of PAM50 and per vertebral level.

    Attributes
    ----------
    table : DataFrame
        As `build.build_table` returns it.
    """

    table: pd.DataFrame

    def along(self, measure: str, sex: str = EVERYBODY) -> pd.DataFrame:
        """Return the rows per slice of one measure, indexed by ``template_slice``."""
        rows = self._rows(measure, sex)
        rows = rows[rows["template_slice"].notna()]
        return rows.set_index(rows["template_slice"].astype(int))

    def of_levels(self, measure: str, sex: str = EVERYBODY) -> pd.DataFrame:
        """Return the rows per level of one measure, indexed by ``vertebral_level``."""
        rows = self._rows(measure, sex)
        return rows[rows["template_slice"].isna()].set_index("vertebral_level")

    def band(self, measure: str, sex: str = EVERYBODY) -> pd.DataFrame:
        """Return ``lower``, ``mean`` and ``upper`` of 95 % of people, by ``template_slice``."""
        rows = self.along(measure, sex)
        middle, half = to_scale(measure, rows["mean"]), NORMAL_95 * rows["sd"].to_numpy()
        ends = {"lower": middle - half, "mean": middle, "upper": middle + half}
        values = {name: from_scale(measure, end) for name, end in ends.items()}
        return pd.DataFrame(values, index=rows.index)

    def whose(self, subject: Subject) -> str:
        """Return a subject's sex where people of that sex and age are in the table, else all."""
        sex = subject.sex or EVERYBODY
        return sex if fits(self.along(MEASURES[0], sex), subject).any() else EVERYBODY

    def _rows(self, measure: str, sex: str) -> pd.DataFrame:
        return self.table[(self.table["measure"] == measure) & (self.table["sex"] == sex)]


@cache
def load_norms(path: Path = SHIPPED) -> Norms:
    """Return the table that ships with the package, or another of its kind."""
    return Norms(read_table(path))


def to_scale(measure: str, values: ArrayLike) -> Array:
    """Return a measure on the scale on which healthy people are spread: sizes as logarithms."""
    found = np.asarray(values, np.float64)
    if measure not in LOGARITHMIC:
        return found
    return np.asarray(np.log(np.where(found > 0, found, np.nan)))


def from_scale(measure: str, values: ArrayLike) -> Array:
    """Return a measure from that scale."""
    found = np.asarray(values, np.float64)
    return np.asarray(np.exp(found)) if measure in LOGARITHMIC else found


def fits(norms: pd.DataFrame, subject: Subject) -> NDArray[np.bool_]:
    """Tell which rows of one sex hold people of a subject's age; none where it is not known."""
    if subject.age is None:
        return np.zeros(len(norms), bool)
    inside = (norms["age_min"] <= subject.age) & (subject.age <= norms["age_max"])
    return np.asarray(inside, bool)


def score_slices(table: pd.DataFrame, norms: Norms, subject: Subject) -> pd.DataFrame:
    """Add how far the sections of a person are from healthy people of the same sex.

    Parameters
    ----------
    table : DataFrame
        A row per slice of PAM50: ``template_slice``, ``vertebral_level`` (NaN where it is not
        known), ``doubtful`` and the measures.
    norms : Norms
    subject : Subject

    Returns
    -------
    table : DataFrame
        With the columns `Z_COLUMNS`: standard deviations above (below: negative) the mean; of
        sizes, of their logarithm. NaN where the outline is doubtful, where sex, age or level is
        not known, the age is beyond the people's, or too few of them show the slice.

    Notes
    -----
    The standard deviation is that of a person at a site that is not among the norms'. The areas
    of the norms are the Spinal Cord Toolbox's; what another segmentation measures differs by an
    offset that is not taken out here.
    """
    known = table["vertebral_level"].notna() & ~is_true(table["doubtful"])
    scored = table.copy()
    for measure, column in Z_COLUMNS.items():
        scored[column] = np.nan
        if subject.sex is None or measure not in table:
            continue
        rows = norms.along(measure, subject.sex)
        rows = rows[fits(rows, subject)].reindex(table["template_slice"].astype(int))
        apart = to_scale(measure, table[measure]) - to_scale(measure, rows["mean"])
        z = apart / rows["sd"].to_numpy()
        scored[column] = np.where(known, z, np.nan)
    return scored


def normalise_compression(table: pd.DataFrame, norms: Norms) -> pd.DataFrame:
    """Add ``mscc_norm_percent``: the compression of the cord as if healthy cords were even.

    Each front-back diameter is divided by the mean of healthy people at its slice before it is
    held against the cord above and below (`cord.compression.compression_along`), so that the
    narrowing below the cervical enlargement is no compression.

    Parameters
    ----------
    table : DataFrame
        As for `score_slices`, superior first, with ``s_mm`` on the person's centerline.
    norms : Norms
    """
    mean = (
        norms.along("diameter_ap_mm")["mean"]
        .reindex(table["template_slice"].astype(int))
        .to_numpy()
    )
    s = table["s_mm"].to_numpy(float)
    length = np.gradient(s) if len(s) > 1 else np.zeros(len(s))
    relative = table["diameter_ap_mm"].to_numpy(float) / mean
    relative[table["vertebral_level"].isna() | is_true(table["doubtful"])] = np.nan
    return table.assign(mscc_norm_percent=compression_along(s, relative, length))


def score_levels(
    summary: pd.DataFrame, perslice: pd.DataFrame, norms: Norms, subject: Subject
) -> pd.DataFrame:
    """Add how far each vertebral level of a person is from healthy people of the same sex.

    Parameters
    ----------
    summary : DataFrame
        A row per level: ``vertebral_level`` as a number.
    perslice : DataFrame
        The sections of the person's own image that count in means: ``level_at``, n at disc n and
        n + 0.5 in mid-body, NaN where it is not known, and the measures.
    norms : Norms
    subject : Subject

    Returns
    -------
    summary : DataFrame
        With the columns `Z_COLUMNS`. The sections are laid on the slices of PAM50 by their place
        between the discs, as those of the norms were; the difference to the norms is averaged
        over the slices that are seen, and divided by the standard deviation of the level's mean.
        NaN where less than half of a level is seen, and as in `score_slices`.
    """
    own = perslice[perslice["level_at"].notna()].sort_values("level_at")
    scored = summary.copy()
    for measure, column in Z_COLUMNS.items():
        scored[column] = np.nan
        if subject.sex is None or measure not in own or len(own) < 2:
            continue
        places, levels = norms.along(measure, subject.sex), norms.of_levels(measure, subject.sex)
        usable = levels[fits(levels, subject)]
        at, values = own["level_at"].to_numpy(float), to_scale(measure, own[measure])
        middle = pd.Series(to_scale(measure, places["mean"]), index=places.index)
        z = {}
        for n in usable.index:
            of_level = middle[places["vertebral_level"] == n]
            z[n] = _level_z(at, values, of_level, int(n), usable["sd"][n])
        scored[column] = [z.get(n, np.nan) for n in summary["vertebral_level"]]
    return scored


def _level_z(
    level_at: Array, values: Array, middle: "pd.Series[float]", level: int, sd: float
) -> float:
    """Return the mean difference to the norms over the slices of one level, in its SD."""
    norm = middle.sort_index(ascending=False).to_numpy(float)
    at = level + (np.arange(len(norm)) + 0.5) / max(len(norm), 1)
    found = np.interp(at, level_at, values, left=np.nan, right=np.nan)
    seen = np.isfinite(found)
    if not len(norm) or seen.mean() < LEAST_SHARE:
        return float("nan")
    return float(np.mean((found - norm)[seen]) / sd)
