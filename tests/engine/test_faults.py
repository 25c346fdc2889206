"""Faults in the middle of a run: nothing that was finished is lost, and the fault is said."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from spinalprep.engine.cache_repair import damaged_entries

pytestmark = pytest.mark.slow

NODES = ["Read_1", "Double_1", "Double_2", "Double_4", "Negate_1"]  # task and number of sub-1
EACH = {"Double": 3, "Negate": 1, "Read": 1}


@pytest.mark.long
@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("whom", ["main", "worker"])
def test_kill_9_at_every_node_in_turn(toy, node, whom):
    toy.keep("sub-1")
    name, number = node.split("_")
    process = toy.start(worker="local", retries=0, env={f"TOY_SLEEP_{node}": "60"})
    toy.wait_until(lambda: f"{name} {number}" in toy.noted())
    before = toy.noted()
    if whom == "main":
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
    else:
        held = list((toy.work / "cache-1" / "sub-1").glob("python-*.lock"))
        pids = {int(path.read_text().split()[0]) for path in held}
        for pid in pids - {process.pid}:
            os.kill(pid, signal.SIGKILL)
        toy.wait_until(
            lambda: toy.noted().count(f"{name} {number}") > 1 or process.poll() is not None
        )
        process.kill()  # the second try sleeps as well
        process.wait(timeout=20)
    told = toy.run(worker="local")
    assert told["states"] == {"sub-1": "finished"}
    finished = len(before) - 1
    assert sum(told["executed"].values()) <= 5 - finished + 1  # Negate may have run beside it
    assert ["sub-1", "large", "8"] in told["stages"]


def test_a_byte_that_changes_under_a_file_s_name_is_found_by_a_check(toy):
    toy.run()
    path = next(p for p in toy.work.glob("cache-1/sub-1/*/out.txt") if p.read_text() == "8")
    assert {why for _, why in damaged_entries(toy.work)} == {""}
    status = path.stat()
    path.write_text("9")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk does it
    assert toy.run()["executed"] == {}
    bad = [entry for entry, why in damaged_entries(toy.work) if "out.txt is damaged" in why]
    assert bad


def test_clocks_that_go_back_make_nothing_stale(toy):
    toy.run()
    for path in [*toy.dataset.iterdir(), *toy.work.rglob("*")]:
        if path.is_file():
            os.utime(path, (4e9, 4e9))  # in the year 2096: for these files the clock went back
    assert toy.run()["executed"] == {}


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_work_disk_is_said_and_nothing_is_lost(toy, small_disk):
    toy.work = small_disk / "work"
    filler = small_disk / "filler"
    toy.run()
    shutil.rmtree(toy.work / "cache-1" / "sub-3")
    with contextlib.suppress(OSError), filler.open("wb") as stream:
        while True:
            stream.write(bytes(1024))
            stream.flush()
    process = toy.start(worker="local")
    assert process.wait(timeout=60) == 0
    told = toy.told()
    assert "failed" in told["states"].values()
    assert all("No space left" in why for why in told["reasons"].values() if why)
    filler.unlink()
    again = toy.run(worker="local")
    assert set(again["states"].values()) == {"finished"}, again["reasons"]
    assert again["executed"] == EACH  # what the others had is still there


def test_permission_that_is_lost_in_the_middle_costs_one_participant(toy):
    plain = ()
    if os.geteuid() == 0:  # root may write everywhere, unless it gives that up
        plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if subprocess.run([*plain, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root can't give up its rights here")
    slow = {"TOY_SLEEP_Double_2": "3"}  # the first of sub-2
    process = toy.start(worker="local", before=plain, env=slow)
    toy.wait_until(lambda: "Double 2" in toy.noted())
    folder = toy.work / "cache-1" / "sub-2"
    folder.chmod(0o500)
    assert process.wait(timeout=60) == 0
    told = toy.told()
    assert told["states"]["sub-2"] == "failed"
    assert "Permission denied" in told["reasons"]["sub-2"]
    assert {told["states"][name] for name in ("sub-1", "sub-3")} == {"finished"}
    folder.chmod(0o700)
    assert set(toy.run(worker="local")["states"].values()) == {"finished"}


def test_a_run_killed_on_another_machine_a_moment_ago_holds_nobody_up(toy):
    """Its locks can't be told from those of a living run until its heart has stopped."""
    toy.keep("sub-1")
    first = toy.start(worker="local", env={"TOY_SLEEP_Double_2": "600"})
    toy.wait_until(lambda: "Double 2" in toy.noted(), timeout=60)
    first.kill()
    first.wait()
    folder = toy.work / "cache-1" / "sub-1"
    for path in [*folder.glob("*.lock"), *folder.glob("run-*.json")]:
        path.write_text(path.read_text().replace(socket.gethostname(), "elsewhere"))
    assert list(folder.glob("*.lock"))
    (note,) = folder.glob("run-*.json")
    os.utime(note, (time.time() - 110,) * 2)  # so that the test need not wait for two minutes
    told = toy.run(worker="local")
    assert told["states"] == {"sub-1": "finished"}
    assert told["executed"]["Double"] >= 2
