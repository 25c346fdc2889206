"""Tables by region, short enough to be read on a page."""

from typing import Any

import pandas as pd

from spinalprep.reports.tables import Rows, known_rows, short

ALL = "all"
LESION_COLUMNS = {
    "lesion": "lesion",
    "vertebral_level": "level",
    "column": "column",
    "volume_mm3": "volume (mm3)",
    "length_mm": "length (mm)",
    "max_equivalent_diameter_mm": "largest diameter (mm)",
    "max_axial_damage_ratio": "largest fraction of a section",
    "bridge_ventral_mm": "ventral bridge (mm)",
    "bridge_dorsal_mm": "dorsal bridge (mm)",
    "distance_c1_mm": "from top of C1 (mm)",
    "contrast_share": "contrast (CSF is 1)",
    "contrast_to_noise": "contrast to noise",
    "seen_in": "seen in",
    "not_seen_in": "covered, not seen in",
}
METRIC_COLUMNS = {
    "region": "region",
    "volume_mm3": "volume (mm3)",
    "known_percent": "known (%)",
    "metric_wa": "weighted mean",
    "metric_median": "median",
    "metric_ml": "maximum likelihood",
    "metric_ml_error": "its error",
    "metric_map": "a posteriori",
}
WIDE = ("cord", "tissue", "column")


def lesion_rows(table: pd.DataFrame | None) -> Rows:
    """Return the main measures of every lesion as short text."""
    return known_rows(table, LESION_COLUMNS)


def lesion_shares(table: pd.DataFrame | None) -> Rows:
    """Return how much of every column is lesion in percent, a row per level with a lesion.

    Parameters
    ----------
    table : DataFrame or None
        ``label-lesion_desc-perregion_morph``.
    """
    if table is None or table["lesion_mm3"].sum() <= 0:
        return []
    kept = table[(table["lesion"].astype(str) == ALL) & (table["side"] == "both")]
    return _levels(kept, "percent_of_region", lambda row: float(row["cord"]) > 0)


def refused_note(totals: pd.DataFrame | None) -> str:
    """Return a sentence on candidates of the network that the image does not support.

    Parameters
    ----------
    totals : DataFrame or None
        ``label-lesion_desc-total_morph``.
    """
    if totals is None or not int(totals["refused_lesions"].iloc[0]):
        return ""
    count, volume = int(totals["refused_lesions"].iloc[0]), float(totals["refused_mm3"].iloc[0])
    many = "One candidate" if count == 1 else f"{count} candidates"
    were = "was" if count == 1 else "were"
    return (
        f"{many} of the network ({volume:.0f} mm³) {were} rejected: "
        "their contrast with the cord above and below does not exceed the noise."
    )


def metric_rows(table: pd.DataFrame) -> tuple[Rows, Rows]:
    """Return a metric's estimates of the whole image, and by level, as short text.

    Parameters
    ----------
    table : DataFrame
        A ``_metric.tsv``.
    """
    kept = table[(table["side"] == "both") & table["kind"].isin(WIDE)]
    whole = kept[kept["vertebral_level"] == ALL]
    return known_rows(whole, METRIC_COLUMNS), _levels(kept, "metric_map", lambda row: True)


def _levels(table: pd.DataFrame, value: str, keep: Any) -> Rows:
    """Return one value of every wide region, a row per level."""
    table = table[table["kind"].isin(WIDE) & table["vertebral_level"].notna()]
    names = list(dict.fromkeys(table["region"]))
    rows = []
    for level, group in table.groupby("vertebral_level", sort=False):
        cells = dict(zip(group["region"], group[value], strict=True))
        if level != ALL and keep(cells):
            rows.append({"level": str(level), **{name: short(cells.get(name)) for name in names}})
    return rows
