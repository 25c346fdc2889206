"""Follows a run: writes derivatives, gates, logs and status as things finish."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spinalprep import stages
from spinalprep.app.jobs import Job, Plan
from spinalprep.app.log import LOG
from spinalprep.app.outcome import ComputedTask, Outcome, problems_of, session_status
from spinalprep.app.run_folder import RunFolder
from spinalprep.bids.checksums import first_changed, sizes_and_times
from spinalprep.bids.session import Session
from spinalprep.bids.status import write_status
from spinalprep.derivatives.publish import publish, write_gates
from spinalprep.derivatives.quality import known_levels, measure_quality
from spinalprep.derivatives.writer import DerivativeWriter
from spinalprep.engine.child import explain
from spinalprep.engine.events import Failure, Observer, SessionResult, Tally, TaskEvent
from spinalprep.errors import InputError
from spinalprep.reports.facts import FailureFacts
from spinalprep.reports.gates import Gate, judge
from spinalprep.stages import Node, Results

Finish = Callable[[str, Sequence[Outcome]], None]

OUTPUT = "output"  # in place of a stage, where what was computed can't be written


@dataclass
class _Progress:
    """What is known of a session run while it goes on."""

    failures: list[FailureFacts]
    results: Results = field(default_factory=Results)
    tasks: list[ComputedTask] = field(default_factory=list)
    changed: bool = False
    inputs: Mapping[Path, tuple[int, int]] | None = None  # size and time when the first task began


class RunObserver(Observer):
    """Turns the events of a run into files of the output folder, and into outcomes.

    Parameters
    ----------
    plan : Plan
        What is run.
    gates : tuple of Gate
        Of the quality.
    folder : RunFolder
        Where logs and crashes go.
    finish : callable
        Called with a participant's label and outcomes once all of its session runs have ended.
    """

    def __init__(
        self, plan: Plan, gates: tuple[Gate, ...], folder: RunFolder, finish: Finish
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._plan, self._gates, self._folder, self._finish = plan, gates, folder, finish
        self._progress = {key: _Progress([*problems_of(job)]) for key, job in plan.jobs.items()}

    def close_unusable(self) -> None:
        """End the session runs whose reference can't be used; the engine never hears of them."""
        for key, job in self._plan.jobs.items():
            if job.task is None:
                for problem in job.problems:
                    LOG.error("%s, %s: %s", key, problem.stage, problem.reason)
                self._close(key, Outcome(job, failures=problems_of(job)))

    def on_task(self, session: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Keep how the inputs look at first, and time and memory of a computed task."""
        mine = self._progress[session]
        if mine.inputs is None:
            mine.inputs = sizes_and_times(self._job(session).files.inputs)
        if event.kind == "done":
            task = ComputedTask(stage, event.job.name, event.seconds, event.peak_mib, event.usage)
            mine.tasks.append(task)

    def on_stage(self, session: str, stage: str, outputs: Any) -> None:
        """Write what the stage left.

        Raises
        ------
        InputError
            If an input is no longer what it was when the first task began: nobody could tell of
            which contents the output is made.
        """
        node, mine = Node.named(stage), self._progress[session]
        changed = first_changed(mine.inputs or {})
        if changed is not None:
            raise InputError(
                f"{changed} changed during processing; the results of this stage were not written. "
                "Run the same command again"
            )
        result = node.stage.result_of(outputs)
        results = mine.results.having(node, result)
        mine.changed |= publish(self._writer(session, results), node, result)
        mine.results = results
        for warning in result.warnings:
            LOG.warning("%s: %s", session, warning)

    def on_failure(self, session: str, stage: str, node: str, failure: Failure) -> None:
        """Say what failed, in one line; a defect of ours leaves a crash file."""
        crash = ""
        if failure.kind == "defect":
            participant = self._job(session).session.participant
            with contextlib.suppress(PermissionError):
                crash = self._folder.write_crash(session, participant, stage, node, failure)
        self._progress[session].failures.append(FailureFacts(stage, node, failure.reason, crash))
        LOG.error("%s, %s: %s", session, stage, failure.message)
        if crash:
            LOG.error("%s: internal error, please report it; see %s", session, crash)

    def on_session(self, session: str, result: SessionResult) -> None:
        """Judge the quality of what was left, and end the session run."""
        mine = self._progress[session]
        changed, gates = mine.changed, {}
        if mine.results.found:
            contrast = self._job(session).files.reference.contrast
            table = judge(measure_quality(mine.results, contrast), self._gates)
            gates = dict(zip(table["metric"], table["result"], strict=True))
            with self._only_this_one(session):
                changed |= write_gates(self._writer(session, mine.results), table)
        outcome = Outcome(
            self._job(session),
            results=mine.results,
            failures=tuple(mine.failures),
            tasks=tuple(mine.tasks),
            changed=changed,
            gates=gates,
            end=result,
        )
        if outcome.failures and outcome.state == "finished":
            LOG.warning(
                "%s: only the manual cord mask is used; gray matter and lesions, which the "
                "networks would segment, are missing unless they were drawn too",
                session,
            )
        self._close(session, outcome)

    def settled(self, session: str, result: SessionResult) -> SessionResult:
        """Return how a session run that has ended is counted, see `Outcome.state`."""
        return replace(result, state=self.outcomes[session].state)

    def _close(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome; write status, log and report of whom nothing is left to do."""
        self.outcomes[key] = outcome
        with self._only_this_one(key):
            self._write_end(outcome.job.session)

    def _write_end(self, session: Session) -> None:
        """Write what there is to say at the end of a session, and of its participant."""
        mates = self._outcomes_of(lambda job: job.session is session)
        if mates is not None:
            write_status(self._plan.shared.settings.out_dir, session_status(mates))
        label = session.participant
        own = self._outcomes_of(lambda job: job.session.participant == label)
        if own is not None:
            self._folder.write_log(label, own)
            self._finish(label, own)

    @contextlib.contextmanager
    def _only_this_one(self, key: str) -> Iterator[None]:
        """Let a participant's folder that can't be written cost this participant alone.

        Raises
        ------
        PermissionError
            If it is the whole output folder that can't be written.
        """
        try:
            yield
        except PermissionError as error:
            if not os.access(self._plan.shared.settings.out_dir, os.W_OK):
                raise
            failure = FailureFacts(OUTPUT, "", explain(error).reason)
            self._progress[key].failures.append(failure)
            if key in self.outcomes:
                own = self.outcomes[key]
                self.outcomes[key] = replace(own, failures=(*own.failures, failure))
            LOG.error("%s: %s; not everything could be written", key, failure.reason)

    def _outcomes_of(self, wanted: Callable[[Job], bool]) -> list[Outcome] | None:
        """Return the outcomes of some jobs; None while one of them goes on."""
        keys = [key for key, job in self._plan.jobs.items() if wanted(job)]
        whole = all(key in self.outcomes for key in keys)
        return [self.outcomes[key] for key in keys] if whole else None

    def _job(self, key: str) -> Job:
        return self._plan.jobs[key]

    def _writer(self, key: str, results: Results) -> DerivativeWriter:
        shared = self._plan.shared
        source, lesions = known_levels(results).source, results.get(stages.LESION)
        return DerivativeWriter(
            self._job(key).files,
            shared.settings,
            shared.template,
            shared.cards,
            source,
            searched=tuple(lesions.searched) if lesions is not None else (),
        )
