"""Faults around a whole run: outputs are complete or absent, and the next run finishes them."""

import contextlib
import io
import json
import multiprocessing as mp
import os
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main as spinalprep
from spinalprep.bids.atomic import end_temporary, put_text
from spinalprep.bids.status import Status, write_status
from spinalprep.template.files import EMBEDDED, resolve_template
from spinalprep.tools.main import main as tools
from spinalprep.tools.verify import differences

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template", "--nprocs", "1")


def states(out: Path) -> dict[str, str]:
    table = pd.read_csv(out / "status.tsv", sep="\t").set_index("participant_id")
    return dict(table["state"])


def no_image(study, label: str) -> None:
    folder = study.raw / f"sub-{label}" / "anat"
    folder.mkdir(parents=True)
    (folder / f"sub-{label}_T2w.nii.gz").write_bytes(b"no image")


@pytest.mark.slow
def test_people_who_come_and_go_between_runs(new_study) -> None:
    study = new_study()
    no_image(study, "01")
    no_image(study, "02")
    assert study.run(*QUICK).code == 1
    shutil.rmtree(study.raw / "sub-02")
    no_image(study, "03")
    assert study.run(*QUICK).code == 1
    assert states(study.out) == dict.fromkeys(["sub-01", "sub-02", "sub-03"], "failed")
    people = pd.read_csv(study.out / "participants.tsv", sep="\t")["participant_id"]
    assert list(people) == ["sub-01", "sub-02", "sub-03"]  # of whom there are results


def finish(out: Path, number: int, start) -> None:
    """Do what every job of an array does at its end."""
    start.wait()
    for file in range(20):
        put_text(out, out / f"sub-{number}" / f"{file}.txt", "x" * 1000)
        end_temporary(out)
    write_status(out, Status(f"sub-{number}"))
    end_temporary(out)


def test_eight_jobs_that_end_at_once_lose_no_file_and_no_row(tmp_path: Path) -> None:
    context = mp.get_context("fork")
    start = context.Event()
    jobs = [context.Process(target=finish, args=(tmp_path, n, start)) for n in range(8)]
    for job in jobs:
        job.start()
    start.set()
    for job in jobs:
        job.join(timeout=60)
    assert [job.exitcode for job in jobs] == [0] * 8
    assert states(tmp_path) == {f"sub-{n}": "finished" for n in range(8)}
    assert len(list(tmp_path.glob("sub-*/*.txt"))) == 160
    assert not (tmp_path / ".spinalprep-tmp").exists()


@pytest.fixture(scope="module")
def undisturbed(new_study, body):
    """Process a person without a fault."""
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    assert study.run(*QUICK).code == 0
    return study


