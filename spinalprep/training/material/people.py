"""Who is trained on, and who is left out: always whole people, never slices."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import UsageError


class Kind(StrEnum):
    """What a piece of material shows, whatever its label is."""

    PERSON = "person"
    TEMPLATE = "template"
    DIGITAL = "digital"


class Owner(NamedTuple):
    """Whose a piece of material is; ``person`` is the name of a template if it shows one."""

    person: str
    kind: Kind


class Material(ABC):
    """What a network is taught on, in pieces of which each shows one person."""

    @abstractmethod
    def owners(self) -> list[Owner]:
        """Return whose each piece is."""

    @abstractmethod
    def take(self, kept: NDArray[np.intp]) -> Self:
        """Return these pieces alone, in this order."""

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who is shown, in the order of their names; no template, nobody digital."""
        return tuple(sorted({who.person for who in self.owners() if who.kind is Kind.PERSON}))

    @property
    def people_in_folds(self) -> tuple[str, ...]:
        """Those whom folds share out: everybody, unless a kind of material says otherwise."""
        return self.people

    def without(self, people: Iterable[str]) -> Self:
        """Return what shows anybody else, a template and synthetic subjects too."""
        return self.take(np.flatnonzero(~self._shows(people)))

    def only(self, people: Iterable[str]) -> Self:
        """Return what shows these people alone."""
        return self.take(np.flatnonzero(self._shows(people)))

    def of_kind(self, kind: Kind) -> NDArray[np.bool_]:
        """Tell of each piece whether it is of a kind."""
        return np.array([who.kind is kind for who in self.owners()], bool)

    def _shows(self, people: Iterable[str]) -> NDArray[np.bool_]:
        named = {Owner(name, Kind.PERSON) for name in people}
        return np.array([who in named for who in self.owners()], bool)

    def __len__(self) -> int:
        return len(self.owners())


def parse_people(words: Iterable[str]) -> tuple[str, ...]:
    """Return the people that are named, several per word with commas, with or without ``sub-``.

    Examples
    --------
    >>> parse_people(["a1,sub-a2", "b7"])
    ('a1', 'a2', 'b7')
    """
    names = (name.strip().removeprefix("sub-") for word in words for name in word.split(","))
    return tuple(dict.fromkeys(filter(None, names)))


def parse_fold(word: str) -> tuple[int, int]:
    """Return fold and number of folds of ``K/N``.

    Raises
    ------
    UsageError
        If it is not ``K/N`` with 1 <= K <= N and N at least 2.

    Examples
    --------
    >>> parse_fold("2/5")
    (2, 5)
    """
    fold, _, folds = word.partition("/")
    if not (fold.isdecimal() and folds.isdecimal() and 1 <= int(fold) <= int(folds) >= 2):
        raise UsageError(f"--fold {word}: expected K/N, 1 to N of at least 2 folds, such as 1/5")
    return int(fold), int(folds)


def people_of_fold(people: Iterable[str], fold: int, folds: int) -> tuple[str, ...]:
    """Return the people of a fold; every person is in one fold, and folds differ by one at most.

    Parameters
    ----------
    people : iterable of str
        A name may come several times.
    fold, folds : int
        Which, from 1, and how many.

    Raises
    ------
    UsageError
        If there are fewer people than folds.

    Examples
    --------
    >>> people_of_fold(["b", "a", "c", "a"], 1, 2)
    ('a', 'c')
    """
    names = sorted(set(people))
    if len(names) < folds:
        raise UsageError(f"{folds} folds need as many subjects; there are {len(names)}")
    return tuple(names[fold - 1 :: folds])


def check_people(named: Iterable[str], people: Iterable[str]) -> None:
    """Refuse a name that nobody has.

    Raises
    ------
    UsageError
        That says who there is.
    """
    known = set(people)
    unknown = sorted(set(named) - known)
    if unknown:
        raise UsageError(
            f"unknown subjects {', '.join(unknown)}; expected one or more of "
            f"{', '.join(sorted(known))}"
        )
