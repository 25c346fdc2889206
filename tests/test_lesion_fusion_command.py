"""Axial and sagittal T2w of one session: lesions of both in one table, by the plain command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.image import Image, load, save, to_world
from spinalprep.phantom.anatomy import Lesion, make_person
from spinalprep.phantom.images import render

pytestmark = pytest.mark.slow

PERSON = make_person(170_900)
MIDDLE = PERSON.centerline.length / 2
BOTH = Lesion((MIDDLE - 14, 2.6, 0.0), (8.0, 1.8, 1.6))
ONE = Lesion((MIDDLE + 22, -2.6, 0.0), (8.0, 1.8, 1.6))
STEM = "sub-01_acq-axial_space-T2w"
SAGITTAL = (15, 76, 156), [3.3, 0.7, 0.7]
FLAGS = "--skip template --skip n4 --sloppy --nprocs 2 --no-viewer"


def drawn(lesions: tuple[Lesion, ...], shape: tuple[int, int, int], mm: list[float]) -> Image:
    """Return an image around the middle of the cord."""
    affine = np.diag([-mm[0], mm[1], mm[2], 1.0])
    affine[:3, 3] = PERSON.centerline.at(MIDDLE) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return render(replace(PERSON, lesions=lesions), "T2w", (shape, affine), shape[0], noise=0.01)


def run(home: Path) -> Path:
    words = [str(home / "in"), str(home / "out"), "participant", "-w", str(home / "work")]
    assert main([*words, *FLAGS.split()]) == 0
    return home / "out" / "sub-01" / "anat"


def prepared(home: Path) -> Path:
    """Write the dataset and return its sagittal image, which shows one lesion more."""
    anat = home / "in" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (home / "in" / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    save(drawn((BOTH,), (76, 76, 23), [0.7, 0.7, 5.0]), anat / "sub-01_acq-axial_T2w.nii.gz")
    sagittal = anat / "sub-01_acq-sagittal_T2w.nii.gz"
    save(drawn((BOTH, ONE), *SAGITTAL), sagittal)
    return sagittal


def rows(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / f"{STEM}_label-lesion_morph.tsv", sep="\t").set_index("seen_in")


def test_lesions_of_both_images_are_in_one_table(tmp_path: Path) -> None:
    sagittal = prepared(tmp_path)
    out = run(tmp_path)
    table = rows(out)
    assert sorted(table.index) == ["T2w, T2wsagittal", "T2wsagittal"]
    only = table.loc["T2wsagittal"]
    assert only["not_seen_in"] == "T2w"
    assert only["volume_mm3"] == pytest.approx(ONE.volume_mm3, rel=0.6)
    labels = load(out / f"{STEM}_seg-lesions_dseg.nii.gz")
    found = to_world(np.argwhere(labels.data == int(only["lesion"])).astype(float), labels.affine)
    place = PERSON.centerline.at(ONE.centre[0])
    assert abs(found.mean(axis=0)[2] - place[2]) < 3.0
    soft = load(out / f"{STEM}_label-lesion_probseg.nii.gz").data
    assert soft[labels.data == int(only["lesion"])].mean() > 0.5
    check_words(tmp_path, out)
    save(drawn((BOTH,), *SAGITTAL), sagittal)  # edited
    assert rows(run(tmp_path)).index.tolist() == ["T2w, T2wsagittal"]
    check_cache(tmp_path)


def test_a_second_image_that_shows_nothing_costs_only_itself(tmp_path: Path) -> None:
    sagittal = prepared(tmp_path)
    noise = np.random.default_rng(0).normal(100, 5, SAGITTAL[0]).astype(np.float32)
    save(load(sagittal).with_data(noise), sagittal)
    out = run(tmp_path)
    table = pd.read_csv(out / f"{STEM}_label-lesion_morph.tsv", sep="\t")
    assert len(table) == 1
    assert table["seen_in"].tolist() == ["T2w"]
    height = PERSON.centerline.at(BOTH.centre[0])[2]
    assert table["z_mm"][0] == pytest.approx(height, abs=3.0)
    page = (tmp_path / "out" / "sub-01.html").read_text()
    assert "T2wsagittal could not be registered: lesions were not looked for there" in page


def check_words(home: Path, out: Path) -> None:
    """The sidecar and the report say which images were searched."""
    sidecar = json.loads((out / f"{STEM}_label-lesion_mask.json").read_text())
    sources = [uri.rpartition("_acq-")[2] for uri in sidecar["Sources"]]
    assert sources == ["axial_T2w.nii.gz", "sagittal_T2w.nii.gz"]
    assert sidecar["Parameters"]["lesion_fusion"] == "union"
    page = (home / "out" / "sub-01.html").read_text()
    assert "each of the images T2w, T2wsagittal on its own grid" in page


def check_cache(home: Path) -> None:
    """What depends on the second image is computed again, and nothing of the reference."""
    times = sorted((home / "out" / "sub-01" / "log").glob("*/resources.tsv"))
    computed = set(pd.read_csv(times[-1], sep="\t")["task"])
    assert {"SegmentElsewhere", "JoinLesions"} <= computed
    assert not {"SegmentCord", "FindHeat", "CallLesions"} & computed
