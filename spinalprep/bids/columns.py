"""What every column of every table means, in one place."""

from collections.abc import Iterable
from typing import Any

from spinalprep.bids.lesion_columns import LESION_COLUMNS
from spinalprep.bids.lumbar_columns import LUMBAR_COLUMNS
from spinalprep.bids.tumor_columns import TUMOR_COLUMNS

_METRIC_NOTE = "corrected for the tilt of the cord relative to the slice"
_INTERVAL_NOTE = (
    "+-1.96 standard deviations, from the partial volumes and, for automatic masks, the spread "
    "over augmented views and an edge error of a tenth of a pixel (0.15 at the sides of a "
    "diameter); chosen on synthetic subjects"
)
_GM_INTERVAL_NOTE = (
    "+-1.96 standard deviations, from the partial volumes and, for automatic masks, an edge "
    "error of a tenth of a pixel along the whole outline; raters differ by more"
)
_Z_NOTE = (
    "healthy adults of the same sex at this level (Valosek 2024; the spread includes "
    "differences between sites); n/a if sex, age or level is unknown, the age is outside the "
    "range of the reference (19 to 52 years), or the cord mask is not calibrated: the reference is "
    "based on masks of the Spinal Cord Toolbox in T2w images, from which other masks have an offset"
)
_Z_SCORES = {
    "area_z": "area",
    "diameter_ap_z": "anteroposterior diameter",
    "diameter_rl_z": "right-left diameter",
    "compression_ratio_z": "compression ratio",
}
_VERDICTS = {
    "PASS": "within the threshold",
    "WARN": "look at the report",
    "FAIL": "do not use without correction",
}
_SPARED = "spared tissue between the lesion and the"
_MISSED = "n/a if the lesion does not reach the plane"
_STATES = {
    "finished": "all outputs are written",
    "failed": "stopped at failed_node for the reason given",
    "skipped": "nothing to do",
    "interrupted": "stopped by the user or the system; the same command resumes",
}
_SOURCES = {"true": "drawn or corrected by a rater", "false": "automatic"}

