"""What counts as the same output, and what does not."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.tools.main import main
from spinalprep.tools.verify import Tolerance, differences, unlike

MASK = "sub-01/anat/sub-01_space-T2w_label-SC_mask"
STATUS = "participant_id\tstate\treason\twall_s\tpeak_mib\tcache_hits\n"


def write_outputs(
    root: Path, run: str = "20260101-101112_0123abcd", version: str = "0.1.0"
) -> Path:
    """Write the outputs of a run that knows where, when and with what it ran."""
    log = root / "sub-01" / "log" / run
    (root / "sub-01" / "anat").mkdir(parents=True)
    log.mkdir(parents=True)
    write_image(root)
    made = [{"Name": "spinalprep", "Version": version}]
    sidecar = {"Description": "spinal cord", "GeneratedBy": made, "Model": {"version": "3.1"}}
    (root / f"{MASK}.json").write_text(json.dumps(sidecar, indent=2))
    links = {"GeneratedBy": made, "DatasetLinks": {"raw": f"file://{root}/raw"}}
    (root / "dataset_description.json").write_text(json.dumps(links))
    (root / "sub-01" / "anat" / "sub-01_morph.tsv").write_text("slice\tarea_mm2\n1\t70.25\n")
    seconds = len(str(root)) + 0.5
    (root / "status.tsv").write_text(f"{STATUS}sub-01\tfailed\t{root}/x\t{seconds}\t900\t3\n")
    (root / "README.md").write_text(f"Made by spinalprep {version}.\n")
    (root / "sub-01.html").write_text(f"<p>{run}</p><p>area</p>")
    (log / "spinalprep.toml").write_text(f'work-dir = "{root}"\n')
    return root


def write_image(root: Path, value: float = 1.0, shift: float = 0.0) -> None:
    data = np.zeros((3, 4, 5), np.float32)
    data[1, 1, 1] = value
    data[2, 2, 2] = np.nan
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[0, 3] = shift
    nib.Nifti1Image(data, affine).to_filename(root / f"{MASK}.nii.gz")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return the same outputs of two runs, elsewhere and at another time."""
    one = write_outputs(tmp_path / "here" / "one")
    other = write_outputs(tmp_path / "far_away" / "b" / "two", "20270202-010203_89abcdef", "0.2.0")
    return one, other


def test_what_is_bound_to_a_run_does_not_count(pair: tuple[Path, Path]) -> None:
    (pair[0] / ".spinalprep-tmp").mkdir()
    (pair[0] / ".spinalprep-tmp" / "half.nii.gz").write_bytes(b"x")
    assert list(differences(*pair)) == []
    assert list(differences(*pair, html=True)) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (f"{MASK}.json", '"3.1"', '"3.2"'),
        (f"{MASK}.json", "spinal cord", "cord"),
        ("dataset_description.json", '"raw"', '"source"'),
        ("sub-01/anat/sub-01_morph.tsv", "70.25", "70.26"),
        ("status.tsv", "failed", "finished"),
        ("README.md", "Made", "made"),
    ],
)
def test_a_change_of_a_text_is_shown(
    pair: tuple[Path, Path], name: str, old: str, new: str
) -> None:
    path = pair[1] / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    told = list(differences(*pair))
    assert told
    assert all(line.startswith(f"{name}: ") for line in told)
    assert any(new.strip('"') in line for line in told)


def test_one_bit_of_an_image_is_shown(pair: tuple[Path, Path]) -> None:
    write_image(pair[1], float(np.nextafter(np.float32(1), np.float32(2))))
    (told,) = differences(*pair)
    assert told.startswith(f"{MASK}.nii.gz: 1 of 60 voxels differ, by up to 1.19")


def test_another_affine_type_or_shape_is_shown(pair: tuple[Path, Path]) -> None:
    write_image(pair[1], shift=0.25)
    assert list(differences(*pair)) == [f"{MASK}.nii.gz: affine differs by up to 0.25"]
    image = nib.load(pair[0] / f"{MASK}.nii.gz")
    doubled = nib.Nifti1Image(image.get_fdata(dtype=np.float64), image.affine)
    doubled.to_filename(pair[1] / f"{MASK}.nii.gz")
    assert list(differences(*pair)) == [f"{MASK}.nii.gz: type float32, float64"]
    cut = nib.Nifti1Image(np.asanyarray(image.dataobj)[:2], image.affine)
    cut.to_filename(pair[1] / f"{MASK}.nii.gz")
    assert list(differences(*pair)) == [f"{MASK}.nii.gz: shape (3, 4, 5), (2, 4, 5)"]


