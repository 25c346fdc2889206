"""One participant's workflow, stage by stage."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydra.engine.audit import Audit
from pydra.engine.job import Job
from pydra.engine.submitter import Submitter
from pydra.utils.messenger import AuditFlag

from spinalprep.engine.child import Failure, explain
from spinalprep.engine.events import GRAPH, Observer, SessionResult
from spinalprep.engine.graph import StageTask, leaves, stages_of
from spinalprep.engine.plan import remember
from spinalprep.engine.record import outputs_of_result, tasks_of_result
from spinalprep.engine.worker import LocalWorker, TaskEvent
from spinalprep.errors import SpinalprepError

_WRAPPED = re.compile(r"^(\w+(?:Error|Exception)): (.+)$", re.MULTILINE)


class StageSubmitter(Submitter):  # type: ignore[misc]
    """A submitter that knows for whom and for which stage it submits."""

    def __init__(self, session: str, stage: str, cache: Path, worker: LocalWorker) -> None:
        super().__init__(cache_root=cache, worker=worker)
        self.audit = StillAudit(AuditFlag.NONE, None, None)
        self.session, self.stage = session, stage


class StillAudit(Audit):  # type: ignore[misc]
    """An audit that leaves the working folder alone; pydra's moves the main process about."""

    def start_audit(self, odir: Path) -> None:
        """Begin in a folder, and stay where we are."""
        kept = Path.cwd()
        super().start_audit(odir)
        os.chdir(kept)


@dataclass
class SessionRun:
    """The progress of one session run; `run` carries it out.

    ``call`` runs a function in the thread that writes; ``count`` is told by how
    much the number of known tasks changes; ``prepare`` makes the cache ready.
    """

    key: str
    task: Any
    cache: Path
    worker: LocalWorker
    observer: Observer
    call: Callable[..., Awaitable[None]]
    count: Callable[[int], None]
    retries: int = 1
    prepare: Callable[[], None] = lambda: None
    hits: int = 0
    tasks_run: int = 0
    peak_mib: float = 0.0
    began: float = field(default_factory=time.monotonic)
    failures: list[tuple[str, str, Failure]] = field(default_factory=list)
    _outputs: dict[str, Any] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)
    _task_failures: dict[str, tuple[str, Failure]] = field(default_factory=dict)

    async def run(self) -> SessionResult:
        """Run every stage that can be run; failures are part of the result."""
        try:
            stages = stages_of(self.task)
        except Exception as error:  # a graph that can't be built must not stop the others
            self._fail(GRAPH, "", explain(error))
            return self.result("failed")
        try:
            self.prepare()
        except OSError as error:  # a cache that can't be written is one participant's alone
            self._fail(stages[0].name, "", explain(error))
            return self.result("failed")
        for stage in stages:
            self._count(stage.name, sum(1 for _ in leaves(stage.task)))
        await self._run_all({stage.name: stage for stage in stages})
        return self.result("failed" if self.failures else "finished")

    async def _run_all(self, waiting: dict[str, StageTask]) -> None:
        """Start each stage as soon as those before it have finished."""
        running: dict[asyncio.Task[None], str] = {}
        try:
            while waiting or running:
                lost = self._lost(waiting)
                for stage in list(waiting.values()):
                    ready = stage.spared <= self._outputs.keys() | lost
                    if ready and stage.upstream <= self._outputs.keys():
                        coroutine = self._run_stage(waiting.pop(stage.name))
                        running[asyncio.create_task(coroutine)] = stage.name
                if not running:  # the rest depends on what failed
                    for name in waiting:
                        self.count(-self._counted.get(name, 0))
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _lost(self, waiting: Mapping[str, StageTask]) -> set[str]:
        """Return the stages that failed, and those that can't run for it."""
        lost = {stage for stage, _, _ in self.failures}
        for stage in waiting.values():  # a stage comes after those that it waits for
            if stage.upstream & lost:
                lost.add(stage.name)
        return lost

    async def _run_stage(self, stage: StageTask) -> None:
        """Run one stage and hand its outputs to the observer."""
        for attempt in range(self.retries + 1):
            try:
                outputs = await self._compute(stage)
                await self.call(self.observer.on_stage, self.key, stage.name, outputs)
            except Exception as error:  # reported, and the others go on
                found = self._task_failures.get(stage.name)
                if found is None and attempt < self.retries and _is_hiccup(error):
                    continue  # pydra lost its way (its issue 622): once more
                self._fail(stage.name, *(found or ("", _unwrapped(error))))
                return
            self._outputs[stage.name] = outputs
            return

    async def _compute(self, stage: StageTask) -> Any:
        """Return the outputs of a stage, computed or from the cache."""
        task = stage.resolved(self._outputs)
        submitter = StageSubmitter(self.key, stage.name, self.cache, self.worker)
        job = Job(task, submitter=submitter, name=stage.name)
        self._count(stage.name, len(tasks_of_result(task, Path(job.cache_dir))))
        result = await self.worker.submit(job)
        return outputs_of_result(Path(job.cache_dir)) if result is None else result.outputs

    def hear(self, stage: str, event: TaskEvent) -> None:
        """Add up what happens to the tasks of this session."""
        if event.kind == "hit":
            self.hits += event.count
        elif event.kind != "start":
            self.tasks_run += 1
            self.peak_mib = max(self.peak_mib, event.peak_mib)
        if event.kind in ("hit", "done"):
            remember(self.cache, self.key, f"{stage}.{event.job.name}", event.job.task._hashes)
        if event.failure is not None:
            self._task_failures.setdefault(stage, (event.job.name, event.failure))

    def result(self, state: str, reason: str = "") -> SessionResult:
        """Return how the session stands."""
        failed = ""
        if self.failures:
            stage, node, failure = self.failures[0]
            failed = f"{stage}.{node}" if node else stage
            reason = reason or failure.reason
        wall_s = time.monotonic() - self.began
        return SessionResult(
            state,
            failed,
            reason,
            wall_s,
            self.peak_mib,
            self.hits,
            self.tasks_run,
            tuple(self.failures),
        )

    def _fail(self, stage: str, node: str, failure: Failure) -> None:
        """Note a failure and tell the observer."""
        self.failures.append((stage, node, failure))
        self.observer.on_failure(self.key, stage, node, failure)

    def _count(self, stage: str, number: int) -> None:
        """Correct the number of known tasks once more is known of a stage."""
        self.count(number - self._counted.get(stage, 0))
        self._counted[stage] = number


def _is_hiccup(error: Exception) -> bool:
    """Tell whether an error without a failed task may be pydra's own."""
    return isinstance(error, RuntimeError | OSError) and not isinstance(error, SpinalprepError)


def _unwrapped(error: Exception) -> Failure:
    """Explain an error that pydra may have wrapped in text."""
    failure = explain(error)
    found = _WRAPPED.findall(str(error))
    if not isinstance(error, RuntimeError) or not found:
        return failure
    name, text = found[-1]
    return Failure("defect", f"{name}: {text.strip()}", failure.traceback)
