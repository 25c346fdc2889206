"""The command on synthetic subjects: outputs, cache, failures, and what the validator says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.app.parser import parse
from spinalprep.image import Image, load
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.dataset import motion_matrix, write_dataset
from spinalprep.registration.transform import read_itk

pytestmark = pytest.mark.slow

GOLDEN = """
desc-auto_qc.json
desc-auto_qc.tsv
desc-preproc_T1w.json
desc-preproc_T1w.nii.gz
desc-preproc_T2starw.json
desc-preproc_T2starw.nii.gz
desc-preproc_T2w.json
desc-preproc_T2w.nii.gz
from-Generic_to-T2w_mode-image_xfm.json
from-Generic_to-T2w_mode-image_xfm.nii.gz
from-T1w_to-T2w_mode-image_xfm.json
from-T1w_to-T2w_mode-image_xfm.txt
from-T2starw_to-T2w_mode-image_xfm.json
from-T2starw_to-T2w_mode-image_xfm.txt
from-T2w_to-Generic_mode-image_xfm.json
from-T2w_to-Generic_mode-image_xfm.nii.gz
from-T2w_to-T1w_mode-image_xfm.json
from-T2w_to-T1w_mode-image_xfm.txt
from-T2w_to-T2starw_mode-image_xfm.json
from-T2w_to-T2starw_mode-image_xfm.txt
space-Generic_desc-coverage_mask.json
space-Generic_desc-coverage_mask.nii.gz
space-Generic_desc-preproc_T2w.json
space-Generic_desc-preproc_T2w.nii.gz
space-Generic_label-SC_desc-perslice_morph.json
space-Generic_label-SC_desc-perslice_morph.tsv
space-Generic_label-SC_mask.json
space-Generic_label-SC_mask.nii.gz
space-Generic_label-lesion_mask.json
space-Generic_label-lesion_mask.nii.gz
space-Generic_label-lesion_probseg.json
space-Generic_label-lesion_probseg.nii.gz
space-T2w_desc-preproc_T1w.json
space-T2w_desc-preproc_T1w.nii.gz
space-T2w_desc-preproc_T2starw.json
space-T2w_desc-preproc_T2starw.nii.gz
space-T2w_label-SC_desc-perlevel_morph.json
space-T2w_label-SC_desc-perlevel_morph.tsv
space-T2w_label-SC_desc-perslice_morph.json
space-T2w_label-SC_desc-perslice_morph.tsv
space-T2w_label-SC_desc-template_mask.json
space-T2w_label-SC_desc-template_mask.nii.gz
space-T2w_label-SC_desc-total_morph.json
space-T2w_label-SC_desc-total_morph.tsv
space-T2w_label-SC_desc-uncertainty_probseg.json
space-T2w_label-SC_desc-uncertainty_probseg.nii.gz
space-T2w_label-SC_mask.json
space-T2w_label-SC_mask.nii.gz
space-T2w_label-SC_probseg.json
space-T2w_label-SC_probseg.nii.gz
space-T2w_label-centerline_mask.json
space-T2w_label-centerline_mask.nii.gz
space-T2w_label-centerline_morph.json
space-T2w_label-centerline_morph.tsv
space-T2w_label-lesion_mask.json
space-T2w_label-lesion_mask.nii.gz
space-T2w_label-lesion_desc-perregion_morph.json
space-T2w_label-lesion_desc-perregion_morph.tsv
space-T2w_label-lesion_desc-total_morph.json
space-T2w_label-lesion_desc-total_morph.tsv
space-T2w_label-lesion_morph.json
space-T2w_label-lesion_morph.tsv
space-T2w_label-lesion_probseg.json
space-T2w_label-lesion_probseg.nii.gz
space-T2w_seg-discs_dseg.json
space-T2w_seg-discs_dseg.nii.gz
space-T2w_seg-lesions_dseg.json
space-T2w_seg-lesions_dseg.nii.gz
space-T2w_seg-lesions_dseg.tsv
space-T2w_seg-vertebrae_dseg.json
space-T2w_seg-vertebrae_dseg.nii.gz
"""


def spinalprep(home: Path, *more: str, dataset: str = "in", out: str = "out") -> int:
    """Run the command in a process of its own, as a person would."""
    words = [str(home / dataset), str(home / out), "participant", "-w", str(home / "work")]
    words += ["--template", "Generic", "--sloppy", "--nprocs", "2", *more]
    done = subprocess.run(
        [sys.executable, "-m", "spinalprep", *words], capture_output=True, text=True, check=False
    )
    (home / "last.log").write_text(done.stdout + done.stderr)
    return done.returncode


def log(home: Path) -> str:
    return (home / "last.log").read_text()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two synthetic subjects that were processed, and a third that is no image."""
    home = tmp_path_factory.mktemp("command")
    write_dataset(home / "in", people=2, seed=100_000)
    bad = home / "in" / "sub-03" / "anat"
    bad.mkdir(parents=True)
    (bad / "sub-03_T2w.nii.gz").write_bytes(b"no image")
    assert spinalprep(home) == 1, log(home)
    assert "internal error" not in log(home)
    return home


