"""Workers for pydra: processes that may die without taking the run along, or none at all."""

import asyncio
import concurrent.futures as cf
import contextlib
import copy
import multiprocessing as mp
import os
import pickle
import shutil
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, ClassVar

import attrs
import cloudpickle
from pydra.engine.job import Job
from pydra.workers.base import Worker

from spinalprep.engine import child, sources
from spinalprep.engine.budget import Budget, Share
from spinalprep.engine.child import Failure, Report
from spinalprep.engine.graph import leaves
from spinalprep.engine.record import read_record, write_record
from spinalprep.engine.resources import resources_of


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


@dataclass(frozen=True)
class PoolOptions:
    """Limits of a run, and how often a task is tried again after its process died."""

    n_procs: int = 1
    omp_nthreads: int = 1
    mem_gb: float = 4.0
    retries: int = 1
    seed: int = 0


def child_environment(options: PoolOptions) -> dict[str, str]:
    """Return the variables that hold libraries to their threads and seed."""
    threads = str(options.omp_nthreads)
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    environment = {f"{name}_NUM_THREADS": threads for name in names}
    environment["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = threads
    environment["ANTS_RANDOM_SEED"] = str(options.seed or 1)  # 0 means "by the clock" to ITK
    environment["NO_ET"] = "1"
    if "PYDRA_HASH_CACHE" in os.environ:
        environment["PYDRA_HASH_CACHE"] = os.environ["PYDRA_HASH_CACHE"]
    return environment


@attrs.define(getstate_setstate=False)
class LocalWorker(Worker):  # type: ignore[misc]
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
            self.listen(TaskEvent("done", job, report.seconds, report.peak_mib))
            return
        self.listen(TaskEvent("error", job, report.seconds, report.peak_mib, report.failure))
        raise TaskFailedError(report.failure)

    async def submit(self, job: Job, rerun: bool = False) -> Any:
        """Run a workflow here, or one task."""
        if not job.is_async:
            return await self.run(job, rerun=rerun)
        async with self._turn(job):
            if is_finished(job):
                count = sum(1 for _ in leaves(job.task))
                self.listen(TaskEvent("hit", job, count=count))
                return job.result()
            if (Path(job.cache_dir) / "_error.pklz").exists():  # pydra would believe it
                shutil.rmtree(job.cache_dir, ignore_errors=True)
            began = time.monotonic()
            result = await job.run_async(rerun=rerun)
            write_record(job, result, time.monotonic() - began, 0.0)
            return result

    def _turn(self, job: Job) -> asyncio.Lock:
        """Let equal jobs of this run follow each other; pydra's own wait is a slow poll."""
        return self._turns.setdefault(Path(job.cache_dir), asyncio.Lock())

    async def _compute(self, job: Job) -> Report:
        """Run one task that has no result yet."""
        raise NotImplementedError

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
        return child.execute(job, "", {}, Path(os.devnull))


@attrs.define(getstate_setstate=False)
class PoolWorker(LocalWorker):
    """Run tasks in processes under a budget of CPUs and memory.

    When a child is killed, every task that was running is a suspect and runs
    again with nothing beside it, so that only the culprit fails.
    """

    _plugin_name: ClassVar[str] = "spinalprep-pool"
    _budget: Budget = attrs.field(init=False, default=None)
    _pool: cf.ProcessPoolExecutor | None = attrs.field(init=False, default=None)
    _solo: cf.ProcessPoolExecutor | None = attrs.field(init=False, default=None)
    _killed: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._budget = Budget(self.options.n_procs, self.options.mem_gb)

    def __setstate__(self, state: dict[str, Any]) -> None:
        LocalWorker.__setstate__(self, state)
        self._budget, self._pool, self._solo, self._killed = None, None, None, True

    async def _compute(self, job: Job) -> Report:
        need = resources_of(job.task)
        payload = _payload(job)
        share = await self._budget.take(min(need.cpus, self.options.omp_nthreads), need.mem_gb)
        try:
            self.listen(TaskEvent("start", job))
            self._pool = self._pool or self._new_pool(self.options.n_procs)
            report = await self._try(self._pool, job, payload)
        finally:
            self._budget.give(share)
        return report or await self._alone(job, payload)

    async def _alone(self, job: Job, payload: bytes) -> Report:
        """Try a suspect again, with nothing beside it."""
        share: Share = await self._budget.take_all()
        try:
            for _ in range(max(1, self.options.retries)):
                self._solo = self._new_pool(1)
                try:
                    report = await self._try(self._solo, job, payload)
                finally:
                    self._solo.shutdown(wait=False)
                if report:
                    return report
        finally:
            self._budget.give(share)
        output = child._tail(_output_of(job))
        return Report(0.0, 0.0, _died(job, output))

    async def _try(self, pool: cf.ProcessPoolExecutor, job: Job, payload: bytes) -> Report | None:
        """Run a job in a pool; None if its process, or one beside it, was killed."""
        try:
            report: Report = await asyncio.wrap_future(pool.submit(child.run, payload))
        except (BrokenProcessPool, RuntimeError) as error:
            if not isinstance(error, BrokenProcessPool) and "shutdown" not in str(error):
                raise
            if self._killed:
                raise asyncio.CancelledError from None
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False)
            _release(job)
            return None
        _keep_output(job)
        return report

    def _new_pool(self, n_procs: int) -> cf.ProcessPoolExecutor:
        """Return a pool whose children start clean (never by fork: torch would hang)."""
        environment = child_environment(self.options)
        with _environment(environment):
            forkserver.ensure_running()
        context = mp.get_context("forkserver")
        return cf.ProcessPoolExecutor(
            n_procs, mp_context=context, initializer=child.start, initargs=(environment,)
        )

    def kill(self) -> None:
        """End every child at once; what they were doing is lost."""
        self._killed = True
        for pool in (self._pool, self._solo):
            for process in list((pool and pool._processes or {}).values()):
                with contextlib.suppress(OSError, ValueError):
                    process.kill()

    def close(self) -> None:
        """Let the children go (pydra calls this when a submitter closes)."""
        for pool in (self._pool, self._solo):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


