"""Flags: what a user says about a field of the settings, and words turned into values.

The standard library alone: the command line is read before anything heavy is imported.
"""

import math
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinalprep.defaults import CONTRASTS

CLASSES = ("cord", "gm", "lesion")  # structures that a label of several classes may show
LEAST_MEGABYTES = 1000.0  # a bare number from here on is MB, as SLURM counts; below it is GB
MEMORY = re.compile(r"(\d*\.?\d+|\d+\.|\d+\.?\d*e[+-]?\d+)\s*(?:([KMGT])(I?)B?)?", re.IGNORECASE)
LARGEST_BYTES = 1_000_000  # of a file of settings; ten thousand excluded people have 0.4 MB
LARGEST_SEED = 2**31 - 1
POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class Flag:
    """What a user reads and writes about a field.

    Attributes
    ----------
    group : str
        Heading in the help; empty for a positional argument.
    text : str
        What it does.
    name : str
        Without the leading hyphens; empty: the field's own, with hyphens.
    short : str
        Form of one letter, with its hyphen.
    metavar : str
        Stands for the value in the help.
    default_text : str
        The default in words, where its value says too little.
    read : callable or None
        Turns a word into a value (for a dict, into name and value); None: as the field's type says.
    write : callable or None
        Turns a value into a word that `read` takes; None: the value itself.
    one_each : bool
        A tuple or dict takes one word each time that the flag is given, not several at once.
    counted : bool
        A number of times that the flag is given, without a value.
    bare : str
        The value of the flag alone, where it may stand without one.
    not_yet : tuple
        Values that are refused for the time being.
    """

    group: str
    text: str
    name: str = ""
    short: str = ""
    metavar: str = ""
    default_text: str = ""
    read: Callable[[str], Any] | None = None
    write: Callable[[Any], str] | None = None
    one_each: bool = False
    counted: bool = False
    bare: str = ""
    not_yet: tuple[object, ...] = ()


def read_settings_text(path: Path) -> str:
    """Return the text of a file that a flag names: UTF-8, with or without a byte order mark.

    Raises
    ------
    OSError, ValueError
        If it can't be read, is larger than 1 MB, or is no UTF-8.
    """
    with path.open("rb") as stream:  # a pipe (``<(...)``) has no size
        content = stream.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES / 1e6:g} MB")
    return content.decode("utf-8-sig")


def flag(group: str, text: str, **more: Any) -> dict[str, Flag]:
    """Return the metadata of a field that is a flag; ``more`` are attributes of `Flag`."""
    return {"flag": Flag(group, text, **more)}


def argument(text: str) -> dict[str, Flag]:
    """Return the metadata of a field that is a positional argument."""
    return {"flag": Flag("", text)}


def absolute(text: str) -> Path:
    """Read a path; ``~`` and what is relative are resolved, links are kept."""
    return Path(os.path.abspath(os.path.expanduser(text)))


def label(text: str) -> str:
    """Drop the ``sub-`` or ``ses-`` that people paste."""
    name = text.removeprefix("sub-").removeprefix("ses-").strip(" ,")
    if not name:
        raise ArgumentTypeError(f"{text!r} is not a label")
    return name


def named_path(text: str) -> tuple[str, Path]:
    """Read ``NAME=PATH``."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, absolute(path)


def named_class(text: str) -> tuple[str, int]:
    """Read ``STRUCTURE=VALUE``."""
    name, _, value = text.partition("=")
    if name not in CLASSES or not value.isdecimal() or not int(value):
        known = ", ".join(CLASSES)
        raise ArgumentTypeError(f"{text!r} is not STRUCTURE=VALUE with {known} and a whole number")
    return name, int(value)


def named_pattern(text: str) -> tuple[str, str]:
    """Read ``NAME=GLOB``; the name becomes a part of file names."""
    name, equals, pattern = text.partition("=")
    if not (name.isascii() and name.isalnum() and equals and pattern):
        raise ArgumentTypeError(f"{text!r} is not NAME=GLOB with a NAME of letters and digits")
    return name, pattern


def space(text: str) -> str:
    """Read a space; the template's own name stands for it."""
    name = "template" if text in ("PAM50", "Generic") else text
    if name not in ("reference", "template", *CONTRASTS):
        known = ", ".join(("reference", "template", *CONTRASTS))
        raise ArgumentTypeError(f"{text!r} is not a known space; expected one or more of {known}")
    return name


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text} is not a whole number") from error