def test_the_same_voxels_packed_otherwise_are_the_same(pair: tuple[Path, Path]) -> None:
    path = pair[1] / f"{MASK}.nii.gz"
    image = nib.load(path)
    plain = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine)
    plain.header["descrip"] = b"another program"
    plain.to_filename(path)
    assert path.read_bytes() != (pair[0] / f"{MASK}.nii.gz").read_bytes()
    assert list(differences(*pair)) == []


def test_a_file_more_or_less_is_shown(pair: tuple[Path, Path]) -> None:
    one, other = pair
    (one / f"{MASK}.json").unlink()
    (other / "status.tsv").unlink()
    assert list(differences(*pair)) == [
        f"only in {one}: status.tsv",
        f"only in {other}: {MASK}.json",
    ]


def test_reports_count_when_asked(pair: tuple[Path, Path]) -> None:
    page = pair[1] / "sub-01.html"
    page.write_text(page.read_text().replace("area", "volume"))
    assert list(differences(*pair)) == []
    assert len(list(differences(*pair, html=True))) == 2


def test_numbers_and_voxels_may_be_apart_by_what_is_said(pair: tuple[Path, Path]) -> None:
    table = pair[1] / "sub-01" / "anat" / "sub-01_morph.tsv"
    table.write_text("slice\tarea_mm2\n1\t70.26\n")
    write_image(pair[1], 1.01)
    told = list(differences(*pair))
    assert told[0].endswith("1 of 3 numbers differ, by up to 0.01 (0.01%)")
    assert "1 of 60 voxels differ, by up to 0.0" in told[-1]
    assert list(differences(*pair, tolerance=Tolerance(voxel=0.02, number=2e-4))) == []
    assert list(differences(*pair, tolerance=Tolerance(voxels=1, number=2e-4))) == []
    assert len(list(differences(*pair, tolerance=Tolerance(voxel=0.02, number=1e-5)))) == 3
    table.write_text("slice\tarea_mm\n1\t70.25\n")  # another word is no number
    assert list(differences(*pair, tolerance=Tolerance(voxel=0.02, number=1.0)))


def test_the_exit_code_says_it(pair: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    def code(*words: object) -> int:
        return main(["verify", *map(str, words)])

    assert code(*pair) == 0
    assert capsys.readouterr().out == "6 files are in both folders, and the same\n"
    shutil.rmtree(pair[1] / "sub-01" / "anat")
    assert code(*pair) == 1
    assert capsys.readouterr().out.startswith(f"only in {pair[0]}: ")
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "none"):
        assert code(nothing, nothing) == 2
    assert code(pair[0]) == 2
    assert code("--cache", tmp_path / "none") == 2


@pytest.mark.filterwarnings("error")
def test_equal_values_that_are_not_finite_are_the_same(tmp_path: Path) -> None:
    one, other = (tmp_path / f"{name}.nii.gz" for name in ("one", "other"))
    values = np.zeros((3, 3, 3), np.float32)
    values[0], values[1] = np.inf, np.nan
    nib.Nifti1Image(values, np.eye(4)).to_filename(one)
    values[2, 2, 2] = 1
    nib.Nifti1Image(values, np.eye(4)).to_filename(other)
    assert unlike(one, other) == ["1 of 27 voxels differ, by up to 1"]
    assert unlike(one, other, Tolerance(voxel=1.5)) == []
    values[0, 0, 0], values[1, 0, 0], values[2, 2, 2] = -np.inf, 3, 0
    nib.Nifti1Image(values, np.eye(4)).to_filename(other)
    (line,) = unlike(one, other, Tolerance(voxel=1.5))
    assert line == "2 of 27 voxels differ, by up to inf"
    texts = tmp_path / "one.tsv", tmp_path / "other.tsv"
    for path, number in zip(texts, (1, 2), strict=True):
        path.write_text(f"a\tb\n1e999\t{number}\n")
    assert unlike(*texts)[0] == "1 of 2 numbers differ, by up to 1 (50.00%)"
    texts[1].write_text("a\tb\n5\t1\n")
    assert unlike(*texts)[0] == "1 of 2 numbers differ, by up to inf (100.00%)"
