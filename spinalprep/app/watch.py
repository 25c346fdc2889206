"""Follows a run: writes derivatives, gates, crash files and status as things finish."""

import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spinalprep import __version__
from spinalprep.app.config import settings_toml
from spinalprep.app.jobs import Job, Shared
from spinalprep.app.log import LOG
from spinalprep.app.publish import Publisher
from spinalprep.app.quality import known_levels, measure_quality
from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import log_folder
from spinalprep.bids.derivatives import MISSING
from spinalprep.bids.status import Status, write_status
from spinalprep.engine.events import Failure, Observer, SessionResult, Tally, TaskEvent
from spinalprep.reports.gates import Gate, judge

SEVERITY = ("finished", "skipped", "failed", "interrupted")


@dataclass
class Progress:
    """What is known of one job so far."""

    outputs: dict[str, Any] = field(default_factory=dict)
    failures: list[tuple[str, str, str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    tasks: list[tuple[str, str, float, float]] = field(default_factory=list)
    changed: bool = False
    gates: Mapping[str, str] = field(default_factory=dict)
    result: SessionResult | None = None


class Watcher(Observer):
    """Turns the events of a run into files of the output folder.

    ``finish`` is called with a participant's label once all of its jobs have ended.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        shared: Shared,
        gates: tuple[Gate, ...],
        run_name: str,
        finish: Callable[[str], None],
    ) -> None:
        self.jobs, self.shared, self.gates, self.run_name = jobs, shared, gates, run_name
        self.finish = finish
        self.progress = {key: Progress() for key in jobs}
        for key, job in jobs.items():
            self.progress[key].failures += [(s, "", f"input: {r}", "") for s, r in job.problems]

    def on_task(self, unit: str, stage: str, event: TaskEvent, tally: Tally) -> None:
        """Keep time and memory of a computed task."""
        if event.kind == "done":
            mine = self.progress[unit]
            mine.seconds[stage] += event.seconds
            mine.tasks.append((stage, event.job.name, event.seconds, event.peak_mib))

    def on_stage(self, unit: str, stage: str, outputs: Any) -> None:
        """Write what the stage produced."""
        mine = self.progress[unit]
        source = known_levels({**mine.outputs, stage: outputs}).source
        mine.changed |= Publisher(self.jobs[unit], self.shared, source).publish(stage, outputs)
        mine.outputs[stage] = outputs
        for warning in getattr(outputs, "warnings", None) or ():
            LOG.warning("%s: %s", unit, warning)

    def on_failure(self, unit: str, stage: str, node: str, failure: Failure) -> None:
        """Say what failed, in one line; a defect of ours leaves a crash file."""
        crash = ""
        if failure.kind == "defect":
            crash = self._write_crash(unit, stage, node, failure)
        self.progress[unit].failures.append((stage, node, failure.reason, crash))
        LOG.error("%s, %s: %s", unit, stage, failure.message)
        if crash:
            LOG.error("%s: this is our defect; see %s", unit, crash)

    def on_session(self, unit: str, result: SessionResult) -> None:
        """Judge the quality of what was produced; close the participant after its last job."""
        mine = self.progress[unit]
        mine.result = result
        if mine.outputs:
            table = judge(measure_quality(mine.outputs), self.gates)
            mine.gates = dict(zip(table["metric"], table["result"], strict=True))
            mine.changed |= Publisher(self.jobs[unit], self.shared).write_gates(table)
        self.close(unit)

    def close(self, unit: str) -> None:
        """Write the status of a session, and finish the participant, when nothing is left."""
        session = self.jobs[unit].session
        mates = [key for key, job in self.jobs.items() if job.session is session]
        if all(self._ended(key) for key in mates):
            write_status(self.shared.settings.out_dir, self._status(mates))
        label = session.participant
        own = [key for key, job in self.jobs.items() if job.session.participant == label]
        if all(self._ended(key) for key in own):
            self._write_log(label, own)
            self.finish(label)

    def state(self, unit: str) -> str:
        """Return how a job ended; a failed network beside a manual cord is no failure."""
        mine = self.progress[unit]
        state = mine.result.state if mine.result is not None else "failed"
        manual = "cord" in self.jobs[unit].labels.paths
        harmless = manual and all(
            stage == "automatic" and reason.startswith("input:")
            for stage, _, reason, _ in mine.failures
        )
        if state == "failed" and harmless and mine.result is not None:
            return "finished"
        return "failed" if state == "finished" and mine.failures and not harmless else state

    def _ended(self, unit: str) -> bool:
        return self.progress[unit].result is not None or self.jobs[unit].task is None

    def _status(self, units: list[str]) -> Status:
        """Return the row of a session: the worst of its jobs."""
        worst = max(units, key=lambda key: SEVERITY.index(self.state(key)))
        session, state = self.jobs[worst].session, self.state(worst)
        results = [r for key in units if (r := self.progress[key].result) is not None]
        node = reason = MISSING
        if state != "finished" and self.progress[worst].failures:
            stage, task, reason, _ = self.progress[worst].failures[0]
            node = f"{stage}.{task}" if task else stage
        elif state != "finished" and results:
            reason = max(r.reason for r in results) or MISSING
        return Status(
            f"sub-{session.participant}",
            f"ses-{session.session}" if session.session else MISSING,
            state,
            node,
            reason,
            round(sum(r.wall_s for r in results), 1),
            round(max((r.peak_mib for r in results), default=0.0)),
            sum(r.cache_hits for r in results),
        )

    def _write_crash(self, unit: str, stage: str, node: str, failure: Failure) -> str:
        """Write a crash file; return its path below the output folder."""
        participant = self.jobs[unit].session.participant
        folder = log_folder(self.shared.settings.out_dir, participant) / self.run_name
        path = folder / f"crash-{unit}_{stage}.txt"
        lines = [
            f"spinalprep {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"unit: {unit}\nstage: {stage}\ntask: {node}\n{failure.reason}",
            f"\ninputs:\n{failure.inputs}",
            f"\ntraceback:\n{failure.traceback}",
            f"\nend of its output:\n{failure.output}",
            f"\nto repeat: {' '.join(sys.argv)} --participant-label {participant} --worker debug",
        ]
        put_text(self.shared.settings.out_dir, path, "\n".join(lines) + "\n")
        return path.relative_to(self.shared.settings.out_dir).as_posix()

    def _write_log(self, label: str, units: list[str]) -> None:
        """Write settings and resources of a run that computed or failed something."""
        ran = [self.progress[key] for key in units]
        if not any(mine.tasks or mine.failures for mine in ran):
            return
        out_dir = self.shared.settings.out_dir
        folder = log_folder(out_dir, label) / self.run_name
        put_text(out_dir, folder / "spinalprep.toml", settings_toml(self.shared.settings))
        rows = ["unit\tstage\ttask\twall_s\tpeak_mib"]
        for key, mine in zip(units, ran, strict=True):
            rows += [f"{key}\t{s}\t{t}\t{w:.2f}\t{p:.0f}" for s, t, w, p in mine.tasks]
        put_text(out_dir, folder / "resources.tsv", "\n".join(rows) + "\n")
