"""A worker whose processes may die without taking the run along."""

import asyncio
import concurrent.futures as cf
import contextlib
import copy
import multiprocessing as mp
import os
import pickle
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, ClassVar

import attrs
import cloudpickle
from pydra.engine.job import Job

from spinalprep.engine import child, sources
from spinalprep.engine.budget import Budget, Share
from spinalprep.engine.child import Failure, Report
from spinalprep.engine.resources import resources_of
from spinalprep.engine.worker import LocalWorker, PoolOptions, TaskEvent
from spinalprep.environment import run_environment
from spinalprep.errors import DefectError


def child_environment(options: PoolOptions) -> dict[str, str]:
    """Return the variables that hold libraries to their threads and seed."""
    environment = run_environment(options.omp_nthreads, options.seed, options.mem_gb)
    if "PYDRA_HASH_CACHE" in os.environ:
        environment["PYDRA_HASH_CACHE"] = os.environ["PYDRA_HASH_CACHE"]
    return environment


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

    async def _compute(self, job: Job) -> Report:
        need = resources_of(job.task)
        payload = _payload(job)
        share = await self.budget.take(min(need.cpus, self.options.omp_nthreads), need.mem_gb)
        try:
            self.listen(TaskEvent("start", job))
            self._pool = self._pool or self._new_pool(self.options.n_procs)
            report = await self._try(self._pool, job, payload)
        finally:
            self.budget.give(share)
        return report or await self._alone(job, payload)

    async def _alone(self, job: Job, payload: bytes) -> Report:
        """Try a suspect again, with nothing beside it."""
        share: Share = await self.budget.take_all()
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
            self.budget.give(share)
        output = child.tail(_output_of(job))
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
            for process in list(((pool and pool._processes) or {}).values()):
                with contextlib.suppress(OSError, ValueError):
                    process.kill()

    def close(self) -> None:
        """Let the children go (pydra calls this when a submitter closes)."""
        for pool in (self._pool, self._solo):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


def _payload(job: Job) -> bytes:
    """Pack a job for a child, with the sources that its key stands for."""
    slim = copy.copy(job)
    slim.submitter = None
    function = getattr(job.task, "function", None)
    module = str(getattr(function, "__module__", ""))
    stamps = sources.source_stamps(module) if sources.is_ours(module) else {}
    packed = (sources.followed(), stamps, str(_output_of(job)), cloudpickle.dumps(slim))
    return pickle.dumps(packed)


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
    message = f"the process of {job.name} was killed, most likely because memory ran out"
    return replace(Failure("memory", message, output=output), inputs=repr(job.task))


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
