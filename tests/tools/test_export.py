"""Outputs under the names of the Spinal Cord Toolbox."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.tools.main import main

OURS = """
desc-preproc_T2w space-T2w_label-SC_mask space-T2w_label-SC_desc-auto_mask
space-T2w_label-SC_probseg
space-T2w_seg-vertebrae_dseg from-T2w_to-PAM50_mode-image_xfm from-PAM50_to-T2w_mode-image_xfm
space-T2w_desc-preproc_T1w space-PAM50_label-SC_mask space-T2w_label-SC_desc-template_mask
"""
THEIRS = """
T2w.nii.gz T2w_seg.nii.gz T2w_seg_labeled.nii.gz T2w_template/warp_anat2template.nii.gz
T2w_template/warp_template2anat.nii.gz T2w_template/label/template/PAM50_cord.nii.gz
"""
TABLE = """participant_id\tvertebral_level\tslice\tarea_mm2\tdiameter_ap_mm\tdoubtful
sub-01\tC2\t9\t80.5\t8.25\ttrue
sub-01\tT1\t8\t70.5\t7.25\tfalse
sub-01\tn/a\t7\t71.5\tn/a\tfalse
"""


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "out" / "sub-01" / "ses-1" / "anat"
    folder.mkdir(parents=True)
    stem = "sub-01_ses-1_run-2"
    for n, name in enumerate(OURS.split()):
        image = nib.Nifti1Image(np.full((2, 3, 4), n, np.uint8), np.eye(4))
        image.to_filename(folder / f"{stem}_{name}.nii.gz")
    tracts = np.zeros((2, 3, 4, 3), np.float32)
    tracts[..., 1], tracts[..., 2] = 0.25, 0.5
    path = folder / f"{stem}_space-T2w_atlas-PAM50_seg-tracts_probseg.nii.gz"
    nib.Nifti1Image(tracts, np.diag([1, 1, 2, 1])).to_filename(path)
    (folder / f"{stem}_space-T2w_label-SC_desc-perslice_morph.tsv").write_text(TABLE)
    return tmp_path


def test_what_sct_has_a_name_for_is_there_with_its_content(outputs) -> None:
    target = outputs / "sct"
    assert main(["export", "--to", "sct", str(outputs / "out"), str(target)]) == 0
    folder, stem = target / "sub-01" / "ses-1" / "anat", "sub-01_ses-1_run-2_"
    atlas = [f"T2w_template/label/atlas/PAM50_atlas_{n:02d}.nii.gz" for n in range(3)]
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {f"{stem}{name}" for name in (*THEIRS.split(), *atlas, "T2w_csa.csv")}
    assert nib.load(folder / f"{stem}T2w_seg.nii.gz").get_fdata().max() == OURS.split().index(
        "space-T2w_label-SC_mask"
    )
    second = nib.load(folder / f"{stem}{atlas[2]}")
    assert second.get_fdata().min() == 0.5
    assert second.affine[2, 2] == 2
    warp = folder / f"{stem}T2w_template/warp_anat2template.nii.gz"
    ours = "from-T2w_to-PAM50_mode-image_xfm"
    assert nib.load(warp).get_fdata().max() == OURS.split().index(ours)


def test_tables_have_the_headings_of_sct_and_no_slice_in_doubt(outputs) -> None:
    target = outputs / "sct"
    assert main(["export", "--to", "sct", str(outputs / "out"), str(target)]) == 0
    table = pd.read_csv(next(target.rglob("*_csa.csv")))
    assert list(table.columns) == [
        *("Slice (I->S)", "VertLevel", "MEAN(area)", "MEAN(diameter_AP)"),
    ]
    assert list(table["Slice (I->S)"]) == [8, 7]
    assert table["VertLevel"].iloc[0] == 8  # T1
    assert np.isnan(table["VertLevel"].iloc[1])


def test_where_nothing_can_be_exported_or_to(outputs, capsys) -> None:
    out = str(outputs / "out")
    assert main(["export", "--to", "sct", out, f"{out}/sct"]) == 2
    one = ["--participant-label", "sub-02"]
    assert main(["export", "--to", "sct", out, str(outputs / "sct"), *one]) == 4
    assert not (outputs / "sct").exists()
