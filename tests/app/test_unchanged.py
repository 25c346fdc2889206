"""A run like the last one is over at once, if nothing that it reads or wrote has changed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spinalprep.app.unchanged import inputs_now, note_run, repeat_unchanged
from spinalprep.app.work_folder import cache_folder
from spinalprep.bids.status import Status, read_status
from spinalprep.settings import Settings

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template", "--worker", "debug")
LIBRARIES = ("bids", "nibabel", "numpy", "pandas", "pydra", "scipy", "torch")
IMAGE = "sub-01/anat/sub-01_T2w.nii.gz"


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a run that has finished: files of two people, noted."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    there = Settings(
        raw,
        out,
        "participant",
        mem_gb=4.0,
        work_dir=tmp_path / "work",
        template=str(tmp_path / "template"),
        models={"cord": tmp_path / "models" / "mine.safetensors"},
        metrics={"FA": "maps/*_FA.nii.gz"},
        bids_filter_file=tmp_path / "filter.json",
    )
    write(tmp_path / "linked.nii.gz")
    for label in ("01", "02"):
        write(raw / f"sub-{label}/anat/sub-{label}_T2w.nii.gz")
        write(raw / f"maps/sub-{label}_FA.nii.gz")
        write(raw / f"derivatives/labels/sub-{label}/anat/sub-{label}_T2w_seg-manual.nii.gz")
        write(out / f"sub-{label}/anat/sub-{label}_T2w_mask.nii.gz")
        write(out / f"sub-{label}.html")
        write(cache_folder(there, label) / "python-1" / "_result.pklz")
    (raw / "sub-01/anat/sub-01_T1w.nii.gz").symlink_to(tmp_path / "linked.nii.gz")
    for path in (raw / "participants.tsv", out / "participants.tsv", tmp_path / "filter.json"):
        write(path)
    write(tmp_path / "template/template/PAM50_cord.nii.gz")
    for ending in (".safetensors", ".json"):
        write(tmp_path / "models" / f"mine{ending}")
    note(there)
    return there


def note(settings: Settings) -> None:
    rows = [Status(f"sub-{label}", cache_hits=30) for label in ("01", "02")]
    note_run(settings, inputs_now(settings), [(30, "sub-02: odd")], {"sub-01": 30}, rows)


def edit_unseen(path: Path) -> None:
    """Change the contents of a file that keeps its size and modification time."""
    kept = path.stat()
    path.write_text("y")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "image": lambda home: edit_unseen(home / "raw" / IMAGE),
    "image that is linked": lambda home: edit_unseen(home / "linked.nii.gz"),
    "sidecar for everybody": lambda home: write(home / "raw/T2w.json"),
    "ignored files": lambda home: write(home / "raw/.bidsignore"),
    "ages": lambda home: edit_unseen(home / "raw/participants.tsv"),
    "new image": lambda home: write(home / "raw/sub-01/anat/sub-01_T2starw.nii.gz"),
    "new person": lambda home: (home / "raw/sub-03").mkdir(),
    "person who left": lambda home: shutil.rmtree(home / "raw/sub-02"),
    "label": lambda home: write(home / "raw/derivatives/labels/sub-02_T2w_lesion-manual.nii.gz"),
    "map": lambda home: edit_unseen(home / "raw/maps/sub-01_FA.nii.gz"),
    "new map": lambda home: write(home / "raw/maps/sub-03_FA.nii.gz"),
    "filters": lambda home: edit_unseen(home / "filter.json"),
    "weights": lambda home: edit_unseen(home / "models/mine.safetensors"),
    "card": lambda home: edit_unseen(home / "models/mine.json"),
    "template": lambda home: write(home / "template/atlas/PAM50_atlas_00.nii.gz"),
    "result": lambda home: edit_unseen(home / "out/sub-01/anat/sub-01_T2w_mask.nii.gz"),
    "result that is gone": lambda home: shutil.rmtree(home / "out/sub-02/anat"),
    "report": lambda home: (home / "out/sub-02.html").unlink(),
    "description": lambda home: edit_unseen(home / "out/participants.tsv"),
    "methods": lambda home: write(home / "out/logs/CITATION.md"),
    "access": lambda home: (home / "out/sub-01/anat").chmod(0o500),
    "cache": lambda home: edit_unseen(home / "work/cache-1/sub-01/python-1/_result.pklz"),
    "cache that is gone": lambda home: shutil.rmtree(home / "work/cache-1/sub-02"),
    "note that is cut short": lambda home: [
        path.write_text(path.read_text()[:-9]) for path in home.glob("work/cache-1/runs/*")
    ],
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_noticed(settings: Settings, tmp_path: Path, what: str) -> None:
    assert repeat_unchanged(settings)
    CHANGES[what](tmp_path)
    assert not repeat_unchanged(settings)
    note(settings)
    assert repeat_unchanged(settings)


@pytest.mark.parametrize(
    "other",
    [
        {"skip": ("n4",)},
        {"participant_label": ("01",)},
        {"device": "cuda"},
        {"dry_run": True},
        {"reports_only": True},
        {"verbose": 1},
        {"clean_workdir": "first"},
        {"random_seed": 1},
    ],
)
def test_another_command_is_another_run(
    settings: Settings, other: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spinalprep.app.unchanged.find_device", lambda wanted: wanted)
    assert not repeat_unchanged(replace(settings, **other))


def test_the_environment_counts_and_the_machine_does_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeat_unchanged(replace(settings, nprocs=7, mem_gb=9.5, omp_nthreads=3, log_json=True))
    monkeypatch.setenv("SCT_DIR", "/elsewhere")
    assert not repeat_unchanged(settings)


def test_what_others_do_meanwhile_is_nothing_to_a_participant(settings: Settings) -> None:
    mine = replace(settings, participant_label=("01",))
    note(mine)
    write(settings.bids_dir / "sub-02/anat/sub-02_T1w.nii.gz")
    write(settings.out_dir / "sub-02/anat/sub-02_T1w_mask.nii.gz")
    write(settings.out_dir / "sub-02_viewer.html")
    write(settings.out_dir / "sub-01/log/20260101-000000_0/resources.tsv")
    write(settings.out_dir / "group.html")
    assert repeat_unchanged(mine)
    assert not repeat_unchanged(settings)


def test_the_table_says_that_nothing_was_computed(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repeat_unchanged(settings)
    assert "sub-01: unchanged, 30 results from the cache" in capsys.readouterr().err
    first, second = read_status(settings.out_dir)
    assert (first.participant_id, second.participant_id) == ("sub-01", "sub-02")
    assert (first.state, first.cache_hits, first.peak_mib) == ("finished", 30, 0.0)


def test_a_folder_in_itself_comes_to_an_end(settings: Settings) -> None:
    (settings.bids_dir / "sub-01/anat/again").symlink_to(settings.bids_dir / "sub-01")
    note(settings)
    assert repeat_unchanged(settings)
    edit_unseen(settings.bids_dir / IMAGE)
    assert not repeat_unchanged(settings)


@pytest.mark.slow
def test_the_command_once_more_loads_nothing_and_says_and_leaves_the_same(new_study, body) -> None:
    study = new_study()
    study.add(body.image, IMAGE)
    study.add(body.image, "sub-01/anat/sub-01_part-phase_T2w.nii.gz")  # is told, and left out
    assert study.run(*QUICK).code == 0
    left = contents(study.out)
    shutil.rmtree(study.home / "work/cache-1/runs")
    whole = study.run(*QUICK)
    code = f"import sys; from spinalprep.app.main import main; code = main({study.words(*QUICK)}); "
    code += f"print([m for m in {LIBRARIES} if m in sys.modules]); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "no magnitude image" in done.stderr
    assert without_seconds(done.stderr) == without_seconds(whole.log)
    assert contents(study.out) == left


def without_seconds(log: str) -> str:
    return re.sub(r"in \d+ s", "in N s", log)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files but those that say how long the last run took."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "status" not in path.name)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
