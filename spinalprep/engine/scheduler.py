"""SLURM as its commands tell it: submit, look, cancel. Needs no accounting."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spinalprep.errors import UsageError

JOB_FILE = "job"  # in the folder of a task's job: its number
SCRIPT = "job.sh"  # beside it: what sbatch was given
JOBS = "slurm"  # the folder of a cache that holds those folders
WAITING = frozenset(
    {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "STAGE_OUT"}
)
NO_SUCH_JOB = "GONE"
_BUSY_PAUSES_S = (2.0, 10.0, 30.0)  # a controller under load refuses now and then
_HOPELESS = ("invalid", "not available", "violates", "not permitted", "can not be satisfied")
_COMMAND_S = 60.0


@dataclass(frozen=True)
class Request:
    """What a job asks for: processors, memory in GiB, minutes."""

    cpus: int
    mem_gb: float
    minutes: int

    def words(self) -> list[str]:
        """Return the words of ``sbatch``."""
        return [
            f"--cpus-per-task={self.cpus}",
            f"--mem={-(-self.mem_gb * 1024 // 1):.0f}M",
            f"--time={self.minutes}",
        ]


def is_here() -> bool:
    """Tell whether SLURM's commands are installed."""
    return all(shutil.which(command) for command in ("sbatch", "squeue", "scontrol", "scancel"))


def submit(script: Path, words: Iterable[str]) -> str:
    """Hand a script to ``sbatch`` and return the number of its job.

    Raises
    ------
    UsageError
        If there is no ``sbatch``, or it refuses; a controller that is busy is asked again.
    """
    for pause in (*_BUSY_PAUSES_S, None):
        done = _call("sbatch", "--parsable", *words, str(script))
        if done.returncode == 0:
            return done.stdout.strip().split(";")[0]
        said = " ".join(done.stderr.split())
        if pause is None or any(word in said.lower() for word in _HOPELESS):
            break
        time.sleep(pause)
    raise UsageError(f"sbatch refuses the job: {said}")


def states() -> dict[str, str] | None:
    """Return the state of each of this user's jobs that the controller still knows.

    None where it does not answer: nothing is known then, and nothing may be concluded.
    """
    jobs = _queue()
    return None if jobs is None else {job.number: job.state for job in jobs}


def job_of_script(script: Path) -> str:
    """Return the number of the job that waits or runs with a script, or an empty string.

    A run that was killed while ``sbatch`` answered leaves a job whose number it did not note.
    """
    numbers = (job.number for job in _queue() or () if job.waits and job.script == str(script))
    return next(numbers, "")


@dataclass(frozen=True)
class _Queued:
    """A job as the controller knows it; ``script`` is empty for one that runs none."""

    number: str
    state: str
    script: str = ""

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self.state in WAITING


def _queue() -> list[_Queued] | None:
    """Return this user's jobs; None where there is no answer."""
    done = _call("squeue", "-h", "-t", "all", "-u", str(os.getuid()), "-o", "%i %T %o")
    if done.returncode:
        return None
    lines = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    return [_Queued(*line) for line in lines if len(line) > 1]


def final_state(number: str) -> str:
    """Return the state of a job that left the queue: from the controller, else from accounting."""
    done = _call("scontrol", "show", "job", "-o", number)
    found = re.search(r"JobState=(\w+)", done.stdout)
    if found:
        return found[1]
    done = _call("sacct", "-n", "-X", "-P", "-j", number, "-o", "State")
    return done.stdout.split()[0] if done.stdout.strip() else NO_SUCH_JOB


def cancel(numbers: Iterable[str]) -> None:
    """Cancel jobs; those that have ended are left alone."""
    wanted = list(numbers)
    if wanted:
        _call("scancel", "-Q", *wanted)


def busy_tasks(cache: Path) -> frozenset[str]:
    """Return the checksums of the tasks of a cache whose jobs wait or run, by SLURM's own word.

    A run that was killed leaves its jobs behind: they go on, and what they hold must stay.
    """
    folders = sorted(path for path in (cache / JOBS).glob("*") if path.is_dir())
    if not folders:
        return frozenset()
    jobs = _queue()
    if jobs is None:  # the controller is away: trust what was noted
        return frozenset(path.name for path in folders) if is_here() else frozenset()
    waiting = {word for job in jobs if job.waits for word in (job.number, job.script) if word}
    return frozenset(
        path.name for path in folders if waiting & {noted_job(path / JOB_FILE), str(path / SCRIPT)}
    )


def noted_job(path: Path) -> str:
    """Return the number of a job that was noted, or an empty string."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _call(*words: str) -> "subprocess.CompletedProcess[str]":
    """Call one of SLURM's commands; one that hangs counts as one that failed."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_COMMAND_S
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 124, "", str(error))
