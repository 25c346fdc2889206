"""What a run would do: every node, in the cache or not, and why not."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
from pydra.engine.lazy import LazyField
from pydra.utils.general import attrs_values, is_workflow

from spinalprep.engine.graph import constructed, leaves, promised, stages_of, upstream_of
from spinalprep.engine.hashing import keep_hashes_beside
from spinalprep.engine.record import damage, outputs_of_result, tasks_of_result

_CODE = ("function", "constructor", "Outputs")


@dataclass(frozen=True)
class PlanLine:
    """One node of the plan: ``node`` is stage.task; ``why`` says why a miss is one."""

    session: str
    node: str
    task: str
    hit: bool
    why: str = ""

    def __str__(self) -> str:
        """Return session, node, and hit or miss with the reason."""
        return f"{self.session}  {self.node}  {'hit' if self.hit else f'miss: {self.why}'}"


def plan_sessions(sessions: Mapping[str, Any], cache: Callable[[str], Path]) -> list[PlanLine]:
    """List what `run_sessions` would find in the cache and what it would compute.

    Parameters
    ----------
    sessions : mapping of str to pydra workflow task
        As for `run_sessions`.
    cache : callable
        Gives the cache folder of a session.

    Returns
    -------
    lines : list of PlanLine
        One for each task, in the order of the graphs. Nothing is executed and
        no result is touched; contents of new input files are hashed.

    Raises
    ------
    SpinalprepError
        If a workflow can't be built.
    """
    folders = {key: Path(cache(key)).resolve() for key in sessions}
    keep_hashes_beside(folders.values())
    lines: list[PlanLine] = []
    for key, task in sessions.items():
        lines += _Plan(key, folders[key]).of_session(task)
    return lines


class _Plan:
    """The plan of one session."""

    def __init__(self, session: str, folder: Path) -> None:
        self.session, self.folder = session, folder
        self.stage = ""

    def of_session(self, task: Any) -> list[PlanLine]:
        """Plan every stage in turn."""
        lines: list[PlanLine] = []
        outputs: dict[str, Any] = {}
        for stage in stages_of(task):
            self.stage = stage.name
            missing = (stage.upstream | stage.spared) - outputs.keys()
            if missing:
                lines += self._waiting(stage.task, stage.name, missing)
                continue
            found = self._visit(stage.resolved(outputs), stage.name, lines)
            if found is not None:
                outputs[stage.name] = found
        return lines

    def _visit(self, task: Any, path: str, lines: list[PlanLine]) -> Any:
        """Plan a task whose inputs are known; return its outputs if they are in the cache."""
        checksum = task._checksum
        wrong = damage(self.folder / checksum)
        if not wrong:
            for inner, name in tasks_of_result(task, self.folder / checksum):
                node = f"{path}.{inner}" if inner else path
                lines.append(PlanLine(self.session, node, name, True))
            return outputs_of_result(self.folder / checksum)
        if is_workflow(task):
            return self._visit_nodes(task, path, lines)
        why = self._why(task, path, wrong if (self.folder / checksum).exists() else "")
        lines.append(PlanLine(self.session, path, type(task).__name__, False, why))
        return None

    def _visit_nodes(self, task: Any, path: str, lines: list[PlanLine]) -> Any:
        """Plan the nodes of a workflow that has no result as a whole."""
        workflow = constructed(task)
        outputs: dict[str, Any] = {}
        for node in workflow.nodes:
            inner = f"{path}.{node.name}"
            missing = upstream_of(node) - outputs.keys()
            if missing:
                lines += self._waiting(node._task, inner, missing)
                continue
            found = self._visit(_resolved(node._task, outputs), inner, lines)
            if found is not None:
                outputs[node.name] = found
        return _workflow_outputs(workflow, outputs)

    def _waiting(self, task: Any, path: str, missing: frozenset[str]) -> Iterator[PlanLine]:
        """Yield lines for a task whose inputs must be computed first."""
        for leaf, name in leaves(task, path):
            why = f"waits for {', '.join(sorted(missing))}"
            yield PlanLine(self.session, leaf, name, False, why)

    def _why(self, task: Any, path: str, wrong: str) -> str:
        """Say why a task is not in the cache."""
        if wrong:
            return f"its cached result can't be used: {wrong}"
        known = recall(self.folder, self.session, f"{self.stage}.{path.rpartition('.')[2]}")
        changed = [n for n in task._hashes if known and known.get(n) != task._hashes[n]]
        reasons = ["code changed"] if set(changed) & set(_CODE) else []
        inputs = [name for name in changed if name not in _CODE]
        if inputs:
            reasons.append(f"input {', '.join(inputs)} changed")
        return "; ".join(reasons) or "not in cache"


def _resolved(task: Any, outputs: Mapping[str, Any]) -> Any:
    """Put outputs in place of promises."""
    values = attrs_values(task).items()
    return attrs.evolve(
        task, **{n: promised(v, outputs) for n, v in values if isinstance(v, LazyField)}
    )


def _workflow_outputs(workflow: Any, outputs: Mapping[str, Any]) -> Any:
    """Return the outputs of a workflow whose nodes all have theirs, else None."""
    values = {}
    for name, value in attrs_values(workflow.outputs).items():
        lazy = isinstance(value, LazyField)
        if lazy and value._node.name not in outputs:
            return None
        values[name] = promised(value, outputs) if lazy else value
    return SimpleNamespace(**values)


def remember(folder: Path, session: str, node: str, fields: dict[str, str]) -> None:
    """Keep the hashes of the inputs of a node's last success, to explain a later miss."""
    if recall(folder, session, node) == fields:
        return
    path = _memory(folder, session, node)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(fields))
    os.replace(partial, path)


def recall(folder: Path, session: str, node: str) -> dict[str, str]:
    """Return what was remembered of a node, or nothing."""
    try:
        fields: dict[str, str] = json.loads(_memory(folder, session, node).read_text())
    except (OSError, ValueError):
        return {}
    return fields


def _memory(folder: Path, session: str, node: str) -> Path:
    """Name the file that remembers a node."""
    return folder / "nodes" / session / f"{node}.json"
