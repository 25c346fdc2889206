"""The cord of one person on the slices of PAM50, among healthy adults."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.levels.discs import level_name, level_number
from spinalprep.normative.calibration import Calibration
from spinalprep.normative.table import EVERYBODY, Norms, Subject
from spinalprep.reports import charts
from spinalprep.reports.charts import Panel
from spinalprep.reports.pictures import DOUBT
from spinalprep.tables import is_true

PANELS = {
    "area_mm2": ("area (mm²)", "#c0392b"),
    "diameter_ap_mm": ("AP diameter (mm)", "#b9770e"),
    "diameter_rl_mm": ("RL diameter (mm)", "#2874a6"),
}
HEALTHY = "#27ae60"
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
    boxes = ((70.0, 12.0, 560.0, 320.0), (710.0, 12.0, 350.0, 140.0), (710.0, 192.0, 350.0, 140.0))
    panels = []
    for box, (measure, (label, colour)) in zip(boxes, PANELS.items(), strict=True):
        band = norms.band(measure, whose).reindex(k)
        names = (measure, f"{measure}_lower", f"{measure}_upper")
        own = [known[name].to_numpy(float) for name in names if name in known]
        top = 1.08 * charts.top_of(band["upper"], *own)
        panel = Panel(box, (float(k.max() + 1), float(k.min() - 1)), (0.0, top))
        _name_levels(panel, known)
        panel.band(k, band["lower"], band["upper"], HEALTHY, 0.18)
        panel.line(k, band["mean"], HEALTHY, 1.0)
        panel.line(k, own[0], colour, 2.0)
        if len(own) == 3:
            panel.band(k, own[1], own[2], colour, 0.2)
        for slices in _neighbors(np.sort(k[is_true(known["doubtful"])])):
            panel.hatch((slices.min() - 0.5, slices.max() + 0.5), DOUBT)
        panel.axes(label)
        panels.append(panel)
    beside = [charts.words(540, 384, "slice of PAM50, superior to the left")]
    return charts.chart(1080, 396, panels, beside)


def _neighbors(slices: NDArray[np.int_]) -> list[NDArray[np.int_]]:
    """Return runs of neighboring slices."""
    runs = np.split(slices, np.flatnonzero(np.diff(slices) > 1) + 1)
    return [run for run in runs if len(run)]


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


def _name_levels(panel: Panel, table: pd.DataFrame) -> None:
    """Write the name of each level at its middle where there is room, with a line above it."""
    groups = table.groupby("vertebral_level")["template_slice"]
    for level in sorted(groups.groups, key=level_number):
        slices = groups.get_group(level)
        panel.rule(slices.max() + 0.5)
        if np.ptp(slices) > ROOM * np.ptp(table["template_slice"]):
            panel.name(float(np.mean(slices)), str(level))