# name: (description, unit or None, levels or None)
COLUMNS: dict[str, tuple[str, str | None, dict[str, str] | None]] = {
    "participant_id": ("participant, as in the folder names", None, None),
    "session_id": ("session, n/a if the dataset has none", None, None),
    "run": ("run of the reference image", None, None),
    "contrast": ("contrast of the measured image", None, None),
    "vertebral_level": (
        "vertebral level at this position, C1 to S5; n/a if unknown; all: all levels together",
        None,
        None,
    ),
    "slice": ("index along the third axis of the preprocessed image, 0 lowest", None, None),
    "template_slice": (
        "index along the third axis of the template, 0 lowest; values are interpolated between "
        "the slices of the image, whatever their thickness",
        None,
        None,
    ),
    "gm_area_mm2": (f"area of the gray matter, {_METRIC_NOTE}", "mm2", None),
    "gm_ratio": ("fraction of the cord's area that is gray matter", None, None),
    **{
        f"{name}_{end}": (f"{end} limit of the interval of {text}; {_GM_INTERVAL_NOTE}", unit, None)
        for name, text, unit in (
            ("gm_area_mm2", "the area of the gray matter", "mm2"),
            ("gm_ratio", "its fraction of the cord", None),
        )
        for end in ("lower", "upper")
    },
    "slices": ("number of slices averaged: complete and not doubtful", None, None),
    "area_mm2": (f"cross-sectional area, {_METRIC_NOTE}", "mm2", None),
    **{
        f"{name}_{end}": (
            f"{end} limit of the interval of the {text}; {_INTERVAL_NOTE}",
            unit,
            None,
        )
        for name, text, unit in (
            ("area_mm2", "area", "mm2"),
            ("diameter_ap_mm", "anteroposterior diameter", "mm"),
            ("diameter_rl_mm", "right-left diameter", "mm"),
        )
        for end in ("lower", "upper")
    },
    "diameter_ap_mm": ("anteroposterior diameter of the ellipse with equal moments", "mm", None),
    "diameter_rl_mm": ("right-left diameter of the ellipse with equal moments", "mm", None),
    "compression_ratio": (
        "anteroposterior over right-left diameter; lower is flatter",
        None,
        None,
    ),
    "mscc_percent": (
        "reduction of the anteroposterior diameter relative to the mean over 20 mm of cord, "
        "starting 10 mm above and below (MSCC, Miyanji 2007); per level the largest; 0 none, "
        "negative wider; n/a if less than half of either range is in view",
        "percent",
        None,
    ),
    "mscc_norm_percent": (
        "the same, each diameter first divided by that of healthy adults at its PAM50 slice",
        "percent",
        None,
    ),
    **{
        name: (f"{text}: standard deviations from the mean of {_Z_NOTE}", None, None)
        for name, text in _Z_SCORES.items()
    },
    "symmetry_rl": ("overlap (Dice) of the section with its right-left mirror image", None, None),
    "symmetry_ap": (
        "overlap (Dice) of the section with its anteroposterior mirror image",
        None,
        None,
    ),
    "eccentricity": ("eccentricity of that ellipse, 0 is a circle", None, None),
    "orientation_deg": (
        "angle between its axis nearest to right-left and that of the body, positive if the "
        "right end is turned anteriorly",
        "degree",
        None,
    ),
    "solidity": ("fraction of the convex hull that the section fills", None, None),
    "tilt_deg": ("angle between the cord and the normal of the slice", "degree", None),
    "doubtful": (
        "whether the outline of the cord, near its end, is doubtful: included in the mask, but "
        "excluded from means and z-scores; on template slices, whether any part of the value "
        "comes from such a slice; of a lesion, whether most of it lies in such slices; always "
        "false in manual masks",
        None,
        None,
    ),
    "doubtful_slices": ("slices in which the outline of the cord is doubtful", None, None),
    "doubtful_mm": ("length of the cord in these slices, along the centerline", "mm", None),
    "complete": ("whether the section is completely inside the field of view", None, None),
    "length_mm": ("length along the centerline", "mm", None),
    "s_mm": ("arc length from the upper end of the centerline", "mm", None),
    "x_mm": ("right position, scanner coordinates (RAS+)", "mm", None),
    "y_mm": ("anterior position, scanner coordinates (RAS+)", "mm", None),
    "z_mm": ("superior position, scanner coordinates (RAS+)", "mm", None),
    "tangent_x": ("tangent of the cord (downwards), right component", None, None),
    "tangent_y": ("tangent of the cord (downwards), anterior component", None, None),
    "tangent_z": ("tangent of the cord (downwards), superior component", None, None),
    "right_x": ("right axis of the cord, right component", None, None),
    "right_y": ("right axis of the cord, anterior component", None, None),
    "right_z": ("right axis of the cord, superior component", None, None),
    "anterior_x": ("anterior axis of the cord, right component", None, None),
    "anterior_y": ("anterior axis of the cord, anterior component", None, None),
    "anterior_z": ("anterior axis of the cord, superior component", None, None),
    "lesion": (
        "number of the lesion in seg-lesions_dseg, from the largest (1); all: all lesions together",
        None,
        None,
    ),
    "volume_mm3": ("volume", "mm3", None),
    "volume_mm3_lower": (
        "volume of the cord from the lower limits of the areas",
        "mm3",
        None,
    ),
    "volume_mm3_upper": (
        "volume of the cord from the upper limits of the areas",
        "mm3",
        None,
    ),
    "volume_mm3_per_mm": (
        "volume of the cord per millimeter along the centerline, doubtful slices included",
        "mm3/mm",
        None,
    ),
    "outside_mm3": ("lesion volume outside the cord", "mm3", None),
    "width_ap_mm": ("extent across the cord, anteroposterior", "mm", None),
    "width_rl_mm": ("extent across the cord, right-left", "mm", None),
    "max_equivalent_diameter_mm": (
        "diameter of a circle with the area of the largest section",
        "mm",
        None,
    ),
    "max_axial_damage_ratio": ("largest lesion fraction of a section of the cord", None, None),
    "midsagittal_length_mm": ("extent along the cord in the midsagittal plane", "mm", None),
    "midsagittal_width_mm": ("anteroposterior extent in the midsagittal plane", "mm", None),
    "midsagittal_spared_percent": (
        "smallest spared fraction of an anteroposterior line through the cord in the "
        f"midsagittal plane; 0 if the lesion reaches from edge to edge; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_ventral_mm": (
        f"narrowest {_SPARED} anterior edge of the cord, in the midsagittal plane; {_MISSED}",
        "mm",
        None,
    ),
    "bridge_dorsal_mm": (
        f"narrowest {_SPARED} posterior edge of the cord, in the midsagittal plane; {_MISSED}",
        "mm",
        None,
    ),
    "bridge_total_mm": (
        "sum of the narrowest ventral and dorsal bridges, which need not be at the same "
        f"height; {_MISSED}",
        "mm",
        None,
    ),
    "bridge_ventral_percent": (
        f"ventral share of that sum; n/a if it is 0; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_dorsal_percent": (
        f"dorsal share of that sum; n/a if it is 0; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_left_mm": (f"narrowest {_SPARED} left edge of the cord", "mm", None),
    "bridge_right_mm": (f"narrowest {_SPARED} right edge of the cord", "mm", None),
    "distance_c1_mm": (
        "distance of the lesion's center from the top of C1, along the cord; if C1 is out of "
        "view, by the spacings of the template; n/a if levels are unknown",
        "mm",
        None,
    ),
    "position_rl": (
        "center of the lesion in half-diameters of the cord: -1 left edge, 0 center, 1 right edge",
        None,
        None,
    ),
    "position_ap": (
        "center of the lesion in half-diameters of the cord: -1 posterior edge, 0 center, 1 "
        "anterior edge",
        None,
        None,
    ),
    "level_percent": ("fraction of the lesion at its vertebral level", "percent", None),
    "column": ("column, or gray matter, with the largest part of the lesion", None, None),
    "column_percent": ("fraction of the lesion in that column", "percent", None),
    **LESION_COLUMNS,
    **TUMOR_COLUMNS,
    **LUMBAR_COLUMNS,
    "refused_lesions": (
        "number of candidate lesions of the reference image rejected for lack of evidence",
        None,
        None,
    ),
    "refused_mm3": ("volume of these rejected candidate lesions", "mm3", None),
    "lesions": ("number of lesions", None, None),
    "largest_mm3": ("volume of the largest lesion", "mm3", None),
    "cord_mm3": ("volume of the segmented cord", "mm3", None),
    "percent_of_cord": ("fraction of the cord that is lesion", "percent", None),
    "voxels": (
        "sum of the region's partial volumes in voxels where the map has a value",
        None,
        None,
    ),
    "voxels_effective": ("effective number of voxels (Kish)", None, None),
    "known_percent": ("fraction of the region in which the map has a value", "percent", None),
    "zero_percent": ("of which the value is exactly 0", "percent", None),
    "metric_mean": ("mean over voxels that lie at least half in the region", None, None),
    "metric_median": ("median, voxels weighted by their partial volume in the region", None, None),
    "metric_wa": ("mean, voxels weighted by their partial volume in the region", None, None),
    "metric_wa_spread": ("standard deviation, voxels weighted likewise", None, None),
    "metric_ml": (
        "maximum likelihood (Gauss-Markov) estimate, which corrects for partial volume; n/a if "
        "the region is collinear with its neighbors",
        None,
        None,
    ),
    "metric_ml_error": ("its standard error, assuming independent voxels", None, None),
    "metric_map": (
        "maximum a posteriori estimate: as metric_ml, shrunk towards the mean of the tissue",
        None,
        None,
    ),
    "side": ("side of the body", None, {"both": "both", "left": "left", "right": "right"}),
    "percent_of_lesion": ("fraction of the lesion in the region", "percent", None),
    "percent_of_region": ("fraction of the region that is lesion", "percent", None),
    "index": ("value in the image", None, None),
    "name": ("meaning of the value", None, None),
    "abbreviation": ("short name", None, None),
    "metric": ("measured quantity", None, None),
    "value": ("result; n/a where it could not be measured", None, None),
    "threshold": ("FAIL threshold if the gate says FAIL, else WARN threshold", None, None),
    "verdict": ("verdict of the gate", None, _VERDICTS),
    "status": ("verdict of the gate", None, _VERDICTS),
    "result": ("verdict of the gate", None, _VERDICTS),
    "warn": ("threshold beyond which the gate says WARN", None, None),
    "fail": ("threshold beyond which the gate says FAIL", None, None),
    "action": ("recommended action", None, None),
    "manual": ("where the mask came from", None, _SOURCES),
    "state": ("how the last run ended", None, _STATES),
    "failed_node": ("task that failed", None, None),
    "reason": (
        "why; the first word is input:, memory:, time:, cancelled: or defect:",
        None,
        None,
    ),
    "wall_s": ("wall-clock time of the last run", "s", None),
    "peak_mib": ("peak memory of a task", "MiB", None),
    "cache_hits": ("tasks whose results were taken from the cache", None, None),
    "person_id": (
        "identity of the person: the participant, or the value of --person-column",
        None,
        None,
    ),
    "cohort": ("value of --cohort-column; all: all participants", None, None),
    "used": ("whether the image is included at the group level", None, None),
    "reason_left_out": ("why the image is not included at the group level", None, None),
    "level_source": ("source of the position along the template", None, None),
    "lesions_searched": (
        "whether lesions were segmented or drawn; if not, the image is in no lesion map",
        None,
        None,
    ),
    "lesions_manual": ("whether the lesions are manual", None, None),
    "covered_share": ("fraction of the template's cord that the image covers", None, None),
    "lesion_mm3_template": ("lesion volume on the template's cord", "mm3", None),
    "outside_mm3_template": ("lesion volume outside it, included in no map", "mm3", None),
    "levels": ("vertebral levels of the region", None, None),
    "kind": (
        "cord, column, tissue, tract, slice (of the template), unassigned (cord that the atlas "
        "does not cover) or outside (the cord)",
        None,
        None,
    ),
    "region": ("name of the region", None, None),
    "region_mm3": ("volume of the region; in group tables, in the template", "mm3", None),
    "region_mm3_image": ("volume of the region in the participant's own image", "mm3", None),
    "lesion_mm3_image": ("of which is lesion there", "mm3", None),
    "covered_mm3": ("of which the image covers", "mm3", None),
    "lesion_mm3": ("of which is lesion", "mm3", None),
    "occupancy": ("lesion over covered volume; n/a if less than a tenth is covered", None, None),
    "occupancy_mean": ("mean occupancy over participants", None, None),
    "occupancy_lower": ("lower limit of its 95 % bootstrap interval over participants", None, None),
    "occupancy_upper": ("upper limit of its 95 % bootstrap interval over participants", None, None),
    "people_with_lesion": ("participants with a lesion in the region", None, None),
    "people_share": ("their fraction of those who cover it", None, None),
    "people_share_lower": ("lower limit of its 95 % Wilson interval", None, None),
    "people_share_upper": ("upper limit of its 95 % Wilson interval", None, None),
    "comparison": ("comparison; the effect is the first minus the second", None, None),
    "measure": ("measured quantity; its name contains the unit", None, None),
    "n": ("number of participants", None, None),
    "n_a": ("of the first cohort", None, None),
    "n_b": ("of the second cohort", None, None),
    "changed": ("participants in this slice or the next one above, but not in both", None, None),
    "mean": ("mean over participants", None, None),
    "sd": ("standard deviation over participants", None, None),
    "lower": ("lower limit of Student's 95 % interval", None, None),
    "upper": ("upper limit of Student's 95 % interval", None, None),
    "t": ("Student's t", None, None),
    "df": ("its degrees of freedom", None, None),
    "effect": ("difference of means, or slope per unit of the covariate", None, None),
    "p_uncorrected": ("two-sided p of Student's t, for this row alone", None, None),
    "p_fwe": ("two-sided p by permutation, corrected for all rows of the measure", None, None),
    "desc_id": ("desc- entity of a file name", None, None),
    "description": ("what it means", None, None),
}
SPREAD = "_sd"
_UNITS = {"_mm": "mm", "_mm2": "mm2", "_mm3": "mm3", "_deg": "degree", "_s": "s", "_mib": "MiB"}


def describe_columns(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the data dictionary of a table.

    A column that is not in the table of this module is described by its name, with the unit
    that its ending says.

    Examples
    --------
    >>> describe_columns(["area_mm2_sd"])["area_mm2_sd"]["Units"]
    'mm2'
    """
    return {name: _describe(name) for name in names}


def _describe(name: str) -> dict[str, Any]:
    base = name.removesuffix(SPREAD)
    unit = next((unit for end, unit in _UNITS.items() if base.endswith(end)), None)
    text, unit, levels = COLUMNS.get(base, (base.replace("_", " "), unit, None))
    if base != name:
        text = f"standard deviation between slices of: {text}"
    entry: dict[str, Any] = {"Description": text}
    if unit is not None:
        entry["Units"] = unit
    if levels is not None:
        entry["Levels"] = levels
    return entry
