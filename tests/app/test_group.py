"""The group level on a small cohort of synthetic subjects, from the command line."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.app.main import main
from spinalprep.image import load
from spinalprep.phantom.cohort import write_cohort
from spinalprep.template.files import resolve_template

pytestmark = pytest.mark.slow

PEOPLE = 26
GOLDEN = """group.html
group_viewer.html
group_comparison.json
group_comparison.tsv
group_curves.json
group_curves.tsv
group_lesion_totals.json
group_lesion_totals.tsv
group_lesions.json
group_lesions.tsv
group_metrics.json
group_metrics.tsv
group_morph.json
group_morph.tsv
group_morph_slices.json
group_morph_slices.tsv
group_occupancy.json
group_occupancy.tsv
group_people.json
group_people.tsv
group_qc.json
group_qc.tsv
group_tracts.json
group_tracts.tsv
tpl-Generic/anat/tpl-Generic_desc-NMOvsMS_stat-effect_statmap.nii.gz
tpl-Generic/anat/tpl-Generic_desc-NMOvsMS_stat-p_statmap.nii.gz
tpl-Generic/anat/tpl-Generic_desc-NMOvsMS_stat-t_statmap.nii.gz
tpl-Generic/anat/tpl-Generic_label-SC_desc-coverage_probseg.nii.gz
tpl-Generic/anat/tpl-Generic_label-lesion_desc-lower_probseg.nii.gz
tpl-Generic/anat/tpl-Generic_label-lesion_desc-soft_probseg.nii.gz
tpl-Generic/anat/tpl-Generic_label-lesion_desc-upper_probseg.nii.gz
tpl-Generic/anat/tpl-Generic_label-lesion_probseg.nii.gz
tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-SC_desc-coverage_probseg.nii.gz
tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-lesion_desc-lower_probseg.nii.gz
tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-lesion_desc-soft_probseg.nii.gz
tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-lesion_desc-upper_probseg.nii.gz
tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-lesion_probseg.nii.gz"""
FLAGS = ["--cohort-column", "cohort", "--person-column", "person", "--n-permutations", "200"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("group") / "bids"
    write_cohort(folder, resolve_template("Generic"), PEOPLE, truth_people=300)
    _add_own_tables(results(folder) / "sub-0001" / "anat")
    return folder


def _add_own_tables(anat: Path) -> None:
    """Write lesions by region, their totals and a metric of one person's own image."""
    row = {"participant_id": "sub-0001", "vertebral_level": "C4", "kind": "cord"}
    row |= {"region": "cord", "side": "both", "lesion": "all"}
    stem = anat / "sub-0001_space-T2w"
    regions = pd.DataFrame([row | {"region_mm3": 1234.5, "lesion_mm3": 67.5}])
    totals = pd.DataFrame([{"participant_id": "sub-0001", "lesions": 3, "volume_mm3": 67.5}])
    metric = pd.DataFrame([row | {"metric": "FA", "metric_map": 0.625}])
    for name, table in (
        ("label-lesion_desc-perregion_morph", regions),
        ("label-lesion_desc-total_morph", totals),
        ("desc-FA_metric", metric),
    ):
        table.to_csv(f"{stem}_{name}.tsv", sep="\t", index=False, na_rep="n/a")


def results(cohort: Path) -> Path:
    return cohort / "derivatives" / "spinalprep"


def group(cohort: Path, *flags: str) -> int:
    work = str(cohort.parent / "work")
    command = [str(cohort), str(results(cohort)), "group", "--template", "Generic", "-w", work]
    return main([*command, "--nprocs", "1", *flags])


@pytest.fixture(scope="module")
def done(cohort: Path) -> Path:
    assert group(cohort, *FLAGS, "--nuisance", "age") == 0
    return results(cohort)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"group_{name}.tsv", sep="\t", na_values=["n/a"])


def test_all_files_are_there_and_described(done: Path) -> None:
    assert [name for name in GOLDEN.splitlines() if not (done / name).is_file()] == []
    for path in done.glob("tpl-Generic/**/*.nii.gz"):
        sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert sidecar["SampleSize"] == len(sidecar["Subjects"])
        assert sidecar["MinimumCoverage"] == 5
        assert sidecar["Threshold"] == 0.8
        assert "Generic" in sidecar["SpatialReference"]


