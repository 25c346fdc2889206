"""What the columns of the table of lumbar structures mean; see `columns`."""

LUMBAR_COLUMNS: dict[str, tuple[str, str | None, dict[str, str] | None]] = {
    "level": (
        "the two vertebrae of the disc, counted from the sacrum as if there were five free lumbar "
        "vertebrae; n/a where the sacrum is not in view or a transitional vertebra is likely",
        None,
        None,
    ),
    "level_probability": (
        "share of people in whom counting from the sacrum is right; not measured in this image",
        None,
        None,
    ),
    "disc_height_mm": ("mean height of the disc between the middles of its end plates", "mm", None),
    "disc_signal_ratio": (
        "mean T2w signal of the disc over the median of the spinal cavity within 5 mm of it",
        None,
        None,
    ),
    "canal_area_mm2": (
        "area of the spinal cavity across the spine, mean within 5 mm of the disc",
        "mm2",
        None,
    ),
    "fat_percent": (
        "intramuscular fat over muscle and intramuscular fat together",
        "percent",
        None,
    ),
}
