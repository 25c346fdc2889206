"""From the events of a run to files of the output folder and outcomes."""

import errno
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fileformats.medimage import NiftiGz

from spinalprep.app.jobs import Job, Plan, Problem, Shared
from spinalprep.app.observer import RunObserver
from spinalprep.app.outcome import Outcome, exit_code
from spinalprep.app.run_folder import RunFolder
from spinalprep.bids.session import Scan, Session
from spinalprep.bids.session_files import SessionFiles
from spinalprep.engine.events import Failure, SessionResult, Tally, TaskEvent
from spinalprep.errors import DefectError, InputError
from spinalprep.image import Image, load, save
from spinalprep.reports.gates import load_gates
from spinalprep.settings import Settings
from spinalprep.stages import PREPROCESS

BROKEN = "sub-1_run-3"


class Watched:
    """A run of one person's three images, the last of which is broken, followed by hand."""

    def __init__(self, home: Path) -> None:
        self.out = home / "out"
        self.reported: list[tuple[str, list[str]]] = []
        settings = Settings(home / "in", self.out, "participant", mem_gb=4.0)
        scans = [
            Scan(home / "in", f"sub-1/anat/sub-1_run-{n}_T2w.nii.gz", "1", None, "T2w", {"run": n})
            for n in "123"
        ]
        session = Session("1", None, tuple(scans))
        jobs = [Job(session, SessionFiles(scan), task="a graph") for scan in scans[:2]]
        jobs.append(
            Job(session, SessionFiles(scans[2]), None, (Problem("preprocess", "no image"),))
        )
        shared = Shared(settings, None, None, {}, {})
        plan = Plan(shared, (session,), {job.files.key: job for job in jobs})
        folder = RunFolder(settings, "20260101-000000_0a")
        self.observer = RunObserver(plan, load_gates(), folder, self.report)

    def report(self, label: str, outcomes: Sequence[Outcome]) -> None:
        self.reported.append((label, [outcome.state for outcome in outcomes]))

    def status(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "status.tsv", sep="\t", keep_default_na=False)


@pytest.fixture
def run(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def image(folder: Path) -> Path:
    return save(Image(np.ones((3, 3, 3), np.float32), np.eye(4)), folder / "preproc.nii.gz")


def test_a_stage_is_written_and_warnings_are_kept(run: Watched, tmp_path: Path) -> None:
    outputs = SimpleNamespace(image=NiftiGz(image(tmp_path)), warnings=["dark"])
    run.observer.on_stage("sub-1_run-1", "preprocess", outputs)
    assert load(run.out / "sub-1/anat/sub-1_run-1_desc-preproc_T2w.nii.gz").data.sum() == 27
    run.observer.on_session("sub-1_run-1", SessionResult("finished"))
    outcome = run.observer.outcomes["sub-1_run-1"]
    assert outcome.changed
    assert outcome.results.warnings == ("dark",)
    assert outcome.results.get(PREPROCESS) is not None
    assert set(outcome.gates.values()) == {"n/a"}
    assert (run.out / "sub-1/anat/sub-1_run-1_desc-auto_qc.tsv").is_file()


def test_an_input_that_changes_while_it_is_processed_is_not_published(
    run: Watched, tmp_path: Path
) -> None:
    raw = run.observer._job("sub-1_run-1").files.reference.path
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"an image")
    event = TaskEvent("start", SimpleNamespace(name="Conform"))
    run.observer.on_task("sub-1_run-1", "preprocess", event, Tally())
    outputs = SimpleNamespace(image=NiftiGz(image(tmp_path)), warnings=[])
    run.observer.on_stage("sub-1_run-1", "preprocess", outputs)  # nothing has changed yet
    raw.write_bytes(b"another image")
    run.observer.on_task("sub-1_run-1", "preprocess", event, Tally())
    with pytest.raises(InputError, match="changed during processing"):
        run.observer.on_stage("sub-1_run-1", "preprocess", outputs)


def test_a_stage_of_no_known_name_is_a_defect(run: Watched) -> None:
    with pytest.raises(DefectError, match="no stage 'preproces'"):
        run.observer.on_stage("sub-1_run-1", "preproces", SimpleNamespace())


def test_status_log_and_report_come_when_nothing_is_left(run: Watched) -> None:
    run.observer.close_unusable()
    event = TaskEvent("done", SimpleNamespace(name="Conform"), 1.5, 300.0)
    run.observer.on_task("sub-1_run-1", "preprocess", event, Tally())
    run.observer.on_session("sub-1_run-1", SessionResult("finished", wall_s=2.0))
    assert run.reported == []
    assert not (run.out / "status.tsv").exists()
    failure = Failure("defect", "KeyError: 'x'", traceback="where it was")
    run.observer.on_failure("sub-1_run-2", "levels", "DetectLevels", failure)
    run.observer.on_session("sub-1_run-2", SessionResult("failed", wall_s=1.0))
    assert run.reported == [("1", ["finished", "failed", "failed"])]
    row = run.status().iloc[0]
    assert (row["state"], row["failed_node"]) == ("failed", "levels.DetectLevels")
    folder = run.out / "sub-1/log/20260101-000000_0a"
    crash = (folder / "crash-sub-1_run-2_levels.txt").read_text()
    assert "where it was" in crash
    assert "--participant-label 1" in crash
    resources = (folder / "resources.tsv").read_text().splitlines()
    assert resources == [
        "unit\tstage\ttask\twall_s\tpeak_mib\tcpu_s\tread_bytes\twritten_bytes",
        "sub-1_run-1\tpreprocess\tConform\t1.50\t300\t0.00\t0\t0",
    ]
    assert (folder / "spinalprep.toml").is_file()


def test_an_unusable_reference_ends_at_once(run: Watched) -> None:
    run.observer.close_unusable()
    assert run.observer.outcomes.keys() == {BROKEN}
    outcome = run.observer.outcomes[BROKEN]
    assert outcome.state == "failed"
    assert [failure.reason for failure in outcome.failures] == ["input: no image"]


def refuse(path: Path) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_a_folder_that_cannot_be_written_costs_its_participant_alone(
    run: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outputs = SimpleNamespace(image=NiftiGz(image(tmp_path)), warnings=[])
    run.observer.on_stage("sub-1_run-1", "preprocess", outputs)
    run.observer.on_session("sub-1_run-2", SessionResult("finished"))
    monkeypatch.setattr("spinalprep.bids.atomic._publish", lambda _, path: refuse(path))
    defect = Failure("defect", "KeyError: 'x'")
    run.observer.on_failure("sub-1_run-1", "levels", "DetectLevels", defect)  # no crash file
    run.observer.on_session("sub-1_run-1", SessionResult("finished"))
    run.observer.close_unusable()  # the last of the participant: status, log and report
    (first, second, broken) = (run.observer.outcomes[f"sub-1_run-{n}"] for n in "123")
    assert [one.state for one in (first, second, broken)] == ["failed", "finished", "failed"]
    assert first.failures[-1].stage == "output"
    assert broken.failures[-1].reason.startswith("input: Permission denied: ")
    assert exit_code([first, second, broken], fail_on_qc=False) == 1


def test_an_output_folder_that_cannot_be_written_ends_the_run(
    run: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spinalprep.bids.atomic._publish", lambda _, path: refuse(path))
    monkeypatch.setattr("os.access", lambda *_: False)
    run.observer.on_session("sub-1_run-1", SessionResult("finished"))
    run.observer.on_session("sub-1_run-2", SessionResult("finished"))
    with pytest.raises(PermissionError):
        run.observer.close_unusable()
