"""The command with --lumbar: a synthetic lumbar spine, and a neck, which is refused in one line."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.image import Image, save
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.phantom.lumbar import LumbarRanges, make_lumbar
from spinalprep.phantom.lumbar_scans import LumbarProtocol, scan

pytestmark = pytest.mark.slow

MOTION = np.eye(4)  # between T2w and T1w, which the header does not know of
MOTION[1:3, 3] = 5.0, -6.0
PROTOCOL = LumbarProtocol(slices=7, slice_mm=5.0, pixel_mm=1.2, low=(-80, -70), high=(90, 140))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lumbar")
    healthy = LumbarRanges(stenosis=0, listhesis=0, transitional=0, scoliosis_mm=(0, 2))
    scanned = scan(make_lumbar(120_300, healthy), PROTOCOL)
    affine = np.diag([-3.0, 1.2, 1.2, 1.0])
    person = make_person(100_004)
    affine[:3, 3] = person.centerline.points.mean(axis=0) - np.array([-12.0, 50.0, 48.0])
    neck = render(person, "T2w", ((9, 80, 80), affine), 100_004)
    (home / "in").mkdir()
    told = {"Name": "lumbar", "BIDSVersion": "1.9.0"}
    (home / "in" / "dataset_description.json").write_text(json.dumps(told))
    t1w = Image(scanned.t1w.data, MOTION @ scanned.t1w.affine)
    for name, image in (("low_T2w", scanned.t2w), ("low_T1w", t1w), ("neck_T2w", neck)):
        path = home / "in" / f"sub-{name[:-4]}" / "anat" / f"sub-{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(image, path)
    words = [str(home / "in"), str(home / "out"), "participant", "-w", str(home / "work")]
    more = "--lumbar --sloppy --skip n4 --skip template --skip lesion --nprocs 1 --worker debug"
    main([*words, *more.split()])
    return home


def test_structures_lie_where_they_were_drawn(home: Path) -> None:
    stem = home / "out" / "sub-low" / "anat" / "sub-low_space-T2w_seg-lumbar_"
    image = nib.load(f"{stem}dseg.nii.gz")
    healthy = LumbarRanges(stenosis=0, listhesis=0, transitional=0, scoliosis_mm=(0, 2))
    person, found = make_lumbar(120_300, healthy), np.asarray(image.dataobj)
    for v in person.vertebrae[:4]:
        ijk = np.linalg.solve(image.affine, [v.x, v.y, v.z, 1.0])[:3].round().astype(int)
        assert found[tuple(ijk)] == 1, v.name
    names = pd.read_csv(f"{stem}dseg.tsv", sep="\t").set_index("index")["name"]
    assert names[4] == "spinal cavity"
    soft = nib.load(f"{stem}probseg.nii.gz")
    assert soft.shape == (*image.shape, 11)
    table = pd.read_csv(f"{stem}morph.tsv", sep="\t")
    discs = table.dropna(subset="level").set_index("level")
    assert {"L5/S1", "L4/L5", "L3/L4"} <= set(discs.index)
    volume = float((found == 3).sum()) * abs(np.linalg.det(image.affine[:3, :3]))
    whole = table.set_index("structure").loc["intervertebral discs", "volume_mm3"]
    assert whole == pytest.approx(volume, rel=1e-4)
    page = (home / "out" / "sub-low.html").read_text()
    assert "Lumbar structures (experimental)" in page
    assert "L4/L5" in page


def test_t1w_was_brought_to_t2w_where_there_is_no_cord_to_go_by(home: Path) -> None:
    path = home / "out" / "sub-low" / "anat" / "sub-low_space-T2w_seg-lumbar_dseg.json"
    assert json.loads(path.read_text())["Parameters"]["t1w_to_t2w"] == "registered"
    page = (home / "out" / "sub-low.html").read_text()
    assert "T1w was registered to T2w around the spinal canal" in page


def test_a_neck_is_refused_in_one_line(home: Path) -> None:
    names = [path.name for path in (home / "out" / "sub-neck" / "anat").iterdir()]
    assert names
    assert not any("lumbar" in name for name in names)
    page = (home / "out" / "sub-neck.html").read_text()
    assert "no lumbar spine in view" in page
