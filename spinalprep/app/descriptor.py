"""The command line as a Boutiques descriptor, for platforms that run BIDS Apps.

Glatard et al. (2018), Boutiques: a flexible framework to integrate command-line applications in
computing platforms, GigaScience 7:giy016. Made of the options that the parser is made of,
without those that are not available yet.
"""

import json
from typing import Any

from spinalprep import RELEASE, flags
from spinalprep.app.exit_codes import EXIT_CODES
from spinalprep.app.options import Option, options_of
from spinalprep.settings import Settings

WRITTEN = ("out_dir", "work_dir", "bids_database_dir")  # folders that need not exist
NUMBERS: dict[object, dict[str, Any]] = {
    flags.whole: {"integer": True},
    flags.not_negative: {"integer": True, "minimum": 0},
    flags.positive: {"integer": True, "minimum": 1},
    flags.seed: {"integer": True, "minimum": 0, "maximum": flags.LARGEST_SEED},
    flags.share: {"minimum": 0, "maximum": 1},
    flags.minutes: {"minimum": 0, "exclusive-minimum": True},
    flags.volume: {"minimum": 0},
    flags.cm3: {"minimum": 0},
}


def descriptor_text() -> str:
    """Return the descriptor as JSON, as ``boutiques.json`` of the repository holds it."""
    return json.dumps(descriptor(), indent=2, ensure_ascii=False) + "\n"


def descriptor() -> dict[str, Any]:
    """Return the descriptor of ``spinalprep``."""
    inputs = [_input(option) for option in options_of(Settings)] + [_config_file()]
    return {
        "name": "spinalprep",
        "description": "BIDS App for spinal cord MRI: from a BIDS dataset to BIDS derivatives and "
        "a report. For research use only.",
        "author": "The spinalprep developers",
        "tool-version": RELEASE,
        "schema-version": "0.5",
        "command-line": " ".join(["spinalprep", *(item["value-key"] for item in inputs)]),
        "inputs": inputs,
        "output-files": [
            {
                "id": "outputs",
                "name": "output folder",
                "description": "BIDS derivative dataset with a report per participant",
                "path-template": _value_key("out_dir"),
                "optional": False,
            }
        ],
        "error-codes": [{"code": code, "description": text} for code, text in EXIT_CODES if code],
        "tags": {"domain": ["neuroinformatics", "mri", "spinal cord", "bids-app"]},
    }


def _value_key(key: str) -> str:
    return f"[{key.upper()}]"


def _input(option: Option) -> dict[str, Any]:
    """Return an option as an input."""
    told: dict[str, Any] = {
        "id": option.key,
        "name": option.name,
        "description": option.help.replace("%%", "%"),
        **_type(option),
        "optional": bool(option.flag.group),
        "value-key": _value_key(option.key),
    }
    if option.flag.group:
        told["command-line-flag"] = f"--{option.name}"
    if option.kind in ("many", "pairs"):
        told["list"] = True
        if option.flag.one_each:  # the flag comes again before every value
            told["list-separator"] = f" --{option.name} "
    return told


def _type(option: Option) -> dict[str, Any]:
    """Return what kind of value an input has."""
    if option.kind in ("switch", "count"):
        return {"type": "Flag"}
    if option.choices:
        there = [word for word in option.choices if word not in option.flag.not_yet]
        return {"type": "String", "value-choices": there}
    if option.read in NUMBERS:
        return {"type": "Number", **NUMBERS[option.read]}
    if option.read is flags.absolute and option.key not in WRITTEN:
        return {"type": "File"}
    return {"type": "String"}


def _config_file() -> dict[str, Any]:
    """Return ``--config-file``, which is no setting."""
    return {
        "id": "config_file",
        "name": "config-file",
        "description": "TOML file with options",
        "type": "File",
        "optional": True,
        "value-key": _value_key("config_file"),
        "command-line-flag": "--config-file",
    }
