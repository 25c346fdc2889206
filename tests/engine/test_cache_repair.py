"""What is swept out of a cache, and what is left to others."""

import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from spinalprep.engine import cache_repair
from spinalprep.engine.cache_repair import RunLock, other_runs, repair_cache, repair_hashes
from spinalprep.machine import machine


@pytest.fixture
def dead():
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lock_text(pid, host=None):
    return f"{pid}\n{host or socket.gethostname()}\n"


def test_leftovers_go(tmp_path, dead):
    unfinished = tmp_path / "python-1"
    unfinished.mkdir()
    (tmp_path / "python-2.lock").write_text(lock_text(dead))
    (tmp_path / "python-3.lock").write_text("")
    (tmp_path / "python-4.lock").write_text(lock_text(1, "elsewhere"))
    (tmp_path / "abc_info.json").write_text("{}")
    (tmp_path / "python-1.out").write_text("noise")
    dropped = repair_cache(tmp_path)
    assert "python-1: unfinished" in dropped
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_holds_stays(tmp_path):
    held = tmp_path / "python-1"
    held.mkdir()
    (tmp_path / "python-1.lock").write_text(lock_text(os.getppid()))
    assert repair_cache(tmp_path) == []
    assert held.is_dir()


def test_what_a_job_elsewhere_is_about_to_finish_stays(tmp_path):
    (tmp_path / "python-1").mkdir()  # its lock is gone, its record is not yet written
    (tmp_path / "python-2").mkdir()
    assert repair_cache(tmp_path, frozenset({"python-1"})) == ["python-2: unfinished"]
    assert (tmp_path / "python-1").is_dir()


def run_note(path, pid, host, started):
    path.write_text(json.dumps({"pid": pid, "host": host, "started": started}))


@pytest.mark.parametrize(
    ("host", "age_s", "lives"), [("elsewhere", 0, True), ("elsewhere", 3600, False)]
)
def test_a_run_on_another_host_lives_by_its_heartbeat(tmp_path, host, age_s, lives):
    (tmp_path / "python-1").mkdir()
    note = tmp_path / "run-elsewhere-7.json"
    run_note(note, 7, host, 0.0)
    os.utime(note, (time.time() - age_s,) * 2)
    dropped = repair_cache(tmp_path)
    assert (dropped == []) == lives
    assert (tmp_path / "python-1").is_dir() == lives
    assert note.exists() == lives


def test_a_run_here_lives_by_its_process(tmp_path, dead):
    parent = psutil.Process(os.getppid())
    here = machine()
    run_note(tmp_path / "run-a-1.json", parent.pid, here, parent.create_time())
    run_note(tmp_path / "run-a-2.json", parent.pid, here, 0.0)  # the number was used before
    run_note(tmp_path / "run-a-3.json", dead, here, 0.0)
    assert [path.name for path in other_runs(tmp_path)] == ["run-a-1.json"]


def test_a_run_does_not_see_itself_and_leaves_nothing(tmp_path):
    with RunLock(tmp_path) as lock:
        assert lock.path.exists()
        assert other_runs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_was_given_to_a_later_process_holds_no_lock(tmp_path):
    lock = tmp_path / "python-1.lock"
    lock.write_text(lock_text(os.getppid()))
    began = psutil.Process(os.getppid()).create_time()
    os.utime(lock, (began - 60,) * 2)
    assert repair_cache(tmp_path) == ["python-1.lock"]


def test_in_another_container_the_same_number_is_another_run(tmp_path):
    note = tmp_path / f"run-{socket.gethostname()}-4026539999-{os.getpid()}.json"
    run_note(note, os.getpid(), f"{socket.gethostname()}-4026539999", 0.0)
    assert [path.name for path in other_runs(tmp_path)] == [note.name]


def test_a_run_that_dies_meanwhile_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_repair, "BEAT_S", 0.05)
    for name in ("python-1", "python-2", "python-3", "workflow-4"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.lock").write_text(lock_text(7, "elsewhere"))
    (tmp_path / "python-3.lock").write_text(lock_text(os.getppid()))
    (tmp_path / "workflow-4.lock").write_text(lock_text(os.getpid()))  # held by this very run
    note = tmp_path / "run-elsewhere-7.json"
    run_note(note, 7, "elsewhere", 0.0)
    with RunLock(tmp_path, lambda: frozenset({"python-2"})):
        time.sleep(0.3)
        assert (tmp_path / "python-1.lock").exists()  # its heart may still beat
        os.utime(note, (time.time() - 3600,) * 2)
        end = time.monotonic() + 10
        while (tmp_path / "python-1.lock").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("python-2", "python-2.lock"),  # SLURM still has it in hand
        *("python-3", "python-3.lock"),  # its holder lives here
        *("workflow-4", "workflow-4.lock"),
    ]


def test_a_lock_of_a_killed_job_in_the_common_store_of_hashes_holds_nobody_up(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(cache_repair, "BEAT_S", 0.05)
    hashes = tmp_path / "hashes"
    hashes.mkdir()
    for name, text, age_s in (("a", "", 61), ("b", "7\nelsewhere\n", 61), ("c", "", 0)):
        (hashes / f"{name}.lock").write_text(text)
        os.utime(hashes / f"{name}.lock", (time.time() - age_s,) * 2)
    with RunLock(tmp_path / "sub-1"):
        end = time.monotonic() + 10
        while len(list(hashes.iterdir())) > 1:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert [path.name for path in hashes.iterdir()] == ["c.lock"]


def test_half_written_hashes_go(tmp_path, dead):
    (tmp_path / "good").write_bytes(bytes(16))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "old.lock").write_text(lock_text(dead))
    repair_hashes(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]
