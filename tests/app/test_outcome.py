"""How session runs end, and what the row of a session says of them."""

from pathlib import Path

import pytest

from spinalprep.app.jobs import Job, Problem
from spinalprep.app.outcome import Outcome, exit_code, problems_of, session_status
from spinalprep.bids.labels import Label, Labels
from spinalprep.bids.session import Scan, Session
from spinalprep.bids.session_files import SessionFiles
from spinalprep.engine.events import GRAPH, SessionResult
from spinalprep.reports.facts import FailureFacts

NO_CORD = FailureFacts("automatic", "TraceCenterline", "input: no cord")
DEFECT = FailureFacts("automatic", "FindHeat", "defect: KeyError", "sub-1/log/crash.txt")
NO_LEVELS = FailureFacts("levels", "LevelsFromDiscs", "input: no disc on the cord")


def job(drawn: bool = False, problems: tuple[Problem, ...] = ()) -> Job:
    scan = Scan(Path("in"), "sub-1/anat/sub-1_run-1_T2w.nii.gz", "1", None, "T2w", {"run": "1"})
    label = Label(Path("in/labels/sub-1_run-1_T2w_seg-manual.nii.gz"), "cord", used=True)
    files = SessionFiles(scan, labels=Labels((label,) if drawn else ()))
    return Job(Session("1", None, (scan,)), files, None, problems)


@pytest.mark.parametrize(
    ("engine", "failures", "drawn", "state"),
    [
        ("finished", (), False, "finished"),
        ("failed", (NO_CORD,), False, "failed"),
        ("failed", (NO_CORD,), True, "finished"),  # a person's cord is there instead
        ("failed", (DEFECT,), True, "failed"),
        ("failed", (NO_CORD, NO_LEVELS), True, "failed"),
        ("finished", (NO_LEVELS,), False, "failed"),  # an input that could not be used
        ("interrupted", (NO_CORD,), True, "interrupted"),
        ("skipped", (), False, "skipped"),
        (None, (NO_LEVELS,), False, "failed"),
    ],
)
def test_states(
    engine: str | None, failures: tuple[FailureFacts, ...], drawn: bool, state: str
) -> None:
    end = SessionResult(engine) if engine is not None else None
    assert Outcome(job(drawn), failures=failures, end=end).state == state


@pytest.mark.parametrize(
    ("states", "gate", "fail_on_qc", "code"),
    [
        (("finished", "finished"), "WARN", True, 0),
        (("finished", "finished"), "FAIL", False, 0),
        (("finished", "finished"), "FAIL", True, 3),
        (("finished", "failed"), "FAIL", True, 1),  # of several the first of docs/usage.md
        (("skipped", "finished"), "PASS", False, 1),
    ],
)
def test_exit_codes(states: tuple[str, str], gate: str, fail_on_qc: bool, code: int) -> None:
    outcomes = [
        Outcome(job(), gates={"components": "PASS", "coverage": gate}, end=SessionResult(state))
        for state in states
    ]
    assert exit_code(outcomes, fail_on_qc=fail_on_qc) == code
    assert exit_code(outcomes, 1, fail_on_qc=fail_on_qc) == 1


def test_a_graph_that_could_not_be_built_comes_first() -> None:
    ours = FailureFacts(GRAPH, "", "defect: ValueError")
    outcomes = [
        Outcome(job(), end=SessionResult("failed"), failures=(failure,))
        for failure in (NO_CORD, ours)
    ]
    assert exit_code(outcomes, 1, fail_on_qc=True) == 70


def test_the_row_of_a_session_is_its_worst_run() -> None:
    good = Outcome(job(), end=SessionResult("finished", wall_s=10.0, peak_mib=500.0, cache_hits=3))
    bad = Outcome(
        job(), failures=(NO_CORD, NO_LEVELS), end=SessionResult("failed", wall_s=5.26, cache_hits=4)
    )
    row = session_status([good, bad])
    assert (row.participant_id, row.session_id, row.state) == ("sub-1", "n/a", "failed")
    assert (row.failed_node, row.reason) == ("automatic.TraceCenterline", "input: no cord")
    assert (row.wall_s, row.peak_mib, row.cache_hits) == (15.3, 500, 7)


def test_an_interrupted_run_says_why_and_names_no_node() -> None:
    end = SessionResult("interrupted", reason="cancelled: stopped by SIGINT")
    row = session_status([Outcome(job(), end=end)])
    assert (row.failed_node, row.reason) == ("n/a", "cancelled: stopped by SIGINT")


def test_inputs_that_cannot_be_used_are_failures_of_their_stage() -> None:
    bad = job(problems=(Problem("preprocess_T1w", "no image"),))
    outcome = Outcome(bad, failures=problems_of(bad), end=SessionResult("finished"))
    row = session_status([outcome])
    assert (row.state, row.failed_node) == ("failed", "preprocess_T1w")
    assert row.reason == "input: no image"
