"""Sessions and runs, a cord that a person drew, and the flags around a run, on small images."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

QUICK = ("--sloppy", "--skip", "n4", "--skip", "lesion", "--skip", "template", "--worker", "debug")
SHIFT_MM = 5.0
MASKS = {
    "sub-01/ses-a/anat/sub-01_ses-a_run-1_space-T2w_label-SC_mask.nii.gz",
    "sub-01/ses-a/anat/sub-01_ses-a_run-2_space-T2w_label-SC_mask.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_space-T2w_label-SC_desc-auto_mask.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_space-T2w_label-SC_mask.nii.gz",
}
FIRST = "sub-01/ses-a/anat/sub-01_ses-a_run-1_space-T2w_label-SC"
SECOND = FIRST.replace("run-1", "run-2")
DRAWN = "sub-01/ses-b/anat/sub-01_ses-b_space-T2w_label-SC"


@pytest.fixture(scope="module")
def visits(new_study, body):
    """Return one person's two visits, the first with two runs, and a visit that is no image."""
    study = new_study()
    above = np.array(study.affine)
    above[2, 3] += SHIFT_MM
    study.add(body.image, "sub-01/ses-a/anat/sub-01_ses-a_run-1_T2w.nii.gz")
    study.add(body.image, "sub-01/ses-a/anat/sub-01_ses-a_run-2_T2w.nii.gz", above)
    study.add(body.image, "sub-01/ses-b/anat/sub-01_ses-b_T2w.nii.gz")
    labels = "derivatives/labels/sub-01"
    discs = "ses-a/anat/sub-01_ses-a_run-1_T2w_labels-disc-manual.nii.gz"
    study.add(body.discs, f"{labels}/{discs}")
    study.add(body.cord, f"{labels}/ses-b/anat/sub-01_ses-b_T2w_label-SC_seg.nii.gz")
    bad = study.raw / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_T2w.nii.gz"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"no image")
    done = study.run(*QUICK)
    assert done.code == 1, done.log
    return study


def masks_below(folder: Path) -> set[str]:
    found = folder.glob("sub-*/**/*_label-SC*_mask.nii.gz")
    return {path.relative_to(folder).as_posix() for path in found}


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj) > 0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def gates(path: Path) -> dict[str, str]:
    return dict(pd.read_csv(path, sep="\t").set_index("metric")["result"].items())


def test_1_every_visit_has_its_line_and_the_good_ones_are_whole(visits) -> None:
    rows = pd.read_csv(visits.out / "status.tsv", sep="\t")
    found = rows.set_index(["participant_id", "session_id"])["state"].to_dict()
    assert found == {
        ("sub-01", "ses-a"): "finished",
        ("sub-01", "ses-b"): "finished",
        ("sub-02", "ses-a"): "failed",
    }
    reason = rows.set_index("participant_id").loc["sub-02", "reason"]
    assert reason.startswith("input: ")
    assert "sub-02_ses-a_T2w.nii.gz" in reason
    assert masks_below(visits.out) == MASKS


def test_every_run_is_itself(visits, body) -> None:
    tables = {}
    for name, run, shift in ((FIRST, 1, 0.0), (SECOND, 2, SHIFT_MM)):
        mask = nib.load(visits.out / f"{name}_mask.nii.gz")
        raw = visits.raw / f"sub-01/ses-a/anat/sub-01_ses-a_run-{run}_T2w.nii.gz"
        np.testing.assert_allclose(mask.affine, nib.load(raw).affine, atol=1e-5)
        assert mask.affine[2, 3] == pytest.approx(visits.affine[2, 3] + shift)
        assert overlap(np.asarray(mask.dataobj) > 0, body.cord > 0) > 0.9
        table = pd.read_csv(visits.out / f"{name}_desc-perslice_morph.tsv", sep="\t")
        assert set(table["participant_id"]) == {"sub-01"}
        assert set(table["session_id"]) == {"ses-a"}
        assert set(table["run"].astype(str)) == {str(run)}
        sources = json.loads((visits.out / f"{name}_mask.json").read_text())["Sources"]
        assert sources == [f"bids:raw:{raw.relative_to(visits.raw).as_posix()}"]
        tables[run] = table.set_index("slice")
    np.testing.assert_allclose(tables[2]["z_mm"] - tables[1]["z_mm"], SHIFT_MM, atol=1e-3)
    assert "C5" in set(tables[1]["vertebral_level"].dropna())
    assert tables[2]["vertebral_level"].isna().all()  # the discs are those of the other run


def test_a_drawn_cord_wins_and_the_found_one_stays_beside_it(visits, body) -> None:
    drawn = visits.out / f"{DRAWN}_mask.nii.gz"
    found = visits.out / f"{DRAWN}_desc-auto_mask.nii.gz"
    np.testing.assert_array_equal(voxels(drawn), body.cord > 0)
    np.testing.assert_array_equal(voxels(found), voxels(visits.out / f"{FIRST}_mask.nii.gz"))
    for path, manual in ((drawn, True), (found, False)):
        sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert sidecar["Manual"] is manual
        assert ("Model" in sidecar) is not manual
    table = pd.read_csv(visits.out / f"{DRAWN}_desc-perslice_morph.tsv", sep="\t")
    slices = (body.cord > 0).sum(axis=(0, 1))[table["slice"]]
    within = table["area_mm2"] / slices
    assert within.between(0.8, 1.05).all()  # of the drawn cord, corrected for its tilt


