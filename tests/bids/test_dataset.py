"""The output folder as a dataset, down to the official validator."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.bids.columns import describe_columns
from spinalprep.bids.dataset import (
    age_and_sex,
    check_folders,
    write_atlas_description,
    write_dataset,
)
from spinalprep.bids.derivative_kinds import NATIVE, OUTPUTS, TABLE, TEMPLATE, Kind
from spinalprep.bids.derivative_names import output_path, transform_path
from spinalprep.bids.derivatives import (
    Provenance,
    derivative_uri,
    image_sidecar,
    reference_uri,
    table_text,
    template_uri,
    transform_sidecar,
    with_identity,
    write_file,
    write_image,
    write_table,
)
from spinalprep.bids.labelmaps import (
    disc_labels,
    lesion_labels,
    lookup_table,
    spinal_level_labels,
    tract_labels,
    vertebra_labels,
)
from spinalprep.bids.query import find_sessions
from spinalprep.bids.session import Scan, reference_runs
from spinalprep.bids.status import Status, write_status
from spinalprep.errors import UsageError
from spinalprep.image import Image
from spinalprep.settings import Settings
from spinalprep.template.files import Template

Dataset = Callable[..., Settings]
VALIDATOR = str(Path(sys.executable).with_name("bids-validator-deno"))
NOWHERE = Path("nowhere")
PAM50 = Template(
    name="PAM50",
    release="r20250730",
    identity="0123456789ab",
    folder=NOWHERE,
    **dict.fromkeys(["cord", "levels", "discs"], NOWHERE),
    **dict.fromkeys(["gm", "wm", "csf", "spinal_levels", "centerline", "t1", "t2", "t2s"]),
    atlas=(),
    sha256=(),
)
IMAGE = Image(np.ones((4, 4, 5), np.float32), np.array(np.diag([-1.0, 1, 2, 1])))
LABEL_MAPS = {
    "lesions": lesion_labels(2),
    "vertebrae": vertebra_labels(),
    "discs": disc_labels(),
    "spinal_levels": spinal_level_labels(),
    "tracts": {"0": "left fasciculus gracilis", "1": "right"},
}


def write_outputs(settings: Settings, space: str = "PAM50") -> list[Path]:
    """Write every kind of output for every session, as a run would."""
    template = replace(PAM50, name=space)
    sessions = list(find_sessions(settings))
    write_dataset(settings, [session.participant for session in sessions], template)
    write_atlas_description(settings.out_dir, template)
    written: list[Path] = []
    for session in sessions:
        for run in reference_runs(session):
            out, reference = settings.out_dir, run.reference
            written += [write_output(out, key, reference, template) for key in OUTPUTS]
            written += [write_moved(out, scan, reference) for scan in run.others]
        write_status(settings.out_dir, Status(f"sub-{session.participant}"))
        (settings.out_dir / f"sub-{session.participant}.html").write_text("<html></html>")
    return written


def write_output(out: Path, key: Kind, scan: Scan, template: Template) -> Path:
    output = OUTPUTS[key]
    name = "FA" if output.named else None
    path = output_path(out, key, scan, template=template.name, name=name)
    if output.extension == TABLE:
        rows = {"slice": [0, 1], "vertebral_level": ["C3", None], "area_mm2": [71.5, np.nan]}
        table = with_identity(pd.DataFrame(rows), scan)
        lookup = key in ("lesions_lookup", "lumbar_lookup")
        write_table(
            out,
            path,
            lookup_table(LABEL_MAPS["lesions"]) if lookup else table,
            dictionary=not lookup,
        )
        return path
    references = {
        NATIVE: None,
        TEMPLATE: template_uri(template.name, template.release, template.identity),
    }
    provenance = Provenance(
        sources=(scan.uri, derivative_uri(out, path)),
        spatial_reference=references.get(output.space, reference_uri(out, scan)),
        parameters={"threshold": np.float32(0.5)},
        model={"name": "cord", "version": "1", "sha256": "00"},
        manual=output.mask or None,
        label_map=LABEL_MAPS.get(key),
    )
    image = IMAGE.with_data(np.ones((4, 4, 5, 2))) if key == "tracts" else IMAGE
    whole = output.suffix in ("mask", "dseg")
    write_image(
        out,
        path,
        image,
        image_sidecar(key, provenance, scan.contrast),
        np.uint8 if whole else np.float32,
    )
    return path


def write_moved(out: Path, scan: Scan, reference: Scan) -> Path:
    provenance = Provenance((scan.uri,), reference_uri(out, reference))
    path = output_path(out, "preproc_reference", scan, reference)
    write_image(out, path, IMAGE, image_sidecar("preproc_reference", provenance, scan.contrast))
    for inverse in (False, True):
        target = transform_path(out, scan, reference, ".nii.gz", inverse=inverse)
        write_file(
            out, target, path, transform_sidecar(scan.contrast, reference.contrast, provenance)
        )
    return path


TINY = (
    "sub-01_ses-1_acq-sag_T2w",
    "sub-01_ses-1_T1w",
    "sub-02_run-1_T2starw",
    "sub-02_run-2_T2starw",
    "sub-03_flip-1_mt-on_MTS",
    "sub-03_flip-2_mt-off_MTS",
)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["PAM50", "Generic"])
def test_the_official_validator_finds_no_error(dataset: Dataset, space: str) -> None:
    settings = dataset(TINY)
    write_outputs(settings, space)
    done = subprocess.run(
        [VALIDATOR, "--format", "json", str(settings.out_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [issue for issue in issues if issue["severity"] == "error"]
    assert errors == []
    assert done.returncode == 0
    (settings.out_dir / ".bidsignore").unlink()
    done = subprocess.run([VALIDATOR, str(settings.out_dir)], capture_output=True, check=False)
    assert done.returncode != 0  # it looked


def test_the_folder_describes_itself(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINALPREP_CONTAINER", "docker")
    settings = dataset(["sub-01_T2w"])
    written = write_outputs(settings)
    out = settings.out_dir
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "spinalprep"
    assert description["GeneratedBy"][0]["Container"]["Type"] == "docker"
    assert set(description["DatasetLinks"]) == {"raw", "PAM50"}
    assert description["DatasetLinks"]["raw"] == settings.bids_dir.as_uri()
    for name in ("README.md", "CHANGES", ".bidsignore", "descriptions.tsv", "dseg.tsv"):
        assert (out / name).is_file()
    assert (out / "atlas-PAM50_description.json").is_file()
    ignored = (out / ".bidsignore").read_text().split()
    assert ignored == [
        *("*.html", "logs", "sub-*/figures", "sub-*/log", "sub-*/ses-*/log"),
        *("*_xfm.*", "*_morph.*", "*_metric.*", "*_qc.*", "*_statmap.*", "group*", "status*"),
    ]
    for path in written:
        assert path.is_file()
        stem = path.name.removesuffix(".nii.gz").removesuffix(".tsv")
        assert path.with_name(f"{stem}.json").is_file()


def test_a_second_run_changes_nothing(dataset: Dataset) -> None:
    settings = dataset(TINY)
    write_outputs(settings)
    for path in settings.out_dir.rglob("*"):
        os.utime(path, ns=(1, 1))
    write_outputs(settings)
    files = [path for path in settings.out_dir.rglob("*") if path.is_file()]
    changed = {path.name for path in files if path.stat().st_mtime_ns != 1}
    assert changed <= {"sub-01.html", "sub-02.html", "sub-03.html", ".status.lock"}
    assert len(files) > 100


def test_the_embedded_template_is_not_linked(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    write_dataset(settings, ["01"])
    description = json.loads((settings.out_dir / "dataset_description.json").read_text())
    assert set(description["DatasetLinks"]) == {"raw"}
    assert not (settings.out_dir / "atlas-PAM50_description.json").exists()


def test_sidecars_say_what_the_contract_asks(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    write_outputs(settings)

    def sidecar(name: str) -> Any:
        return json.loads(
            (settings.out_dir / "sub-01" / "anat" / f"sub-01_{name}.json").read_text()
        )

    mask = sidecar("space-T2w_label-SC_mask")
    assert mask["Type"] == "ROI"
    assert mask["Manual"] is True
    assert mask["Sources"][0] == "bids:raw:sub-01/anat/sub-01_T2w.nii.gz"
    assert mask["SpatialReference"] == "bids::sub-01/anat/sub-01_desc-preproc_T2w.nii.gz"
    assert mask["Model"]["sha256"] == "00"
    assert mask["Parameters"] == {"threshold": 0.5}
    assert mask["GeneratedBy"][0]["Name"] == "spinalprep"
    assert sidecar("desc-preproc_T2w")["SkullStripped"] is False
    assert sidecar("desc-preproc_T2w")["Description"].startswith("T2w image")
    assert "r20250730" in sidecar("space-PAM50_label-SC_mask")["SpatialReference"]
    assert sidecar("space-T2w_seg-vertebrae_dseg")["LabelMap"]["8"] == "T1"
    lesions = sidecar("space-T2w_seg-lesions_dseg")
    assert lesions["LabelMap"] == {"1": "lesion 1", "2": "lesion 2"}
    assert lesions["volume_mm3"]["Units"] == "mm3"


def test_images_are_stored_as_given(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    write_outputs(settings)
    anat = settings.out_dir / "sub-01" / "anat"
    mask: Any = nib.loadsave.load(anat / "sub-01_space-T2w_label-SC_mask.nii.gz")
    assert mask.get_data_dtype() == np.uint8
    assert nib.orientations.aff2axcodes(mask.affine) == ("L", "A", "S")


def test_tables_are_tidy(dataset: Dataset) -> None:
    (session,) = find_sessions(dataset(["sub-01_ses-1_run-1_T2w"]))
    table = pd.DataFrame(
        {
            "slice": [3, 4],
            "area_mm2": [71.123456789, np.nan],
            "complete": [True, False],
            "vertebral_level": ["C3", None],
        }
    )
    assert table_text(with_identity(table, session.scans[0])) == (
        "participant_id\tsession_id\trun\tcontrast\tvertebral_level\tslice\tarea_mm2\tcomplete\n"
        "sub-01\tses-1\t1\tT2w\tC3\t3\t71.1235\ttrue\n"
        "sub-01\tses-1\t1\tT2w\tn/a\t4\tn/a\tfalse\n"
    )
    assert list(table.columns) == ["slice", "area_mm2", "complete", "vertebral_level"]


def test_cells_can_not_break_the_table() -> None:
    table = pd.DataFrame({"action": ["", "look\tat\nit", 'say "no"']})
    assert table_text(table).splitlines() == ["action", "n/a", "look at it", "say 'no'"]


def test_columns_have_units() -> None:
    described = describe_columns(["area_mm2", "area_mm2_sd", "new_thing_mm3", "state"])
    assert described["area_mm2"]["Units"] == "mm2"
    assert described["area_mm2_sd"]["Description"].startswith("standard deviation")
    assert described["new_thing_mm3"] == {"Description": "new thing mm3", "Units": "mm3"}
    assert set(described["state"]["Levels"]) == {"finished", "failed", "skipped", "interrupted"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"participant_id\tage\nsub-01\t30\n", "participant_id\tage\nsub-01\t30\nsub-02\tn/a\n"),
        (
            b"\xef\xbb\xbfparticipant_id\tage\r\n01\t\r\nsub-09\t3\r\n",
            "participant_id\tage\nsub-01\tn/a\nsub-09\t3\nsub-02\tn/a\n",
        ),
        (b"age\n30\n", "participant_id\nsub-01\nsub-02\n"),
        (b"\xff\xfe\x00", "participant_id\nsub-01\nsub-02\n"),
        (None, "participant_id\nsub-01\nsub-02\n"),
    ],
)
def test_participants_are_copied_and_completed(
    dataset: Dataset, content: bytes | None, expected: str
) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w"])
    if content is not None:
        (settings.bids_dir / "participants.tsv").write_bytes(content)
    (settings.bids_dir / "participants.json").write_text('{"age": {"Units": "year"}}')
    write_dataset(settings, ["01"])
    assert (settings.out_dir / "participants.tsv").read_text() == expected
    described = json.loads((settings.out_dir / "participants.json").read_text())
    assert described == {"age": {"Units": "year"}}


def test_folders_are_refused_before_any_work(dataset: Dataset, tmp_path: Path) -> None:
    settings = dataset(["sub-01_T2w"])
    check_folders(settings)
    assert list(settings.out_dir.iterdir()) == []
    (tmp_path / "file").touch()
    for given in ({"out_dir": tmp_path / "file" / "out"}, {"work_dir": tmp_path / "file"}):
        with pytest.raises(UsageError, match="can't be written") as caught:
            check_folders(replace(settings, **given))
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="the output folder is the dataset itself"):
        check_folders(replace(settings, out_dir=settings.bids_dir))
    for given in ("out_dir", "work_dir"):
        with pytest.raises(UsageError, match="inside the folder of a raw participant"):
            check_folders(replace(settings, **{given: settings.bids_dir / "sub-01" / "new"}))
    assert not (settings.bids_dir / "sub-01" / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_one_line(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    settings.out_dir.mkdir(mode=0o555)
    with pytest.raises(UsageError, match=r"output folder .* can't be written: Permission denied"):
        check_folders(settings)


def test_somebody_elses_dataset_is_not_overwritten(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    settings.out_dir.mkdir()
    path = settings.out_dir / "dataset_description.json"
    path.write_text('{"Name": "theirs", "GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(UsageError, match=r"contains another dataset \(theirs\)"):
        check_folders(settings)
    path.unlink()
    write_dataset(settings, ["01"])
    check_folders(settings)


def test_folders_of_another_user_are_refused_before_any_work(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w"])
    theirs = settings.out_dir / "sub-01" / "anat"
    theirs.mkdir(parents=True)
    allowed = os.access
    monkeypatch.setattr(  # root may write everywhere, so the answer is given here
        os, "access", lambda path, mode: Path(path) != theirs and allowed(path, mode)
    )
    with pytest.raises(UsageError, match="belongs to another user"):
        check_folders(settings)
    check_folders(replace(settings, participant_label=("02",)))


def test_outputs_inside_the_dataset_are_not_taken_for_inputs(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w", "sub-01_T1w"])
    inside = replace(settings, out_dir=settings.bids_dir / "derivatives" / "spinalprep")
    check_folders(inside)
    write_outputs(inside)
    (session,) = find_sessions(inside)
    assert [scan.stem for scan in session.scans] == ["sub-01_T1w", "sub-01_T2w"]


def test_tracts_are_named_by_the_atlas(tmp_path: Path) -> None:
    files = (tmp_path / "PAM50_atlas_00.nii.gz", tmp_path / "PAM50_atlas_36.nii.gz")
    assert tract_labels(files) == {"0": files[0].name, "1": files[1].name}
    text = "# ID, name, file\n0, WM left, with comma, PAM50_atlas_00.nii.gz\n\n50, cord, 0:35\n"
    (tmp_path / "info_label.txt").write_text(text)
    assert tract_labels(files) == {"0": "WM left, with comma", "1": files[1].name}
    assert tract_labels(()) == {}


def test_level_names() -> None:
    assert vertebra_labels()["20"] == "L1"
    assert (spinal_level_labels()["8"], spinal_level_labels()["9"]) == ("C8", "T1")
    assert (disc_labels()["8"], disc_labels()["60"]) == ("C7/T1", "conus medullaris")


def test_age_and_sex_are_read_or_not_known(tmp_path: Path) -> None:
    rows = ["participant_id\tAge\tsex", "sub-1\t31.5\tF", "2\t89+\tmale", "sub-3\tn/a\tn/a"]
    (tmp_path / "participants.tsv").write_text("\n".join([*rows, "sub-4\t-1\tO"]) + "\n")
    assert age_and_sex(tmp_path, "1") == (31.5, "F")
    assert age_and_sex(tmp_path, "2") == (None, "M")
    for nobody in ("3", "4", "5"):
        assert age_and_sex(tmp_path, nobody) == (None, None)
    assert age_and_sex(tmp_path / "nowhere", "1") == (None, None)
