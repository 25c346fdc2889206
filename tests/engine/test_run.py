"""What is computed again, what is not, and what happens to failures."""

import json
import os
import shutil

import pytest

ALL = {"Double": 9, "Negate": 3, "Read": 3}
SLOW = pytest.mark.slow  # what others of its kind show too


def test_first_run_computes_all_and_second_nothing(toy):
    first = toy.run()
    assert first["executed"] == ALL
    assert set(first["states"].values()) == {"finished"}
    assert (first["run"], first["hits"]) == (15, 0)
    second = toy.run()
    assert second["executed"] == {}
    assert (second["run"], second["hits"]) == (0, 15)
    assert second["stages"] != []  # deleted derivatives come back
    assert not (toy.root / "home").exists()


def test_outputs_of_each_stage_are_told_as_soon_as_it_has_finished(toy):
    told = toy.run()
    assert ["sub-3", "prepare", "6"] in told["stages"]
    assert ["sub-3", "large", "24"] in told["stages"]
    assert ["sub-3", "opposite", "-3"] in told["stages"]
    assert len(told["stages"]) == 9
    assert told["folder"] == str(toy.root)
    assert told["events"][-1][-1] == 15


@pytest.mark.parametrize(
    ("name", "old", "new", "executed"),
    [
        pytest.param("numbers.py", "FACTOR = 2", "FACTOR = 5", {"Double": 9}, marks=SLOW),
        ("numbers.py", "return x * FACTOR", "return x + x * (FACTOR - 1) + 0", {"Double": 3}),
        pytest.param("signs.py", "return -x", "return 0 - x", {"Negate": 3}, marks=SLOW),
        ("signed.py", "negate(number(image))", "negate(number(image)) + 0", {"Negate": 3}),
        ("tasks.py", "return int(", "return +int(", {"Double": 3, "Negate": 3, "Read": 3}),
    ],
    ids=["constant", "helper of a local import", "helper", "body", "shared helper"],
)
def test_an_edit_reruns_its_users_only(toy, name, old, new, executed):
    toy.run()
    toy.edit(name, old, new)
    told = toy.run()
    if name == "numbers.py" and "x + x" in new:  # equal outputs: but the key of both is new
        executed = {"Double": 9}
    if name == "tasks.py":
        executed = ALL
    assert told["executed"] == executed


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("numbers.py", "FACTOR = 2", "# twice\n\nFACTOR  =  2  # really"),
        ("sums.py", "Double a number.", "Make a number twice as large."),
        pytest.param(
            "sums.py", ":param image: A number.", ":param image: Some number.", marks=SLOW
        ),
        pytest.param("tasks.py", '    """Read a number."""\n', "", marks=SLOW),
    ],
    ids=["comment", "docstring", "docstring of an input", "docstring removed"],
)
def test_a_comment_or_docstring_reruns_nothing(toy, name, old, new):
    toy.run()
    toy.edit(name, old, new)
    assert toy.run()["executed"] == {}


def test_an_unrelated_module_reruns_nothing(toy):
    toy.run()
    (toy.package / "unused.py").write_text("FACTOR = 3\n")
    assert toy.run()["executed"] == {}


def test_content_is_seen_though_time_and_size_stay(toy):
    toy.run()
    path = toy.dataset / "sub-1.txt"
    times = path.stat()
    path.write_text("7")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    told = toy.run()
    assert told["executed"] == {"Double": 3, "Negate": 1, "Read": 1}
    assert ["sub-1", "large", "56"] in told["stages"]


def test_times_place_and_threads_do_not_matter(toy):
    toy.run()
    for path in toy.dataset.iterdir():
        os.utime(path, (1, 1))
    assert toy.run(omp_nthreads=2, n_procs=1, mem_gb=2.0)["executed"] == {}
    shutil.move(toy.dataset, toy.root / "elsewhere")
    toy.dataset = toy.root / "elsewhere"
    assert toy.run()["executed"] == {}


