"""What every column of every table means, in one place."""

from collections.abc import Iterable
from typing import Any

_METRIC_NOTE = "corrected for the tilt of the cord against the slice"
_INTERVAL_NOTE = (
    "+-1.96 standard deviations, from the soft voxels and, in a network's cord, the spread of its "
    "views and an edge that is a tenth of a pixel off (0.15 at the sides of a diameter); set on "
    "digital persons, not on people"
)
_GM_INTERVAL_NOTE = (
    "+-1.96 standard deviations, from the soft voxels and, where a network found it, an edge that "
    "is a tenth of a pixel off along the whole outline; raters differ by more"
)
_Z_NOTE = (
    "healthy adults of the same sex at this level (Valosek 2024; sites counted in the spread); n/a "
    "where sex, age or level is not known or the age is beyond theirs (19 to 52 years). "
    "Uncalibrated: theirs are T2w images in masks of the Spinal Cord Toolbox; by how much this "
    "segmentation's masks differ from these is known for one image only"
)
_Z_SCORES = {
    "area_z": "area",
    "diameter_ap_z": "front-to-back diameter",
    "diameter_rl_z": "right-to-left diameter",
    "compression_ratio_z": "compression ratio",
}
_VERDICTS = {
    "PASS": "within the threshold",
    "WARN": "look at the report",
    "FAIL": "don't use without correction",
}
_SPARED = "spared tissue between the lesion and the"
_MISSED = "n/a where the lesion misses it"
_STATES = {
    "finished": "all outputs are written",
    "failed": "stopped at failed_node for the reason given",
    "skipped": "nothing to do",
    "interrupted": "stopped by the user or the system; the same command resumes",
}
_SOURCES = {"true": "drawn or corrected by a person", "false": "automatic"}

