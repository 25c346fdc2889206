"""The driver: many participants' workflows at once, on one event loop and one worker."""

import asyncio
import concurrent.futures as cf
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spinalprep.engine.cache_repair import RunLock, other_runs, repair_cache, repair_hashes
from spinalprep.engine.events import Failure, Observer, Observers, SessionResult, Tally, TaskEvent
from spinalprep.engine.hashing import keep_hashes_beside
from spinalprep.engine.pool import PoolWorker
from spinalprep.engine.scheduler import busy_tasks
from spinalprep.engine.session_run import SessionRun
from spinalprep.engine.slurm import SlurmJobs
from spinalprep.engine.worker import InlineWorker, LocalWorker, PoolOptions

__all__ = ["Failure", "Interrupted", "Observer", "Observers", "RunOptions", "SessionResult"]

log = logging.getLogger("spinalprep")
logging.getLogger("pydra").addHandler(logging.NullHandler())

_WORKERS: dict[str, type[LocalWorker]] = {
    "local": PoolWorker,
    "slurm": SlurmJobs,
    "debug": InlineWorker,
}


@dataclass(frozen=True)
class RunOptions(PoolOptions):
    """Limits of a run, the worker (``local``, ``slurm`` or ``debug``), and when to give up."""

    worker: str = "local"
    stop_on_first_crash: bool = False

    @property
    def at_once(self) -> int:
        """How many tasks may run at once."""
        return self.max_jobs if self.worker == "slurm" else self.n_procs