def not_negative(text: str) -> int:
    """Read a whole number from 0 on."""
    number = whole(text)
    if number < 0:
        raise ArgumentTypeError(f"{text} is not 0 or a positive number")
    return number


def seed(text: str) -> int:
    """Read a seed: a whole number from 0 that numpy, torch and ITK all take."""
    number = whole(text)
    if not 0 <= number <= LARGEST_SEED:
        raise ArgumentTypeError(f"{text} is not a seed from 0 to {LARGEST_SEED}")
    return number


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text) if text.strip().isdecimal() else 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is not a positive number")
    return number


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    return _number(text, 1.0, "a number from 0 to 1")


def minutes(text: str) -> float:
    """Read a time in minutes, more than none."""
    value = _number(text, 1e6, "a time in minutes")
    if not value:
        raise ArgumentTypeError(f"{text} is not a time in minutes above 0")
    return value


def volume(text: str) -> float:
    """Read a volume in mm3."""
    return _number(text, sys.float_info.max, "a volume in mm3")


def cm3(text: str) -> float:
    """Read a volume in cm3."""
    return _number(text, sys.float_info.max, "a volume in cm3")


def gigabytes(text: str) -> float:
    """Read an amount of memory as gigabytes (1e9 bytes).

    A number has a unit: ``8G``, ``8GB``, ``8000M``, ``8000MB``, ``8GiB``, ``0.5T``. A bare one is
    in GB below `LEAST_MEGABYTES`, and in MB from there on, as in SLURM's variables.

    Examples
    --------
    >>> [gigabytes(text) for text in ("8", "8G", "8GB", "8000MB", "8000")]
    [8.0, 8.0, 8.0, 8.0, 8.0]
    >>> gigabytes("1TiB")
    1099.511627776
    """
    match = MEMORY.fullmatch(text.strip())
    if match is None or not 0 < float(match[1]) < math.inf:
        raise ArgumentTypeError(f"{text} is not an amount of memory, such as 8G or 8000MB")
    number, unit = float(match[1]), (match[2] or "").upper()
    if not unit:
        unit = "M" if number >= LEAST_MEGABYTES else "G"
    if match[3]:
        return float(number * 1024 ** POWERS[unit] / 1e9)
    return float(number * 1000.0 ** (POWERS[unit] - POWERS["G"]))


def _number(text: str, most: float, what: str) -> float:
    """Read a number from 0 to ``most``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ArgumentTypeError(f"{text} is not {what}")
    return value


CLASS_VALUES = flag(
    "BIDS",
    "voxel value of cord, gm or lesion in multi-class manual masks without a look-up table, for "
    "example cord=1",
    read=named_class,
    metavar="STRUCTURE=VALUE",
)
SEED = flag("workflow", "seed of all random numbers", read=seed, metavar="N")
FUSION = flag(
    "workflow",
    "also search the session's other images of these contrasts and join the lesions: all (union), "
    "or those of the mean probability; auto: all of T2w images; reference: search it alone",
)
EDGE = flag(
    "workflow",
    "contrasts of reference images in which the outline of the cord is moved to the edge visible "
    "in the image",
)
LESION_SHARE = flag(
    "workflow",
    "upper hysteresis threshold of the lesion probability; the lower one is 0.6",
    read=share,
    metavar="P",
)
TUMOR_SHARE = flag(
    "other networks",
    "minimum probability of a voxel of tumor, cavity or abnormality",
    read=share,
    metavar="P",
)
EDEMA_SHARE = flag(
    "other networks", "minimum probability of an edema voxel", read=share, metavar="P"
)
