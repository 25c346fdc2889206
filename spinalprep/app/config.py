"""Settings as a file: TOML whose keys are the flags."""

import json
import time
import tomllib
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from spinalprep import __version__
from spinalprep.app.options import Option, options_of
from spinalprep.app.spelled import split_listed
from spinalprep.errors import UsageError
from spinalprep.flags import read_settings_text
from spinalprep.settings import Settings

OF_RESULTS = ("BIDS", "workflow", "other networks")  # groups of flags that can change results


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file whose keys are the names of flags (hyphens or underscores).

    Flags that take ``NAME=VALUE`` are a table or a list of such words.

    Returns
    -------
    values : dict
        Fields of `Settings` that the file names.

    Raises
    ------
    UsageError
        If the file can't be read, a key is no flag, or a value is not what its flag takes.
    """
    try:
        table = tomllib.loads(read_settings_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--config-file {path} can't be read: {error}") from error
    known = {option.name: option for option in options_of(Settings) if option.flag.group}
    config = {key.replace("_", "-"): value for key, value in table.items()}
    unknown = sorted(config.keys() - known.keys())
    if unknown:
        raise UsageError(f"--config-file {path} has unknown keys: {', '.join(unknown)}")
    values = {}
    for name, value in config.items():
        try:
            values[known[name].key] = _field(known[name], value)
        except (ValueError, ArgumentTypeError) as error:
            raise UsageError(f"--config-file {path}: {name} = {value!r}: {error}") from error
    return values


def settings_toml(settings: Settings) -> str:
    """Return all settings as TOML that ``--config-file`` reads back.

    What is empty is left out; the positional arguments are a comment.
    """
    import tomli_w

    positional = []
    table: dict[str, Any] = {}
    for option in options_of(Settings):
        value = getattr(settings, option.key)
        if not option.flag.group:
            positional.append(json.dumps(str(value)))
        elif value or not (value is None or option.kind in ("many", "pairs")) or option.default:
            table[option.name] = _plain(option, value)
    lines = [
        f"# spinalprep {__version__}, {time.strftime('%Y-%m-%d %H:%M:%S')}",
        f"# spinalprep {' '.join(positional)}",
    ]
    return "\n".join([*lines, tomli_w.dumps(table)])


def changed_settings(settings: Settings) -> dict[str, str]:
    """Return the settings of a participant that differ from their defaults, by flag name, as text.

    Resources and the like are left out: they change no result.
    """
    changed = {}
    for option in options_of(Settings):
        value = getattr(settings, option.key)
        counts = option.flag.group in OF_RESULTS or option.name == "qc-gates"
        if counts and value != option.default and (value or option.default):
            plain = _plain(option, value)
            if isinstance(plain, dict):
                plain = [f"{name}={single}" for name, single in plain.items()]
            changed[option.name] = (
                " ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
            )
    return changed


def _field(option: Option, value: Any) -> Any:
    """Return a value of the file as the field holds it."""
    if option.kind == "switch":
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value != bool(option.default)
    if option.kind == "pairs" and isinstance(value, dict):
        if not all(type(single) in (str, int) for single in value.values()):
            raise ValueError("expected strings or integers")
        value = [f"{name}={single}" for name, single in value.items()]
    if option.kind in ("many", "pairs"):
        values = value if isinstance(value, list) else [value]
        parts = [
            part
            for single in values
            for part in (split_listed(option, single) if isinstance(single, str) else [single])
        ]
        return option.collect([_single(option, part) for part in parts])
    return _single(option, value)


def _single(option: Option, value: Any) -> Any:
    """Return one value as its flag would read it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected a string or a number")
    single = option.read(str(value))
    if option.choices and single not in option.choices:
        raise ValueError(f"expected {', '.join(option.choices)}")
    return single


def _plain(option: Option, value: Any) -> Any:
    """Return a value of the settings as TOML can hold it."""
    if option.kind == "switch":
        return value != bool(option.default)
    if option.kind == "pairs":
        return {name: str(single) for name, single in value.items()}
    if option.kind == "many":
        return list(value)
    if option.flag.write is not None:
        return option.flag.write(value)
    return str(value) if isinstance(value, Path) else value