def test_the_cache_of_one_participant_can_be_deleted_alone(toy):
    toy.run()
    shutil.rmtree(toy.work / "cache-1" / "sub-2")
    assert toy.run()["executed"] == {"Double": 3, "Negate": 1, "Read": 1}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "input: no cord here; best heat 0.1"),
        ("defect", "defect: ZeroDivisionError: half of nothing"),
        ("memory", "memory: not enough memory (MemoryError)"),
        ("exit", "defect: a task called sys.exit(3)"),
    ],
)
def test_a_failure_is_one_line_and_leaves_the_others_alone(toy, how, reason):
    told = toy.run(env={"TOY_FAIL": f"Read=2={how}"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed", "sub-3": "finished"}
    assert told["reasons"]["sub-2"] == reason
    assert told["nodes"]["sub-2"] == "prepare.Read"
    [[session, stage, node, told_reason, trace]] = told["failures"]
    assert (session, stage, node, told_reason) == ("sub-2", "prepare", "Read", reason)
    assert "notes.py" in trace
    assert ["sub-2", "opposite", "-2"] in told["stages"]  # an independent stage goes on
    assert ["sub-2", "large", "8"] not in told["stages"]
    again = toy.run()  # one rerun suffices after the repair
    assert set(again["states"].values()) == {"finished"}
    assert again["executed"] == {"Double": 3, "Read": 1}


def test_outputs_that_cannot_be_written_are_a_failure(toy):
    told = toy.run(env={"TOY_FULL": "sub-2"})
    assert told["states"] == {"sub-1": "finished", "sub-2": "failed", "sub-3": "finished"}
    assert told["reasons"]["sub-2"] == "defect: OSError: no space left"
    assert set(toy.run()["states"].values()) == {"finished"}


def test_the_first_failure_can_stop_everything(toy):
    told = toy.run(stop_on_first_crash=True, n_procs=1, env={"TOY_FAIL": "Read=1=raise"})
    assert told["states"]["sub-1"] == "failed"
    assert told["states"]["sub-3"] == "skipped"
    assert told["reasons"]["sub-3"].startswith("cancelled:")
    assert set(toy.run()["states"].values()) == {"finished"}


def results_of(toy, kind):
    """Return the folders of results of one kind of the first participant."""
    return sorted((toy.work / "cache-1" / "sub-1").glob(f"{kind}-*"))


def test_missing_and_truncated_files_of_the_cache_are_computed_again(toy):
    toy.run()
    for folder in results_of(toy, "workflow"):
        shutil.rmtree(folder)
    for folder in results_of(toy, "python")[:2]:
        (folder / "out.txt").unlink()
    result = results_of(toy, "python")[2] / "_result.pklz"
    result.write_bytes(result.read_bytes()[:100])
    told = toy.run()
    assert told["run"] == 3
    assert told["hits"] == 12
    assert ["sub-1", "large", "8"] in told["stages"]


def test_a_damaged_file_of_the_cache_is_computed_again(toy):
    toy.run()
    for path in (toy.work / "cache-1" / "sub-1").glob("*/out.txt"):
        if path.read_text() == "8":
            path.write_text("9")
    told = toy.run()
    assert told["executed"] == {"Double": 1}
    assert ["sub-1", "large", "8"] in told["stages"]


def test_a_moved_cache_is_not_trusted(toy):
    toy.run()
    shutil.move(toy.work, toy.root / "other")
    toy.work = toy.root / "other"
    assert toy.run()["executed"] == ALL


@pytest.mark.slow
def test_the_plan_says_hit_or_miss_and_why(toy):
    lines = toy.run(plan=True)["plan"]
    assert lines[:5] == [
        "sub-1  prepare.Read  miss: not in cache",
        "sub-1  prepare.Double  miss: waits for Read",
        "sub-1  large.Once  miss: waits for prepare",
        "sub-1  large.Twice  miss: waits for prepare",
        "sub-1  opposite.Negate  miss: not in cache",
    ]
    toy.run()
    lines = toy.run(plan=True)["plan"]
    assert len(lines) == 15
    assert all(line.endswith("  hit") for line in lines)
    for record in toy.work.glob("cache-1/sub-*/workflow-*/_record.json"):
        noted = json.loads(record.read_text())
        assert noted.pop("nodes")
        record.write_text(json.dumps(noted))
    assert toy.run(plan=True)["plan"] == lines  # of earlier versions: the graph tells the nodes
    (toy.dataset / "sub-1.txt").write_text("7")
    toy.edit("signs.py", "return -x", "return 0 - x")
    lines = toy.run(plan=True)["plan"]
    assert "sub-1  prepare.Read  miss: input image changed" in lines
    assert "sub-1  opposite.Negate  miss: code changed; input image changed" in lines
    assert "sub-2  opposite.Negate  miss: code changed" in lines
    assert "sub-2  large.Twice  hit" in lines
    assert toy.executed() == {}
    for folder in (toy.work / "cache-1" / "sub-3").glob("python-*"):
        (folder / "out.txt").unlink()
    lines = toy.run(plan=True)["plan"]
    why = "its cached result can't be used: out.txt is missing"
    assert f"sub-3  prepare.Read  miss: {why}" in lines
    toy.edit("signs.py", "return 0 - x", "return -x")
    lines = toy.run(plan=True)["plan"]
    assert "sub-3  prepare.Read  hit" in lines  # the stage as a whole is there