class Interrupted(Exception):  # noqa: N818  (a message to the caller, not an error)
    """Ctrl-C or SIGTERM ended the run; ``results`` says how each session stands."""

    def __init__(self, signal_number: int, results: dict[str, SessionResult]) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number
        self.results = results

    @property
    def exit_code(self) -> int:
        """Exit code by the custom of shells: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal_number


def run_sessions(
    sessions: Mapping[str, Any],
    cache: Callable[[str], Path],
    options: RunOptions,
    observer: Observer | None = None,
) -> dict[str, SessionResult]:
    """Run one workflow per session run, many at once.

    A session run is one reference image of one session, named by its key
    (``sub-01_ses-1_run-1``).

    Parameters
    ----------
    sessions : mapping of str to pydra workflow task
        The workflow of each session; its nodes are the stages.
    cache : callable
        Gives the cache folder of a session. File hashes are kept beside the
        folders, in ``hashes``.
    options : RunOptions
        Limits and worker.
    observer : Observer, optional
        Hears of tasks and failures, and takes the outputs of each stage.

    Returns
    -------
    results : dict of str to SessionResult
        One for each session; a failure of one session leaves the others alone.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM. Children are gone, the cache is whole, and the
        same call goes on where this one stopped.
    """
    folders = {key: Path(cache(key)).resolve() for key in sessions}
    repair_hashes(keep_hashes_beside(folders.values()))
    run = _Run(sessions, folders, options, observer or Observer())
    with _restored_folder(), contextlib.ExitStack() as run.locks:
        results = run.carry_out()
    if run.signal_number:
        raise Interrupted(run.signal_number, results)
    return results


class _Run:
    """One call of `run_sessions`."""

    def __init__(
        self,
        sessions: Mapping[str, Any],
        folders: dict[str, Path],
        options: RunOptions,
        observer: Observer,
    ) -> None:
        self.sessions, self.folders = sessions, folders
        self.options, self.observer = options, observer
        self.worker = _WORKERS[options.worker](options=options, listen=self.hear)
        self.writer = cf.ThreadPoolExecutor(1, thread_name_prefix="write")
        self.locks = contextlib.ExitStack()
        self.results: dict[str, SessionResult] = {}
        self.active: dict[str, SessionRun] = {}
        self.tally = Tally()
        self.signal_number = 0
        self._repaired: set[Path] = set()
        self._known = 0

    def carry_out(self) -> dict[str, SessionResult]:
        """Run everything on a loop of its own, and leave nothing behind."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self.observer.on_run(list(self.sessions), self.options.at_once)
        main = loop.create_task(self._all_sessions())
        try:
            with self._signals(loop, main):
                loop.run_until_complete(main)
        except (asyncio.CancelledError, KeyboardInterrupt):
            main.cancel()
        finally:
            self._wind_up(loop)
            self.observer.on_end(self.tally)
        return {key: self.results[key] for key in self.sessions}

    def hear(self, event: TaskEvent) -> None:
        """Add an event up and pass it on."""
        session, stage = event.job.submitter.session, event.job.submitter.stage
        self.active[session].hear(stage, event)
        t = self.tally
        if event.kind == "hit":
            t = replace(t, finished=t.finished + event.count, hits=t.hits + event.count)
        elif event.kind == "done":
            t = replace(t, finished=t.finished + 1, task_seconds=t.task_seconds + event.seconds)
        elif event.kind == "error":
            t = replace(t, failed=t.failed + 1)
        self.tally = replace(t, total=self._total())
        try:
            self.observer.on_task(session, stage, event, self.tally)
        except Exception:  # a fault in a display must not cost a result
            log.exception("an observer failed")

    async def _all_sessions(self) -> None:
        """Run the sessions, a few more at once than there are processes."""
        gate = asyncio.Semaphore(self.options.at_once + 1)
        pending = {asyncio.create_task(self._session(key, gate)) for key in self.sessions}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                failed = any(result.state == "failed" for result in self.results.values())
                if failed and self.options.stop_on_first_crash:
                    self.worker.kill()
                    break
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _session(self, key: str, gate: asyncio.Semaphore) -> None:
        """Run one session when its turn has come."""
        async with gate:
            run = self.active[key] = SessionRun(
                key,
                self.sessions[key],
                self.folders[key],
                self.worker,
                self.observer,
                self._write,
                self._count,
                self.options.retries,
                partial(self._open, self.folders[key]),
            )
            result = await run.run()
            await self._write(self.observer.on_session, key, result)
            self.results[key] = result

    def _open(self, folder: Path) -> None:
        """Heal a cache before its first use in this run, and say that it is in use."""
        if folder in self._repaired:
            return
        self._repaired.add(folder)
        self.locks.enter_context(RunLock(folder, partial(busy_tasks, folder)))
        for note in other_runs(folder):
            log.info("%s is in use by another run, or was until just now: %s", folder, note.name)
        for line in repair_cache(folder, busy_tasks(folder)):
            log.info("cache: dropped %s", line)

    async def _write(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of the observer in the one thread that writes."""
        await asyncio.get_running_loop().run_in_executor(self.writer, function, *arguments)

    def _count(self, change: int) -> None:
        """Correct the number of known tasks."""
        self._known += change

    def _total(self) -> int:
        """Return the number of tasks known so far, waiting sessions taken to be like the others."""
        waiting = len(self.sessions) - len(self.active)
        return self._known + round(waiting * self._known / max(1, len(self.active)))

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> Iterator[None]:
        """Stop quickly on Ctrl-C and SIGTERM while the body runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, _: object = None) -> None:
            self.signal_number = self.signal_number or number
            self.worker.kill()
            main.cancel()
            if self.options.worker == "debug":  # the loop itself is busy with a task
                raise KeyboardInterrupt

        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in kept:
            if self.options.worker == "debug":
                signal.signal(number, stop)
            else:
                loop.add_signal_handler(number, stop, number)
        try:
            yield
        finally:
            for number, handler in kept.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _wind_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """End children and coroutines, repair what was begun, and note who did not finish."""
        whole = self.results.keys() >= self.sessions.keys()
        if not whole:
            self.worker.kill()
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if rest:
            with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
                loop.run_until_complete(asyncio.wait(rest, timeout=2))
        self.worker.close()
        self.writer.shutdown(wait=whole, cancel_futures=True)
        if not whole:
            for folder in self._repaired:
                with contextlib.suppress(OSError):  # the next run repairs it
                    repair_cache(folder, busy_tasks(folder))
            self._note_unfinished()
        asyncio.set_event_loop(None)
        loop.close()

    def _note_unfinished(self) -> None:
        """Give every session without a result its state and reason."""
        if self.signal_number:
            state = "interrupted"
            reason = f"cancelled: stopped by {signal.Signals(self.signal_number).name}"
        else:
            state, reason = "skipped", "cancelled: another participant failed"
        for key in self.sessions.keys() - self.results.keys():
            run = self.active.get(key)
            result = run.result(state, reason) if run else SessionResult(state, reason=reason)
            self.results[key] = result
            self.observer.on_session(key, result)


@contextlib.contextmanager
def _restored_folder() -> Iterator[None]:
    """Return to the working folder afterwards: pydra changes it."""
    kept = Path.cwd()
    try:
        yield
    finally:
        os.chdir(kept)
