"""Which images are found, and what is said when there are none."""

import codecs
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinalprep.bids import query
from spinalprep.bids.index import INDEX_FOLDER
from spinalprep.bids.query import find_sessions
from spinalprep.errors import NoInputError, UsageError
from spinalprep.settings import Settings

Dataset = Callable[..., Settings]
IMAGES = (
    "sub-01_ses-1_T2w",
    "sub-01_ses-1_acq-ax_T2w",
    "sub-01_ses-2_T1w",
    "sub-02_flip-1_mt-on_MTS",
    "sub-02_flip-1_mt-off_MTS",
    "sub-03_run-1_T2starw",
    "sub-03_run-2_T2starw",
)


def stems(settings: Settings) -> dict[str, list[str]]:
    return {s.name: [scan.stem for scan in s.scans] for s in find_sessions(settings)}


def test_all_sessions_come_in_order(dataset: Dataset) -> None:
    assert stems(dataset(IMAGES)) == {
        "sub-01_ses-1": ["sub-01_ses-1_T2w", "sub-01_ses-1_acq-ax_T2w"],
        "sub-01_ses-2": ["sub-01_ses-2_T1w"],
        "sub-02": ["sub-02_flip-1_mt-off_MTS", "sub-02_flip-1_mt-on_MTS"],
        "sub-03": ["sub-03_run-1_T2starw", "sub-03_run-2_T2starw"],
    }


def test_a_scan_knows_its_file_and_its_sidecar(dataset: Dataset) -> None:
    settings = dataset(["sub-01_ses-1_acq-ax_run-02_T2w"])
    (session,) = find_sessions(settings)
    (scan,) = session.scans
    assert scan.path.is_file()
    assert scan.uri == "bids:raw:sub-01/ses-1/anat/sub-01_ses-1_acq-ax_run-02_T2w.nii.gz"
    assert (scan.participant, scan.session, scan.contrast) == ("01", "1", "T2w")
    assert scan.entities == {"acq": "ax", "run": "02"}
    assert scan.metadata == {"EchoTime": 0.1}
    assert session.warnings == ()


@pytest.mark.parametrize("kept", [False, True])
def test_only_what_is_asked_for_is_found(dataset: Dataset, tmp_path: Path, kept: bool) -> None:
    settings = dataset(IMAGES, bids_database_dir=tmp_path / "index" if kept else None)
    wanted = replace(settings, participant_label=("03", "01"))
    assert list(stems(wanted)) == ["sub-01_ses-1", "sub-01_ses-2", "sub-03"]
    wanted = replace(settings, participant_label=("01",), session_label=("2",))
    assert stems(wanted) == {"sub-01_ses-2": ["sub-01_ses-2_T1w"]}