def test_the_settings_of_the_run_are_kept(done: Path) -> None:
    kept = sorted(done.glob("logs/*_group_spinalprep.toml"))[0].read_text()
    assert tomllib.loads(kept)["nuisance"] == ["age"]


def test_who_counts(done: Path) -> None:
    people = table(done, "people").set_index("participant_id")
    left = people[~people["used"]]
    assert left["reason_left_out"].to_dict() == {
        "sub-0005": "quality gate FAIL: dice_template, jacobian_min",
        "sub-0009": "vertebral levels are unknown",
        "sub-0013": "the participant level did not finish (failed)",
        "sub-0022": "another image of the same person is included (sub-0021)",
    }
    assert people["used"].sum() == PEOPLE - 4


def test_people_s_own_tables_are_put_together(done: Path) -> None:
    tracts = table(done, "tracts").set_index(["participant_id", "levels", "kind", "region"])
    row = tracts.loc[("sub-0001", "C4", "cord", "cord")]
    assert row["lesion_mm3_image"] == 67.5
    assert row["region_mm3_image"] == 1234.5
    assert tracts["lesion_mm3_image"].notna().sum() == 1
    assert table(done, "lesion_totals")["lesions"].tolist() == [3]
    metrics = table(done, "metrics")
    assert metrics[["person_id", "metric", "metric_map"]].to_numpy().tolist() == [
        ["p0001", "FA", 0.625]
    ]


def test_maps_are_counts_of_the_people(done: Path) -> None:
    people = table(done, "people")
    used = people[people["used"]]
    for cohort, path in (
        (None, "tpl-Generic/anat/tpl-Generic_label-lesion_probseg.nii.gz"),
        ("MS", "tpl-Generic/cohort-MS/anat/tpl-Generic_cohort-MS_label-lesion_probseg.nii.gz"),
    ):
        own = used if cohort is None else used[used["cohort"] == cohort]
        template = load(resolve_template("Generic").cord).data > 0.5
        covered = np.zeros(template.shape)
        lesion = np.zeros(template.shape)
        for name in own["participant_id"]:
            stem = done / name / "anat" / f"{name}_space-Generic"
            seen = load(Path(f"{stem}_desc-coverage_mask.nii.gz")).data > 0
            covered += seen
            lesion += (load(Path(f"{stem}_label-lesion_mask.nii.gz")).data > 0) & seen
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.where(template & (covered >= 5), lesion / covered, np.nan)
        np.testing.assert_allclose(load(done / path).data, expected, atol=1e-6)
        assert np.isfinite(expected).any()
        assert np.isnan(expected[template]).any()  # partial coverage leaves something unknown


def test_tables_name_the_person_and_totals_agree(done: Path) -> None:
    for name in ("morph", "morph_slices", "lesions", "qc", "tracts"):
        own = table(done, name)
        assert list(own.columns[:2]) == ["person_id", "cohort"]
        assert ("sub-0005" in set(own["participant_id"])) == (name == "qc")
        assert len(own)
    gates = table(done, "qc").set_index("participant_id")
    assert gates.loc["sub-0005", "used"].tolist() == [False, False]
    assert gates.loc["sub-0001", "used"].all()
    whole = table(done, "tracts")
    cord = whole[(whole["levels"] == "all") & (whole["kind"] == "cord")].set_index("participant_id")
    people = table(done, "people").set_index("participant_id").loc[cord.index]
    np.testing.assert_allclose(cord["lesion_mm3"], people["lesion_mm3_template"], rtol=1e-4)


def test_planted_thinning_is_found_where_it_is(done: Path) -> None:
    curves = table(done, "curves")
    area = curves[curves["measure"] == "area_mm2"].set_index(["cohort", "vertebral_level"])
    means = area.groupby(level=[0, 1])["mean"].mean()
    assert means["NMO", "C3"] - means["MS", "C3"] > 3
    assert {"n", "lower", "upper"} <= set(curves.columns)


def test_again_reads_nobody_and_changes_nothing(
    done: Path, cohort: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.glob("tpl-Generic/**/*") if p.is_file()}
    assert group(cohort, *FLAGS, "--nuisance", "age") == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before
    crops = sorted((cohort.parent / "work" / "group").rglob("people/*.npz"))
    assert len(crops) == PEOPLE - 4


