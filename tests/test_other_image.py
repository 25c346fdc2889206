"""Levels of an axial stack from the sagittal image beside it: networks, sidecars, gate, page."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.image import Image, save, to_world
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render

pytestmark = pytest.mark.slow

PERSON = make_person(100_506)


def drawn(contrast: str, top: int, bottom: int, size: tuple[int, int], mm: list[float]) -> Image:
    """Return an image from one disc to another, with 35 mm more above C2/C3, else 8."""
    upper, lower = (float(PERSON.centerline.at(PERSON.disc_s[n])[2]) for n in (top, bottom))
    upper += 35 if top == 3 else 8
    points = PERSON.centerline.points
    points = points[(points[:, 2] <= upper) & (points[:, 2] >= lower)]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    affine = np.diag([-mm[0], mm[1], mm[2], 1.0])
    affine[:3, 3] = middle[0] + size[0] * mm[0] / 2, middle[1] - size[1] * mm[1] / 2, lower
    count = int((upper - lower) / mm[2])
    return render(PERSON, contrast, ((*size, count), affine), 3)


def processed(home: Path, top: int) -> Path:
    """Process a T2w image from a disc down, and a stack from C4/C5 to C6/C7, its reference."""
    anat = home / "in" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (home / "in" / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    save(drawn("T2w", top, 8, (48, 92), [1.0, 1.0, 1.0]), anat / "sub-01_T2w.nii.gz")
    stack = drawn("T2starw", 5, 7, (96, 96), [0.5, 0.5, 5.0])
    save(stack, anat / "sub-01_T2starw.nii.gz")
    words = [str(home / "in"), str(home / "out"), "participant", "-w", str(home / "work")]
    flags = "--skip template --skip n4 --skip lesion --reference-anat T2starw --sloppy --nprocs 2"
    assert main([*words, *flags.split()]) == 0
    return home / "out" / "sub-01" / "anat"


def gate(anat: Path) -> str:
    gates = pd.read_csv(anat / "sub-01_desc-auto_qc.tsv", sep="\t").set_index("metric")
    return str(gates.loc["level_confidence", "result"])


def test_levels_of_the_stack_are_right_and_name_their_source(tmp_path: Path) -> None:
    anat = processed(tmp_path, 3)
    labels = nib.load(anat / "sub-01_space-T2starw_seg-discs_dseg.nii.gz")
    data = np.asarray(labels.dataobj)
    ijk = np.argwhere(data > 0)
    found = dict(zip(data[tuple(ijk.T)].tolist(), to_world(ijk, labels.affine), strict=True))
    assert {6, 7} <= set(found)  # C4/C5 lies where the cord of the stack begins
    for number, place in found.items():
        assert abs(place[2] - PERSON.centerline.at(PERSON.disc_s[number])[2]) < 4, number
    sidecar = json.loads((anat / "sub-01_space-T2starw_seg-vertebrae_dseg.json").read_text())
    assert sidecar["LevelSource"] == "detected in T2w"
    assert sidecar["Model"]["name"] == "discs"
    assert gate(anat) == "PASS"
    page = (tmp_path / "out" / "sub-01.html").read_text()
    assert "discs found in T2w, numbered from C2/C3 and transferred to this image" in page
    assert "here: detected in T2w" in page


def test_without_c2c3_in_either_levels_are_unknown(tmp_path: Path) -> None:
    anat = processed(tmp_path, 4)
    assert not list(anat.glob("*dseg.nii.gz"))
    assert gate(anat) == "WARN"
