"""Killed children, Ctrl-C, kill -9: what is left, and how the next run goes on."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from spinalprep.engine.pool import PoolWorker, child_environment
from spinalprep.engine.resources import DEFAULT, resources_of
from spinalprep.engine.worker import PoolOptions

pytestmark = pytest.mark.slow


def children_of(process):
    """Return the living processes of the session that a driver leads."""
    found = []
    for other in psutil.process_iter():
        try:
            if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                found.append(other)
        except (OSError, psutil.Error):
            continue
    return found


def stopped_in_the_middle(toy, number, **options):
    """Send a signal while the slow task of the second stage runs; return seconds to the end."""
    slow = {"TOY_SLEEP_Double": "1.0"}
    process = toy.start(**{"worker": "local", "env": slow, **options})
    toy.wait_until(lambda: toy.executed().get("Double", 0) >= 3)
    began = time.monotonic()
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    process.wait(timeout=20)
    spent = time.monotonic() - began
    toy.wait_until(lambda: not children_of(process), timeout=3)
    return spent


def test_a_pool_run_equals_a_plain_one(toy):
    told = toy.run(worker="local")
    assert told["executed"] == {"Double": 9, "Negate": 3, "Read": 3}
    assert 20 < told["peak"] < 500
    assert toy.run(worker="local")["executed"] == {}
    assert toy.run(worker="debug")["executed"] == {}  # the other worker agrees on every key


def test_a_killed_child_costs_its_own_participant_only(toy):
    told = toy.run(worker="local", env={"TOY_FAIL": "Read=2=kill"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed", "sub-3": "finished"}
    assert told["reasons"]["sub-2"].startswith("memory: the process of Read was killed")
    again = toy.run(worker="local")
    assert set(again["states"].values()) == {"finished"}
    assert again["executed"] == {"Double": 3, "Read": 1}


def test_a_crash_is_not_taken_for_want_of_memory(toy):
    toy.keep("sub-1", "sub-2")
    told = toy.run(worker="local", env={"TOY_FAIL": "Read=2=crash"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed"}
    assert told["reasons"]["sub-2"] == "defect: the process of Read crashed (SIGSEGV)"


def test_a_task_that_hangs_is_ended_and_named(toy):
    told = toy.run(worker="local", env={"TOY_FAIL": "Negate=2=hang"}, task_minutes=0.4)
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed", "sub-3": "finished"}
    said = "time: Negate took more than 0.4 minutes and was killed (--task-minutes)"
    assert told["reasons"]["sub-2"] == said
    assert toy.run(worker="local")["executed"] == {"Negate": 1}


@pytest.fixture
def little_memory():
    """Make a control group (first or second version) of 700 MB that processes can be put into."""
    names = ("memory.limit_in_bytes", "memory.max")
    tops = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
    top = next((top for top, name in zip(tops, names, strict=True) if top.is_dir()), tops[1])
    group = top / f"spinalprep-test-{os.getpid()}"
    try:
        group.mkdir()
        limit = next(group / name for name in names if (group / name).exists())
        limit.write_text("700000000")
    except (OSError, StopIteration) as error:
        pytest.skip(f"no control group of one's own here: {error}")
    yield group
    for _ in range(50):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)


def test_a_kill_by_the_kernel_is_named(toy, little_memory):
    toy.keep("sub-2", "sub-3")
    into = ["sh", "-c", f'echo $$ > {little_memory}/cgroup.procs; exec "$@"', "sh"]
    told = toy.run(worker="local", before=into, env={"TOY_FAIL": "Negate=2=large"})
    assert told["states"] == {"sub-2": "failed", "sub-3": "finished"}
    said = "memory: the process of Negate was killed by the kernel: out of memory (0.7 GB in all)"
    assert told["reasons"]["sub-2"] == said
    assert toy.run(worker="local")["executed"] == {"Negate": 1}


def test_exit_in_a_child_is_a_failure(toy):
    told = toy.run(worker="local", env={"TOY_FAIL": "Negate=3=exit"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "finished", "sub-3": "failed"}
    assert toy.run(worker="local")["executed"] == {"Negate": 1}


@pytest.mark.parametrize(
    ("number", "code", "worker"),
    [(signal.SIGINT, 130, "local"), (signal.SIGTERM, 143, "local"), (signal.SIGINT, 130, "debug")],
)
def test_a_signal_ends_a_run_quickly_and_the_next_goes_on(toy, number, code, worker):
    assert stopped_in_the_middle(toy, number, worker=worker) < 3
    told = toy.told()
    assert told["code"] == code
    assert "interrupted" in told["states"].values()
    before = told["executed"]
    done = sum(1 for event in told["events"] if event[2] == "done")
    again = toy.run(worker="local")
    assert set(again["states"].values()) == {"finished"}
    # a result that was whole at that moment is kept, though its end was not told
    assert 15 - done - 2 <= sum(again["executed"].values()) <= 15 - done
    assert sum(before.values()) >= done


def test_after_kill_9_only_unfinished_tasks_are_computed(toy):
    stopped_in_the_middle(toy, signal.SIGKILL)
    before = toy.executed()
    again = toy.run(worker="local")
    assert set(again["states"].values()) == {"finished"}
    total = sum(before.values()) + sum(again["executed"].values())
    assert 15 <= total <= 15 + 2  # at most what ran at that moment, on two processes
    assert again["executed"].get("Read", 0) + before["Read"] <= 4


def test_two_runs_on_one_cache_share_the_work(toy):
    slow = {"TOY_SLEEP_Double": "0.2"}
    first = toy.start(worker="local", env=slow)
    toy.wait_until(lambda: toy.executed().get("Read", 0) >= 1)
    log = (toy.root / "log").read_text()
    second = toy.start(worker="local", env=slow)
    assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)
    told = toy.told()
    assert set(told["states"].values()) == {"finished"}
    assert sum(told["executed"].values()) + len(log.splitlines()) == 15
    assert toy.run()["executed"] == {}


def test_a_change_of_the_program_during_a_run_is_refused(toy):
    process = toy.start(worker="local", n_procs=1, env={"TOY_SLEEP_Double": "0.5"})
    toy.wait_until(lambda: toy.executed().get("Double", 0) >= 2)
    toy.edit("numbers.py", "FACTOR = 2", "FACTOR = 50")
    assert process.wait(timeout=60) == 0
    told = toy.told()
    assert "the files of spinalprep changed" in " ".join(told["reasons"].values())
    toy.edit("numbers.py", "FACTOR = 50", "FACTOR = 2")
    assert ["sub-3", "large", "24"] in toy.run()["stages"]


def test_children_are_held_to_their_threads_and_seed():
    environment = child_environment(PoolOptions(omp_nthreads=3, seed=5))
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"
    assert environment["ANTS_RANDOM_SEED"] == "5"


def test_a_worker_out_of_a_pickle_starts_nothing():
    import pickle

    copy = pickle.loads(pickle.dumps(PoolWorker(options=PoolOptions(n_procs=3))))
    assert copy._pool is None
    with pytest.raises(Exception, match="runs nothing"):
        _ = copy.budget


def test_an_unknown_task_has_modest_needs():
    assert resources_of(object()) == DEFAULT
