"""What a person sees."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest

from spinalprep.engine.child import Failure, explain
from spinalprep.engine.events import Observers, SessionResult, Tally
from spinalprep.engine.progress import LiveProgress, PlainProgress, progress_to, session_line
from spinalprep.engine.worker import TaskEvent
from spinalprep.errors import NoCordError

JOB = SimpleNamespace(name="SegmentCord")


def test_a_plain_line_for_each_task_that_ended():
    stream = io.StringIO()
    progress = progress_to(stream)
    assert isinstance(progress, PlainProgress)
    tally = Tally(finished=3, total=24)
    progress.on_task("sub-01", "T2w cord", TaskEvent("start", JOB), tally)
    progress.on_task("sub-01", "T2w cord", TaskEvent("hit", JOB), tally)
    progress.on_task("sub-01", "T2w cord", TaskEvent("done", JOB, 12.2), tally)
    failure = Failure("input", "no cord")
    progress.on_task("sub-01", "T2w cord", TaskEvent("error", JOB, 1, 1, failure), tally)
    assert stream.getvalue().splitlines() == [
        "[ 3/24] sub-01 T2w cord: SegmentCord 12 s",
        "[ 3/24] sub-01 T2w cord: SegmentCord failed",
    ]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (SessionResult("finished", cache_hits=14), "unchanged, 14 results from the cache"),
        (SessionResult("finished", wall_s=95, tasks_run=2), "finished in 1 min 35 s, 2 computed"),
        (
            SessionResult("failed", "cord.Find", "input: no cord"),
            "failed in cord.Find",
        ),
        (SessionResult("interrupted", reason="cancelled: x"), "interrupted: cancelled: x"),
    ],
)
def test_a_line_for_each_session(result, line):
    assert session_line("sub-01", result) == f"sub-01: {line}"


def test_a_session_ends_as_it_is_counted():
    stream = io.StringIO()
    progress = progress_to(stream, settled=lambda _, result: replace(result, state="finished"))
    progress.on_session("sub-01", SessionResult("failed", "automatic", "input: x", tasks_run=1))
    assert stream.getvalue().startswith("sub-01: finished in")


def test_an_estimate_of_the_rest():
    tally = Tally(finished=6, hits=2, total=10, task_seconds=40)
    assert tally.remaining_s(1) == 40
    assert tally.remaining_s(2) == 20
    assert tally.remaining_s(100) == 10
    assert Tally(finished=2, hits=2, total=10).remaining_s(1) is None


def test_the_live_picture_shows_what_runs():
    stream = io.StringIO()
    stream.isatty = lambda: True
    progress = progress_to(stream)
    assert isinstance(progress, LiveProgress)
    observer = Observers(progress)
    observer.on_run(["sub-01"], 2)
    tally = Tally(finished=1, total=4, task_seconds=3)
    observer.on_task("sub-01", "cord", TaskEvent("start", JOB), tally)
    progress._live.refresh()
    observer.on_task("sub-01", "cord", TaskEvent("error", JOB, 1, 1, Failure("x", "y")), tally)
    observer.on_stage("sub-01", "cord", None)
    observer.on_failure("sub-01", "cord", "", Failure("x", "y"))
    observer.on_session("sub-01", SessionResult("failed", "cord", "x: y"))
    observer.on_end(tally)
    shown = stream.getvalue()
    assert "SegmentCord" in shown
    assert " left" in shown
    assert "sub-01: failed in cord" in shown


def test_errors_become_one_line():
    assert explain(NoCordError("no cord\n here")).reason == "input: no cord here"
    assert explain(MemoryError()).kind == "memory"
    assert explain(ValueError("odd")).reason == "defect: ValueError: odd"
