"""From one row per image to means over people with intervals."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.training.evaluation.metrics import bootstrap_interval, correlation
from spinalprep.training.evaluation.predictions import MASKS
from spinalprep.training.evaluation.trained_on import UNKNOWN

COLUMNS = {
    "person_id": "person; several participants may be one person",
    "image": "the raw image",
    "contrast": "its suffix",
    "structure": "cord, gm (gray matter) or lesion",
    "trained_on": (
        "yes if the card of the weights names the person, and a dataset of this name "
        "or of none: not a measure of accuracy; n/a if the weights are not known"
    ),
    "answered": (
        "yes, or no: the folder has no automatic mask of this image, which is excluded "
        "from all means"
    ),
    "slices": "axial slices compared: those with a label; all slices for lesions",
    "truth_mm3": "volume of the manual mask",
    "found_mm3": "automatic volume in these slices",
    "beyond_mm3": "automatic volume in the other slices, which have no label",
    "dice": "Dice",
    "relative_volume_difference": "automatic over manual volume, minus one",
    "ppv": "fraction of automatic voxels that are labeled",
    "surface_mm": "average symmetric surface distance in mm",
    "surface95_mm": "larger 95th percentile of the two directed surface distances in mm",
    "calibration_error": (
        "expected calibration error of the probability in these slices, over "
        "voxels of at least 0.01 or labeled"
    ),
    "centerline_mm": "root mean square distance from the center of the manual cord mask in mm",
    "localisation": (
        "fraction of labeled slices in which the centerline is inside the manual cord mask"
    ),
    "lesion_sensitivity": (
        "fraction of labeled lesions of which a quarter of the voxels was found"
    ),
    "lesion_precision": (
        "fraction of detected lesions of which a quarter of the voxels is labeled"
    ),
    "slice_specificity": "fraction of slices without a labeled lesion in which none was found",
    "false_lesion_mm3": "lesion volume in an image with an empty lesion label",
    "seconds": "time of the networks",
    "peak_mib": "peak memory of the process while they ran, MiB (Linux; elsewhere so far)",
}
SUMMARY = {
    "structure": COLUMNS["structure"],
    "contrast": "suffix of the images, or all",
    "measure": (
        "as in evaluation.tsv; false_lesion_share is the fraction of lesion-free "
        "subjects with a detected lesion, volume_correlation is Pearson's r of manual "
        "and automatic volume over subjects"
    ),
    "people": "subjects with this measure, each counted once: the mean over their images",
    "trained_on": (
        "number of these subjects that the weights were trained on: if any, not a "
        "measure of accuracy; n/a if not known for all"
    ),
    "images": "their images",
    "mean": "mean over participants",
    "lower": (
        "lower limit of the 95 % bootstrap interval over participants; n/a for fewer than "
        "three subjects"
    ),
    "upper": "its upper limit",
    "median": "median over subjects",
    "worst": "the worst subject",
}
LOWER_IS_BETTER = (
    "surface_mm",
    "surface95_mm",
    "calibration_error",
    "centerline_mm",
    "false_lesion_mm3",
    "seconds",
    "peak_mib",
)
MEASURES = tuple(COLUMNS)[tuple(COLUMNS).index("dice") :]


def summarise(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the mean over people of every measure, by structure and contrast.

    Parameters
    ----------
    table : DataFrame
        The columns of ``COLUMNS``; rows that were not answered don't count.
    seed : int
        Of the bootstrap.
    """
    rows: list[dict[str, object]] = []
    there = table[table["answered"] == "yes"]
    for structure in [role for role in MASKS if role in set(there["structure"])]:
        part = there[there["structure"] == structure]
        contrasts = sorted(set(part["contrast"]))
        for contrast in ["all", *(contrasts if len(contrasts) > 1 else [])]:
            images = part if contrast == "all" else part[part["contrast"] == contrast]
            where = {"structure": structure, "contrast": contrast}
            rows += [where | row for row in _summary_rows(images, seed)]
    return pd.DataFrame(rows, columns=list(SUMMARY))


def format_summary(summary: pd.DataFrame) -> list[str]:
    """Return the summary as lines of equal width, people and images beside every number."""
    shown = summary.copy()
    shown["95 %"] = [
        f"{low:.3f} to {high:.3f}" if np.isfinite(low) else "n/a"
        for low, high in zip(shown.pop("lower"), shown.pop("upper"), strict=True)
    ]
    for name in ("mean", "median", "worst"):
        shown[name] = [f"{value:.3f}" if np.isfinite(value) else "n/a" for value in shown[name]]
    columns = [
        "structure",
        "contrast",
        "measure",
        "people",
        "trained_on",
        "images",
        "mean",
        "95 %",
        "median",
    ]
    lines: list[str] = shown[[*columns, "worst"]].to_string(index=False).splitlines()
    return lines


def _summary_rows(images: pd.DataFrame, seed: int) -> Iterator[dict[str, object]]:
    """Yield a record per measure."""
    for measure in MEASURES:
        known = images[images[measure].notna()]
        if known.empty:
            continue
        people = known.groupby("person_id")
        values = people[measure].mean().to_numpy(float)
        yield _describe(measure, values, seed) | _count(known)
        if measure == "false_lesion_mm3":
            any_found = (people[measure].max() > 0).to_numpy(float)
            yield _describe("false_lesion_share", any_found, seed) | _count(known)
    volumes = images.groupby("person_id")[["truth_mm3", "found_mm3"]].mean()
    r = correlation(*(volumes[name].to_numpy(float) for name in volumes.columns))
    if np.isfinite(r):
        yield {"measure": "volume_correlation", "mean": r, **_count(images)}


def _count(images: pd.DataFrame) -> dict[str, object]:
    """Return how many people and images, and how many of the people were trained on."""
    told = images.groupby("person_id")["trained_on"].max()  # n/a < no < yes
    known = not (images["trained_on"] == UNKNOWN).any()
    return {
        "people": len(told),
        "trained_on": int((told == "yes").sum()) if known else UNKNOWN,
        "images": len(images),
    }


def _describe(measure: str, values: NDArray[np.float64], seed: int) -> dict[str, object]:
    lower, upper = bootstrap_interval(values, seed)
    if measure == "relative_volume_difference":
        worst = values[np.abs(values).argmax()]
    else:
        high = measure in LOWER_IS_BETTER or measure == "false_lesion_share"
        worst = values.max() if high else values.min()
    return {
        "measure": measure,
        "mean": float(values.mean()),
        "lower": lower,
        "upper": upper,
        "median": float(np.median(values)),
        "worst": float(worst),
    }
