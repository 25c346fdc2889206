"""A worker whose processes may die without taking the run along."""

import asyncio
import concurrent.futures as cf
import contextlib
import copy
import multiprocessing as mp
import os
import pickle
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, ClassVar

import attrs
import cloudpickle
from pydra.engine.job import Job

from spinalprep.device import LOCK, VARIABLE
from spinalprep.engine import child, sources
from spinalprep.engine.budget import Budget, Share
from spinalprep.engine.child import Failure, Report
from spinalprep.engine.resources import resources_of
from spinalprep.engine.worker import LocalWorker, PoolOptions, TaskEvent
from spinalprep.environment import run_environment
from spinalprep.errors import DefectError
from spinalprep.memory import most_gb, oom_kills


def child_environment(options: PoolOptions) -> dict[str, str]:
    """Return the variables that hold libraries to their threads and seed."""
    environment = run_environment(options.omp_nthreads, options.seed, options.mem_gb)
    handed_on = ("PYDRA_HASH_CACHE", VARIABLE, LOCK)
    return environment | {name: os.environ[name] for name in handed_on if name in os.environ}


@dataclass(frozen=True)
class _Death:
    """How processes ended that nobody meant to end; whether the kernel did it for memory."""

    codes: tuple[int, ...] = ()
    out_of_memory: bool = False

    def failure(self, job: Job, output: str) -> Failure:
        """Describe the task that died alone."""
        who, code = f"the process of {job.name}", self.codes[0] if self.codes else -signal.SIGKILL
        kind, message = "memory", f"{who} was killed, most likely because memory ran out"
        if self.out_of_memory:
            message = f"{who} was killed by the kernel: out of memory ({most_gb():.1f} GB in all)"
        elif code > 0:
            kind, message = "defect", f"{who} ended with exit code {code}"
        elif code != -signal.SIGKILL:
            kind, message = "defect", f"{who} crashed ({signal.Signals(-code).name})"
        return Failure(kind, message, inputs=repr(job.task), output=output)


@attrs.define(getstate_setstate=False)
class PoolWorker(LocalWorker):
    """Run tasks in processes under a budget of CPUs and memory.

    When a child is killed, every task that was running is a suspect and runs
    again with nothing beside it, so that only the culprit fails.
    """

    _plugin_name: ClassVar[str] = "spinalprep-pool"
    _budget: Budget | None = attrs.field(init=False, default=None)
    _pool: cf.ProcessPoolExecutor | None = attrs.field(init=False, default=None)
    _solo: cf.ProcessPoolExecutor | None = attrs.field(init=False, default=None)
    _killed: bool = attrs.field(init=False, default=False)
    _oom_kills: int = attrs.field(init=False, factory=oom_kills)

    def __attrs_post_init__(self) -> None:
        self._budget = Budget(self.options.n_procs, self.options.mem_gb)

    @property
    def budget(self) -> Budget:
        """CPUs and memory that are left."""
        if self._budget is None:
            message = "a worker that came out of a pickle runs nothing"
            raise DefectError(message)
        return self._budget

    def __setstate__(self, state: dict[str, Any]) -> None:
        LocalWorker.__setstate__(self, state)
        self._budget, self._pool, self._solo, self._killed = None, None, None, True
        self._oom_kills = 0

    async def _compute(self, job: Job) -> Report:
        need = resources_of(job.task)
        payload = pack(job)
        share = await self.budget.take(min(need.cpus, self.options.omp_nthreads), need.mem_gb)
        try:
            self.listen(TaskEvent("start", job))
            self._pool = self._pool or self._new_pool(self.options.n_procs)
            report = await self._try(self._pool, job, payload)
        finally:
            self.budget.give(share)
        return report if isinstance(report, Report) else await self._alone(job, payload)

    async def _alone(self, job: Job, payload: bytes) -> Report:
        """Try a suspect again, with nothing beside it."""
        share: Share = await self.budget.take_all()
        end = _Death()
        try:
            for _ in range(max(1, self.options.retries)):
                self._solo = self._new_pool(1)
                try:
                    report = await self._try(self._solo, job, payload)
                finally:
                    self._solo.shutdown(wait=False)
                if isinstance(report, Report):
                    return report
                end = report
        finally:
            self.budget.give(share)
        output = child.tail(output_of(job))
        return Report(0.0, 0.0, end.failure(job, output))

    async def _try(self, pool: cf.ProcessPoolExecutor, job: Job, payload: bytes) -> Report | _Death:
        """Run a job in a pool; tell of a death if its process, or one beside it, was killed."""
        limit_s, processes = self.options.task_minutes * 60, dict(pool._processes or {})
        try:
            future = asyncio.wrap_future(pool.submit(child.run, payload))
            processes |= pool._processes or {}
            report: Report = await asyncio.wait_for(future, limit_s)
        except TimeoutError:
            self._drop(pool)
            _end_holder(job, processes)
            release(job)
            return Report(limit_s, 0.0, _hung(job, self.options.task_minutes))
        except (BrokenProcessPool, RuntimeError) as error:
            if not isinstance(error, BrokenProcessPool) and "shutdown" not in str(error):
                raise
            if self._killed:
                raise asyncio.CancelledError from None
            self._drop(pool)
            release(job)
            codes = await asyncio.to_thread(_exit_codes, processes)
            return _Death(codes, oom_kills() > self._oom_kills)
        _keep_output(job)
        return report

    def _drop(self, pool: cf.ProcessPoolExecutor) -> None:
        """Use a pool no more."""
        if self._pool is pool:
            self._pool = None
            pool.shutdown(wait=False)

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
            for process in list(((pool and pool._processes) or {}).values()):
                with contextlib.suppress(OSError, ValueError):
                    process.kill()

    def close(self) -> None:
        """Let the children go (pydra calls this when a submitter closes)."""
        for pool in (self._pool, self._solo):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


