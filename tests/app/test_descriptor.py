"""The Boutiques descriptor says what the parser takes."""

import json
import shlex
from argparse import _HelpAction, _VersionAction
from pathlib import Path
from typing import Any

import pytest
from boutiques.bosh import bosh
from boutiques.validator import DescriptorValidationError, validate_descriptor

from spinalprep.app.descriptor import descriptor, descriptor_text
from spinalprep.app.parser import build_parser, parse

FILE = Path(__file__).parents[2] / "boutiques.json"


def test_the_file_is_what_the_code_makes() -> None:
    """After a change of options: ``spinalprep-tools descriptor > boutiques.json``."""
    assert FILE.read_text(encoding="utf-8") == descriptor_text()


def test_it_is_a_valid_descriptor() -> None:
    validate_descriptor(descriptor())
    without = {key: told for key, told in descriptor().items() if key != "command-line"}
    with pytest.raises(DescriptorValidationError, match="command-line"):
        validate_descriptor(without)


def test_it_has_every_argument_of_the_parser_and_no_other() -> None:
    actions = [
        action
        for action in build_parser()._actions
        if not isinstance(action, _HelpAction | _VersionAction)
        and not str(action.help).endswith("(not available yet)")
    ]
    inputs = {item["id"]: item for item in descriptor()["inputs"]}
    assert set(inputs) == {action.dest for action in actions}
    for action in actions:
        told = inputs[action.dest]
        assert told["optional"] == bool(action.option_strings)
        if action.option_strings:
            assert told["command-line-flag"] in action.option_strings
        assert (told["type"] == "Flag") == (action.nargs == 0)
        choices = told.get("value-choices", ())
        assert set(choices) <= set(action.choices or ())
        assert bool(choices) == bool(action.choices)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"participant_label": ["01", "02"], "skip": ["n4", "lesion"], "verbose": True},
        {"lesion_threshold": 0.7, "mem_gb": "8G", "reference_anat": "T1w", "nprocs": 2},
        {"metrics": ["FA=dwi/*FA.nii.gz", "MD=dwi/*MD.nii.gz"], "manual_labels": True},
    ],
)
def test_its_command_line_is_understood(given: dict[str, Any], tmp_path: Path) -> None:
    known = {item["id"] for item in descriptor()["inputs"]}
    values = {"bids_dir": str(tmp_path), "out_dir": "out", "level": "participant"}
    values |= {key: value for key, value in given.items() if key in known}
    assert set(given) <= known
    invocation = tmp_path / "invocation.json"
    invocation.write_text(json.dumps(values))
    said = bosh(["exec", "simulate", str(FILE), "-i", str(invocation)])
    program, *words = shlex.split(said.shell_command)
    assert program == "spinalprep"
    settings = parse(words)
    assert settings.bids_dir == tmp_path
    assert settings.participant_label == tuple(given.get("participant_label", ()))
    assert settings.skip == tuple(given.get("skip", ()))
    assert settings.reference_anat == given.get("reference_anat", "auto")
    assert settings.manual_labels is ("manual_labels" not in given)
    assert settings.metrics == dict(item.split("=") for item in given.get("metrics", ()))