@pytest.mark.long
@pytest.mark.slow
def test_a_run_that_is_killed_at_every_node_ends_as_if_nothing_had_been(undisturbed) -> None:
    """Kill -9 whenever a task more has finished, until there is none left; then compare."""
    kills, best = 0, -1
    while kills < 60:
        words = undisturbed.words(*QUICK, out="killed")
        words[words.index("-w") + 1] += "-killed"
        process = subprocess.Popen(
            [sys.executable, "-m", "spinalprep", *words],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("[") and int(line[1:].split("/")[0]) > best:
                best = int(line[1:].split("/")[0])
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        process.stderr.read()
        if process.wait(timeout=60) == 0:
            break
        files = (undisturbed.home / "killed").rglob("*.json")
        assert all(json.loads(path.read_text()) is not None for path in files)
    assert kills >= 8
    assert states(undisturbed.home / "killed") == {"sub-01": "finished"}
    assert list(differences(undisturbed.out, undisturbed.home / "killed")) == []


@pytest.mark.slow
def test_an_image_that_changes_while_it_is_processed_fails_and_is_taken_up_again(
    new_study, body
) -> None:
    study = new_study()
    raw = study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    command = [sys.executable, "-m", "spinalprep", *study.words(*QUICK)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("[") and int(line[1:].split("/")[0]) == 1:
            study.add(body.image // 2, "sub-01/anat/sub-01_T2w.nii.gz")
    assert process.wait(timeout=60) == 1
    assert f"{raw.name} changed during processing" in said
    assert "Traceback" not in said
    assert states(study.out) == {"sub-01": "failed"}
    assert study.run(*QUICK).code == 0
    assert states(study.out) == {"sub-01": "finished"}
    sidecar = next(study.out.rglob("sub-01_desc-preproc_T2w.json"))
    told = json.loads(sidecar.read_text())["SourcesSHA256"]
    assert list(told.values()) == [sha256(raw.read_bytes()).hexdigest()]


def allow(folder: Path, mode: int) -> None:
    """Give a folder, and those in it, the same rights."""
    folder.mkdir(exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(mode)


@pytest.mark.slow
def test_permission_lost_in_the_middle_costs_one_participant_of_a_run(new_study, body) -> None:
    plain: tuple[str, ...] = ()
    if os.geteuid() == 0:  # root may write everywhere, unless it gives that up
        plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if subprocess.run([*plain, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root can't give up its rights here")
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    no_image(study, "02")
    command = [*plain, sys.executable, "-m", "spinalprep", *study.words(*QUICK)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said, folder = "", study.out / "sub-01"
    for line in process.stderr:
        said += line
        if line.startswith("[") and int(line[1:].split("/")[0]) == 1:
            allow(folder, 0o500)
    assert process.wait(timeout=60) == 1, said
    assert "Permission denied" in said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert states(study.out) == {"sub-02": "failed"}  # sub-01 could not say how it ended
    allow(folder, 0o700)
    assert study.run(*QUICK).code == 1
    assert states(study.out) == {"sub-01": "finished", "sub-02": "failed"}


@pytest.mark.long
@pytest.mark.slow
def test_two_runs_at_once_on_the_same_folders(undisturbed) -> None:
    words = undisturbed.words(*QUICK, out="twice")
    words[words.index("-w") + 1] += "-twice"
    command = [sys.executable, "-m", "spinalprep", *words]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=600)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert list(differences(undisturbed.out, undisturbed.home / "twice")) == []


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("what", ["out", "work"])
def test_a_full_disk_is_said_and_space_is_enough_to_go_on(undisturbed, what: str) -> None:
    folder = undisturbed.home / f"small-{what}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        words = undisturbed.words(*QUICK, out=f"small-out{'' if what == 'out' else '-of-work'}")
        work = f"small-work{'' if what == 'work' else '-of-out'}"
        words[words.index("-w") + 1] = f"{undisturbed.home}/{work}"
        command = [sys.executable, "-m", "spinalprep", *words]
        full = subprocess.run(command, capture_output=True, text=True, check=False)
        assert full.returncode in (1, 2), full.stderr
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(folder)], check=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert list(differences(undisturbed.out, Path(words[1]))) == []
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_the_cache_of_a_run_is_whole_and_a_flipped_byte_is_named(undisturbed, capsys) -> None:
    work = undisturbed.home / "work"
    assert tools(["verify", "--cache", str(work)]) == 0
    assert "cached results are whole" in capsys.readouterr().out
    image = next(work.glob("cache-1/sub-01/python-*/*.nii.gz"))
    kept, status = image.read_bytes(), image.stat()
    image.write_bytes(kept[:-9] + bytes([kept[-9] ^ 1]) + kept[-8:])
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert tools(["verify", "--cache", str(work)]) == 1
    assert f"{image.name} is damaged" in capsys.readouterr().out
    image.write_bytes(kept)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert tools(["verify", "--cache", str(work)]) == 0


@pytest.mark.slow
def test_other_weights_recompute_what_they_made_and_nothing_else(undisturbed, tmp_path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from spinalprep.networks.cards import card_path, packaged_weights

    changed, packaged = tmp_path / "cord.safetensors", packaged_weights("cord")
    tensors = load_file(packaged)
    first = next(iter(tensors))
    tensors[first] = tensors[first] + torch.full_like(tensors[first], 1e-3)
    save_file(tensors, changed)
    card = json.loads(card_path(packaged).read_text())
    card["sha256"] = sha256(changed.read_bytes()).hexdigest()
    card_path(changed).write_text(json.dumps(card))
    plan = undisturbed.run(*QUICK, "--model", f"cord={changed}", "--dry-run").out.splitlines()
    hits = {line.split()[1] for line in plan if line.endswith("  hit")}
    missed = {line.split()[1]: line for line in plan if "miss: " in line}
    assert {"preprocess.Conform", "automatic.FindHeat"} <= hits
    assert "changed" in missed["automatic.SegmentCord"]
    assert any(name.startswith("shape") for name in missed)
    assert undisturbed.run(*QUICK, "--dry-run").out.endswith(" 0 to compute\n")


def test_the_group_names_those_who_left_no_word(new_study) -> None:
    study = new_study()
    for label in ("01", "02", "03"):
        no_image(study, label)
    write_status(study.out, Status("sub-02", state="failed", reason="input: no image"))
    group = [str(study.raw), str(study.out), "group", "-w", str(study.home / "work")]
    log = io.StringIO()
    with contextlib.redirect_stderr(log):
        assert spinalprep([*group, "--template", "Generic"]) == 4
    assert "stopped before a status was written): sub-01, sub-03\n" in log.getvalue()
    with contextlib.redirect_stderr(io.StringIO()) as log:
        spinalprep([*group, "--template", "Generic", "--participant-label", "02"])
    assert "not in status.tsv" not in log.getvalue()


@pytest.mark.slow
def test_another_content_of_the_template_recomputes_what_follows_from_it(
    new_study, body, tmp_path
) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    labels = "derivatives/labels/sub-01/anat/sub-01_T2w_labels-disc-manual.nii.gz"
    study.add(body.discs, labels)
    template = tmp_path / "mine"
    shutil.copytree(EMBEDDED, template)
    flags = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--template", str(template))
    first = study.run(*flags)
    assert first.code == 0, first.log
    assert study.run(*flags, "--dry-run").out.endswith(" 0 to compute\n")
    moved = tmp_path / "moved"
    shutil.copytree(template, moved)  # the same content elsewhere is the same template
    there = (*flags[:-1], str(moved))
    assert study.run(*there, "--dry-run").out.endswith(" 0 to compute\n")
    path = resolve_template(str(template)).cord
    image = nib.loadsave.load(path)
    data = np.asarray(image.dataobj).copy()
    data[..., : data.shape[2] // 2] = np.roll(data[..., : data.shape[2] // 2], 1, axis=0)
    nib.nifti1.Nifti1Image(data, image.affine, image.header).to_filename(path)
    plan = study.run(*flags, "--dry-run").out.splitlines()
    hits = {line.split()[1] for line in plan if line.endswith("  hit")}
    missed = {line.split()[1] for line in plan if "miss: " in line}
    assert {"preprocess.Conform", "automatic.SegmentCord"} <= hits
    assert "template.RegisterToTemplate" in missed
    assert study.run(*flags).code == 0
    assert study.run(*flags, "--dry-run").out.endswith(" 0 to compute\n")