def anat(home: Path, label: str = "sub-01") -> Path:
    return home / "out" / label / "anat"


def test_outputs_are_the_golden_list(home: Path) -> None:
    names = sorted(path.name.removeprefix("sub-01_") for path in anat(home).iterdir())
    assert names == sorted(GOLDEN.split())
    assert not list((home / "out").rglob(".spinalprep-tmp/*"))


def test_the_bad_one_has_its_line_and_the_others_are_complete(home: Path) -> None:
    rows = pd.read_csv(home / "out" / "status.tsv", sep="\t").set_index("participant_id")
    assert rows["state"].to_dict() == {
        "sub-01": "finished",
        "sub-02": "finished",
        "sub-03": "failed",
    }
    assert rows.loc["sub-03", "reason"].startswith("input: ")
    assert "sub-03_T2w.nii.gz" in rows.loc["sub-03", "reason"]
    assert (home / "out" / "sub-02.html").is_file()


def test_cord_and_area_are_those_of_the_phantom(home: Path) -> None:
    truth = home / "in" / "derivatives" / "truth" / "sub-01" / "anat" / "sub-01_space-T2w_"
    cord = np.asarray(nib.load(f"{truth}label-SC_mask.nii.gz").dataobj) > 0
    found = np.asarray(nib.load(anat(home) / "sub-01_space-T2w_label-SC_mask.nii.gz").dataobj) > 0
    assert 2 * (cord & found).sum() / (cord.sum() + found.sum()) > 0.9
    area = pd.read_csv(f"{truth}label-SC_desc-perslice_morph.tsv", sep="\t").set_index("slice")
    table = pd.read_csv(
        anat(home) / "sub-01_space-T2w_label-SC_desc-perslice_morph.tsv", sep="\t"
    ).set_index("slice")
    inner = table.index[5:-5]
    ratio = table.loc[inner, "area_mm2"] / area.loc[inner, "area_mm2"]
    assert ratio.median() == pytest.approx(1.0, abs=0.2)  # young networks: measured 0.86


def test_levels_are_those_of_the_labelled_discs(home: Path) -> None:
    table = pd.read_csv(anat(home) / "sub-01_space-T2w_label-SC_desc-perlevel_morph.tsv", sep="\t")
    assert {"C4", "C5", "C6"} <= set(table["vertebral_level"])


def test_the_motion_of_the_t1w_is_found(home: Path) -> None:
    forward = read_itk(anat(home) / "sub-01_from-T1w_to-T2w_mode-image_xfm.txt")
    line = pd.read_csv(anat(home) / "sub-01_space-T2w_label-centerline_morph.tsv", sep="\t")
    points = line[["x_mm", "y_mm", "z_mm"]].to_numpy()
    motion = motion_matrix()
    truth = points @ motion[:3, :3].T + motion[:3, 3]
    assert np.linalg.norm(forward.apply(points) - truth, axis=1).mean() < 1.0


def test_report_is_whole_and_calls_nobody(home: Path) -> None:
    page = (home / "out" / "sub-01.html").read_text()
    assert "data:image/png;base64" in page
    for bad in ('src="http', 'href="http', "<link", "@import", "url(http"):
        assert bad not in page