def test_other_files_are_left_alone(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    anat = settings.bids_dir / "sub-01" / "anat"
    for name in ("sub-01_PDw.nii.gz", "sub-01_space-T2w_label-SC_mask.nii.gz", "sub-01_T2w.txt"):
        (anat / name).touch()
    (anat / "sub-01_space-T2w_desc-preproc_T2w.nii.gz").touch()
    (settings.bids_dir / "derivatives" / "x" / "sub-01" / "anat").mkdir(parents=True)
    (settings.bids_dir / "derivatives" / "x" / "sub-01" / "anat" / "sub-01_T2w.nii.gz").touch()
    assert stems(settings) == {"sub-01": ["sub-01_T2w"]}


def test_a_kept_index_notices_what_came_and_went(dataset: Dataset, tmp_path: Path) -> None:
    settings = dataset(["sub-01_T2w"], bids_database_dir=tmp_path / "index")
    assert stems(settings) == {"sub-01": ["sub-01_T2w"]}
    database = tmp_path / "index" / INDEX_FOLDER / "layout_index.sqlite"
    before = database.stat().st_mtime_ns
    assert stems(settings) == {"sub-01": ["sub-01_T2w"]}
    assert database.stat().st_mtime_ns == before
    dataset(["sub-01_T1w", "sub-02_T2w"])
    assert list(stems(settings)) == ["sub-01", "sub-02"]
    for path in (settings.bids_dir / "sub-02" / "anat").iterdir():
        path.unlink()
    assert stems(settings) == {"sub-01": ["sub-01_T1w", "sub-01_T2w"], "sub-02": []}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (
            {"t2w": {"acquisition": "ax"}},
            ["sub-01_acq-ax_T2w", "sub-01_run-1_T1w", "sub-01_run-2_T1w"],
        ),
        ({"t2w": {"acquisition": None}}, ["sub-01_T2w", "sub-01_run-1_T1w", "sub-01_run-2_T1w"]),
        (
            {"t2w": {"acquisition": "*"}, "t1w": {"run": 2}},
            ["sub-01_acq-ax_T2w", "sub-01_run-2_T1w"],
        ),
    ],
)
def test_filters_choose_per_contrast(dataset: Dataset, filters: Any, expected: list[str]) -> None:
    images = ["sub-01_T2w", "sub-01_acq-ax_T2w", "sub-01_run-1_T1w", "sub-01_run-2_T1w"]
    assert stems(dataset(images, filters=filters)) == {"sub-01": expected}


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"t2w": {"spleen": "1"}}, "t2w: 'spleen' is not a recognized entity"),
        ({"t2w": {"suffix": "PDw"}}, "only T2w images in anat folders"),
    ],
)
def test_a_wrong_filter_is_one_line(dataset: Dataset, filters: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        stems(dataset(["sub-01_T2w"], filters=filters))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"participant_label": ("09",)}, "no participant 09 in .*; there are 01, 02, 03"),
        ({"session_label": ("7",)}, "no T1w, T2w.* that matches session 7"),
        (
            {"filters": {c: {"acquisition": "no"} for c in ("t2w", "t1w", "t2starw", "mts")}},
            "filters of",
        ),
    ],
)
def test_nothing_that_matches_is_one_line(dataset: Dataset, given: Any, said: str) -> None:
    with pytest.raises(NoInputError, match=said) as caught:
        stems(dataset(IMAGES, **given))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_no_dataset_is_one_line(dataset: Dataset, tmp_path: Path) -> None:
    settings = dataset(["sub-01_T2w"])
    with pytest.raises(NoInputError, match="is not a folder"):
        stems(replace(settings, bids_dir=tmp_path / "nowhere"))
    description = settings.bids_dir / "dataset_description.json"
    description.write_text("{")
    with pytest.raises(NoInputError, match="can't be read as JSON"):
        stems(settings)
    description.unlink()
    with pytest.raises(
        NoInputError, match=r"not a BIDS dataset: it has no dataset_description.json"
    ):
        stems(settings)
    description.write_text(json.dumps({"Name": "empty", "BIDSVersion": "1.10.0"}))
    for path in sorted(settings.bids_dir.glob("sub-01/**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(
        NoInputError, match=r"has no T1w, T2w, T2starw or MTS image in an anat folder$"
    ):
        stems(settings)
    (settings.bids_dir / "sub-01").rmdir()
    with pytest.raises(NoInputError, match="no sub-"):
        stems(settings)


def test_a_participant_without_images_is_told_apart(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / "sub-02" / "func").mkdir(parents=True)
    _, empty = find_sessions(settings)
    assert (empty.name, empty.scans) == ("sub-02", ())
    assert "no T1w" in empty.warnings[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "can't be read as JSON"),
        (b"\xff\xfe", "can't be read as JSON"),
        (b"[" * 100_000, "can't be read as JSON (nested too deeply)"),
        (b" " * 10_000_001, "can't be read as JSON (it has 10 MB)"),
        (b"[1]", "does not contain a JSON object"),
    ],
)
def test_broken_sidecars_are_named_and_passed_over(
    dataset: Dataset, content: bytes, said: str
) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / "sub-01" / "anat" / "sub-01_T2w.json").write_bytes(content)
    (session,) = find_sessions(settings)
    assert session.scans[0].metadata == {}
    (line,) = session.left_out  # said at the normal level
    assert said in line
    assert line.startswith("sub-01_T2w.json")
    assert line.endswith("; it is ignored")
    assert session.warnings == ()


