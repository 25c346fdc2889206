"""Tasks as jobs of a real SLURM: a cluster of one node on loopback."""

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from spinalprep.engine import scheduler, slurm
from spinalprep.engine.scheduler import Request

pytestmark = pytest.mark.slow

ALL = {"Double": 9, "Negate": 3, "Read": 3}


def queue(what="%j %T", *words):
    command = ["squeue", "-h", "-t", "all", "-o", what, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def test_a_run_in_jobs_equals_a_plain_one(toy, slurm_cluster):
    before = len(queue())
    told = toy.run(worker="slurm", sbatch_args="--comment='of a test'")
    assert told["executed"] == ALL
    assert set(told["states"].values()) == {"finished"}
    assert len(queue()) - before == 15  # a job for each task
    assert {"Read COMPLETED", "Double COMPLETED", "Negate COMPLETED"} <= set(queue())
    assert not list(toy.work.rglob("slurm/*/*"))
    again = toy.run(worker="local")  # the other worker agrees on every key
    assert (again["executed"], again["hits"]) == ({}, 15)


def test_failures_are_told_by_their_cause_and_cost_their_participant_alone(toy, slurm_cluster):
    told = toy.run(worker="slurm", env={"TOY_FAIL": "Read=2=raise"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed", "sub-3": "finished"}
    assert told["reasons"]["sub-2"] == "input: no cord here; best heat 0.1"
    assert "NoCordError" in told["failures"][0][4]  # the traceback came along
    told = toy.run(worker="slurm", env={"TOY_FAIL": "Read=2=kill"}, retries=0)
    assert told["states"]["sub-2"] == "failed"
    assert "ended as FAILED without a result" in told["reasons"]["sub-2"]
    assert toy.run(worker="local")["executed"] == {"Read": 1, "Double": 3}


def test_more_memory_is_given_once_and_then_its_want_is_told(toy, slurm_cluster):
    toy.keep("sub-2")
    before = len(queue("%m", "-n", "Negate"))
    told = toy.run(worker="slurm", env={"TOY_FAIL": "Negate=2=large"})
    assert told["reasons"]["sub-2"].startswith("memory: job ")
    assert told["reasons"]["sub-2"].endswith("(Negate) exceeded its 2 GiB of memory")
    assert len(queue("%m", "-n", "Negate")) - before == 2
    assert queue("%m", "-n", "Negate").count("2G") == 1


def test_what_a_user_cancels_stays_cancelled(toy, slurm_cluster):
    toy.keep("sub-1")
    process = toy.start(worker="slurm", env={"TOY_SLEEP_Negate": "60"})
    toy.wait_until(lambda: "Negate RUNNING" in queue())
    numbers = queue("%i", "-n", "Negate", "-t", "RUNNING,PENDING")
    subprocess.run(["scancel", *numbers], check=True)
    assert process.wait(timeout=60) == 0
    told = toy.told()
    assert set(told["states"].values()) == {"failed"}
    assert all(r.startswith("cancelled: job ") for r in told["reasons"].values())
    assert "Negate PENDING" not in queue()
    assert set(queue("%T", "-j", ",".join(numbers))) == {"CANCELLED"}  # nobody put them back


def test_a_signal_takes_the_jobs_along(toy, slurm_cluster):
    toy.keep("sub-1")
    process = toy.start(worker="slurm", env={"TOY_SLEEP_Negate": "60"})
    toy.wait_until(lambda: "Negate RUNNING" in queue())
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)  # half of what the jobs would take
    told = toy.told()
    assert told["code"] == 143
    assert "interrupted" in told["states"].values()
    toy.wait_until(lambda: not {"RUNNING", "PENDING"} & {*queue("%T")})
    assert set(toy.run(worker="local")["states"].values()) == {"finished"}


def test_jobs_of_a_killed_run_are_waited_for_not_doubled(toy, slurm_cluster):
    process = toy.start(worker="slurm", env={"TOY_SLEEP_Negate": "5"})
    toy.wait_until(lambda: "Negate RUNNING" in queue())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = toy.executed()
    told = toy.run(worker="slurm", env={"TOY_SLEEP_Negate": "5"})
    assert set(told["states"].values()) == {"finished"}
    total = {k: before.get(k, 0) + told["executed"].get(k, 0) for k in ALL}
    assert total == ALL  # no task ran twice


def test_a_job_whose_number_was_not_noted_is_found_by_its_script(toy, slurm_cluster):
    toy.keep("sub-1")
    process = toy.start(worker="slurm", env={"TOY_SLEEP_Negate": "5"})
    toy.wait_until(lambda: "Negate RUNNING" in queue())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (script,) = [
        Path(line) for line in queue("%o", "-n", "Negate", "-t", "RUNNING") if str(toy.root) in line
    ]
    (script.parent / scheduler.JOB_FILE).unlink()  # as if killed while sbatch answered
    assert scheduler.busy_tasks(script.parents[2]) >= {script.parent.name}
    before = toy.executed()
    told = toy.run(worker="slurm")
    assert set(told["states"].values()) == {"finished"}
    assert before.get("Negate", 0) + told["executed"].get("Negate", 0) == 1


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put commands of one's own in place of SLURM's."""

    def write(**scripts):
        for name, text in scripts.items():
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    return write


def test_accounting_is_asked_where_the_controller_has_forgotten(fake):
    fake(scontrol="echo slurm_load_jobs error >&2; exit 1", sacct="echo 'CANCELLED by 0'")
    assert scheduler.final_state("7") == "CANCELLED"
    fake(sacct="exit 1")
    assert scheduler.final_state("7") == scheduler.NO_SUCH_JOB


def test_a_controller_that_is_away_proves_nothing(fake, tmp_path):
    fake(squeue="exit 1", sbatch="", scontrol="", scancel="")
    note = tmp_path / "slurm" / "python-1" / scheduler.JOB_FILE
    note.parent.mkdir(parents=True)
    note.write_text("7")
    assert scheduler.busy_tasks(tmp_path) == {"python-1"}
    fake(squeue="echo 7 COMPLETED /a")
    assert scheduler.busy_tasks(tmp_path) == frozenset()
    fake(squeue="echo 7 RUNNING /a")
    assert scheduler.busy_tasks(tmp_path) == {"python-1"}


def test_a_job_that_ended_after_the_cache_was_asked_is_not_run_again(fake, tmp_path, monkeypatch):
    fake(squeue="echo 7 COMPLETED", sbatch="exit 1", scontrol="", scancel="")
    note = tmp_path / "slurm" / "python-1" / scheduler.JOB_FILE
    note.parent.mkdir(parents=True)
    note.write_text("7")
    job = SimpleNamespace(cache_root=tmp_path, checksum="python-1")
    monkeypatch.setattr(slurm, "is_finished", lambda told: told is job)

    async def end():
        worker = slurm.SlurmJobs()
        worker._looking = asyncio.Lock()
        return await worker._carry_out(job, Request(1, 1.0, 1))

    assert asyncio.run(end()).report.failure is None


def test_a_request_that_is_refused_is_said(fake, tmp_path):
    fake(sbatch="echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(scheduler.UsageError, match="invalid partition specified"):
        scheduler.submit(tmp_path / "job.sh", [])


def test_memory_is_never_rounded_down():
    assert Request(4, 1.5, 30).words() == ["--cpus-per-task=4", "--mem=1536M", "--time=30"]
    assert Request(1, 1.00001, 15).words()[1] == "--mem=1025M"
