"""How a session run ended, and what it left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spinalprep import stages
from spinalprep.app.jobs import Job
from spinalprep.bids.saved_tables import MISSING
from spinalprep.bids.status import Status
from spinalprep.engine.events import GRAPH, SessionResult
from spinalprep.errors import DefectError
from spinalprep.memory import NOTHING, Usage
from spinalprep.reports.facts import FailureFacts
from spinalprep.stages import Results

SEVERITY = ("finished", "skipped", "failed", "interrupted")


@dataclass(frozen=True)
class ComputedTask:
    """What one task that was not in the cache took."""

    stage: str
    task: str
    wall_s: float
    peak_mib: float
    usage: Usage = NOTHING


@dataclass(frozen=True)
class Outcome:
    """One session run after it has ended.

    Attributes
    ----------
    job : Job
        What was to be done.
    results : Results
        What its finished stages left.
    failures : tuple of FailureFacts
        Stages that failed, and inputs that could not be used.
    tasks : tuple of ComputedTask
        What was computed, not found in the cache.
    changed : bool
        Whether a derivative is new or differs.
    gates : mapping of str to str
        PASS, WARN or FAIL of each quality gate.
    end : SessionResult or None
        What the engine says; None where nothing was run.
    """

    job: Job
    results: Results = field(default_factory=Results)
    failures: tuple[FailureFacts, ...] = ()
    tasks: tuple[ComputedTask, ...] = ()
    changed: bool = False
    gates: Mapping[str, str] = field(default_factory=dict)
    end: SessionResult | None = None

    @property
    def state(self) -> str:
        """How it ended; a network that fails beside a cord that a person drew is no failure."""
        if self.end is None:
            return "failed"
        state = self.end.state
        if state == "failed" and self._only_networks_failed:
            return "finished"
        if state == "finished" and self.failures and not self._only_networks_failed:
            return "failed"
        return state

    @property
    def could_be_built(self) -> bool:
        """Whether there was a graph to run; if not, the program is at fault."""
        return all(failure.stage != GRAPH for failure in self.failures)

    @property
    def _only_networks_failed(self) -> bool:
        networks = stages.AUTOMATIC.name_of()
        return self.job.files.is_drawn("cord") and all(
            failure.stage == networks and failure.reason.startswith("input:")
            for failure in self.failures
        )


def problems_of(job: Job) -> tuple[FailureFacts, ...]:
    """Return the inputs of a job that can't be used, as failures of their stages."""
    return tuple(FailureFacts(p.stage, "", f"input: {p.reason}") for p in job.problems)


def exit_code(outcomes: Sequence[Outcome], unusable: int = 0, *, fail_on_qc: bool) -> int:
    """Return what the worst of the session runs comes to (a table in docs/usage.md).

    ``unusable`` sessions had no image to work on.
    """
    if not all(outcome.could_be_built for outcome in outcomes):
        return DefectError.exit_code
    if unusable or any(outcome.state != "finished" for outcome in outcomes):
        return 1
    failing = any("FAIL" in outcome.gates.values() for outcome in outcomes)
    return 3 if fail_on_qc and failing else 0


def session_status(outcomes: Sequence[Outcome]) -> Status:
    """Return the row of a session in ``status.tsv``: the worst of its runs."""
    worst = max(outcomes, key=lambda outcome: SEVERITY.index(outcome.state))
    session, state = worst.job.session, worst.state
    ends = [outcome.end for outcome in outcomes if outcome.end is not None]
    node = reason = MISSING
    if state != "finished" and worst.failures:
        first = worst.failures[0]
        node = f"{first.stage}.{first.node}" if first.node else first.stage
        reason = first.reason
    elif state != "finished" and ends:
        reason = max(end.reason for end in ends) or MISSING
    return Status(
        f"sub-{session.participant}",
        f"ses-{session.session}" if session.session else MISSING,
        state,
        node,
        reason,
        round(sum(end.wall_s for end in ends), 1),
        round(max((end.peak_mib for end in ends), default=0.0)),
        sum(end.cache_hits for end in ends),
    )
