"""What the columns of the table of tumors mean; see `columns`."""

TUMOR_COLUMNS: dict[str, tuple[str, str | None, dict[str, str] | None]] = {
    "structure": (
        "tumor core, edema, liquid-filled cavity, or abnormality, the whole of them; by networks "
        "trained on synthetic tumors only, for research use; in seg-lumbar a lumbar structure, or "
        "one intervertebral disc",
        None,
        None,
    ),
    "parts": ("number of pieces that do not touch", None, None),
    "upper_level": ("vertebral level of the upper end; n/a where it is not known", None, None),
    "lower_level": ("vertebral level of the lower end; n/a where it is not known", None, None),
    "max_section_mm2": ("largest section in an axial slice, which column slice names", "mm2", None),
    "max_section_percent": (
        "share of the cord, with all that grows in it, in that slice",
        "percent",
        None,
    ),
    "enhancement_ratio": (
        "mean of the T1w image with gadolinium over that in the cord elsewhere; n/a without one",
        None,
        None,
    ),
}
