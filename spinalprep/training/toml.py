"""TOML files as frozen dataclasses, with every mistake in one line."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from spinalprep.errors import UsageError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    UsageError
        If it can't be read.
    """
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read as TOML: {error}") from error


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Return a dataclass filled from a table, tables in it for the dataclasses in it.

    Parameters
    ----------
    kind : type
        The dataclass.
    table : mapping
        Values by the names of its fields.
    where : str
        File, for the message.

    Raises
    ------
    UsageError
        If a name is unknown or missing, or a value is of another type.
    """
    try:
        return _converter().structure(table, kind)
    except cattrs.BaseValidationError as error:
        told = "; ".join(cattrs.transform_error(error))
        raise UsageError(f"{where}: {told}; expected the fields of a {kind.__name__}") from error


def _converter() -> cattrs.Converter:
    """Return what refuses unknown names, and values that are not of their field's type."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, taken in ((str, (str,)), (bool, (bool,)), (int, (int,)), (float, (int, float))):
        converter.register_structure_hook(kind, _exactly(kind, taken))
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    return converter


def _exactly(kind: type, taken: tuple[type, ...]) -> Callable[[object, type], object]:
    def check(value: object, _: type) -> object:
        if type(value) not in taken:
            raise TypeError(f"expected {kind.__name__}")
        return kind(value)

    return check