def is_finished(job: Job) -> bool:
    """Tell whether a task has a complete result in the cache."""
    return read_record(Path(job.cache_dir)) is not None and not job.lockfile.exists()


def _payload(job: Job) -> bytes:
    """Pack a job for a child, with the sources that its key stands for."""
    slim = copy.copy(job)
    slim.submitter = None
    function = getattr(job.task, "function", None)
    module = function.__module__ if sources.is_ours(getattr(function, "__module__", None)) else ""
    stamps = _stamps(module) if module else {}
    packed = (sources.followed(), module, stamps, str(_output_of(job)), cloudpickle.dumps(slim))
    return pickle.dumps(packed)


_KNOWN_STAMPS: dict[str, dict[str, tuple[int, int]]] = {}


def _stamps(module: str) -> dict[str, tuple[int, int]]:
    """Return the state of a module's sources when this process first asked."""
    if module not in _KNOWN_STAMPS:
        _KNOWN_STAMPS[module] = sources.source_stamps(module)
    return _KNOWN_STAMPS[module]


def _output_of(job: Job) -> Path:
    """Name the file that takes what a task prints."""
    return Path(job.cache_root) / f"{job.checksum}.out"


def _keep_output(job: Job) -> None:
    """Move what a task printed beside its result."""
    with contextlib.suppress(OSError):
        if _output_of(job).stat().st_size and job.cache_dir.is_dir():
            os.replace(_output_of(job), job.cache_dir / "_output.txt")
        else:
            _output_of(job).unlink()


def _release(job: Job) -> None:
    """Remove the locks that a killed child left."""
    job.lockfile.unlink(missing_ok=True)
    job.cache_dir.with_name(job.cache_dir.name + "_save.lock").unlink(missing_ok=True)


def _died(job: Job, output: str) -> Failure:
    """Describe a task whose process was killed."""
    message = f"the process of {job.name} was killed, most likely for want of memory"
    return replace(Failure("memory", message, "WorkerDied", output=output), inputs=repr(job.task))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Any:
    """Set variables of the environment for a moment."""
    kept = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
