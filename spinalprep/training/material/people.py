"""Who is trained on, and who is left out: always whole people, never slices."""

from collections.abc import Iterable

from spinalprep.errors import UsageError

NOBODY = ("PAM50", "phantom")  # a template and digital persons: always trained on


def parse_people(words: Iterable[str]) -> tuple[str, ...]:
    """Return the people that are named, several per word with commas, with or without ``sub-``.

    Examples
    --------
    >>> parse_people(["9604,sub-t2", "unf01"])
    ('9604', 't2', 'unf01')
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
        A name may come several times; the template and digital persons are in no fold.
    fold, folds : int
        Which, from 1, and how many.

    Raises
    ------
    UsageError
        If there are fewer people than folds.

    Examples
    --------
    >>> people_of_fold(["b", "a", "PAM50", "c", "a"], 1, 2)
    ('a', 'c')
    """
    names = sorted({name for name in people if not name.startswith(NOBODY)})
    if len(names) < folds:
        raise UsageError(f"{folds} folds need as many people; there are {len(names)}")
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
            f"nobody here is called {', '.join(unknown)}; "
            f"expected some of {', '.join(sorted(known))}"
        )