def test_the_report_says_how_far_drawn_and_found_are_apart(visits, body) -> None:
    found = voxels(visits.out / f"{DRAWN}_desc-auto_mask.nii.gz")
    both = found.any(axis=(0, 1)) & (body.cord > 0).any(axis=(0, 1))
    dice = overlap(found[:, :, both], body.cord[:, :, both] > 0)
    assert 0.9 < dice < 1
    page = (visits.out / "sub-01.html").read_text()
    said = re.findall(r"Dice <b>([\d.]+)</b>, volume ([+-][\d.]+) %", page)
    volume = 100 * (found[:, :, both].sum() / body.cord[:, :, both].sum() - 1)
    assert said == [(f"{dice:.3f}", f"{volume:+.1f}")]
    for name in ("ses-a", "ses-b", "run-1", "run-2"):
        assert name in page


def test_0_again_only_checks_and_the_drawn_cord_can_be_left_out(visits) -> None:
    before = {path: path.stat().st_mtime_ns for path in visits.out.rglob("*_label-SC*")}
    again = visits.run(*QUICK, "--participant-label", "01")
    assert again.code == 0, again.log
    assert {path: path.stat().st_mtime_ns for path in before} == before
    bare = visits.run(
        *QUICK,
        "--session-label",
        "ses-b",
        "--participant-label",
        "01",
        "--no-manual-labels",
        out="bare",
    )
    assert bare.code == 0, bare.log
    out = visits.home / "bare"
    assert masks_below(out) == {f"{DRAWN}_mask.nii.gz"}  # that visit alone, and nothing beside it
    found = voxels(visits.out / f"{DRAWN}_desc-auto_mask.nii.gz")
    np.testing.assert_array_equal(voxels(out / f"{DRAWN}_mask.nii.gz"), found)


def test_3_a_gate_that_fails_is_an_exit_code_when_asked(visits, tmp_path: Path) -> None:
    strict = tmp_path / "gates.json"
    strict.write_text('{"area_jump": {"fail": 0.0}}')
    asked = (*QUICK, "--qc-gates", str(strict))
    first = ("--participant-label", "01", "--fail-on-qc")
    table = visits.out / "sub-01/ses-a/anat/sub-01_ses-a_run-1_desc-auto_qc.tsv"
    assert visits.run(*QUICK, *first).code == 0
    assert gates(table)["area_jump"] == "PASS"
    assert visits.run(*asked, "--participant-label", "01").code == 0
    assert gates(table)["area_jump"] == "FAIL"
    assert visits.run(*asked, *first).code == 3
    assert visits.run(*asked, "--fail-on-qc").code == 1  # sub-02, who failed, says more


def test_1_says_more_than_3_of_people_without_an_image_too(visits, tmp_path: Path) -> None:
    strict = tmp_path / "gates.json"
    strict.write_text('{"area_jump": {"fail": 0.0}}')
    empty = visits.raw / "sub-03" / "anat"
    empty.mkdir(parents=True)
    (empty / "sub-03_PDw.nii.gz").write_bytes(b"not asked for")
    try:
        done = visits.run(
            *QUICK, "--participant-label", "01", "03", "--qc-gates", str(strict), "--fail-on-qc"
        )
    finally:
        shutil.rmtree(empty.parent)
    assert "sub-03: no T1w, T2w, T2starw or MTS" in done.log
    assert done.code == 1


def test_an_empty_cache_is_asked_for_and_a_log_can_be_json(visits, body) -> None:
    visits.add(body.image, "sub-04/anat/sub-04_T2w.nii.gz")
    asked = (*QUICK, "--participant-label", "04", "--log-json")
    try:
        done = visits.run(*asked)
        assert done.code == 0, done.log
        lines = [json.loads(line) for line in done.log.splitlines()]
        assert all({"time", "level", "message"} <= set(line) for line in lines)
        assert any("SegmentCord" in line["message"] for line in lines)
        mask = visits.out / "sub-04" / "anat" / "sub-04_space-T2w_label-SC_mask.nii.gz"
        before = mask.read_bytes()
        assert "SegmentCord" not in visits.run(*asked).log
        cleaned = visits.run(*asked, "--clean-workdir")
        assert "SegmentCord" in cleaned.log
        assert mask.read_bytes() == before
    finally:
        shutil.rmtree(visits.raw / "sub-04")
    others = visits.run(*QUICK, "--participant-label", "01", "--dry-run")
    assert "miss" not in others.out  # only the cache of who was asked for is emptied


def test_the_validator_finds_no_error(visits) -> None:
    tool = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run(
        [tool, str(visits.out), "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