def test_an_image_without_a_sidecar_is_a_warning(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / "sub-01" / "anat" / "sub-01_T2w.json").unlink()
    (session,) = find_sessions(settings)
    assert session.left_out == ()
    assert "sub-01_T2w.nii.gz has no metadata in JSON" in session.warnings[0]


def test_a_participant_who_vanishes_while_the_dataset_is_read_costs_nobody_else(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w", "sub-03_T2w"])
    open_index, read = query.open_index, query.read_session

    def after(bids_dir: Path, *given: Any) -> Any:
        shutil.rmtree(bids_dir / "sub-01")  # after the participants were listed
        return open_index(bids_dir, *given)

    def before(settings: Settings, label: str, *given: Any) -> Any:
        if label == "02":
            shutil.rmtree(settings.bids_dir / "sub-02")  # after its images were listed
        return read(settings, label, *given)

    monkeypatch.setattr(query, "open_index", after)
    monkeypatch.setattr(query, "read_session", before)
    first, second, third = find_sessions(settings)
    assert (first.name, first.scans) == ("sub-01", ())
    assert second.name == "sub-02"
    assert third.scans[0].path.is_file()


@pytest.mark.parametrize("content", ["{", "[1]", '{"entities": [{"name": "subject"}]}'])
def test_a_dataset_cannot_tell_pybids_what_names_mean(dataset: Dataset, content: str) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / "layout_config.json").write_text(content)
    (session,) = find_sessions(settings)
    assert len(session.scans) == 1


def test_names_that_are_none_of_bids_are_named_and_left_out(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(["sub-01_T2w"])
    root = os.fsencode(settings.bids_dir)
    image = (settings.bids_dir / "sub-01/anat/sub-01_T2w.nii.gz").read_bytes()
    for name in (b"acq-a b_T2w", b"acq-a\nb_T2w", b"acq-\xe4_T2w", b"acq-<b>_T2w"):
        Path(os.fsdecode(root + b"/sub-01/anat/sub-01_" + name + b".nii.gz")).write_bytes(image)
    for name in (b"a b", b"\xe4", b"a\nb", b"$(id)", b"a-b"):
        folder = Path(os.fsdecode(root + b"/sub-" + name + b"/anat"))
        folder.mkdir(parents=True)
    (session,) = find_sessions(settings)
    assert [scan.stem for scan in session.scans] == ["sub-01_T2w"]
    (line,) = session.left_out
    assert line.count("is no label of BIDS") == 4
    assert "\n" not in line
    assert sum("is left out: its name holds more" in text for text in caplog.messages) == 5


@pytest.mark.parametrize("name", ["sub-01/anat/sub-01_T2w.json", ".bidsignore"])
def test_a_named_pipe_is_not_waited_for(dataset: Dataset, name: str) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / name).unlink(missing_ok=True)
    os.mkfifo(settings.bids_dir / name)
    (session,) = find_sessions(settings)
    assert len(session.scans) == 1


def test_sidecars_are_inherited_and_the_nearer_wins(dataset: Dataset) -> None:
    settings = dataset(["sub-01_acq-ax_T2w"])
    above = {"EchoTime": 9, "Manufacturer": "A"}
    (settings.bids_dir / "T2w.json").write_text(json.dumps(above))
    (settings.bids_dir / "acq-ax_T2w.json").write_text('{"Manufacturer": "B"}')
    (settings.bids_dir / "acq-sag_T2w.json").write_text('{"Manufacturer": "C"}')
    (session,) = find_sessions(settings)
    assert session.scans[0].metadata == {"EchoTime": 0.1, "Manufacturer": "B"}


