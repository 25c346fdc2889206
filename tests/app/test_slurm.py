"""A cohort as an array of jobs: the script, and what a real SLURM makes of it."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from spinalprep.app.main import main as spinalprep
from spinalprep.app.parser import parse
from spinalprep.app.words import words_of
from spinalprep.tools.main import main as tools

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template")


def script(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert tools(["slurm", *words]) == 0
    return capsys.readouterr().out


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    for label in ("01", "02", "odd"):
        (tmp_path / "raw" / f"sub-{label}" / "anat").mkdir(parents=True)
    return tmp_path


WORDS = [
    *("a b", "out", "participant", "--participant-label", "01", "02", "--no-manual-labels", "-vv"),
    *("-d", "labels=x", "--skip", "n4", "--skip", "lesion", "--model", "cord=c", "gm=g"),
    *("--metric", "FA=sub-*/*_FA.nii.gz", "--lesion-threshold", "0.8", "--mem", "3.5", "--tfce"),
    *("--output-spaces", "reference", "T1w", "--sbatch-args", "-p 'x y'", "--worker", "slurm"),
]


def test_settings_become_words_that_say_the_same() -> None:
    settings = parse(WORDS)
    assert parse(words_of(settings)) == settings
    again = parse(shlex.split(shlex.join(words_of(settings))))
    assert again == settings


def test_the_script_says_what_was_asked(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(cohort / "raw"), str(cohort / "out"), "participant", "-w", str(cohort / "w x")]
    text = script(capsys, "--limit", "20", "--sbatch-args", "-p short", *command, "--skip", "n4")
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=True).returncode == 0
    lines = text.splitlines()
    assert "#SBATCH --array=0-2%20" in lines
    assert "people=(01 02 odd)" in lines
    assert "#SBATCH --mem=4096M" in lines
    assert text.count("-p short <<'JOB'") == 2
    assert text.count("#SBATCH --requeue") == 1
    runs = [shlex.split(line) for line in lines if line.startswith("exec ")]
    assert [words[6] for words in runs] == ["participant", "group"]
    assert all("--skip=n4" in words and "--mem=4096MB" in runs[0] for words in runs)
    assert f"--work-dir={cohort / 'w x'}" in runs[0]
    assert "--dependency=afterany" in text
    alone = script(capsys, "--no-group", *command, "--participant-label", "odd")
    assert "people=(odd)" in alone
    assert "#SBATCH --array=0-0\n" in alone
    assert "afterany" not in alone


def test_a_container_sees_every_folder(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = cohort / "s.sif"
    image.touch()
    template, weights = cohort / "PAM50", cohort / "nets" / "c.safetensors"
    command = [str(cohort / "raw"), str(cohort / "out"), "participant", "-w", str(cohort / "w")]
    more = [
        "--template",
        str(template),
        "--model",
        f"cord={weights}",
        "-d",
        f"labels={cohort}/raw/l",
    ]
    text = script(capsys, "--image", str(image), *command, *more)
    run = shlex.split(next(line for line in text.splitlines() if line.startswith("exec ")))
    assert run[1:5] == ["apptainer", "run", "--cleanenv", "--no-home"]
    binds = run[run.index("--bind") + 1].split(",")
    seen = [f"{cohort}/raw:{cohort}/raw:ro", f"{cohort}/out:{cohort}/out", f"{cohort}/w:{cohort}/w"]
    assert binds[:3] == seen
    assert set(binds[3:]) == {f"{p}:{p}:ro" for p in (template, weights.parent)}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["raw", "out", "group"], 2, "expected the participant level"),
        (["raw", "a b/out", "participant"], 2, "does not accept blanks"),
        (["raw", "out", "participant", "--participant-label", "9"], 4, "has no sub-9"),
        (["out", "out", "participant"], 4, "no participant"),
        (["--image", "no.sif", "raw", "out", "participant"], 2, "no.sif is not a file"),
    ],
)
def test_what_can_not_be_submitted(
    words: list[str], code: int, said: str, cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(cohort)
    assert tools(["slurm", *words]) == code
    assert said in capsys.readouterr().err


def test_without_slurm_its_worker_is_refused_before_any_work(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(cohort))
    out = cohort / "out"
    assert spinalprep([str(cohort / "raw"), str(out), "participant", "--worker", "slurm"]) == 2
    assert capsys.readouterr().err.startswith("x --worker slurm: sbatch, squeue")
    assert not out.exists()


@pytest.mark.slow
def test_an_array_of_jobs_shares_one_output_folder(
    new_study, body, slurm_cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    study = new_study()
    study.add(body.image, "sub-01/anat/sub-01_T2w.nii.gz")
    study.add(body.image[::-1], "sub-02/anat/sub-02_T2w.nii.gz")
    (study.raw / "sub-03" / "anat").mkdir(parents=True)
    (study.raw / "sub-03" / "anat" / "sub-03_T2w.nii.gz").write_bytes(b"no image")
    text = script(capsys, "--cpus", "1", "--mem", "3G", *study.words(*QUICK))
    array, group = submit(text)
    wait_for(array, group)
    log = {path.name: path.read_text() for path in (study.out / "logs" / "slurm").iterdir()}
    rows = pd.read_csv(study.out / "status.tsv", sep="\t").set_index("participant_id")
    states = rows["state"].to_dict()
    assert states == {"sub-01": "finished", "sub-02": "finished", "sub-03": "failed"}, log
    assert (study.out / "sub-02.html").is_file()
    assert list(pd.read_csv(study.out / "participants.tsv", sep="\t")["participant_id"]) == list(
        rows.index
    )
    assert not (study.out / ".spinalprep-tmp").exists()
    assert set(log) == {f"{array}_{n}.txt" for n in range(3)} | {f"{group}_group.txt"}
    ended = _times(array) + _times(group)
    assert max(end for _, end in ended[:-1]) <= ended[-1][0]  # the group came last
    assert sys.executable in text


@pytest.mark.long
@pytest.mark.slow
def test_an_array_on_several_nodes_survives_the_loss_of_one(
    new_study, body, slurm_cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    study = new_study()
    for label in ("01", "02", "03"):
        study.add(body.image, f"sub-{label}/anat/sub-{label}_T2w.nii.gz")
    words = ["--cpus", "1", "--mem", "3G", "--sbatch-args=--exclusive"]
    array, group = submit(script(capsys, *words, *study.words(*QUICK)))
    cache = study.home / "work" / "cache-1"
    end = time.monotonic() + 300
    while len(list(cache.glob("sub-*/run-*.json"))) < 3:  # all of them are at work
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)
    look = ["squeue", "-h", "-t", "RUNNING", "-o", "%N %a %K", "-j", array]
    running = subprocess.run(look, capture_output=True, text=True, check=True).stdout.split("\n")
    nodes = {line.split()[-1]: line.split()[0] for line in running if line}
    assert set(nodes.values()) == set(slurm_cluster.nodes)
    slurm_cluster.lose_node(nodes["1"])
    try:
        wait_for(array, group, seconds=900)
    finally:
        slurm_cluster.start_node(nodes["1"])
    states = pd.read_csv(study.out / "status.tsv", sep="\t")["state"]
    assert list(states) == ["finished"] * 3
    tables = [path.read_text() for path in study.out.glob("sub-*/anat/*perslice_morph.tsv")]
    assert len(tables) == 3
    assert (
        len({table.replace("sub-02", "sub-01").replace("sub-03", "sub-01") for table in tables})
        == 1
    )
    log = (study.out / "logs" / "slurm" / f"{array}_1.txt").read_text()
    assert log.count("1 of 1 sessions finished") == 1


def submit(text: str) -> tuple[str, str]:
    """Run a script and return the numbers of the array and of the group's job."""
    said = subprocess.run(["bash"], input=text, text=True, capture_output=True, check=True).stdout
    array, group = (line.split("job ")[1].split(",")[0] for line in said.splitlines())
    return array, group


def wait_for(*jobs: str, seconds: float = 300.0) -> None:
    """Wait until the queue has forgotten some jobs."""
    end = time.monotonic() + seconds
    look = ["squeue", "-h", "-o", "%i %T", "-j", ",".join(jobs)]
    while subprocess.run(look, capture_output=True, text=True, check=True).stdout:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)


def _times(job: str) -> list[tuple[str, str]]:
    """Return start and end of the jobs of an array."""
    done = subprocess.run(
        ["scontrol", "show", "job", "-o", job], capture_output=True, text=True, check=True
    )
    found = []
    for line in done.stdout.splitlines():
        told = dict(word.split("=", 1) for word in line.split() if "=" in word)
        found.append((told["StartTime"], told["EndTime"]))
    return found
