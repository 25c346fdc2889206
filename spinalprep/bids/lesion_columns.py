"""What the columns that say how well images show a lesion mean; see `columns`."""

LESION_COLUMNS: dict[str, tuple[str, str | None, dict[str, str] | None]] = {
    "contrast_share": (
        "intensity of the lesion minus that of the same in-plane positions in the 12 mm of "
        "cord above and below, as a fraction of the difference between cord and CSF; positive "
        "towards CSF",
        None,
        None,
    ),
    "contrast_z": (
        "the same in (robust) standard deviations of what the same shape shows elsewhere in "
        "the cord; n/a if too little cord is in view",
        None,
        None,
    ),
    "contrast_to_noise": ("the same in standard deviations of the noise", None, None),
    "seen_in": (
        "where images were joined: those in which the lesion was called, the reference by its "
        "contrast; the evidence is that of the first",
        None,
        None,
    ),
    "not_seen_in": (
        "where images were joined: those that cover at least half of the lesion, in which it was "
        "not called",
        None,
        None,
    ),
}
