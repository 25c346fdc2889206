"""A worker that runs every task as a job of SLURM, with or without accounting."""

import asyncio
import contextlib
import pickle
import shlex
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import attrs
from pydra.engine.job import Job
from pydra.workers.slurm import SlurmWorker

from spinalprep.engine import child, scheduler
from spinalprep.engine.child import Failure, Report
from spinalprep.engine.pool import child_environment, output_of, pack, release
from spinalprep.engine.resources import resources_of
from spinalprep.engine.scheduler import JOB_FILE, JOBS, SCRIPT, WAITING, Request
from spinalprep.engine.slurm_task import PAYLOAD, REPORT
from spinalprep.engine.worker import LocalWorker, PoolOptions, TaskEvent, is_finished

POLL_S = (1.0, 10.0)  # between two looks at a job: at first, and once it has run for long
FILE_WAIT_S = 60.0  # a shared file system may show a file late
_CLUSTER = {"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED"}  # not the task's fault
_MEMORY = ("Exceeded job memory limit", "oom-kill", "oom_kill", "Out Of Memory")


@dataclass(frozen=True)
class _End:
    """How a job ended: its number and state, and the report where the task lived to write one."""

    number: str
    state: str
    report: Report | None = None
    said: str = ""

    @property
    def wanted_memory(self) -> bool:
        """Tell whether SLURM or the kernel ended it for its memory."""
        return self.state == "OUT_OF_MEMORY" or any(word in self.said for word in _MEMORY)


