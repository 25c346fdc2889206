"""What a run takes, what it is held to, and what it leaves behind."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spinalprep.app import main as command
from spinalprep.app.parser import parse

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template")
WORDS = ["in", "out", "participant", "--mem", "8"]


def test_nobody_gets_more_than_there_is(monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "count_cpus", lambda: 3)
    monkeypatch.setattr(command, "most_gb", lambda: 5.0)
    command.start_log()
    asked = parse([*WORDS, "--nprocs", "9"])
    assert command.within_limits(asked) == replace(asked, nprocs=3, mem_gb=5.0)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "! --nprocs 9 exceeds the 3 CPUs available; all of these are used instead",
        "! --mem 8.0GB exceeds the limit of 5.0 GB; the limit is used instead",
    ]
    modest = parse(["in", "out", "participant", "--mem", "3", "--nprocs", "2"])
    assert command.within_limits(modest) == modest
    elsewhere = parse([*WORDS, "--nprocs", "9", "--worker", "slurm"])
    assert command.within_limits(elsewhere) == elsewhere
    assert capsys.readouterr().err == ""


def test_the_cache_goes_when_it_is_said() -> None:
    assert parse(WORDS).clean_workdir == "never"
    for words in (["--clean-workdir", *WORDS], [*WORDS, "--clean-workdir"]):
        assert parse(words).clean_workdir == "first"  # it does not take the next word
    for words in (["--clean_workdir", "on-success"], ["--clean-workdir=on-success"]):
        assert parse([*words, *WORDS]).clean_workdir == "on-success"


@pytest.fixture(scope="module")
def cleaned(new_study, body):
    """Run a person, a file that is no image and an image without a cord; caches go on success."""
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    (study.raw / "sub-02" / "anat").mkdir(parents=True)
    (study.raw / "sub-02" / "anat" / "sub-02_T2w.nii.gz").write_bytes(b"no image")
    flat = np.ones(body.image.shape, np.int16)
    flat[::2] = 2
    study.add(flat, "sub-03/anat/sub-03_T2w.nii.gz")
    for name in ("home", "scratch", "here"):
        (study.home / name).mkdir()
    more = ("--nprocs", "1", "--clean-workdir", "on-success")
    words = [sys.executable, "-m", "spinalprep", *study.words(*QUICK, *more)]
    kept = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"HOME": f"{study.home}/home", "TMPDIR": f"{study.home}/scratch"}
    here = study.home / "here"
    done = subprocess.run(words, env=env, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return study


@pytest.mark.slow
def test_nothing_is_left_elsewhere(cleaned) -> None:
    for name in ("home", "scratch", "here"):
        assert list((cleaned.home / name).iterdir()) == []


@pytest.mark.slow
def test_the_cache_of_those_who_finished_is_gone(cleaned) -> None:
    rows = pd.read_csv(cleaned.out / "status.tsv", sep="\t").set_index("participant_id")
    assert rows["state"].to_dict() == {"sub-01": "finished", "sub-02": "failed", "sub-03": "failed"}
    cache = cleaned.home / "work" / "cache-1"
    assert [path.name for path in cache.iterdir() if path.name.startswith("sub")] == ["sub-03"]


@pytest.mark.slow
def test_what_each_task_took_is_noted(cleaned) -> None:
    table = pd.read_csv(next(cleaned.out.glob("sub-01/log/*/resources.tsv")), sep="\t")
    table = table.set_index("task")
    assert (table["cpu_s"] >= 0).all()  # under 5 ms is written as 0
    assert (table.loc[["Conform", "FindHeat", "SegmentCord"], "cpu_s"] > 0).all()
    assert (table["cpu_s"] < 2 * table["wall_s"] + 2).all()  # one thread each, on a busy machine
    image = next(cleaned.out.glob("sub-01/anat/*_desc-preproc_T2w.nii.gz")).stat().st_size
    assert table.loc["Conform", "read_bytes"] >= image / 2
    assert table.loc["Conform", "written_bytes"] >= image
