"""Before a run: leave in the cache only what can be trusted."""

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from spinalprep.engine.record import damage, read_record
from spinalprep.machine import machine

BEAT_S = 15.0
_FRESH_S = 8 * BEAT_S
_RESULTS = ("python-", "workflow-", "shell-")
_HASH_BYTES = 16
_HASHING_S = 60.0  # to read one file
_CLOCKS_S = 2.0  # by which clocks, and the kernel's ticks, may differ


class RunLock:
    """A file that says "a run uses this cache", kept young by a heartbeat.

    Runs may share a cache (pydra's locks keep each task to one run); the note
    keeps one run from sweeping away what another is making. Where another run seemed to live when
    this one began, and its heartbeat then ends, the locks that it held are dropped, so that this
    one does not wait for them. ``busy`` is as for `repair_cache`.
    """

    def __init__(self, cache: Path, busy: Callable[[], frozenset[str]] = frozenset) -> None:
        self.path = cache / f"run-{machine()}-{os.getpid()}.json"
        self._busy = busy
        self._stop = threading.Event()

    def __enter__(self) -> "RunLock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        note = {
            "host": machine(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
        self.path.write_text(json.dumps(note))
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):  # it grows old by itself
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Touch the file until told to stop; meanwhile see whether the others go on."""
        cache = self.path.parent
        shared = bool(other_runs(cache))
        while not self._stop.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self.path)
                _drop_old_hash_locks(cache.parent / "hashes", self.path.stat().st_mtime)
                if shared and not other_runs(cache):
                    shared = False
                    _release_the_waiting(cache, self._busy)


def other_runs(cache: Path) -> list[Path]:
    """Return the notes of other live runs that use a cache; those of dead ones are removed."""
    live = []
    mine = f"run-{machine()}-{os.getpid()}.json"
    for path in cache.glob("run-*.json"):
        if path.name == mine:
            continue
        if _run_lives(path):
            live.append(path)
        else:
            path.unlink(missing_ok=True)
    return live


def _run_lives(path: Path) -> bool:
    """Tell whether the run that wrote a note goes on: by process here, by heartbeat elsewhere."""
    try:
        note = json.loads(path.read_text())
        if note["host"] != machine():
            return time.time() - path.stat().st_mtime < _FRESH_S
        age = psutil.Process(note["pid"]).create_time() - float(note["started"])
        return bool(-2 < age < 2)
    except psutil.Error:
        return False
    except (OSError, ValueError, KeyError):
        return path.exists() and time.time() - path.stat().st_mtime < BEAT_S


def repair_cache(cache: Path, busy: frozenset[str] = frozenset()) -> list[str]:
    """Drop results that can't be trusted, dead locks and leftovers.

    Parameters
    ----------
    cache : Path
        The cache of one participant.
    busy : frozenset of str
        Checksums of tasks that a scheduler has in hand: their locks and results stay.

    Returns
    -------
    dropped : list of str
        Name of each dropped entry and why; empty while another live run uses
        the cache.
    """
    if not cache.is_dir() or other_runs(cache):
        return []
    dropped = [lock.name for lock in _dead_locks(cache) if lock.stem not in busy]
    for name in dropped:
        (cache / name).unlink(missing_ok=True)
    for entry, why in _distrusted(cache, busy):
        shutil.rmtree(entry, ignore_errors=True)
        dropped.append(f"{entry.name}: {why}")
    if busy:  # what lies about may be theirs
        return dropped
    for pattern in ("*_info.json", "*.out", "pkl_files"):
        for path in cache.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return dropped


def damaged_entries(work_dir: Path) -> Iterator[tuple[Path, str]]:
    """Yield every finished result of the caches of a work folder, and what is wrong with it.

    Every file is read, also those whose size and times are as they were; empty where all is well.
    """
    for record in sorted(work_dir.glob("cache-*/sub-*/*/_record.json")):
        yield record.parent, damage(record.parent, thorough=True)


def repair_hashes(folder: Path | None) -> None:
    """Drop half-written entries and dead locks from the store of file hashes."""
    if folder is None:
        return
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.suffix == ".lock":
                if _holder_is_dead(path):
                    path.unlink()
            elif path.stat().st_size != _HASH_BYTES:
                path.unlink()


def _drop_old_hash_locks(folder: Path, now: float) -> None:
    """Drop locks of the store of file hashes that nobody can hold for so long.

    All participants share the store: a job that was killed would hold up all others. Two that read
    the same file at once write the same hash. ``now`` is by the clock of the file system.
    """
    for lock in folder.glob("*.lock"):
        with contextlib.suppress(OSError):
            if now - lock.stat().st_mtime > _HASHING_S:
                lock.unlink()


def _distrusted(cache: Path, busy: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Yield results that can't be trusted, and why; not those that a job is about to finish."""
    for entry in sorted(cache.iterdir()):
        if not entry.is_dir() or not entry.name.startswith(_RESULTS) or entry.name in busy:
            continue
        if entry.with_suffix(".lock").exists():
            continue
        why = damage(entry)
        if why:
            yield entry, why


def _release_the_waiting(cache: Path, busy: Callable[[], frozenset[str]]) -> None:
    """Drop the locks of runs that have died, and what they had not finished, during this run.

    This run's own stay: those that its process holds, and those of its jobs elsewhere, which are
    asked for last, because one may have begun since.
    """
    own = str(os.getpid()), socket.gethostname()
    dead = [(lock, _holder(lock)) for lock in _dead_locks(cache)]
    running = busy()
    for lock, holder in dead:
        if holder == own or lock.stem in running or _holder(lock) != holder:
            continue
        if read_record(lock.with_suffix("")) is None:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)


def _holder(lock: Path) -> tuple[str, str] | None:
    """Return number and host of the process that a lock names; None for a lock that is gone."""
    try:
        pid, host, *_ = [*lock.read_text().split("\n"), "", ""]
    except OSError:
        return None
    return pid, host


def _dead_locks(cache: Path) -> Iterator[Path]:
    """Yield locks whose holder is not alive here; no other run is live."""
    for lock in cache.glob("*.lock"):
        if _holder_is_dead(lock, elsewhere=True):
            yield lock


def _holder_is_dead(lock: Path, elsewhere: bool = False) -> bool:
    """Tell whether a lock's holder is gone; ``elsewhere`` answers for other hosts and blanks."""
    holder = _holder(lock)
    if holder is None:
        return False
    pid, host = holder
    if host != socket.gethostname() or not pid.isdigit():
        return elsewhere
    if int(pid) == os.getpid() or not psutil.pid_exists(int(pid)):
        return True
    return elsewhere and _is_younger(int(pid), lock)


def _is_younger(pid: int, lock: Path) -> bool:
    """Tell whether a process began after a lock was written, which then was another's.

    Numbers come again: in a container they begin anew with every start.
    """
    with contextlib.suppress(psutil.Error, OSError):
        return bool(psutil.Process(pid).create_time() > lock.stat().st_mtime + _CLOCKS_S)
    return False