@attrs.define(getstate_setstate=False, slots=False)
class SlurmJobs(LocalWorker, SlurmWorker):  # type: ignore[misc]
    """pydra's SLURM worker, with what it lacks on a cluster.

    A job asks for what its task needs; its real state is told; what a user cancelled stays
    cancelled; a job that wanted more memory or time gets twice as much, as often as ``retries``
    allows; one look at the queue serves all jobs; and a job that a killed run left behind is
    waited for, not submitted again.
    """

    _plugin_name: ClassVar[str] = "spinalprep-slurm"
    options: PoolOptions = attrs.field(factory=PoolOptions)
    _gate: asyncio.Semaphore | None = attrs.field(init=False, default=None)
    _looking: asyncio.Lock | None = attrs.field(init=False, default=None)
    _known: dict[str, str] | None = attrs.field(init=False, default=None)
    _looked: float = attrs.field(init=False, default=-1e9)
    _mine: set[str] = attrs.field(init=False, factory=set)
    _killed: bool = attrs.field(init=False, default=False)

    async def _compute(self, job: Job) -> Report:
        if self._gate is None or self._looking is None:
            self._gate, self._looking = asyncio.Semaphore(self.options.max_jobs), asyncio.Lock()
        async with self._gate:
            self.listen(TaskEvent("start", job))
            needs = resources_of(job.task)
            cpus = min(needs.cpus, self.options.omp_nthreads)
            request = Request(cpus, needs.mem_gb, needs.minutes)
            end = await self._carry_out(job, request)
            for _ in range(self.options.retries):
                if end.report is not None or end.state.startswith("CANCELLED"):
                    break
                if end.state not in _CLUSTER:
                    request = replace(
                        request, mem_gb=2 * request.mem_gb, minutes=2 * request.minutes
                    )
                end = await self._carry_out(job, request)
            return end.report or Report(0.0, 0.0, _failure(job, end, request))

    async def _carry_out(self, job: Job, request: Request) -> _End:
        """Submit a task, or find its job in the queue, and wait for the end."""
        folder = Path(job.cache_root) / JOBS / job.checksum
        number = await asyncio.to_thread(_left_behind, folder)
        if (await self._state(number)) not in WAITING:
            if number and is_finished(job):  # since the cache was asked for it
                shutil.rmtree(folder, ignore_errors=True)
                return _End(number, "COMPLETED", Report(0.0, 0.0))
            number = await asyncio.to_thread(self._submit, job, folder, request)
        self._mine.add(number)
        state, began = "PENDING", time.monotonic()
        while state in WAITING:
            age = time.monotonic() - began
            await asyncio.sleep(min(max(age / 10, POLL_S[0]), POLL_S[1]))
            state = await self._state(number)
        if state == scheduler.NO_SUCH_JOB:
            state = await asyncio.to_thread(scheduler.final_state, number)
        end = await _end_of(job, folder, number, state)
        self._mine.discard(number)
        if end.report is None:
            release(job)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return end

    def _submit(self, job: Job, folder: Path, request: Request) -> str:
        """Write what a job needs and hand it to SLURM; called in a thread of its own."""
        if (folder / JOB_FILE).exists():  # of a job that is no more: so is its lock
            release(job)
        script = self._prepare_runscripts(job)[1]
        words = [
            f"--job-name={job.name}",
            f"--output={folder / 'slurm.txt'}",
            "--open-mode=truncate",
            "--no-requeue",
            *request.words(),
            *shlex.split(self.options.sbatch_args),
        ]
        number = scheduler.submit(script, words)
        if self._killed:  # the run was stopped in the meantime
            scheduler.cancel([number])
        else:
            (folder / JOB_FILE).write_text(number)
        return number

    def _prepare_runscripts(
        self, job: Job, interpreter: str = "/bin/sh", rerun: bool = False
    ) -> tuple[Path, Path]:
        """Write the folder of a job: the packed task, and the script that runs it."""
        folder = Path(job.cache_root) / JOBS / job.checksum
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / PAYLOAD).write_bytes(pack(job))
        lines = [f"#!{interpreter}"]
        for name, value in child_environment(self.options).items():
            lines.append(f"export {name}={shlex.quote(value)}")
        words = [sys.executable, "-m", "spinalprep.engine.slurm_task", str(folder)]
        lines.append(f"exec {shlex.join(words)}")
        script = folder / SCRIPT
        script.write_text("\n".join(lines) + "\n")
        return folder, script

    async def _state(self, number: str) -> str:
        """Return the state of a job; one look at the queue is enough for all of them."""
        if not number or self._looking is None:
            return scheduler.NO_SUCH_JOB
        async with self._looking:
            if time.monotonic() - self._looked >= POLL_S[0] / 2 or self._known is None:
                self._known = await asyncio.to_thread(scheduler.states)
                self._looked = time.monotonic()
        if self._known is None:  # no answer: as far as we know it goes on
            return "PENDING"
        return self._known.get(number, scheduler.NO_SUCH_JOB)

    def kill(self) -> None:
        """Cancel every job of this run."""
        self._killed = True
        scheduler.cancel(self._mine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        LocalWorker.__setstate__(self, state)
        self._killed = True


def _left_behind(folder: Path) -> str:
    """Return the number of the job that a killed run left for a task, or an empty string."""
    number = scheduler.noted_job(folder / JOB_FILE)
    if number or not (folder / SCRIPT).exists():
        return number
    return scheduler.job_of_script(folder / SCRIPT)


async def _end_of(job: Job, folder: Path, number: str, state: str) -> _End:
    """Read what a job that has ended left; its files may come late."""
    latest = time.monotonic() + (FILE_WAIT_S if state == "COMPLETED" else 2.0)
    while True:
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            return _End(number, state, pickle.loads((folder / REPORT).read_bytes()))
        if is_finished(job):  # another run that waited for the same job took the report
            return _End(number, state, Report(0.0, 0.0))
        if time.monotonic() > latest:
            said = child.tail(folder / "slurm.txt") + child.tail(output_of(job))
            return _End(number, state, said=said)
        await asyncio.sleep(0.2)


def _failure(job: Job, end: _End, request: Request) -> Failure:
    """Describe a job that ended without a report."""
    who = f"job {end.number} ({job.name})"
    if end.state.startswith("CANCELLED"):
        kind, message = "cancelled", f"{who} was cancelled"
    elif end.wanted_memory:
        kind, message = "memory", f"{who} exceeded its {request.mem_gb:g} GiB of memory"
    elif end.state in ("TIMEOUT", "DEADLINE"):
        kind, message = "time", f"{who} exceeded its {request.minutes} minutes"
    elif end.state in _CLUSTER:
        kind, message = "cancelled", f"{who} was lost with its node ({end.state})"
    else:
        kind = "memory" if end.state == "FAILED" else "defect"
        message = f"{who} ended as {end.state} without a result"
    return Failure(kind, message, inputs=repr(job.task), output=end.said)
