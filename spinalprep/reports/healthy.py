"""The cord of one person on the slices of PAM50, among healthy adults."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spinalprep.levels.discs import level_name, level_number
from spinalprep.normative.calibration import Calibration
from spinalprep.normative.table import EVERYBODY, Norms, Subject
from spinalprep.reports.pictures import HATCHED, to_uri
from spinalprep.tables import is_true

PANELS = {
    "area_mm2": ("area (mm$^2$)", "#c0392b"),
    "diameter_ap_mm": ("AP diameter (mm)", "#b9770e"),
    "diameter_rl_mm": ("RL diameter (mm)", "#2874a6"),
}
WORDS = {"F": "healthy women", "M": "healthy men", EVERYBODY: "all healthy adults"}
ROOM = 0.05  # share of the width that the name of a level needs


def healthy_plot(table: pd.DataFrame, norms: Norms, subject: Subject) -> str | None:
    """Draw area and diameters along PAM50 with the band of 95 % of healthy adults.

    Where the outline of the cord is doubtful the plot is hatched.

    Parameters
    ----------
    table : DataFrame
        A row per slice of PAM50, as the participant level writes it.
    norms : Norms
    subject : Subject
        The band is that of the subject's sex where age and sex fit, else that of all adults.

    Returns
    -------
    picture : str or None
        A ``data:`` address; None where no slice has a known level and healthy people.
    """
    known = table.dropna(subset=["vertebral_level"])
    whose = norms.whose(subject)
    k = known["template_slice"].to_numpy(int)
    if not np.isin(k, norms.along("area_mm2", whose).index).any():
        return None
    figure = Figure(figsize=(12, 4.4))
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
    places = (grid[:, 0], grid[0, 1], grid[1, 1])
    for place, (measure, (label, colour)) in zip(places, PANELS.items(), strict=True):
        axis = figure.add_subplot(place)
        rows = norms.band(measure, whose).reindex(k)
        axis.fill_between(k, rows["lower"], rows["upper"], color="#27ae60", alpha=0.18, lw=0)
        axis.plot(k, rows["mean"], color="#27ae60", lw=0.8)
        axis.plot(k, known[measure], color=colour, lw=1.6)
        if f"{measure}_lower" in known:
            ends = (known[f"{measure}_lower"], known[f"{measure}_upper"])
            axis.fill_between(k, *ends, color=colour, alpha=0.2, lw=0)
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.fill_between(
            k, 0, 1, is_true(known["doubtful"]), transform=axis.get_xaxis_transform(), **HATCHED
        )
        axis.set_xlim(k.max() + 1, k.min() - 1)
        axis.spines[["top", "right"]].set_visible(False)
        _name_levels(axis, known)
    figure.supxlabel("slice of PAM50, superior to the left", fontsize=9)
    figure.tight_layout()
    return to_uri(figure, dpi=90)


def healthy_caption(norms: Norms, subject: Subject, uncalibrated: str = "") -> str:
    """Return whose band is drawn, in whose masks, and why not that of the subject's own sex.

    ``uncalibrated`` says why these masks are not comparable; empty where they are.
    """
    whose = norms.whose(subject)
    rows = norms.along("area_mm2", whose)
    ages = f"{rows['age_min'].min():.0f} to {rows['age_max'].max():.0f}"
    masks = (
        "It was measured in masks of another kind and is not comparable with those of this image."
        if uncalibrated
        else "It is calibrated for the masks of this image."
    )
    band = (
        f"Band: range of 95 % of {WORDS[whose]} aged {ages} (at most {rows['n'].max()} subjects). "
        f"{masks}"
    )
    if whose != EVERYBODY:
        return band
    if subject.sex is None or subject.age is None:
        why = "participants.tsv lacks age or sex"
    else:
        why = f"the age of {subject.age:g} is outside this range"
    return f"{band} All adults are shown, and there are no z-scores, because {why}."


def calibration_note(calibration: Calibration, uncalibrated: str) -> str:
    """Return how z-scores and band were calibrated, or why there are no z-scores.

    Parameters
    ----------
    calibration : Calibration
    uncalibrated : str
        Why it is not that of the masks; empty where it is.
    """
    reference = (
        "The reference (Valosek et al. 2024) is based on masks of the Spinal Cord Toolbox in T2w "
        "images"
    )
    if uncalibrated:
        return f"No z-scores: {uncalibrated}. {reference}; other masks have an offset."
    rows = calibration.table[calibration.table["measure"] == "area_mm2"]
    spread = 100 * rows[rows["usable"]]["spread"]
    lacking = ", ".join(level_name(n) for n in rows[~rows["usable"]]["vertebral_level"])
    network = calibration.network
    return (
        f"{reference}. z-scores and band are calibrated: the offset at each level was measured in "
        f"{calibration.people} subjects with both kinds of masks ({calibration.made}, network "
        f"{network['name']} {network['version']}) and is corrected. For any other subject it is "
        f"uncertain by {spread.min():.0f} to {spread.max():.0f} % of the area (SD), which z-scores "
        "and band include. All were scanned on one scanner; the offset on others is not known."
        f"{f' No z-score of the area at {lacking}.' if lacking else ''}"
    )


def _name_levels(axis, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    """Write the name of each level at its middle where there is room, with a line above it."""
    groups = table.groupby("vertebral_level")["template_slice"]
    for level in sorted(groups.groups, key=level_number):
        slices = groups.get_group(level)
        axis.axvline(slices.max() + 0.5, color="grey", lw=0.3)
        if np.ptp(slices) > ROOM * np.ptp(table["template_slice"]):
            axis.text(np.mean(slices), 0, str(level), ha="center", va="bottom", fontsize=8)
