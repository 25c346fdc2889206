"""Labeled datasets, and what is special about whom in them."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spinalprep.errors import InputError, UsageError
from spinalprep.training.material.cases import Case, find_cases
from spinalprep.training.packaged import packaged_datasets
from spinalprep.training.toml import from_table, read_toml

OWN_DIGITAL_PEOPLE = 4


@dataclass(frozen=True)
class Canal:
    """Where the canal is below a conus: there, no cord is.

    Attributes
    ----------
    image : str
        Name of the participant's image.
    points_mm : tuple of points
        Middle of the canal, RAS+ mm.
    """

    image: str
    points_mm: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Participant:
    """What is special about one participant of a dataset; nothing is of ordinary people.

    Attributes
    ----------
    person : str, optional
        Whose scan it is, where one person has several labels.
    loose_masks : bool
        Its masks lie inside the edge that its images show: it is shown recoloured only, so that
        the mask is the edge.
    automatic_cord : bool
        Nobody drew its cord; that of the packaged networks stands in where usual sections teach.
    hides_levels : bool
        In its axial stack no vertebral level can be told.
    canal : Canal, optional
        Where there is no cord.
    """

    person: str | None = None
    loose_masks: bool = False
    automatic_cord: bool = False
    hides_levels: bool = False
    canal: Canal | None = None


ORDINARY = Participant()


@dataclass(frozen=True)
class TemplateFolders:
    """A template that is taught beside people.

    Attributes
    ----------
    name : str
        Of the template, and of its files.
    folder, small : Path
        Where its full maps are, and those at half the resolution with the T2w contrast.
    loose_masks : bool
        See `Participant`.
    """

    name: str
    folder: Path
    small: Path
    loose_masks: bool = False


@dataclass(frozen=True)
class LabelledDataset:
    """A labeled BIDS dataset to train on.

    Attributes
    ----------
    bids_dir : Path
        The raw dataset.
    name : str
        As in its ``dataset_description.json``; empty where that says none.
    labels : Path, optional
        Folder of labels; ``derivatives/labels`` of the dataset.
    label_values : mapping of str to int
        Value of a structure in labels of several classes, see `find_cases`.
    participants : mapping
        What is special about whom, by label without ``sub-``.
    lesion_free : bool
        Whether it is known of everybody that there is no lesion.
    digital_people : int
        How many are taught beside.
    template : TemplateFolders, optional
        A template that is taught beside.
    sources, licence, limits : str
        What a model card says of the data.
    beside : LabelledDataset, optional
        Another dataset that is taught, too.
    """

    bids_dir: Path
    name: str = ""
    labels: Path | None = None
    label_values: Mapping[str, int] = field(default_factory=dict)
    participants: Mapping[str, Participant] = field(default_factory=dict)
    lesion_free: bool = False
    digital_people: int = OWN_DIGITAL_PEOPLE
    template: TemplateFolders | None = None
    sources: str = "the user's own labels, and synthetic subjects"
    licence: str = "that of the user's own data"
    limits: str = "subjects and scanners of one dataset; evaluate it on held-out subjects"
    beside: "LabelledDataset | None" = None

    @property
    def parts(self) -> "tuple[LabelledDataset, ...]":
        """Return this dataset and those that are taught beside it."""
        return (self, *(self.beside.parts if self.beside is not None else ()))

    @property
    def templates(self) -> tuple[TemplateFolders, ...]:
        """Return the templates of all parts."""
        return tuple(part.template for part in self.parts if part.template is not None)

    @property
    def persons(self) -> dict[str, str]:
        """Person of every participant whose label is not the person."""
        told = ((label, special.person) for label, special in self.participants.items())
        return {label: person for label, person in told if person is not None}

    def cases(self, participants: Sequence[str] | None = None) -> list[Case]:
        """Return its images that have labels, maybe of some alone; see `find_cases`."""
        return find_cases(self.bids_dir, self.labels, self.persons, participants, self.label_values)

    def special(self, participant: str) -> Participant:
        """Return what is special about a participant."""
        return self.participants.get(participant, ORDINARY)

    def which(self, fact: str) -> Iterator[tuple[str, Participant]]:
        """Yield label and facts of the participants of whom a fact is told, in their order."""
        for label, special in sorted(self.participants.items()):
            if getattr(special, fact):
                yield label, special


def user_dataset(
    bids_dir: Path,
    labels: Path | None = None,
    persons: Mapping[str, str] | None = None,
    values: Mapping[str, int] | None = None,
) -> LabelledDataset:
    """Return a user's dataset, in which everybody is an ordinary person.

    Parameters
    ----------
    bids_dir, labels
        See `LabelledDataset`.
    persons : mapping, optional
        Person of a participant's label, where the label is not the person.
    values : mapping of str to int, optional
        Value of a structure in labels of several classes, see `find_cases`.
    """
    special = {label: Participant(person=person) for label, person in (persons or {}).items()}
    name = dataset_name(bids_dir)
    return LabelledDataset(bids_dir, name, labels, values or {}, special)


def dataset_name(bids_dir: Path) -> str:
    """Return what a dataset calls itself; empty where it does not."""
    try:
        told: dict[str, Any] = json.loads((bids_dir / "dataset_description.json").read_text())
        return str(told.get("Name", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def described_dataset(description: str, root: Path) -> LabelledDataset:
    """Return a dataset by its description.

    Parameters
    ----------
    description : str
        Name of a packaged one (``development``), or the path of a TOML file: the names of
        `LabelledDataset`, ``[template]`` for `TemplateFolders`, ``[participants.LABEL]`` for
        `Participant`; ``beside`` is another description.
    root : Path
        Folders in the description are relative to it.

    Raises
    ------
    InputError
        If the dataset is not in ``root``.
    UsageError
        If there is no such description, it says what none has, or is taught beside itself.
    """
    return _described_dataset(description, root, ())


def _described_dataset(description: str, root: Path, above: tuple[str, ...]) -> LabelledDataset:
    """Return a dataset by its description, ``above`` are those that it is taught beside."""
    if description in above:
        raise UsageError(f"{description}: is taught beside itself; expected another dataset")
    path = Path(description) if description.endswith(".toml") else _packaged(description)
    dataset, beside = _described(path)
    dataset = replace(dataset, bids_dir=root / dataset.bids_dir)
    if not dataset.bids_dir.is_dir():
        raise InputError(f"{dataset.bids_dir} is missing; give the folder with --shared")
    if beside is not None:
        other = _described_dataset(beside, root, (*above, description))
        dataset = replace(dataset, beside=other)
    if dataset.labels is not None:
        dataset = replace(dataset, labels=root / dataset.labels)
    if dataset.template is not None:
        folders = replace(
            dataset.template,
            folder=root / dataset.template.folder,
            small=root / dataset.template.small,
        )
        dataset = replace(dataset, template=folders)
    return dataset


def _packaged(name: str) -> Path:
    known = packaged_datasets()
    if name not in known:
        raise UsageError(
            f"no description of dataset {name!r}; expected {', '.join(known)}, or .toml"
        )
    return known[name]


def packaged_persons(names: Collection[str]) -> dict[str, str]:
    """Return whose every visit is, by the packaged descriptions of datasets of these names."""
    described = (_described(path)[0] for path in packaged_datasets().values())
    return {
        label: person
        for dataset in described
        if dataset.name in names
        for label, person in dataset.persons.items()
    }


def _described(path: Path) -> tuple[LabelledDataset, str | None]:
    """Return a dataset, and the description of the one that is taught beside it."""
    table = read_toml(path)
    beside = table.pop("beside", None)
    if not isinstance(beside, str | None):
        raise UsageError(f"{path}: beside: expected the name of a description")
    return from_table(LabelledDataset, table, str(path)), beside
