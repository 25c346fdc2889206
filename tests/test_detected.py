"""From an image to levels that nobody gave: networks, discs, tables, sidecars, page."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.image import save, to_world
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render

pytestmark = pytest.mark.slow

PERSON = make_person(100_506)
DEPTH = 120


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Process a T2w image that shows C2, without labels."""
    home = tmp_path_factory.mktemp("detected")
    anat = home / "in" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (home / "in" / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    top = float(PERSON.centerline.at(PERSON.disc_s[3])[2]) + 35
    points = PERSON.centerline.points
    points = points[(points[:, 2] <= top) & (points[:, 2] >= top - DEPTH)]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = middle[0] + 24, middle[1] - 44, top - DEPTH + 0.5
    save(render(PERSON, "T2w", ((48, 92, DEPTH), affine), 3), anat / "sub-01_T2w.nii.gz")
    words = [str(home / "in"), str(home / "out"), "participant", "-w", str(home / "work")]
    flags = "--template Generic --skip n4 --skip lesion --output-spaces reference --sloppy"
    assert main([*words, *flags.split(), "--nprocs", "2"]) == 0
    return home / "out"


def test_discs_lie_where_they_are(out: Path) -> None:
    labels = nib.load(out / "sub-01" / "anat" / "sub-01_space-T2w_seg-discs_dseg.nii.gz")
    data = np.asarray(labels.dataobj)
    ijk = np.argwhere(data > 0)
    found = dict(zip(data[tuple(ijk.T)].tolist(), to_world(ijk, labels.affine), strict=True))
    assert {3, 4, 5, 6} <= set(found)
    for number, place in found.items():
        truth = PERSON.centerline.at(PERSON.disc_s[number])
        assert abs(place[2] - truth[2]) < 3, number


def test_tables_gate_sidecar_and_page_say_so(out: Path) -> None:
    stem = out / "sub-01" / "anat" / "sub-01"
    levels = pd.read_csv(f"{stem}_space-T2w_label-SC_desc-perlevel_morph.tsv", sep="\t")
    assert {"C3", "C4", "C5"} <= set(levels["vertebral_level"])
    gates = pd.read_csv(f"{stem}_desc-auto_qc.tsv", sep="\t").set_index("metric")
    assert gates.loc["level_confidence", "result"] == "PASS"
    sidecar = json.loads(Path(f"{stem}_space-T2w_seg-vertebrae_dseg.json").read_text())
    assert sidecar["LevelSource"] == "detected"
    assert sidecar["Model"]["name"] == "discs"
    page = (out / "sub-01.html").read_text()
    assert "discs found in the image, numbered from C2/C3" in page
    assert "Vertebral levels are unknown" not in page
