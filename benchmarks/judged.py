"""What a prediction of a labeled image is worth, against everything that people said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from predictions import Prediction

from spinalprep.bids.names import ImageName
from spinalprep.image.sanity import conform_label
from spinalprep.levels.discs import level_number
from spinalprep.training.evaluation.metrics import overlap_measures, surface_distances

ENDINGS = {"cord": ("seg-manual", "label-SC_seg"), "gm": ("gmseg-manual",)}
WRONG_MM = 9.0  # along the scanner's axis: half a vertebra
MARKS = (("levels.tsv", "vertebra", 0.5), ("discs-by-eye.tsv", "disc", 0.0))


@dataclass(frozen=True)
class Figure:
    """One measure of one image.

    Attributes
    ----------
    dataset, site, contrast : str
    person : str
        Whoever was scanned, under however many ids.
    image : str
        Name of the file.
    measure : str
    value : float
    """

    dataset: str
    site: str
    contrast: str
    person: str
    image: str
    measure: str
    value: float


def judge_image(path: Path, found: Prediction, people: Mapping[str, str]) -> Iterator[Figure]:
    """Yield every measure for which there is a label; all people are healthy.

    Parameters
    ----------
    path : Path
        An image of a BIDS dataset whose labels are in ``derivatives/labels``.
    found : Prediction
    people : mapping of str to str
        Who is meant by a participant label, where it is another word.
    """
    label = path.parents[1].name.removeprefix("sub-")
    dataset = path.parents[2]
    facts = dataset.name, site_of(dataset, label), ImageName.of(path.name).contrast
    for measure, value in _measures(path, found):
        yield Figure(*facts, people.get(label, label), path.name, measure, value)


def site_of(dataset: Path, label: str) -> str:
    """Return the site that participants.tsv tells; else whence the image is, else the dataset."""
    people = pd.read_csv(dataset / "participants.tsv", sep="\t").set_index("participant_id")
    row = people.loc[f"sub-{label}"]
    known = [str(row[name]) for name in ("site", "source") if isinstance(row.get(name), str)]
    return next((word for word in known if word != "n/a"), dataset.name)


def label_of(path: Path, role: str) -> Path | None:
    """Return the label of an image, or None."""
    folder = path.parents[2] / "derivatives" / "labels" / path.parents[1].name / "anat"
    stem = path.name.removesuffix(".nii.gz")
    files = [folder / f"{stem}_{ending}.nii.gz" for ending in ENDINGS[role]]
    return next((file for file in files if file.is_file()), None)


def _measures(path: Path, found: Prediction) -> Iterator[tuple[str, float]]:
    """Yield name and value of each measure."""
    masks = {
        "cord": found.cord.data > 0.5,
        "gm": found.grey_matter.data > 0.5 if found.grey_matter is not None else None,
    }
    for role, mask in masks.items():
        file = label_of(path, role)
        if file is None or mask is None:
            continue
        truth = conform_label(file, found.cord).data > 0.5
        drawn = truth.any(axis=(0, 1))
        pair = mask[:, :, drawn], truth[:, :, drawn]
        overlap = overlap_measures(*pair)
        yield f"{role} Dice", overlap["dice"]
        yield f"{role} volume, found over drawn", 1.0 + overlap["relative_volume_difference"]
        apart = surface_distances(*pair, found.cord.voxel_sizes)
        yield f"{role} surface distance (mm)", apart["surface_mm"]
    if found.lesions is not None:
        volume = float((found.lesions.data > 0).sum() * found.lesions.voxel_volume)
        yield "false lesion volume (mm3)", volume
    yield from _level_errors(path, found)


def _level_errors(path: Path, found: Prediction) -> Iterator[tuple[str, float]]:
    """Yield whether levels are known where people marked some, and how far each mark is off."""
    folder, contrast = path.parents[2] / "derivatives" / "labels", ImageName.of(path.name).contrast
    sections = found.sections.dropna(subset=["level_at"]).sort_values("level_at")
    told = False
    for name, column, shift in MARKS:
        if not (folder / name).is_file():
            continue
        marks = pd.read_csv(folder / name, sep="\t")
        own = (marks["participant_id"] == path.parents[1].name) & (marks["contrast"] == contrast)
        for _, mark in marks[own].iterrows():
            if not told:
                yield "levels known (share)", float(len(sections) > 0)
                told = True
            if len(sections) == 0:
                continue
            place = level_number(str(mark[column]).rpartition("/")[2]) + shift
            z = np.interp(place, sections["level_at"], sections["z_mm"], left=np.nan, right=np.nan)
            error = abs(float(z) - float(mark["z_mm"]))
            if np.isfinite(error):
                yield f"{column}: height off (mm)", error
                yield f"{column}: wrong level (share)", float(error > WRONG_MM)


def main() -> None:
    """Tell what to run: this script only serves others."""
    raise SystemExit("run benchmarks/left_out.py")


if __name__ == "__main__":
    main()
