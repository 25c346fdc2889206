"""What remains of people once they have been read, one at a time."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import Tally
from spinalprep.group.occupancy import measure_occupancy
from spinalprep.group.regions import Regions


@dataclass(frozen=True)
class Masks:
    """The masks of N people on V voxels, on disk.

    Attributes
    ----------
    lesions, searched : memmap of uint8, shape (N, V)
        As of `Observation`.
    """

    lesions: NDArray[np.uint8]
    searched: NDArray[np.uint8]

    @classmethod
    def on_disk(cls, folder: Path, people: int, size: int) -> "Masks":
        """Return empty masks in files without a name: they are this run's, and go with it."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(_unnamed(folder, (people, size)), _unnamed(folder, (people, size)))


@dataclass(frozen=True)
class Sums:
    """What remains of the people once they have been read.

    Attributes
    ----------
    tallies : dict of str to Tally
        By the names of groups of people.
    occupancy : list of DataFrame
        One per person, see `measure_occupancy`.
    facts : DataFrame
        A row per person: ``covered_share``, ``lesion_mm3_template``, ``outside_mm3_template``.
    """

    tallies: dict[str, Tally]
    occupancy: list[pd.DataFrame] = field(default_factory=list)
    facts: pd.DataFrame = field(default_factory=pd.DataFrame)

    def values(self, column: str) -> NDArray[np.float64]:
        """Return a column of the occupancy of everybody, shape (N, R)."""
        return np.stack([own[column].to_numpy(float) for own in self.occupancy])


def accumulate(
    people: Iterable[Observation],
    domain: Domain,
    regions: Regions,
    groups: Mapping[str, NDArray[np.intp]],
    masks: Masks | None = None,
) -> Sums:
    """Sum people up, one at a time.

    Parameters
    ----------
    people : iterable of Observation
        In the order that the groups count.
    domain : Domain
        The template's cord.
    regions : Regions
        Where occupancy is measured.
    groups : mapping of str to ndarray of int
        Which people are summed together.
    masks : Masks, optional
        Are filled with the people's, for statistics.
    """
    tallies = {name: Tally.empty(domain.size) for name in groups}
    occupancy, facts = [], []
    for n, person in enumerate(people):
        for name, rows in groups.items():
            if n in rows:
                tallies[name].add(person)
        occupancy.append(measure_occupancy(regions, person))
        facts.append(
            {
                "covered_share": float(person.covered.mean()),
                "lesion_mm3_template": _volume(person, domain),
                "outside_mm3_template": person.outside_mm3,
            }
        )
        if masks is not None:
            masks.lesions[n], masks.searched[n] = person.lesions_seen, person.searched
    return Sums(tallies, occupancy, pd.DataFrame(facts))


def _volume(person: Observation, domain: Domain) -> float:
    """Return the lesion volume in mm3, NaN where nobody looked for lesions."""
    if person.lesion is None:
        return float("nan")
    return float(person.lesion.sum()) * domain.voxel_mm3


def _unnamed(folder: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".masks-") as stream:
        return np.memmap(stream, np.uint8, "w+", shape=shape)
