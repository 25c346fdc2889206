"""The room of tasks holds tasks."""

import ast
import inspect
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from pydra.compose import python

from spinalprep import interfaces

MODULES = sorted(found.name for found in iter_modules(interfaces.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_a_task_or_what_one_is_given(name: str) -> None:
    module = import_module(f"{interfaces.__name__}.{name}")
    defined = [
        node.name
        for node in ast.parse(Path(inspect.getfile(module)).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert defined
    others = [name for name in defined if not is_task(getattr(module, name))]
    assert [name for name in others if not is_dataclass(getattr(module, name))] == []


def is_task(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, python.Task)
