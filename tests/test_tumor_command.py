"""The command with --pathology tumor on a synthetic patient: names, sidecars, table, report."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from spinalprep.app.jobs import gather_shared
from spinalprep.app.main import main
from spinalprep.app.parser import parse
from spinalprep.defaults import EDEMA_THRESHOLD
from spinalprep.image import save
from spinalprep.networks.cards import packaged_weights, read_card
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import save_model
from spinalprep.phantom.tumors import make_patient, scan_patient

pytestmark = pytest.mark.slow

STRUCTURES = ("abnormality", "cavity", "edema", "tumor")
ENDINGS = ("mask.json", "mask.nii.gz", "probseg.json", "probseg.nii.gz")
GOLDEN = sorted(
    [
        *(f"space-T2w_label-{name}_{ending}" for name in STRUCTURES for ending in ENDINGS),
        "space-T2w_label-abnormality_morph.json",
        "space-T2w_label-abnormality_morph.tsv",
    ]
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a patient who has both contrasts, and one without Gd-T1w, processed."""
    home = tmp_path_factory.mktemp("tumor")
    affine = np.diag([-2.0, 1.2, 1.5, 1.0])
    patient = make_patient(110_300, "hemangioblastoma")
    affine[:3, 3] = patient.centerline.at(95.0) - np.array([-24.0, 30.0, 36.0])
    scanned = scan_patient(patient, (25, 52, 48), affine, 110_300, noise=0.02)
    (home / "in").mkdir()
    told = {"Name": "patients", "BIDSVersion": "1.9.0"}
    (home / "in" / "dataset_description.json").write_text(json.dumps(told))
    for label in ("01", "02"):
        anat = home / "in" / f"sub-{label}" / "anat"
        anat.mkdir(parents=True)
        save(scanned.t2w, anat / f"sub-{label}_T2w.nii.gz")
    gd = home / "in" / "sub-01" / "anat" / "sub-01_ce-gadolinium_T1w.nii.gz"
    save(scanned.gd_t1w, gd)
    torch.manual_seed(1)
    card = {"name": "tumor", "preset": "tumor_unet", "spacing": [1, 1, 2], "patch": [48, 32, 16]}
    save_model(PRESETS["tumor_unet"](), home / "random.safetensors", card)
    assert main([*_words(home), *_seeking(home)]) == 0
    return home


def _words(home: Path) -> list[str]:
    folders = [str(home / "in"), str(home / "out"), "participant", "-w", str(home / "work")]
    more = "--sloppy --skip template --skip lesion --nprocs 1 --worker debug"
    return [*folders, *more.split()]


def _seeking(home: Path) -> list[str]:
    return ["--pathology", "tumor", "--model", f"tumor={home / 'random.safetensors'}"]


def _tumor_files(home: Path, label: str) -> list[str]:
    anat = home / "out" / f"sub-{label}" / "anat"
    names = {path.name.removeprefix(f"sub-{label}_") for path in anat.iterdir()}
    return sorted(n for n in names if any(f"label-{s}_" in n for s in STRUCTURES))


