"""Tasks and workflows of pydra that a pickle names, in place of holding their code.

pydra makes their classes as it goes, of no module, so that cloudpickle packs each of them whole,
fields and converters included, whenever a job or a result is handed on or stored: 20 kB and
2 ms for a task, 400 kB for a workflow.
"""

from collections.abc import Callable
from typing import Any

from pydra.compose import python, workflow

_WHAT_IT_DOES = "does"  # the class's own name for the function that the decorator took away


def define_task(outputs: list[str]) -> Callable[[Callable[..., Any]], Any]:
    """Make a pydra task of a function of a module; its outputs are named in order."""
    return lambda function: _named(python.define(function, outputs=outputs), function)


def define_workflow(outputs: list[str]) -> Callable[[Callable[..., Any]], Any]:
    """Make a pydra workflow of a function of a module; its outputs are named in order."""
    return lambda function: _named(workflow.define(function, outputs=outputs), function)


def _named(task: Any, function: Callable[..., Any]) -> Any:
    """Let a class, its outputs and its function be found by module and name."""
    task.__module__ = task.Outputs.__module__ = function.__module__
    task.__qualname__ = name = function.__qualname__
    task.Outputs.__qualname__ = f"{name}.Outputs"
    function.__qualname__ = f"{name}.{_WHAT_IT_DOES}"
    setattr(task, _WHAT_IT_DOES, staticmethod(function))
    return task