def test_validator_finds_no_error(home: Path) -> None:
    validator = shutil.which("bids-validator-deno") or str(
        Path(sys.executable).parent / "bids-validator-deno"
    )
    done = subprocess.run(
        [validator, str(home / "out"), "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_again_is_all_hits_and_a_label_reruns_its_descendants(home: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in anat(home).iterdir()}
    good = ("--participant-label", "01", "02")
    assert spinalprep(home, *good) == 0, log(home)
    assert "computed" not in log(home)
    assert {p: p.stat().st_mtime_ns for p in anat(home).iterdir()} == before
    label = home / "in/derivatives/labels/sub-01/anat/sub-01_T2w_labels-disc-manual.nii.gz"
    kept = label.read_bytes()
    image = nib.load(label)
    data = np.asarray(image.dataobj).copy()
    data[data == data.max()] = 0
    nib.Nifti1Image(data, image.affine).to_filename(label)
    try:
        assert spinalprep(home, *good, "--dry-run") == 0
        missed = {line.split()[1] for line in log(home).splitlines() if "miss" in line}
        assert missed, log(home)
        stages = {node.split(".")[0] for node in missed}
        assert stages <= {
            *("levels", "shape", "template", "template_slices", "lesion_tables", "lesion_template")
        }
        assert not any("sub-02" in line and "miss" in line for line in log(home).splitlines())
    finally:
        label.write_bytes(kept)


def test_reports_methods_and_graph_on_their_own(home: Path) -> None:
    good = ("--participant-label", "01", "02")
    report = home / "out" / "sub-01.html"
    before = report.stat().st_mtime_ns
    assert spinalprep(home, *good, "--reports-only", "--write-graph") == 0, log(home)
    assert report.stat().st_mtime_ns > before
    assert '"automatic" -> "lesion"' in (home / "out/sub-01/log/sub-01_graph.dot").read_text()
    assert spinalprep(home, *good, "--boilerplate-only", out="out3") == 0, log(home)
    methods = (home / "out3" / "logs" / "CITATION.md").read_text()
    assert "bias field by N4" in methods
    assert "@misc{N4" in (home / "out" / "logs" / "CITATION.bib").read_text()
    assert spinalprep(home, *good, "--reports-only", "--skip", "n4") == 2
    assert "run without it first" in log(home)


def test_a_skipped_template_needs_none_and_unknown_levels_are_said(home: Path) -> None:
    more = ("--participant-label", "01", "--skip", "template", "--no-manual-labels")
    assert spinalprep(home, *more, out="out2") == 0, log(home)
    table = pd.read_csv(home / "out2/sub-01/anat/sub-01_desc-auto_qc.tsv", sep="\t")
    gate = table.set_index("metric")["result"]
    assert gate["level_confidence"] == "WARN"
    assert not list((home / "out2").rglob("*_seg-vertebrae_dseg.nii.gz"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert main([str(tmp_path), str(locked / "out"), "participant"]) == 2


def test_masks_go_where_they_are_asked_and_the_template_s_grid_can_be_spared(home: Path) -> None:
    one = ("--participant-label", "01", "--output-spaces", "reference", "T1w")
    assert spinalprep(home, *one, "--dry-run") == 0, log(home)
    assert "WarpImages" not in log(home)
    assert spinalprep(home, *one, out="spaces") == 0, log(home)
    folder = home / "spaces" / "sub-01" / "anat"
    names = {path.name for path in folder.glob("*_space-*.nii.gz")}
    assert {f"sub-01_space-T1w_label-{name}_mask.nii.gz" for name in ("SC", "lesion")} <= names
    assert not any("space-Generic" in name or "space-T2starw" in name for name in names)
    moved = load(folder / "sub-01_space-T1w_label-SC_mask.nii.gz")
    truth = truth_cord(
        make_person(100_000), Image(moved.data, np.linalg.inv(motion_matrix()) @ moved.affine)
    )
    found, true = moved.data > 0, truth >= 0.5
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.88
    sidecar = json.loads((folder / "sub-01_space-T1w_label-SC_mask.json").read_text())
    assert sidecar["SpatialReference"].endswith("sub-01_desc-preproc_T1w.nii.gz")
    with pytest.raises(SystemExit, match="2"):
        parse(["in", "out", "participant", "--output-spaces", "MNI152"])
