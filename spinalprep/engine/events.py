"""What a run tells the program around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spinalprep.engine.child import Failure
from spinalprep.engine.worker import TaskEvent

__all__ = ["Failure", "Observer", "Observers", "SessionResult", "Tally", "TaskEvent"]

GRAPH = "workflow"  # stands for the stage in the failure of a graph that can't be built


@dataclass(frozen=True)
class Tally:
    """Tasks finished (hits among them), failed, and known so far; seconds spent computing."""

    finished: int = 0
    hits: int = 0
    failed: int = 0
    total: int = 0
    task_seconds: float = 0.0

    @property
    def computed(self) -> int:
        """Number of tasks that were computed in this run."""
        return self.finished - self.hits

    def remaining_s(self, n_procs: int) -> float | None:
        """Return an estimate of the seconds to go, or None before any task was computed."""
        if not self.computed:
            return None
        tasks = max(0, self.total - self.finished - self.failed)
        return tasks * self.task_seconds / self.computed / max(1, min(n_procs, tasks))


@dataclass(frozen=True)
class SessionResult:
    """How a participant (or session) ended.

    ``state`` is ``finished``, ``failed``, ``skipped`` or ``interrupted``;
    ``reason`` begins with the kind of failure; ``failures`` holds one
    (stage, task, Failure) for each stage that failed.
    """

    state: str
    failed_node: str = ""
    reason: str = ""
    wall_s: float = 0.0
    peak_mib: float = 0.0
    cache_hits: int = 0
    tasks_run: int = 0
    failures: tuple[tuple[str, str, Failure], ...] = ()


class Observer:
    """Overwrite what you want to hear; everything is called in the main process."""

    def on_run(self, sessions: Sequence[str], n_procs: int) -> None:
        """Hear that a run begins."""

    def on_task(self, session: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Hear of a task; must be quick."""

    def on_stage(self, session: str, stage: str, outputs: Any) -> None:
        """Take the outputs of a finished stage, to write them; called in one thread of its own.

        An exception raised here is a failure of the stage.
        """

    def on_failure(self, session: str, stage: str, node: str, failure: Failure) -> None:
        """Hear that a stage failed, and which task and why."""

    def on_session(self, session: str, result: SessionResult) -> None:
        """Hear how a session ended; called in the same thread as `on_stage`."""

    def on_end(self, tally: Tally) -> None:
        """Hear that the run is over."""


class Observers(Observer):
    """Pass everything on to several observers, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_run(self, sessions: Sequence[str], n_procs: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_run(sessions, n_procs)

    def on_task(self, session: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_task(session, stage, event, tally)

    def on_stage(self, session: str, stage: str, outputs: Any) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_stage(session, stage, outputs)

    def on_failure(self, session: str, stage: str, node: str, failure: Failure) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_failure(session, stage, node, failure)

    def on_session(self, session: str, result: SessionResult) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_session(session, result)

    def on_end(self, tally: Tally) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.on_end(tally)
