"""A participant's workflow as a list of stages."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import attrs
from pydra.engine.lazy import LazyField, LazyOutField
from pydra.engine.workflow import Workflow
from pydra.utils.general import attrs_values, is_workflow

from spinalprep.errors import DefectError

Task = TypeVar("Task", bound=type)
_SPARED = "_spinalprep_spared"  # no field of a task: it is no part of its checksum


def can_do_without(*inputs: str) -> Callable[[Task], Task]:
    """Mark inputs, None by default, that a task gets as None where the stage behind them failed."""

    def mark(task: Task) -> Task:
        setattr(task, _SPARED, frozenset(inputs))
        return task

    return mark


@dataclass(frozen=True)
class StageTask:
    """A node of a participant's workflow and the names of the nodes that it waits for.

    ``upstream`` are those that must finish, ``spared`` those whose failure leaves it with less:
    it then gets None in their place (see `can_do_without`).
    """

    name: str
    task: Any
    upstream: frozenset[str]
    spared: frozenset[str] = frozenset()

    def resolved(self, outputs: Mapping[str, Any]) -> Any:
        """Return the task with the outputs of finished stages in place of promises."""
        values = {
            name: promised(value, outputs) if value._node.name in outputs else None
            for name, value in attrs_values(self.task).items()
            if isinstance(value, LazyField)
        }
        return attrs.evolve(self.task, **values)


def promised(value: LazyOutField, outputs: Mapping[str, Any]) -> Any:
    """Return what a promise stands for, given the outputs of the nodes by name."""
    return value._apply_cast(getattr(outputs[value._node.name], value._field))


def stages_of(task: Any) -> list[StageTask]:
    """Construct a participant's workflow and list its stages in an order that can be run.

    Parameters
    ----------
    task : pydra workflow task
        All inputs given.

    Raises
    ------
    DefectError
        If the workflow can't be constructed, or a stage is split: stages are plain nodes.
    """
    stages = []
    for node in constructed(task, keep=True).nodes:  # pydra lets a node refer to earlier ones only
        if node.state:
            message = f"stage {node.name} is split; expected a plain node"
            raise DefectError(message)
        spared = upstream_of(node, spared=True)
        stages.append(StageTask(node.name, node._task, upstream_of(node) - spared, spared))
    return stages


def upstream_of(node: Any, spared: bool = False) -> frozenset[str]:
    """Return the names of the nodes that a node waits for; only those that may fail, if asked."""
    promises = {n: v for n, v in attrs_values(node._task).items() if isinstance(v, LazyOutField)}
    if spared:
        inputs: frozenset[str] = getattr(type(node._task), _SPARED, frozenset())
        needed = {v._node.name for n, v in promises.items() if n not in inputs}
        return frozenset(v._node.name for n, v in promises.items() if n in inputs) - needed
    return frozenset(v._node.name for v in promises.values())


def leaves(task: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and class of each task inside a workflow, of itself for a single task.

    A workflow that can't be constructed before its inputs are known counts
    as one task.
    """
    if not is_workflow(task):
        yield prefix, type(task).__name__
        return
    try:
        nodes = list(constructed(task).nodes)
    except DefectError:  # it asks for values that are not known yet
        yield prefix, type(task).__name__
        return
    for node in nodes:
        yield from leaves(node._task, f"{prefix}.{node.name}" if prefix else node.name)


def constructed(task: Any, keep: bool = False) -> Workflow:
    """Construct a workflow; where its inputs may be promises, leave pydra's own store alone.

    Raises
    ------
    DefectError
        If its function can't be carried out.
    """
    try:
        return task.construct() if keep else Workflow.construct(task, dont_cache=True)
    except Exception as error:
        message = f"the graph could not be built: {type(error).__name__}: {error}"
        raise DefectError(message) from error
