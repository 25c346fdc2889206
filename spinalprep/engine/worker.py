"""What our workers share: hits answered at once, equal jobs in turn, events told."""

import asyncio
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import attrs
from pydra.engine.job import Job
from pydra.workers.base import Worker

from spinalprep.engine import child
from spinalprep.engine.child import Failure, Report
from spinalprep.engine.record import read_record, tasks_of_result, write_record
from spinalprep.memory import NOTHING, Usage


class TaskFailedError(Exception):
    """A task failed; the evidence is in ``failure``."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@dataclass(frozen=True)
class TaskEvent:
    """What happened to one task: ``hit``, ``start``, ``done`` or ``error``.

    ``count`` is above 1 when a whole workflow of that many tasks was a hit.
    """

    kind: str
    job: Any
    seconds: float = 0.0
    peak_mib: float = 0.0
    failure: Failure | None = None
    count: int = 1
    usage: Usage = NOTHING


@dataclass(frozen=True)
class PoolOptions:
    """Limits of a run, and how often a task is tried again after its process died.

    A task of the pool that takes longer than ``task_minutes`` is taken to hang, and ended.
    ``sbatch_args`` and ``max_jobs`` concern SLURM alone: words for every ``sbatch``, and how many
    jobs wait or run at once.
    """

    n_procs: int = 1
    omp_nthreads: int = 1
    mem_gb: float = 4.0
    retries: int = 1
    seed: int = 0
    task_minutes: float = 120.0
    sbatch_args: str = ""
    max_jobs: int = 100


@attrs.define(getstate_setstate=False, slots=False)  # slots would clash with pydra's workers'
class LocalWorker(Worker, ABC):  # type: ignore[misc]
    """Base of our workers: hits answered at once, records written, events told.

    ``listen`` is called in the main process with a `TaskEvent`.
    """

    _plugin_name: ClassVar[str] = "spinalprep-local"
    options: PoolOptions = attrs.field(factory=PoolOptions)
    listen: Callable[[TaskEvent], None] = attrs.field(default=lambda _: None)
    _turns: dict[Path, asyncio.Lock] = attrs.field(init=False, factory=dict)

    async def run(self, job: Job, rerun: bool = False) -> None:
        """Run one task, or take its result from the cache."""
        async with self._turn(job):
            if is_finished(job):
                self.listen(TaskEvent("hit", job))
                return
            report = await self._compute(job)
        if report.failure is None:
            self.listen(_ended("done", job, report))
            return
        self.listen(_ended("error", job, report))
        raise TaskFailedError(report.failure)

    async def submit(self, job: Job, rerun: bool = False) -> Any:
        """Run a workflow here, or one task; return None where the result is in the cache."""
        if not job.is_async:
            return await self.run(job, rerun=rerun)
        async with self._turn(job):
            if is_finished(job):
                count = len(tasks_of_result(job.task, Path(job.cache_dir)))
                self.listen(TaskEvent("hit", job, count=count))
                return None  # whoever needs it reads it: it takes longer than all else
            if (Path(job.cache_dir) / "_error.pklz").exists():  # pydra would believe it
                shutil.rmtree(job.cache_dir, ignore_errors=True)
            began = time.monotonic()
            result = await job.run_async(rerun=rerun)
            write_record(job, result, time.monotonic() - began, 0.0)
            return result

    def _turn(self, job: Job) -> asyncio.Lock:
        """Let equal jobs of this run follow each other; pydra's own wait is a slow poll."""
        return self._turns.setdefault(Path(job.cache_dir), asyncio.Lock())

    @abstractmethod
    async def _compute(self, job: Job) -> Report:
        """Run one task that has no result yet."""

    def kill(self) -> None:
        """End every child at once."""

    def __getstate__(self) -> dict[str, Any]:
        return {"loop": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.loop = None
        self.options = PoolOptions()
        self.listen = lambda _: None
        self._turns = {}


@attrs.define(getstate_setstate=False)
class InlineWorker(LocalWorker):
    """Run each task in the main process, for debugging: one at a time, no children."""

    _plugin_name: ClassVar[str] = "spinalprep-inline"

    async def _compute(self, job: Job) -> Report:
        self.listen(TaskEvent("start", job))
        await asyncio.sleep(0)
        return child.execute(job, {}, Path(os.devnull))


def _ended(kind: str, job: Job, report: Report) -> TaskEvent:
    """Return the event of a task that ran."""
    return TaskEvent(kind, job, report.seconds, report.peak_mib, report.failure, usage=report.usage)


def is_finished(job: Job) -> bool:
    """Tell whether a task has a complete result in the cache."""
    return read_record(Path(job.cache_dir)) is not None and not job.lockfile.exists()
