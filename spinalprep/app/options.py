"""The fields of a dataclass as options: what each one reads, and how it is shown."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from spinalprep.errors import UsageError
from spinalprep.flags import Flag, absolute, whole

READERS: dict[Any, Callable[[str], Any]] = {str: str, int: whole, Path: absolute}


@dataclass(frozen=True)
class Option:
    """A field, its flag and its type.

    Attributes
    ----------
    key : str
        Name of the field.
    flag : Flag
        What was declared.
    kind : {"switch", "count", "one", "many", "pairs"}
        A bool, a number of times, one value, a tuple, or a dict of ``NAME=VALUE``.
    read : callable
        Turns a word into a value (for ``pairs``, into name and value).
    choices : tuple of str
        Words that are allowed; empty for any.
    default : object
        Value where nothing is given; None where it is made at that moment, or has to be given.
    """

    key: str
    flag: Flag
    kind: Literal["switch", "count", "one", "many", "pairs"]
    read: Callable[[str], Any]
    choices: tuple[str, ...]
    default: Any

    @property
    def name(self) -> str:
        """Word of the flag, without hyphens before; ``no-...`` where it switches off."""
        name = self.flag.name or self.key.replace("_", "-")
        return f"no-{name}" if self.kind == "switch" and self.default else name

    @property
    def help(self) -> str:
        """What it does, its default, and what of it is not available yet."""
        notes = []
        default = self.flag.default_text or _in_words(self.default)
        if default and self.kind not in ("switch", "count"):
            notes.append(f"default: {default}")
        if self.flag.not_yet:
            notes.append(f"{', '.join(map(str, self.flag.not_yet))}: not available yet")
        text = f"{self.flag.text} ({'; '.join(notes)})" if notes else self.flag.text
        return text.replace("%", "%%")  # argparse fills in names there

    @property
    def listed(self) -> bool:
        """Whether one word may hold several values: labels and known words, no free text."""
        return self.kind == "many" and (bool(self.choices) or self.read is not str)

    def collect(self, values: Any) -> Any:
        """Return what was read, word by word, as the field holds it.

        Raises
        ------
        UsageError
            If a name is given two values.
        """
        if self.kind == "pairs":
            pairs = dict(values)
            if twice := [name for name, value in values if pairs[name] != value]:
                raise UsageError(f"--{self.name} gives {twice[0]} two values; expected one")
            return pairs
        return tuple(values) if self.kind == "many" else values

    def is_refused(self, value: object) -> bool:
        """Tell whether a value that was asked for is not available yet."""
        return value in self.flag.not_yet


def options_of(declared: type) -> tuple[Option, ...]:
    """Return the options of a dataclass, in the order of its fields.

    Raises
    ------
    TypeError
        If a field has no `Flag`.
    """
    hints = get_type_hints(declared)
    return tuple(_option(item, hints[item.name]) for item in fields(declared))


def _option(item: "Field[Any]", hint: Any) -> Option:
    said = item.metadata.get("flag")
    if not isinstance(said, Flag):
        raise TypeError(f"the field {item.name} has no flag")
    kind, single = _kind(hint)
    default = None if item.default is MISSING else item.default
    if said.counted:
        kind = "count"
    choices = get_args(single) if get_origin(single) is Literal else ()
    read = said.read or READERS.get(single, str)
    return Option(item.name, said, kind, read, choices, default)


def _kind(hint: Any) -> tuple[Any, Any]:
    """Return the kind of a type, and the type of one value."""
    arguments = get_args(hint)
    if hint is bool:
        return "switch", bool
    if get_origin(hint) is tuple:
        return "many", arguments[0]
    if get_origin(hint) is dict:
        return "pairs", arguments[1]
    if NoneType in arguments:
        return "one", next(kind for kind in arguments if kind is not NoneType)
    return "one", hint


def _in_words(default: object) -> str:
    if default is None or default == ():
        return ""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