def test_a_changed_person_is_read_again_and_nobody_else(
    done: Path, cohort: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "bids"
    shutil.copytree(cohort, copy)
    work = tmp_path / "work"
    shutil.copytree(cohort.parent / "work", work)
    people = work / "group"
    times = {p.name: p.stat().st_mtime_ns for p in people.rglob("people/*.npz")}
    name = "sub-0002"
    path = results(copy) / name / "anat" / f"{name}_space-Generic_label-lesion_mask.nii.gz"
    image = nib.load(path)
    data = np.asarray(image.dataobj).copy()
    data[:] = 0
    nib.save(nib.Nifti1Image(data, image.affine), path)
    assert group(copy, *FLAGS) == 0
    after = {p.name: p.stat().st_mtime_ns for p in people.rglob("people/*.npz")}
    assert len(after) == len(times)
    assert [n for n in after if times.get(n) != after[n]] == [
        n for n in after if n.startswith("sub-0002_")
    ]


def test_mixed_results_are_refused_and_named(done: Path, cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bids"
    shutil.copytree(cohort, copy)
    path = results(copy) / "sub-0003" / "anat" / "sub-0003_space-Generic_label-SC_mask.json"
    content = json.loads(path.read_text())
    content["GeneratedBy"][0]["Version"] = "0.0.9"
    path.write_text(json.dumps(content))
    assert group(copy, *FLAGS) == 5
    assert group(copy, *FLAGS, "--allow-mixed") == 0
    sidecar = results(copy) / "tpl-Generic/anat/tpl-Generic_label-lesion_probseg.json"
    assert "0.0.9 in sub-0003" in json.loads(sidecar.read_text())["Warnings"][0]
    assert "0.0.9 in sub-0003" in (results(copy) / "group.html").read_text()


def test_wrong_questions_end_with_2(cohort: Path, tmp_path: Path) -> None:
    assert group(cohort, "--cohort-column", "diagnosis") == 2
    people = cohort / "participants.tsv"
    kept = people.read_text()
    try:
        people.write_text(kept.replace("\tNMO\t", "\tall\t"))
        assert group(cohort, "--cohort-column", "cohort") == 2  # it would overwrite everybody's
    finally:
        people.write_text(kept)
    assert group(cohort, "--nuisance", "site", "--covariate", "age") == 2
    marks = tmp_path / "marks.yml"
    marks.write_text("{a: [")
    assert group(cohort, "--exclude-yml", str(marks)) == 2


def test_nobody_ends_with_4(cohort: Path, tmp_path: Path) -> None:
    assert group(cohort, "--participant-label", "0005") == 4
    empty = ["group", "--template", "Generic", "-w", str(tmp_path / "w")]
    assert main([str(cohort), str(tmp_path / "none"), *empty]) == 4


def test_marks_of_the_reports_exclude(
    done: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks.yml"
    marks.write_text('"sub-0001":\n  "sub-0001/cord": fail\n"sub-0002":\n  "x": artifact\n')
    assert group(cohort, *FLAGS, "--exclude-yml", str(marks), "--dry-run") == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["sub-0001"] == "not included: excluded by --exclude-yml"
    assert lines["sub-0002"] == "used"


def test_report_is_inert_and_repeatable(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bids"
    shutil.copytree(cohort, copy)
    path = copy / "participants.tsv"
    path.write_text(path.read_text().replace("\tNMO\t", "\t<script>alert(1)</script>\t"))
    assert group(copy, *FLAGS) == 0
    page = (results(copy) / "group.html").read_text()
    assert "<script>alert" not in page
    assert "scriptalert1script" in page  # the cohort as files call it
    assert "http://www.w3.org" in page  # the name space of SVG is no address that is fetched
    assert 'src="http' not in page
    assert group(copy, *FLAGS) == 0
    again = (results(copy) / "group.html").read_text()
    strip = "spinalprep 0."
    assert again.split(strip)[0] == page.split(strip)[0]
    assert len(again) == len(page)


@pytest.mark.skipif(
    shutil.which("bids-validator-deno", path=os.path.dirname(sys.executable)) is None,
    reason="the BIDS validator is not installed",
)
def test_validator_is_silent(done: Path) -> None:
    tool = Path(sys.executable).with_name("bids-validator-deno")
    found = subprocess.run(
        [tool, str(done), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(found.stdout)["issues"]["issues"]
    ours = [i for i in issues if "tpl-" in i.get("location", "") and i.get("severity") == "error"]
    assert ours == []
