"""Words of a command line, spelled out so that argparse reads them as they were meant."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spinalprep.app.options import Option

SEPARATORS = re.compile(r"[,\s]+")
LEVELS = ("participant", "group")
POSITIONALS = 3  # BIDS_DIR OUT_DIR LEVEL
ONE_VALUE = ("--config-file",)  # no field of the settings


@dataclass
class _Group:
    """A flag with its values, or words that belong to no flag."""

    words: list[str]
    option: Option | None = None
    values: list[str] = field(default_factory=list)


def spell_out(words: Sequence[str], options: Iterable[Option]) -> list[str]:
    """Return the words with every value of a flag that takes several tied to its flag.

    A flag that takes several values would take the folders behind it as well: where folders and
    level are missing elsewhere, the last words up to the level are these. A flag that may stand
    alone gets its value, so that it never takes the next word.

    Examples
    --------
    >>> from spinalprep.app.options import options_of
    >>> from spinalprep.settings import Settings
    >>> line = "--session-label 1,2 in out participant --clean-workdir --skip n4"
    >>> print(*spell_out(line.split(), options_of(Settings)))
    --session-label=1 --session-label=2 in out participant --clean-workdir=first --skip=n4
    """
    groups = _groups(words, {f"--{one.name}": one for one in options})
    found = sum(not word.startswith("-") for one in groups if not one.option for word in one.words)
    _give_back(groups, POSITIONALS - found)
    return [word for group in groups for word in group.words]


def split_listed(option: Option, value: str) -> list[str]:
    """Return the values in one word: ``01,02`` and ``"01 02"`` are two of a flag that is listed."""
    parts = [part for part in SEPARATORS.split(value) if part] if option.listed else []
    return parts or [value]


def _groups(words: Sequence[str], flags: dict[str, Option]) -> list[_Group]:
    rest, groups = list(words), []
    while rest:
        word = rest.pop(0)
        if word == "--":
            groups.append(_Group([word, *rest]))
            break
        name, tied, value = word.partition("=")
        option = _option(name, flags)
        if option is None or option.kind in ("switch", "count"):
            one = name in ONE_VALUE and not tied and rest
            groups.append(_Group([word]))
            if one:
                groups[-1] = _Group([f"{word}={rest.pop(0)}"])
        elif tied:
            groups.append(_tied(option, [value]))
        else:
            groups.append(_with_values(word, option, rest))
    return groups


def _with_values(word: str, option: Option, rest: list[str]) -> _Group:
    """Take the values of a flag from the words behind it."""
    if option.flag.bare:
        taken = rest and rest[0] in option.choices
        return _Group([f"{word}={rest.pop(0) if taken else option.flag.bare}"])
    several = option.kind != "one" and not option.flag.one_each
    values: list[str] = []
    while rest and not rest[0].startswith("-") and (several or not values):
        values.append(rest.pop(0))
    if option.kind == "one" or not values:
        return _Group([word, *values], option)
    return _tied(option, values)


def _tied(option: Option, values: list[str]) -> _Group:
    parts = [part for value in values for part in split_listed(option, value)]
    return _Group([f"--{option.name}={part}" for part in parts], option, values)


def _option(name: str, flags: dict[str, Option]) -> Option | None:
    """Return the option of a flag, which may be short or abbreviated."""
    if name in flags:
        return flags[name]
    if name.startswith("--"):
        meant = [option for flag, option in flags.items() if flag.startswith(name)]
        return meant[0] if len(meant) == 1 else None
    short = (option for option in flags.values() if option.flag.short == name)
    return next(short, None) if name.startswith("-") else None


def _give_back(groups: list[_Group], missing: int) -> None:
    """Give the positional arguments back that a flag has taken."""
    for group in reversed(groups):
        if group.option and missing > 0 and group.values[-1:] and group.values[-1] in LEVELS:
            if len(group.values) > missing:
                back = group.values[-missing:]
                group.words = _tied(group.option, group.values[:-missing]).words + back
            return