def test_without_weights_nothing_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(name: str) -> Path:
        return tmp_path if name == "tumor_cord" else packaged_weights(name)

    monkeypatch.setattr("spinalprep.app.jobs.packaged_weights", lost)
    words = [str(tmp_path), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    cascade = ["--pathology", "tumor", "--tumor-crop", "cascade", "--template", "Generic"]
    assert main([*words, *cascade]) == 6
    assert "weights for tumor_cord are not included" in capsys.readouterr().err


def test_shipped_weights_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    settings = parse(["/in", "/out", "participant", "--pathology", "tumor", "--skip", "template"])
    shared = gather_shared(settings)
    assert shared.weights["tumor"] == packaged_weights("tumor")
    card = shared.cards["tumor"]
    assert "no patient was seen" in card["synthetic"]
    assert "research use only" in card["licence"]
    assert {"t2", "neck03", "neck05", "unf01", "mt"}.isdisjoint(
        card["data"]["people"]
    )  # healthy people of the figures
    assert "no real tumor was seen" in capsys.readouterr().err


def test_the_cascade_finds_its_way_with_the_shipped_weights(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both networks as shipped: one finds the cord, one the tumor that was drawn there."""
    folders = [str(home / "in"), str(home / "cascade"), "participant", "-w", str(home / "work-c")]
    more = "--participant-label 01 --sloppy --skip template --skip lesion --nprocs 1"
    seek = "--worker debug --pathology tumor --tumor-crop cascade"
    assert main([*folders, *more.split(), *seek.split()]) == 0
    assert "cropped around the centerline" not in capsys.readouterr().err
    stem = home / "cascade" / "sub-01" / "anat" / "sub-01_space-T2w_label-"
    told = json.loads(Path(f"{stem}tumor_mask.json").read_text())["Parameters"]
    card = read_card(packaged_weights("tumor_cord"))
    assert told["tumor_crop"] == "cascade"
    assert told["tumor_crop_model"]["sha256"] == card["sha256"]
    found, soft = (
        np.asarray(nib.load(f"{stem}tumor_{kind}.nii.gz").dataobj) for kind in ("mask", "probseg")
    )
    assert found.any()
    assert soft[found > 0].min() >= 0.49
    assert {"neck03", "neck05", "unf01", "t2"}.isdisjoint(card["data"]["people"])


def test_the_two_networks_of_a_tumor_take_five_megabytes_at_most() -> None:
    assert sum(packaged_weights(n).stat().st_size for n in ("tumor", "tumor_cord")) < 5e6


def test_the_names_are_the_golden_list(home: Path) -> None:
    for label in ("01", "02"):
        assert _tumor_files(home, label) == GOLDEN


def test_sidecars_name_images_thresholds_and_what_the_weights_are(home: Path) -> None:
    path = home / "out" / "sub-01" / "anat" / "sub-01_space-T2w_label-tumor_mask.json"
    told = json.loads(path.read_text())
    assert "synthetic tumors only" in told["Description"]
    assert "research" in told["Description"]
    assert told["Model"]["name"] == "tumor"
    assert told["Parameters"]["tumor_threshold"] == 0.5
    assert told["Parameters"]["edema_threshold"] == EDEMA_THRESHOLD
    assert told["Parameters"]["min_tumor_cm3"] == 0.2
    assert told["Parameters"]["tumor_crop"] == "centerline"
    assert [source.rpartition("/")[2] for source in told["Sources"]] == [
        "sub-01_T2w.nii.gz",
        "sub-01_ce-gadolinium_T1w.nii.gz",
    ]


def test_the_table_goes_with_the_masks(home: Path) -> None:
    for label, with_gd in (("01", True), ("02", False)):
        stem = home / "out" / f"sub-{label}" / "anat" / f"sub-{label}_space-T2w_label-"
        table = pd.read_csv(f"{stem}abnormality_morph.tsv", sep="\t").set_index("structure")
        for name in STRUCTURES:
            image = nib.load(f"{stem}{name}_mask.nii.gz")
            volume = np.asarray(image.dataobj).sum() * abs(np.linalg.det(image.affine[:3, :3]))
            assert table.loc[name, "volume_mm3"] == pytest.approx(volume, rel=1e-4)
        if not with_gd:
            assert table["enhancement_ratio"].isna().all()


def test_reports_warn_and_say_what_is_missing(home: Path) -> None:
    both, one = ((home / "out" / f"sub-{label}.html").read_text() for label in ("01", "02"))
    for page in (both, one):
        assert "Research use only. The networks were trained on synthetic tumors" in page
    assert "no Gd-T1w image" in one
    assert "no Gd-T1w image" not in both


def test_a_failed_registration_leaves_the_search_in_t2w_and_a_later_run_without_it_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the registration crashed")

    monkeypatch.setattr("spinalprep.registration.coregister.coregister", fails)
    anew = ["--participant-label", "01", "--random-seed", "7"]
    assert main([*_words(home), *_seeking(home), *anew]) == 1
    assert "searched for in T2w alone" in capsys.readouterr().err
    path = home / "out" / "sub-01" / "anat" / "sub-01_space-T2w_label-tumor_mask.json"
    (source,) = json.loads(path.read_text())["Sources"]
    assert source.endswith("sub-01_T2w.nii.gz")
    assert _tumor_files(home, "01") == GOLDEN
    page = (home / "out" / "sub-01.html").read_text()
    assert "The Gd-T1w image was not used" in page
    monkeypatch.undo()
    assert main([*_words(home), "--participant-label", "01"]) == 0
    assert _tumor_files(home, "01") == []
    assert _tumor_files(home, "02") == GOLDEN
