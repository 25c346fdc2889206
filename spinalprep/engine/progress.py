"""What a person sees while a run goes on: a live picture on a terminal, plain lines elsewhere."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spinalprep.engine.events import Observer, SessionResult, Tally, TaskEvent
from spinalprep.engine.lines import unchanged_line
from spinalprep.streams import say

Settled = Callable[[str, SessionResult], SessionResult]
_SIGNS = {"finished": "green", "failed": "red", "interrupted": "yellow", "skipped": "yellow"}


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> duration(0.04), duration(12.3), duration(95), duration(7300)
    ('0.0 s', '12 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def task_line(session: str, stage: str, event: TaskEvent, tally: Tally) -> str:
    """Return the plain line for a task that ended."""
    width = len(str(tally.total))
    head = f"[{tally.finished:>{width}}/{tally.total}] {session} {stage}: {event.job.name}"
    if event.failure is not None:
        return f"{head} failed"  # the log says why
    return f"{head} {duration(event.seconds)}"


def session_line(session: str, result: SessionResult) -> str:
    """Return the line that says how a session ended."""
    if result.state == "finished" and not result.tasks_run:
        return unchanged_line(session, result.cache_hits)
    if result.state == "finished":
        kept = f", {result.cache_hits} from the cache" if result.cache_hits else ""
        took = duration(result.wall_s)
        return f"{session}: finished in {took}, {result.tasks_run} computed{kept}"
    if result.state == "failed" and result.failed_node:
        return f"{session}: failed in {result.failed_node}"  # the log has said why
    return f"{session}: {result.state}: {result.reason}"


def _as_it_is(_session: str, result: SessionResult) -> SessionResult:
    return result


def progress_to(
    stream: TextIO, in_log: bool = False, settled: Settled = _as_it_is
) -> "PlainProgress | LiveProgress":
    """Return the progress display that suits a stream, or one that speaks in the log.

    ``settled`` says what the engine's result of a session comes to: not every failed stage fails
    the session.
    """
    if in_log:
        return PlainProgress(logging.getLogger("spinalprep").info, settled)
    if stream.isatty():
        return LiveProgress(stream, settled)
    return PlainProgress(partial(say, stream=stream), settled)


class PlainProgress(Observer):
    """One line for each task that was computed or failed, and one for each session."""

    def __init__(self, say: Callable[[str], object], settled: Settled) -> None:
        self._say, self._settled = say, settled

    def on_task(self, session: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Say when a task ends."""
        if event.kind in ("done", "error"):
            self._say(task_line(session, stage, event, tally))

    def on_session(self, session: str, result: SessionResult) -> None:
        """Say how a session ended."""
        self._say(session_line(session, self._settled(session, result)))


class LiveProgress(Observer):
    """A bar, what runs now and for how long, and an estimate of the rest."""

    def __init__(self, stream: TextIO, settled: Settled) -> None:
        self._settled = settled
        self._console = Console(file=stream, highlight=False)
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str, str], float] = {}
        self._tally = Tally()
        self._began = time.monotonic()
        self._n_procs = 1
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )

    def on_run(self, sessions: Sequence[str], n_procs: int) -> None:
        """Start the display."""
        self._n_procs, self._began = n_procs, time.monotonic()
        self._live.start()

    def on_task(self, session: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Keep the list of what runs."""
        key = (session, stage, event.job.name)
        with self._lock:
            self._tally = tally
            if event.kind == "start":
                self._running[key] = time.monotonic()
            else:
                self._running.pop(key, None)
        if event.failure is not None:
            self._console.print(Text(task_line(session, stage, event, tally), style="red"))

    def on_session(self, session: str, result: SessionResult) -> None:
        """Leave a lasting line for each session."""
        end = self._settled(session, result)
        self._console.print(Text(session_line(session, end), style=_SIGNS.get(end.state, "")))

    def on_end(self, tally: Tally) -> None:
        """Remove the display."""
        self._live.stop()

    def _picture(self) -> Group:
        """Draw the state of things."""
        with self._lock:
            tally, running = self._tally, list(self._running.items())
        head = Table.grid(padding=(0, 1))
        rest = tally.remaining_s(self._n_procs)
        estimate = f"about {duration(rest)} left" if rest is not None else ""
        head.add_row(
            ProgressBar(total=max(1, tally.total), completed=tally.finished, width=32),
            f"{tally.finished}/{tally.total}",
            duration(time.monotonic() - self._began),
            Text(estimate, style="dim"),
        )
        now = time.monotonic()
        body = Table.grid(padding=(0, 1))
        for (session, stage, name), began in running:
            body.add_row("  ", session, Text(stage, style="cyan"), name, duration(now - began))
        return Group(head, body)
