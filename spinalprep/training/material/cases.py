"""Labeled images: which a dataset has, and whose they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from spinalprep.bids.labels import list_labels
from spinalprep.bids.lookups import label_value
from spinalprep.bids.names import ImageName, image_stem
from spinalprep.errors import NoInputError, UsageError
from spinalprep.image import Image
from spinalprep.image.drawn import read_drawn

STRUCTURES = ("cord", "gm", "lesion")


@dataclass(frozen=True)
class Case:
    """A raw image and what a person drew in it; ``values`` as in `find_cases`."""

    image: Path
    person: str
    truth: Mapping[str, Path]
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def participant(self) -> str:
        """Label of the participant, without ``sub-``."""
        return ImageName.of(self.image.name).participant

    def read(self, role: str, image: Image) -> Image:
        """Return what was drawn of a structure, shares from 0 to 1, by the rule of the App.

        Parameters
        ----------
        role : str
            One of those of ``truth``.
        image : Image
            The image, LAS.

        Raises
        ------
        InputError
            If the label can't be read, lies on another grid, or has several classes and nothing
            says which one is meant.
        """
        path = self.truth[role]
        return read_drawn(path, image, role, label_value(path, role, self.values))


def find_cases(
    bids_dir: Path,
    labels: Path | None = None,
    persons: Mapping[str, str] | None = None,
    participants: Sequence[str] | None = None,
    values: Mapping[str, int] | None = None,
) -> list[Case]:
    """Find the images of a dataset in which a person drew cord, gray matter or lesions.

    Parameters
    ----------
    bids_dir : Path
        The raw dataset.
    labels : Path, optional
        Folder of labels; ``derivatives/labels`` of the dataset.
    persons : mapping, optional
        Person of a participant's label, where the label is not the person.
    participants : sequence of str, optional
        These alone, with or without ``sub-``.
    values : mapping of str to int, optional
        Value of a structure in labels of several classes without a look-up table.

    Raises
    ------
    NoInputError
        If there is no label of an image that is there.
    """
    folder = labels or bids_dir / "derivatives" / "labels"
    wanted = {label.removeprefix("sub-") for label in participants or ()}
    cases = []
    for image in sorted(bids_dir.glob("sub-*/**/anat/sub-*.nii*")):
        label = ImageName.of(image.name).participant
        truth = _labels_of(folder / image.relative_to(bids_dir).parent, image_stem(image))
        if truth and (not wanted or label in wanted):
            cases.append(Case(image, (persons or {}).get(label, label), truth, values or {}))
    if not cases:
        raise NoInputError(
            f"{folder} has no label of an image of {bids_dir}; "
            "expected sub-*/anat/<image>_seg-manual.nii.gz and the like"
        )
    return cases


def read_persons(bids_dir: Path, column: str | None, given: list[str]) -> dict[str, str]:
    """Return the person of every participant that is named otherwise.

    Parameters
    ----------
    bids_dir : Path
        Its ``participants.tsv`` is read if there is a column.
    column : str or None
        Column that names the person.
    given : list of str
        ``PARTICIPANT=PERSON``, over the column.
    """
    persons: dict[str, str] = {}
    if column is not None:
        path = bids_dir / "participants.tsv"
        table = pd.read_csv(path, sep="\t", dtype=str) if path.is_file() else pd.DataFrame()
        if column not in table:
            raise UsageError(f"{path} has no column {column}; got {', '.join(table.columns)}")
        known = table[table[column].notna()]
        labels = known["participant_id"].str.removeprefix("sub-")
        persons.update(zip(labels, known[column], strict=True))
    for pair in given:
        label, equals, person = pair.partition("=")
        if not equals or not label or not person:
            raise UsageError(f"--same-person {pair}: expected PARTICIPANT=PERSON")
        persons[label.removeprefix("sub-")] = person.removeprefix("sub-")
    return persons


def _labels_of(place: Path, stem: str) -> dict[str, Path]:
    """Return the labels of an image by role; the first of a role wins.

    Labels are named after the image or as derivatives of it are (``space-T2w``).
    """
    head, _, contrast = stem.rpartition("_")
    found: dict[str, Path] = {}
    for role, path in list_labels(place, stem, f"{head}_space-{contrast}"):
        if role in STRUCTURES:
            found.setdefault(role, path)
    return found
