"""The corpus of odd input through the real command: exit codes, rows, reports, and what is written.

`tests/corpus` reads every input by the function that the App reads it with. Here a command is
started on it: one run in which all images and labels that are refused lie beside a good one, and a
dry run of each dataset, table, setting and file of weights.
"""

import contextlib
import html
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.errors import SpinalprepError

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
QUICK = ("--template", "Generic", "--skip", "n4,coreg,lesion,template", "--sloppy", "--nprocs", "1")
MARKUP = "<img src=x onerror=alert(1)>"
NO_IMAGE = ("nothing", "a folder")  # no file of that name: pybids does not list them
ENDINGS = {"cord": "seg-manual", "discs": "labels-disc-manual"}


def load(path: str) -> ModuleType:
    """Return a module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), TESTS / f"{path}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


IMAGES, FILES, DATASETS = (load(f"corpus/test_{kind}") for kind in ("images", "files", "datasets"))


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Return everything below a folder with its type and size."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            found[str(path.relative_to(root))] = (path.lstat().st_mode, path.lstat().st_size)
    return found


def add_images(raw: Path) -> dict[str, str]:
    """Add a participant for each image that is refused; return what its row has to say."""
    said = {}
    for number, (name, make, says, code) in enumerate(IMAGES.CASES):
        if code == 0:
            continue
        label = f"i{number}"
        path = raw / f"sub-{label}" / "anat" / f"sub-{label}_T2w.nii.gz"
        path.parent.mkdir(parents=True)
        make(path)
        said[f"sub-{label}"] = "no T1w, T2w" if name in NO_IMAGE else says
    return said


def add_labels(raw: Path, folder: Path) -> dict[str, str]:
    """Add a participant for each label that is refused; return what its row has to say."""
    said = {}
    for number, (_, read, says, code) in enumerate(FILES.CASES):
        if code == 0 or not isinstance(read, partial) or read.args[1] == "lesion":
            continue  # lesions are skipped here
        label, role = f"l{number}", read.args[1]
        labels = raw / "derivatives" / "labels" / f"sub-{label}" / "anat"
        image = raw / f"sub-{label}" / "anat" / f"sub-{label}_T2w.nii.gz"
        for place in (labels, image.parent):
            place.mkdir(parents=True)
        if role == "discs":  # nothing is seen in the image: the cord is drawn
            FILES.read_label(FILES.CORD, "cord", FILES.AFFINE, folder)
            shutil.move(
                folder / "label.nii.gz", labels / f"sub-{label}_T2w_{ENDINGS['cord']}.nii.gz"
            )
        with contextlib.suppress(SpinalprepError):  # it writes both files, and refuses the label
            read(folder)
        shutil.move(folder / "T2w.nii.gz", image)
        shutil.move(folder / "label.nii.gz", labels / f"sub-{label}_T2w_{ENDINGS[role]}.nii.gz")
        said[f"sub-{label}"] = says
    return said


def add_names(raw: Path, good: Path) -> None:
    """Add files and folders whose names hold markup, line ends, shell characters, or no UTF-8."""
    anat = good.parent
    for name in (f"sub-good_{MARKUP}_UNIT1.nii.gz", "sub-good_acq-$(id)`id`;_T1w.nii.gz"):
        shutil.copy(good, anat / name)
    shutil.copy(good, os.fsencode(anat) + b"/sub-good_acq-\xe4_T1w.nii.gz")
    for name in ("sub-a\nb", f"sub-{MARKUP}"):
        (raw / name / "anat").mkdir(parents=True)
        shutil.copy(good, raw / name / "anat" / f"{name}_T2w.nii.gz")
    (Path(os.fsdecode(os.fsencode(raw) + b"/sub-\xe4")) / "anat").mkdir(parents=True)
    labels = raw / "derivatives" / "labels" / "sub-good" / "anat"
    labels.mkdir(parents=True)
    shutil.copy(good, labels / f"sub-good_T2w_{MARKUP}.nii.gz")
    (raw / "participants.tsv").write_text(f"participant_id\tgroup\nsub-good\t{MARKUP}\n")
    (anat / "sub-good_T2w.json").write_text('{"Manufacturer": "../../../../etc/passwd"}')


def test_all_that_is_refused_beside_a_good_participant(new_study, body, tmp_path: Path) -> None:
    study = new_study()
    raw = study.home / f"raw {MARKUP}"
    study.raw.rename(raw)
    study.raw.symlink_to(raw)
    good = study.add(body.image, "sub-good/anat/sub-good_T2w.nii.gz")
    add_names(raw, good)
    said = add_images(raw) | add_labels(raw, tmp_path)
    assert len(said) > 45
    home, temporary = study.home / "home", study.home / "tmp"
    home.mkdir()
    temporary.mkdir()
    before = listing(raw)
    done = subprocess.run(
        [sys.executable, "-m", "spinalprep", str(raw), *study.words(*QUICK)[1:]],
        env={**os.environ, "HOME": str(home), "TMPDIR": str(temporary)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert listing(raw) == before
    assert listing(home) == {}
    assert listing(temporary) == {}
    assert {path.name for path in study.home.iterdir()} == {
        *("raw", raw.name, "out", "work", "home", "tmp"),
    }
    check_rows(study.out, said, done.stderr)
    for word in ("sub-a?b is left out", "sub-? is left out", f"sub-{MARKUP} is left out"):
        assert word in done.stderr
    see_reports(study.out, tmp_path / "profile")


def check_rows(out: Path, said: dict[str, str], stderr: str) -> None:
    """Check that each refused participant has its row, its line, and the reason in its report."""
    table = pd.read_csv(out / "status.tsv", sep="\t", index_col=0, keep_default_na=False)
    assert table.loc["sub-good", "state"] == "finished"
    assert set(table.index) == {"sub-good", *said}
    reasons = table.drop("sub-good")
    assert set(reasons["state"]) == {"failed"}
    told = dict(reasons.reason)  # of several tasks that failed, the first
    for name in told:
        if (page := out / f"{name}.html").is_file():  # a participant without images has none
            told[name] += html.unescape(page.read_text())
    assert {name: says for name, says in said.items() if says not in told[name]} == {}
    lesser = {name for name in said if said[name] not in reasons.reason[name]}  # not the first
    assert all(reasons.reason[name].startswith("input: no cord found") for name in lesser)
    assert reasons.reason.str.startswith("input: ").all()
    for name in said:
        assert sum(f"{name} failed: " in line for line in stderr.splitlines()) == 1


def see_reports(out: Path, profile: Path) -> None:
    """Open the report of the good participant and of a refused one in a browser."""
    browser = load("reports/conftest")
    if browser.BROWSER is None:
        return
    look = load("reports/test_markup").LOOK
    for name in ("sub-good", "sub-i21"):
        told, _ = browser._drive(out / f"{name}.html", look, profile)
        assert "failed" not in told, told
        assert (told["seen"], told["fetched"]) == ([], [])
        assert (told["foreign"], told["handlers"]) == (0, 0)
        assert MARKUP in told["text"]  # in the command, which names the dataset


DRY = "--dry-run"
Dry = Callable[..., tuple[int, str]]


@pytest.fixture
def dry(new_study) -> Iterator[Dry]:
    """Return what plans a run of a dataset (``--dry-run``) and returns its exit code and log."""
    study = new_study()

    def run(raw: Path, *flags: str, out: Any = None, work: Any = None, how: str = DRY) -> Any:
        folders = [raw, out or study.home / "out", "participant", "-w", work or study.home / "work"]
        log, kept = io.StringIO(), dict(os.environ)
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                code = main([*map(str, folders), *QUICK[:4], how, *flags])
        finally:
            os.environ.clear()
            os.environ.update(kept)
        assert "internal error" not in log.getvalue()
        return code, log.getvalue()

    yield run
    shutil.rmtree(study.home)


def cases(module: ModuleType, *names: str, code: int | None = None) -> list[Any]:
    """Return the cases whose names begin so, and of this code, as parameters of a test."""
    found = [case for case in module.CASES if case[0].startswith(names or ("",))]
    found = [case for case in found if code in (None, case[3])]
    return [pytest.param(*case[1:], id=case[0]) for case in found]


@pytest.mark.parametrize(("make", "says", "code"), cases(DATASETS))
def test_a_dry_run_of_an_odd_dataset(
    dry: Dry, tmp_path: Path, make: Any, says: str, code: int
) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    asked = make(root)
    flags: list[str] = []
    if asked is None:
        asked = DATASETS.asked(lambda _: None)(root)
    for flag in ("participant_label", "session_label"):
        if labels := getattr(asked, flag):
            flags += [f"--{flag}", *labels]
    before = listing(root) if root.exists() else {}
    found, log = dry(root, *flags, out=asked.out_dir, work=asked.work_dir)
    if says == DATASETS.READ:  # the images of these datasets are empty files
        assert (found, "is empty (0 bytes)" in log) == (1, True), log
    else:
        assert (found, says in log) == (code, True), log
        assert (listing(root) if root.exists() else {}) == before


@pytest.mark.parametrize(("make", "says", "code"), cases(IMAGES, code=0))
def test_a_dry_run_of_an_odd_image_that_is_read(
    dry: Dry, tmp_path: Path, make: Any, says: str, code: int
) -> None:
    DATASETS.files()(tmp_path)
    path = tmp_path / "sub-01" / "anat" / "sub-01_T2w.nii.gz"
    path.parent.mkdir(parents=True)
    make(path)
    found, log = dry(tmp_path)
    assert (found, "unusable" in log) == (0, False), log
    of_values = says == "NaN or infinite"  # no value is read for a dry run
    assert says == IMAGES.READ or of_values or says in log, log


def test_a_dry_run_of_two_halves_of_one_neck_plans_both(dry: Dry, new_study, body) -> None:
    study = new_study()
    lower = study.affine.copy()
    upper = lower.copy()
    upper[2, 3] += 24
    study.add(body.image[..., :24], "sub-01/anat/sub-01_acq-lower_T2w.nii.gz", lower)
    study.add(body.image[..., 24:], "sub-01/anat/sub-01_acq-upper_T2w.nii.gz", upper)
    found, log = dry(study.raw)
    assert found == 0
    for half in ("lower", "upper"):
        assert f"sub-01_acq-{half}  preprocess.Conform  miss" in log
        assert f"sub-01_acq-{half}  shape.MeasureTotal  miss" in log
    assert "Coregister" not in log


SETTINGS = {"settings": "--config-file", "filters": "--bids-filter-file", "gates": "--qc-gates"}


@pytest.mark.parametrize(("read", "says", "code"), cases(FILES, *SETTINGS))
def test_a_dry_run_with_odd_settings(
    dry: Dry, tmp_path: Path, request: Any, read: Any, says: str, code: int
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    DATASETS.files(DATASETS.T2W)(raw)
    with contextlib.suppress(SpinalprepError):
        read(tmp_path)
    word = request.node.callspec.id.split()[0]
    found, log = dry(raw, SETTINGS[word], str(tmp_path / "odd.json"))
    assert (found, says in log) == (code, True), log


@pytest.mark.parametrize(("read", "says", "code"), cases(FILES, "weights", "a card"))
def test_a_run_with_odd_weights(dry: Dry, tmp_path: Path, read: Any, says: str, code: int) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    DATASETS.files(DATASETS.T2W)(raw)
    with contextlib.suppress(SpinalprepError):
        read(tmp_path)
    found, log = dry(raw, "--model", f"cord={tmp_path / 'odd.safetensors'}")
    assert (found, says in log) == (code, True), log


@pytest.mark.parametrize(("read", "says", "code"), cases(FILES, "participants.tsv"))
def test_a_participant_level_run_with_an_odd_table(
    dry: Dry, tmp_path: Path, read: Any, says: str, code: int
) -> None:
    DATASETS.files()(tmp_path)
    path = tmp_path / "sub-01" / "anat" / "sub-01_T2w.nii.gz"
    path.parent.mkdir(parents=True)
    IMAGES.image()(path)
    with contextlib.suppress(SpinalprepError):
        read(tmp_path)
    found, log = dry(tmp_path, how="--boilerplate-only")  # writes the table and computes nothing
    assert found == 0
    assert says == FILES.READ or says in log


@pytest.mark.parametrize(("read", "says", "code"), cases(FILES, "a sidecar"))
def test_a_dry_run_with_an_odd_sidecar(
    dry: Dry, tmp_path: Path, read: Any, says: str, code: int
) -> None:
    read(tmp_path)
    DATASETS.files()(tmp_path)
    IMAGES.image()(tmp_path / "sub-01" / "anat" / "sub-01_T2w.nii.gz")
    found, log = dry(tmp_path)
    assert found == code == 0
    assert says == FILES.READ or says in log, log