def test_oddities_are_warnings(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w", "sub-01_part-phase_T2starw", "sub-01_mt-on_MTS"])
    anat = settings.bids_dir / "sub-01" / "anat"
    (anat / "sub-01_T2w.nii").touch()
    (session,) = find_sessions(settings)
    assert [scan.stem for scan in session.scans] == ["sub-01_T2w", "sub-01_mt-on_MTS"]
    said = "\n".join((*session.warnings, *session.left_out))
    assert "sub-01_T2w.nii is ignored: sub-01_T2w.nii.gz is beside it" in said
    assert "sub-01_part-phase_T2starw.nii.gz is ignored: no magnitude image" in said
    assert "sub-01_mt-on_MTS.nii.gz is not a valid BIDS name" in said
    (session,) = find_sessions(replace(settings, skip_bids_validation=True))
    assert "valid BIDS name" not in "\n".join(session.warnings)


def test_a_file_in_the_wrong_folder_is_ignored(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(["sub-01_T2w"])
    (settings.bids_dir / "sub-01" / "anat" / "sub-02_T1w.nii.gz").touch()
    assert stems(settings) == {"sub-01": ["sub-01_T2w"]}
    assert "name does not match its folder" in caplog.text


def test_a_byte_order_mark_and_numbers_that_are_none_don_t_matter(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w"])
    sidecar = settings.bids_dir / "sub-01" / "anat" / "sub-01_T2w.json"
    sidecar.write_bytes(codecs.BOM_UTF8 + b'{"EchoTime": NaN, "FlipAngle": 90}')
    description = settings.bids_dir / "dataset_description.json"
    description.write_bytes(description.read_text().encode("utf-16"))
    (session,) = find_sessions(settings)
    assert (session.scans[0].metadata, session.warnings) == (
        {"EchoTime": None, "FlipAngle": 90},
        (),
    )


@pytest.mark.parametrize("line", ["sub-02", "sub-02/", "/sub-02/**", "# c\nsub-02/anat/", "*-02/"])
def test_who_is_in_bidsignore_is_left_out_and_said(
    dataset: Dataset, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w"])
    (settings.bids_dir / ".bidsignore").write_text(line + "\n*_T2w.nii.gz\n")
    assert list(stems(settings)) == ["sub-01"]
    assert "sub-02 is left out because .bidsignore lists it" in caplog.text
    with pytest.raises(NoInputError, match="bidsignore names every participant"):
        stems(replace(settings, participant_label=("02",)))


@pytest.mark.parametrize("line", ["!", "[z-a]", "a[b--c]", "sub-[9--0]"])
@pytest.mark.filterwarnings("error")
def test_a_line_of_bidsignore_that_is_no_pattern_does_not_cost_the_others(
    dataset: Dataset, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w"])
    (settings.bids_dir / ".bidsignore").write_text(f"# x\n{line}\nsub-02\n")
    assert list(stems(settings)) == ["sub-01"]
    assert ".bidsignore, line 2 is no pattern" in caplog.text


@pytest.mark.filterwarnings("error")
def test_an_odd_pattern_of_bidsignore_causes_no_warning_of_python(dataset: Dataset) -> None:
    settings = dataset(["sub-01_T2w", "sub-02_T2w"])
    (settings.bids_dir / ".bidsignore").write_text("x[a&&b]\nx[a||b]\nsub-02\n")
    assert list(stems(settings)) == ["sub-01"]


def test_a_visit_in_bidsignore_is_left_out_and_said(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(IMAGES)
    (settings.bids_dir / ".bidsignore").write_text("sub-01/ses-2\n")
    assert "sub-01_ses-2" not in stems(settings)
    assert "sub-01_ses-1" in stems(settings)
    assert "sub-01, ses-2 is left out because .bidsignore lists it" in caplog.text


def test_images_that_nothing_can_use_are_named(dataset: Dataset) -> None:
    settings = dataset(
        ["sub-01_T2w", "sub-01_UNIT1", "sub-01_acq-x_PDw", "sub-02_ses-1_inv-1_MP2RAGE"]
    )
    first, second = find_sessions(settings)
    (line,) = first.left_out
    assert line == (
        "not read: sub-01_UNIT1.nii.gz, sub-01_acq-x_PDw.nii.gz "
        "(only raw T2w, T1w, T2starw and MTS images in NIfTI are)"
    )
    assert (second.scans, len(second.left_out)) == ((), 1)
    with pytest.raises(NoInputError, match=r"in an anat folder that.*not read: sub-02_ses-1_inv-1"):
        stems(replace(settings, participant_label=("02",)))


def test_participants_that_differ_in_capitals_are_warned_of(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataset(["sub-A_T2w", "sub-a_T2w"])
    assert [session.participant for session in find_sessions(settings)] == ["A", "a"]
    assert "sub-A and sub-a differ only in capitals" in caplog.text