# name: (description, unit or None, levels or None)
COLUMNS: dict[str, tuple[str, str | None, dict[str, str] | None]] = {
    "participant_id": ("participant, as in the names of the folders", None, None),
    "session_id": ("session, n/a where the dataset has none", None, None),
    "run": ("run of the reference image", None, None),
    "contrast": ("contrast of the image that was measured", None, None),
    "vertebral_level": (
        "vertebral level at this place, C1 to S5; n/a where it is not known; all: every level "
        "together",
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
    "gm_area_mm2": (f"area of the grey matter, {_METRIC_NOTE}", "mm2", None),
    "gm_ratio": ("share of the cord's area that is grey matter", None, None),
    **{
        f"{name}_{end}": (f"{end} end of the interval of {text}; {_GM_INTERVAL_NOTE}", unit, None)
        for name, text, unit in (
            ("gm_area_mm2", "the area of the grey matter", "mm2"),
            ("gm_ratio", "its share of the cord", None),
        )
        for end in ("lower", "upper")
    },
    "slices": ("number of slices that were averaged: complete and not doubtful", None, None),
    "area_mm2": (f"cross-sectional area, {_METRIC_NOTE}", "mm2", None),
    **{
        f"{name}_{end}": (f"{end} end of the interval of the {text}; {_INTERVAL_NOTE}", unit, None)
        for name, text, unit in (
            ("area_mm2", "area", "mm2"),
            ("diameter_ap_mm", "front-to-back diameter", "mm"),
            ("diameter_rl_mm", "right-to-left diameter", "mm"),
        )
        for end in ("lower", "upper")
    },
    "diameter_ap_mm": ("front-to-back diameter of the ellipse of equal moments", "mm", None),
    "diameter_rl_mm": ("right-to-left diameter of the ellipse of equal moments", "mm", None),
    "compression_ratio": (
        "front-to-back over right-to-left diameter; lower is flatter",
        None,
        None,
    ),
    "mscc_percent": (
        "how much narrower from front to back than the mean over 20 mm of cord, 10 mm above and "
        "below on (MSCC, Miyanji 2007); per level the largest; 0 none, below 0 wider; n/a where "
        "less than half of either stretch is seen",
        "percent",
        None,
    ),
    "mscc_norm_percent": (
        "the same after the diameter was divided by that of healthy adults at its slice of PAM50",
        "percent",
        None,
    ),
    **{
        name: (f"{text}: standard deviations from the mean of {_Z_NOTE}", None, None)
        for name, text in _Z_SCORES.items()
    },
    "symmetry_rl": ("overlap (Dice) of the section with its right-left mirror image", None, None),
    "symmetry_ap": ("overlap (Dice) of the section with its front-back mirror image", None, None),
    "eccentricity": ("eccentricity of that ellipse, 0 is a circle", None, None),
    "orientation_deg": (
        "angle of its axis nearest to right-left against the body's, positive where the right "
        "end is turned to the front",
        "degree",
        None,
    ),
    "solidity": ("share of the convex hull that the section fills", None, None),
    "tilt_deg": ("angle between the cord and the normal of the slice", "degree", None),
    "doubtful": (
        "whether the outline of the cord is doubtful there, near its end: in the mask, but in no "
        "mean and no z-score; on the template's slices, whether any of the value comes from such "
        "a slice; of a lesion, whether most of it lies in such slices; false where a person drew "
        "the cord",
        None,
        None,
    ),
    "doubtful_slices": ("slices in which the outline of the cord is doubtful", None, None),
    "doubtful_mm": ("length of the cord in these, along the centerline", "mm", None),
    "complete": ("whether the section lies wholly in the field of view", None, None),
    "length_mm": ("length along the centerline", "mm", None),
    "s_mm": ("arc length from the upper end of the centerline", "mm", None),
    "x_mm": ("position to the right, scanner coordinates (RAS+)", "mm", None),
    "y_mm": ("position to the front, scanner coordinates (RAS+)", "mm", None),
    "z_mm": ("position upwards, scanner coordinates (RAS+)", "mm", None),
    "tangent_x": ("direction of the cord downwards, to the right", None, None),
    "tangent_y": ("direction of the cord downwards, to the front", None, None),
    "tangent_z": ("direction of the cord downwards, upwards", None, None),
    "right_x": ("the cord's own right, to the right", None, None),
    "right_y": ("the cord's own right, to the front", None, None),
    "right_z": ("the cord's own right, upwards", None, None),
    "anterior_x": ("the cord's own front, to the right", None, None),
    "anterior_y": ("the cord's own front, to the front", None, None),
    "anterior_z": ("the cord's own front, upwards", None, None),
    "lesion": (
        "number of the lesion in seg-lesions_dseg, 1 the largest; all: every lesion together",
        None,
        None,
    ),
    "volume_mm3": ("volume", "mm3", None),
    "volume_mm3_lower": (
        "volume of the cord by the lower ends of the areas' intervals",
        "mm3",
        None,
    ),
    "volume_mm3_upper": (
        "volume of the cord by the upper ends of the areas' intervals",
        "mm3",
        None,
    ),
    "outside_mm3": ("of which beyond the cord", "mm3", None),
    "width_ap_mm": ("extent across the cord, front to back", "mm", None),
    "width_rl_mm": ("extent across the cord, right to left", "mm", None),
    "max_equivalent_diameter_mm": ("diameter of the circle of the largest section", "mm", None),
    "max_axial_damage_ratio": ("largest share of a section of the cord", None, None),
    "midsagittal_length_mm": ("extent along the cord in the midsagittal plane", "mm", None),
    "midsagittal_width_mm": ("extent front to back in the midsagittal plane", "mm", None),
    "midsagittal_spared_percent": (
        "least share of a line through the cord, front to back in the midsagittal plane, that the "
        f"lesion spares; 0 where it reaches from edge to edge; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_ventral_mm": (
        f"narrowest {_SPARED} front edge of the cord, in the midsagittal plane; {_MISSED}",
        "mm",
        None,
    ),
    "bridge_dorsal_mm": (
        f"narrowest {_SPARED} back edge of the cord, in the midsagittal plane; {_MISSED}",
        "mm",
        None,
    ),
    "bridge_total_mm": (
        "sum of the narrowest bridges at front and back, which need not lie at one height; "
        f"{_MISSED}",
        "mm",
        None,
    ),
    "bridge_ventral_percent": (
        f"share of that sum at the front; n/a where it is 0; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_dorsal_percent": (
        f"share of that sum at the back; n/a where it is 0; {_MISSED}",
        "percent",
        None,
    ),
    "bridge_left_mm": (f"narrowest {_SPARED} left edge of the cord", "mm", None),
    "bridge_right_mm": (f"narrowest {_SPARED} right edge of the cord", "mm", None),
    "distance_c1_mm": (
        "centre of the lesion from the top of C1, along the cord; where C1 is out of view, by the "
        "template's spacings; n/a where levels are not known",
        "mm",
        None,
    ),
    "position_rl": (
        "centre of the lesion in half diameters of the cord: -1 left edge, 0 middle, 1 right edge",
        None,
        None,
    ),
    "position_ap": (
        "centre of the lesion in half diameters of the cord: -1 back edge, 0 middle, 1 front edge",
        None,
        None,
    ),
    "level_percent": ("share of the lesion at its vertebral level", "percent", None),
    "column": ("column, or grey matter, that holds most of the lesion", None, None),
    "column_percent": ("share of the lesion in it", "percent", None),
    "contrast_share": (
        "intensity of the lesion minus that of the same places of the cord in the 12 mm above and "
        "below, as a share of the step from the cord to its fluid; positive towards the fluid",
        None,
        None,
    ),
    "contrast_z": (
        "the same in (robust) standard deviations of what its shape shows elsewhere in the cord; "
        "n/a where too little of it is in view",
        None,
        None,
    ),
    "contrast_to_noise": ("the same in standard deviations of the noise", None, None),
    "refused_lesions": (
        "number of lesions that the network proposed and the image does not bear out",
        None,
        None,
    ),
    "refused_mm3": ("their volume", "mm3", None),
    "lesions": ("number of lesions", None, None),
    "largest_mm3": ("volume of the largest lesion", "mm3", None),
    "cord_mm3": ("volume of the cord that was found", "mm3", None),
    "percent_of_cord": ("share of the cord that is lesion", "percent", None),
    "voxels": ("sum of the region's shares of voxels in which the map is known", None, None),
    "voxels_effective": ("number of equal voxels that would average as well (Kish)", None, None),
    "known_percent": ("share of the region in which the map is known", "percent", None),
    "zero_percent": ("of which its value is exactly 0", "percent", None),
    "metric_mean": ("mean over voxels that lie at least half in the region", None, None),
    "metric_median": ("median, voxels weighted by their share of the region", None, None),
    "metric_wa": ("mean, voxels weighted by their share of the region", None, None),
    "metric_wa_spread": ("standard deviation, voxels weighted likewise", None, None),
    "metric_ml": (
        "maximum-likelihood (Gauss-Markov) estimate, which unmixes partial volumes; n/a where the "
        "region can't be told from its neighbours",
        None,
        None,
    ),
    "metric_ml_error": ("its standard error, voxels taken as independent", None, None),
    "metric_map": (
        "maximum a posteriori estimate: as metric_ml, drawn to the mean of the tissue",
        None,
        None,
    ),
    "side": ("side of the body", None, {"both": "both", "left": "left", "right": "right"}),
    "percent_of_lesion": ("share of the lesion that lies in the region", "percent", None),
    "percent_of_region": ("share of the region that is lesion", "percent", None),
    "index": ("value in the image", None, None),
    "name": ("what the value stands for", None, None),
    "abbreviation": ("short name", None, None),
    "metric": ("what was measured", None, None),
    "value": ("result; n/a where it could not be measured", None, None),
    "threshold": ("limit of FAIL where the gate says FAIL, else of WARN", None, None),
    "verdict": ("what the gate says", None, _VERDICTS),
    "status": ("what the gate says", None, _VERDICTS),
    "result": ("what the gate says", None, _VERDICTS),
    "warn": ("limit beyond which the gate says WARN", None, None),
    "fail": ("limit beyond which the gate says FAIL", None, None),
    "action": ("what to do about it", None, None),
    "manual": ("where the mask came from", None, _SOURCES),
    "state": ("how the last run ended", None, _STATES),
    "failed_node": ("task that failed", None, None),
    "reason": (
        "why; the first word is input:, memory:, time:, cancelled: or defect:",
        None,
        None,
    ),
    "wall_s": ("wall-clock time of the last run", "s", None),
    "peak_mib": ("largest memory of a task", "MiB", None),
    "cache_hits": ("tasks whose results were still valid and were not run again", None, None),
    "person_id": ("who it is: the participant, or what --person-column says", None, None),
    "cohort": ("value of --cohort-column; all stands for everybody", None, None),
    "used": ("whether the image counts at the group level", None, None),
    "reason_left_out": ("why it does not", None, None),
    "level_source": ("what the height in the template follows from", None, None),
    "lesions_manual": ("whether a person drew the lesions", None, None),
    "covered_share": ("share of the template's cord that the image covers", None, None),
    "lesion_mm3_template": ("lesion volume on the template's cord", "mm3", None),
    "outside_mm3_template": ("lesion volume beyond it, which counts in no map", "mm3", None),
    "levels": ("vertebral levels of the region", None, None),
    "kind": (
        "cord, column, tissue, tract, slice (of the template), unassigned (cord that the atlas "
        "does not reach) or outside (the cord)",
        None,
        None,
    ),
    "region": ("which of that kind", None, None),
    "region_mm3": ("volume of the region; in group tables, in the template", "mm3", None),
    "region_mm3_image": ("volume of the region in the person's own image", "mm3", None),
    "lesion_mm3_image": ("of which is lesion there", "mm3", None),
    "covered_mm3": ("of which the image covers", "mm3", None),
    "lesion_mm3": ("of which is lesion", "mm3", None),
    "occupancy": ("lesion over covered volume; n/a under a tenth covered", None, None),
    "occupancy_mean": ("mean occupancy over people", None, None),
    "occupancy_lower": ("lower end of its 95 % bootstrap interval over people", None, None),
    "occupancy_upper": ("upper end of its 95 % bootstrap interval over people", None, None),
    "people_with_lesion": ("people with a lesion in the region", None, None),
    "people_share": ("their share of those who cover it", None, None),
    "people_share_lower": ("lower end of its 95 % Wilson interval", None, None),
    "people_share_upper": ("upper end of its 95 % Wilson interval", None, None),
    "comparison": ("what is compared; the effect is the first minus the second", None, None),
    "measure": ("what is measured; the units are in its name", None, None),
    "n": ("number of people", None, None),
    "n_a": ("of the first cohort", None, None),
    "n_b": ("of the second cohort", None, None),
    "mean": ("mean over people", None, None),
    "sd": ("standard deviation over people", None, None),
    "lower": ("lower end of Student's 95 % interval", None, None),
    "upper": ("upper end of Student's 95 % interval", None, None),
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
    if name in _Z_SCORES:
        entry["Calibrated"] = False
    return entry
