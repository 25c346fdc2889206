"""Tables of a page: short text in columns that a reader can name."""

from collections.abc import Mapping

import pandas as pd

SHAPE_COLUMNS = {
    "vertebral_level": "level",
    "slices": "slices",
    "length_mm": "length (mm)",
    "area_mm2": "area (mm2)",
    "area_z": "area z",
    "diameter_ap_mm": "AP diameter (mm)",
    "diameter_ap_z": "AP z",
    "diameter_rl_mm": "RL diameter (mm)",
    "diameter_rl_z": "RL z",
    "compression_ratio": "AP / RL",
    "volume_mm3": "volume (mm3)",
    "volume_mm3_per_mm": "volume / mm",
    "mscc_percent": "MSCC (%)",
    "solidity": "solidity",
    "symmetry_rl": "symmetry",
    "gm_area_mm2": "gray matter (mm2)",
    "gm_ratio": "gray matter / cord",
}
VOLUMES = (SHAPE_COLUMNS["volume_mm3"], SHAPE_COLUMNS["volume_mm3_per_mm"])
GATE_WORDS = {
    "dice_template": "Dice of the cord with the template's cord",
    "disc_residual_mm": "distance between given discs or hint and detected discs",
    "jacobian_min": (
        "smallest Jacobian determinant of the transform to the template; below 0: folding"
    ),
    "area_jump": "fastest change of area along the cord, mm² per mm",
    "area_norm": (
        "largest excess of area over healthy adults at its level, in standard deviations; a check "
        "for gross errors, also made where the image allows no z-scores"
    ),
    "area_norm_low": (
        "largest deficit of area relative to healthy adults at its level, in standard deviations; "
        "like area_norm"
    ),
    "edge": (
        "fraction of the outline with a visible edge, in the 10 mm of cord where it is smallest"
    ),
    "cauda_mm": (
        "length of cord that looks like cauda equina or CSF; n/a: the reference is not T2w, or its "
        "cord was drawn"
    ),
    "coverage": (
        "fraction of the slices between the ends of the cord in which the mask contains cord"
    ),
    "doubtful_mm": (
        "length of cord with a doubtful outline near its ends, excluded from all means"
    ),
    "coreg_gain": (
        "smallest gain in similarity from co-registration; n/a: no other contrast, "
        "or aligned by the headers"
    ),
    "lesion_outside_cord": "fraction of lesion voxels outside the cord",
    "components": "connected components of the cord mask",
    "level_confidence": "probability that the vertebral levels are correct; 0: unknown",
}

Rows = list[dict[str, str]]


def shape_rows(table: pd.DataFrame | None) -> Rows:
    """Return the cord per level and as a whole, areas and diameters with their intervals.

    Parameters
    ----------
    table : DataFrame or None
        Rows of ``perlevel_morph`` and ``total_morph``.
    """
    rows = known_rows(table, SHAPE_COLUMNS)
    for row in rows:  # single levels have no volume: nothing is missing there
        row |= {name: "" for name in VOLUMES if row.get(name) == "n/a"}
    for name in ("area_mm2", "diameter_ap_mm", "diameter_rl_mm"):
        if table is None or f"{name}_lower" not in table:
            continue
        ends = table[[f"{name}_lower", f"{name}_upper"]].to_numpy(float)
        for row, (low, high) in zip(rows, ends, strict=True):
            if low < high and SHAPE_COLUMNS[name] in row:
                row[SHAPE_COLUMNS[name]] += f" [{short(low, even=True)}, {short(high, even=True)}]"
    return rows


def gate_rows(table: pd.DataFrame | None, level_source: str = "") -> Rows:
    """Return every gate as short text; there is nothing to do where one passes.

    Parameters
    ----------
    table : DataFrame or None
        ``desc-auto_qc``.
    level_source : str
        What the levels follow from, named beside their gate.
    """
    if table is None:
        return []
    words = dict(GATE_WORDS)
    if level_source:
        words["level_confidence"] += f"; here: {level_source}"
    return [
        {
            "gate": str(row["metric"]),
            "what it is": words.get(str(row["metric"]), ""),
            "value": short(row["value"]),
            "limit": short(row["threshold"]),
            "result": short(row["result"]),
            "what to do": "" if pd.isna(row["action"]) else str(row["action"]),
        }
        for row in table.to_dict("records")
    ]


def known_rows(table: pd.DataFrame | None, columns: Mapping[str, str]) -> Rows:
    """Return some columns of a table as short text; those that are nowhere known are left out."""
    if table is None:
        return []
    there = {name: title for name, title in columns.items() if name in table}
    shown = {name: title for name, title in there.items() if table[name].notna().any()}
    even = {name: has_fractions(table[name]) for name in shown}
    return [
        {title: short(row[name], even[name]) for name, title in shown.items()}
        for row in table.to_dict("records")
    ]


def has_fractions(values: "pd.Series[float]") -> bool:
    """Tell whether a column holds numbers that are not all whole."""
    known = values.dropna()
    return bool(pd.api.types.is_float_dtype(known) and (known % 1 != 0).any())


def short(value: object, even: bool = False) -> str:
    """Return a value as text of three digits; ``even`` keeps zeros at the end, as in 75.0.

    Examples
    --------
    >>> short(75.0), short(75.0, even=True), short(0.64, even=True), short(2415.2)
    ('75', '75.0', '0.640', '2415')
    """
    if value is None or pd.isna(value):
        return "n/a"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".") if even else f"{value:.3g}"
