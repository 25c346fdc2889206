"""Exit codes of runs that end before anything is computed (the table is in docs/usage.md).

1 and 3 are in test_visits.py, 5 in test_group.py, 130 and 143 in test_signals.py.
"""

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pydra.compose.workflow
import pytest
from pydra.engine.workflow import Workflow

GENERIC = ("--template", "Generic")


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_0_a_plan_says_every_node_and_writes_nothing(noise) -> None:
    done = noise.run("--dry-run", *GENERIC)
    assert done.code == 0, done.log
    lines = done.out.splitlines()
    assert all("miss" in line for line in lines[:-1])
    assert lines[-1] == f"{len(lines) - 1} nodes: 0 in the cache, {len(lines) - 1} to compute"
    for task in ("CorrectBias", "SegmentCord", "RegisterToTemplate"):
        assert any(task in line for line in lines)
    shorter = noise.run("--dry-run", "--skip", "template", "--skip", "n4", *GENERIC).out
    assert "RegisterToTemplate" not in shorter
    assert "CorrectBias" not in shorter
    assert files_below(noise.out) == []


def test_0_the_methods_alone(noise) -> None:
    done = noise.run("--boilerplate-only", "--skip", "n4", *GENERIC)
    assert done.code == 0, done.log
    text = (noise.out / "logs" / "CITATION.md").read_text()
    assert "Generic template" in text
    assert "N4" not in text
    assert list(noise.out.glob("sub-*")) == []
    again = noise.run("--boilerplate-only", *GENERIC)  # those of the run that was are kept
    assert "N4" in again.out
    assert (noise.out / "logs" / "CITATION.md").read_text() == text


def test_1_a_plan_says_what_cannot_be_used(noise) -> None:
    noise.add(np.ones((9, 9, 9, 3), np.int16), "sub-02/anat/sub-02_T2w.nii.gz")
    done = noise.run("--dry-run", *GENERIC)
    assert done.code == 1, done.log
    said = [line for line in done.out.splitlines() if "unusable" in line]
    assert len(said) == 1
    assert said[0].startswith("sub-02  preprocess  unusable: ")
    assert files_below(noise.out) == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--qc-gates", "none.json"),
        ("--level-hint", "somewhere"),
        ("--metric", "FA=derivatives/*_FA.nii.gz"),
        ("--config-file", "none.toml"),
        ("--reports-only",),
    ],
)
def test_2_what_cannot_be_carried_out(noise, flags: tuple[str, ...]) -> None:
    done = noise.run(*flags, *GENERIC)
    assert done.code == 2
    assert done.log.splitlines()[-1].startswith("x ")
    assert not list(noise.out.glob("sub-*"))


@pytest.mark.parametrize("flags", [("--nonsense",), ("--skip", "everything"), ("--nprocs", "0")])
def test_2_words_that_are_not_known(noise, flags: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        noise.run(*flags)
    assert not noise.out.exists()


def test_2_folders_that_cannot_be_written(noise) -> None:
    (noise.home / "file").write_text("no folder")
    for done in (
        noise.run(*GENERIC, out="file/out"),
        noise.run("-w", str(noise.home / "file" / "work"), *GENERIC),
        noise.run("--bids-database-dir", str(noise.home / "file"), *GENERIC),
        noise.run(*GENERIC, out="raw"),
        noise.run(*GENERIC, out="raw/sub-01"),
    ):
        assert done.code == 2
        assert done.log.splitlines()[-1].startswith("x ")
    assert [path.name for path in files_below(noise.raw)] == [
        "dataset_description.json",
        "sub-01_T2w.nii.gz",
    ]


def test_4_nothing_to_work_on(noise, new_study) -> None:
    assert noise.run("--participant-label", "99", *GENERIC).code == 4
    assert noise.run("--session-label", "99", *GENERIC).code == 4
    assert noise.run("--participant-label", "01", "--dry-run", *GENERIC).code == 0
    assert new_study().run(*GENERIC).code == 4
    (noise.raw / "dataset_description.json").unlink()
    done = noise.run(*GENERIC)
    assert done.code == 4
    assert "dataset_description.json" in done.log


def test_6_weights_or_template_that_are_not_there_or_corrupt(noise, tmp_path: Path) -> None:
    weights = Path(str(files("spinalprep") / "data" / "weights"))
    (kept,) = weights.glob("cord*.safetensors")
    for path in weights.glob(f"{kept.stem}*"):
        shutil.copy(path, tmp_path)
    copy = tmp_path / kept.name
    assert noise.run("--model", f"cord={copy}", "--dry-run", *GENERIC).code == 0
    copy.write_bytes(copy.read_bytes()[:-1000])
    for flags in (
        ("--model", f"cord={copy}", *GENERIC),
        ("--model", f"cord={tmp_path / 'none.safetensors'}", *GENERIC),
        ("--model", f"liver={kept}", *GENERIC),
        ("--template", str(tmp_path / "none")),
        ("--template", str(tmp_path)),
        ("--template", str(tmp_path), "--participant-label", "99"),
    ):
        done = noise.run(*flags)
        assert done.code == 6, (flags, done.log)
        assert done.log.splitlines()[-1].startswith("x ")
    assert not list(noise.out.glob("sub-*"))


def test_70_a_graph_that_cannot_be_built(noise, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("no such field")

    noise.add(np.ones((9, 9, 9), np.int16), "sub-02/anat/sub-02_T2w.nii.gz")
    monkeypatch.setattr(pydra.compose.workflow, "add", broken)
    for flags in (GENERIC, ("--dry-run", *GENERIC)):
        Workflow.clear_cache()  # pydra's own, of graphs
        done = noise.run(*flags)
        assert done.code == 70
        assert "no such field" in done.log
        assert "Traceback" not in done.log
    rows = pd.read_csv(noise.out / "status.tsv", sep="\t")
    assert rows["state"].tolist() == ["failed", "failed"]
    assert rows["reason"].str.startswith("defect: the graph could not be built").all()


def test_70_what_nobody_foresaw_is_one_line(noise, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("spinalprep.app.run.find_sessions", broken)
    done = noise.run(*GENERIC)
    assert done.code == 70
    assert done.log.splitlines()[-1].endswith("ZeroDivisionError: nobody thought of this")


def test_1_an_image_that_cannot_be_read_ends_nothing_else(noise) -> None:
    path = noise.raw / "sub-01" / "anat" / "sub-01_T2w.nii.gz"
    path.write_bytes(b"no image")
    done = noise.run(*GENERIC)
    assert done.code == 1, done.log
    assert "internal error" not in done.log
    assert (noise.out / "sub-01.html").is_file()
    assert not (noise.out / ".spinalprep-tmp").exists()
