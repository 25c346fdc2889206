"""The far side of the pool: one task in a process of its own.

Only the standard library, and what needs no more, is imported here at first, so that the limits on
threads are set before any library starts its own.
"""

import contextlib
import multiprocessing as mp
import multiprocessing.connection
import os
import pickle
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinalprep.memory import NOTHING, Usage, peak_mib, reset_peak, usage

_TAIL = 4000


@dataclass(frozen=True)
class Failure:
    """Why a task failed.

    ``kind`` is the first word of a status reason (``input``, ``memory``,
    ``cancelled``, ``defect``), ``message`` one line, ``output`` the end of
    what the task printed.
    """

    kind: str
    message: str
    traceback: str = ""
    inputs: str = ""
    output: str = ""

    @property
    def reason(self) -> str:
        """Kind and message on one line."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What a child tells: seconds, peak memory in MiB, what it took, and the failure if any."""

    seconds: float
    peak_mib: float
    failure: Failure | None = None
    usage: Usage = NOTHING


def start(environment: dict[str, str]) -> None:
    """Prepare a new child: limits on threads, deaf to Ctrl-C, leaves with the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when the main process is gone, even by kill -9."""
    parent = mp.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def run(payload: bytes) -> Report:
    """Unpack and run one job in this process, its output kept beside the cache.

    Parameters
    ----------
    payload : bytes
        Pickle of (followed packages, source stamps, output file, pickled job).
    """
    import cloudpickle

    from spinalprep.engine import hashing, sources  # children must hash as the main process does

    packages, stamps, output, pickled = pickle.loads(payload)
    hashing.keep_hashes_beside([Path(output).parent])
    for package in packages:
        sources.follow(package)
    os.chdir(Path(output).parent)
    with _output_to(Path(output)):
        return execute(cloudpickle.loads(pickled), stamps, Path(output))


def execute(job: Any, stamps: dict[str, tuple[int, int]], output: Path) -> Report:
    """Run one job here; errors come back as part of the report."""
    began, before = time.monotonic(), usage()
    reset_peak()
    try:
        _check_sources(stamps)
        result = job.run()
        from spinalprep.engine.record import write_record

        seconds = time.monotonic() - began
        write_record(job, result, seconds, peak_mib())
    except KeyboardInterrupt:
        shutil.rmtree(job.cache_dir, ignore_errors=True)
        raise
    except BaseException as error:  # SystemExit too: pydra would store it as a success
        if not isinstance(error, Exception):
            shutil.rmtree(job.cache_dir, ignore_errors=True)
        failure = explain(error, repr(job.task), tail(output))
        return Report(time.monotonic() - began, peak_mib(), failure, usage() - before)
    return Report(seconds, peak_mib(), usage=usage() - before)


def explain(error: BaseException, inputs: str = "", output: str = "") -> Failure:
    """Turn an exception into one line, its kind and the evidence."""
    from spinalprep.errors import FOLDER_TROUBLE, SpinalprepError

    name = type(error).__name__
    text = " ".join(str(error).split()) or name
    if isinstance(error, SpinalprepError):
        kind, message = error.kind, text
    elif isinstance(error, MemoryError):
        kind, message = "memory", f"not enough memory ({text})"
    elif isinstance(error, SystemExit):
        kind, message = "defect", f"a task called sys.exit({error.code})"
    elif isinstance(error, OSError) and error.errno in FOLDER_TROUBLE:
        kind, message = "input", f"{error.strerror}: {error.filename or 'a file'}"
    else:
        kind, message = "defect", f"{name}: {text}"
    trace = "".join(traceback.format_exception(error))
    return Failure(kind, message, trace, inputs, output)


def _check_sources(stamps: dict[str, tuple[int, int]]) -> None:
    """Refuse to run code other than that which the cache key stands for."""
    from spinalprep.engine import sources
    from spinalprep.errors import UsageError

    if not sources.unchanged(stamps):
        message = "the files of spinalprep changed during the run; start again"
        raise UsageError(message)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send all that this process prints, C libraries included, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(sink)


def tail(path: Path) -> str:
    """Return the end of a text file, or nothing."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")[-_TAIL:]
    return ""