def pack(job: Job) -> bytes:
    """Pack a job for a child, with the sources that its key stands for."""
    slim = copy.copy(job)
    slim.submitter = None
    function = getattr(job.task, "function", None)
    module = str(getattr(function, "__module__", ""))
    stamps = sources.source_stamps(module) if sources.is_ours(module) else {}
    packed = (sources.followed(), stamps, str(output_of(job)), cloudpickle.dumps(slim))
    return pickle.dumps(packed)


def output_of(job: Job) -> Path:
    """Name the file that takes what a task prints."""
    return Path(job.cache_root) / f"{job.checksum}.out"


def _keep_output(job: Job) -> None:
    """Move what a task printed beside its result."""
    with contextlib.suppress(OSError):
        if output_of(job).stat().st_size and job.cache_dir.is_dir():
            os.replace(output_of(job), job.cache_dir / "_output.txt")
        else:
            output_of(job).unlink()


def release(job: Job) -> None:
    """Remove the locks that a killed child left."""
    job.lockfile.unlink(missing_ok=True)
    job.cache_dir.with_name(job.cache_dir.name + "_save.lock").unlink(missing_ok=True)


def _exit_codes(processes: Mapping[int, Any]) -> tuple[int, ...]:
    """Return how the processes of a broken pool ended; those it ended itself left out."""
    for process in processes.values():
        with contextlib.suppress(ValueError, AssertionError):
            process.join(timeout=2)
    codes = [process.exitcode for process in processes.values()]
    return tuple(code for code in codes if code not in (None, 0, -signal.SIGTERM))


def _end_holder(job: Job, processes: Mapping[int, Any]) -> None:
    """Kill the process that runs a task, by its lock; every one of the pool where none is told."""
    with contextlib.suppress(OSError):
        number, _, _ = job.lockfile.read_text().partition("\n")
        if number.isdigit() and int(number) in processes:
            processes = {int(number): processes[int(number)]}
    for process in processes.values():
        with contextlib.suppress(OSError, ValueError):
            process.kill()
            process.join(timeout=5)


def _hung(job: Job, minutes: float) -> Failure:
    """Describe a task that took too long."""
    message = f"{job.name} took more than {minutes:g} minutes and was killed (--task-minutes)"
    return Failure("time", message, inputs=repr(job.task), output=child.tail(output_of(job)))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
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
