"""One file without BIDS: what is written, and one line for what is no image."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.image import Image, load, resample_like, save
from spinalprep.image.orient import reorient
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.images import render
from spinalprep.tools.main import main

SEED = 100_011


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic subject's neck in an order of axes that nobody likes, segmented."""
    home = tmp_path_factory.mktemp("segment")
    affine = np.diag([-0.8, 0.8, 4.0, 1.0])
    affine[:3, 3] = [28, -24, -16]
    image = render(make_person(SEED), "T2w", ((72, 72, 9), affine), SEED, noise=0.01)
    save(reorient(image, "SPR"), home / "Neck of Mr X.nii.gz")
    words = ["segment", str(home / "Neck of Mr X.nii.gz"), "-o", str(home / "out")]
    assert main([*words, "--threads", "1"]) == 0
    return home


def out(home: Path, ending: str) -> Path:
    return home / "out" / f"Neck of Mr X_{ending}"


def test_everything_is_written_and_nothing_else(home: Path) -> None:
    endings = [
        *(f"label-{name}_mask.nii.gz" for name in ("SC", "centerline", "lesion")),
        *(f"label-{name}_probseg.nii.gz" for name in ("SC", "lesion")),
        "label-SC_desc-uncertainty_probseg.nii.gz",
        "label-SC_desc-perslice_morph.tsv",
        "segment.json",
    ]
    assert sorted((home / "out").iterdir()) == sorted(out(home, ending) for ending in endings)


def test_the_cord_is_the_digital_person_s(home: Path) -> None:
    found = load(out(home, "label-SC_mask.nii.gz"))
    truth = truth_cord(make_person(SEED), found) >= 0.5
    mask = found.data > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9
    image = load(home / "Neck of Mr X.nii.gz")
    assert resample_like(reorient(image), found).same_grid(found)
    assert nib.load(out(home, "label-SC_mask.nii.gz")).get_data_dtype() == np.uint8


def test_numbers_have_an_interval_and_add_up(home: Path) -> None:
    told = json.loads(out(home, "segment.json").read_text())
    table = pd.read_csv(out(home, "label-SC_desc-perslice_morph.tsv"), sep="\t")
    volume, area = told["volume_mm3"], told["mean_area_mm2"]
    for number in (volume, area):
        assert 0 < number["lower"] < number["value"] < number["upper"]
    mask = load(out(home, "label-SC_mask.nii.gz"))
    assert volume["value"] == pytest.approx(mask.data.sum() * mask.voxel_volume, rel=0.1)
    assert volume["value"] == pytest.approx(table["area_mm2"] @ table["length_mm"], rel=1e-3)
    assert table["area_mm2"].min() < area["value"] < table["area_mm2"].max()
    assert told["slices"] == len(table)
    assert set(told["models"]) >= {"centerline", "cord"}
    assert len(told["models"]["cord"]["sha256"]) == 64


@pytest.mark.parametrize(("name", "more"), [("x_T2starw", []), ("x", ["--gm"])])
def test_grey_matter_is_looked_for_where_it_shows_or_is_wanted(
    home: Path, tmp_path: Path, name: str, more: list[str]
) -> None:
    image = tmp_path / f"{name}.nii.gz"
    shutil.copy(home / "Neck of Mr X.nii.gz", image)
    words = ["segment", str(image), "-o", str(tmp_path), "--threads", "1", "--views", "1"]
    assert main([*words, *more]) == 0
    told = json.loads((tmp_path / f"{name}_segment.json").read_text())
    grey = load(tmp_path / f"{name}_label-GM_probseg.nii.gz")
    assert told["gm_mm3"] == pytest.approx(grey.data.sum() * grey.voxel_volume, rel=0.2)
    assert "gm" in told["models"]
    assert not list(tmp_path.glob("*uncertainty*"))  # one view has no spread
    plain = json.loads(out(home, "segment.json").read_text())
    assert told["volume_mm3"]["value"] == pytest.approx(plain["volume_mm3"]["value"], rel=0.05)
    assert (plain["gm_mm3"], "gm" in plain["models"]) == (None, False)


def test_uncertainty_is_where_the_outline_is(home: Path) -> None:
    sd = load(out(home, "label-SC_desc-uncertainty_probseg.nii.gz")).data
    soft = load(out(home, "label-SC_probseg.nii.gz")).data
    edge = (soft > 0.2) & (soft < 0.8)
    assert sd[edge].mean() > 5 * sd[soft > 0.99].mean()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, 1),
        (lambda path: path.write_text("no image"), 1),
        (lambda path: save(Image(np.zeros((9, 9, 9), np.float32), np.eye(4)), path), 1),
        (lambda path: save(noise(), path), 1),
    ],
)
def test_what_has_no_cord_is_one_line_and_no_file(
    make: object, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image.nii.gz"
    make(path)  # type: ignore[operator]
    target = tmp_path / "out"
    assert main(["segment", str(path), "-o", str(target), "--threads", "1"]) == code
    assert "Traceback" not in capfd.readouterr().err
    assert not target.exists()


def noise() -> Image:
    chance = np.random.default_rng(0)
    return Image(chance.random((60, 60, 6)).astype(np.float32), np.diag([-1.0, 1, 4, 1]))


@pytest.mark.parametrize(
    ("more", "code"),
    [(["--model", "brain=x.safetensors"], 2), (["--model", "cord=/none/x.safetensors"], 6)],
)
def test_what_is_no_network_is_refused(home: Path, more: list[str], code: int) -> None:
    assert (
        main(["segment", str(home / "Neck of Mr X.nii.gz"), "-o", str(home / "x"), *more]) == code
    )
    assert not (home / "x").exists()


def test_a_folder_that_is_a_file_is_refused(home: Path) -> None:
    (home / "file").write_text("")
    image = home / "Neck of Mr X.nii.gz"
    assert main(["segment", str(image), "-o", str(home / "file"), "--threads", "1"]) == 2
