"""What the group level finds of people in an output folder."""

import json
from pathlib import Path

import pandas as pd
import pytest

from spinalprep.bids.dataset import write_participants
from spinalprep.bids.derivative_kinds import OUTPUTS, TABLE, Kind
from spinalprep.bids.derivative_names import output_path
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.names import ImageName
from spinalprep.bids.people import find_people, gather_metrics, gather_tables, read_participants
from spinalprep.bids.saved_outputs import read_output
from spinalprep.errors import InputError, NoInputError, UsageError
from spinalprep.settings import Settings

ALL_KINDS: tuple[Kind, ...] = tuple(kind for kind, output in OUTPUTS.items() if not output.named)


def leave(out: Path, name: str, template: str = "PAM50", *kinds: Kind) -> ImageName:
    """Write what the participant level leaves of an image, and some that is for somebody else."""
    image = ImageName.of(name)
    for kind in kinds or ALL_KINDS:
        path = output_path(out, kind, image, template=template)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == TABLE:
            row = {"participant_id": f"sub-{image.participant}", "metric": "dice", "result": "PASS"}
            pd.DataFrame([row]).to_csv(path, sep="\t", index=False)
        else:
            path.touch()
            told = {"LevelSource": "manual", "GeneratedBy": [{"Version": "1"}], "Manual": False}
            sidecar_path(path).write_text(json.dumps(told))
    return image


def settings(folder: Path, **more: object) -> Settings:
    return Settings(folder, folder, "group", **more)  # type: ignore[arg-type]


def found(folder: Path, template: str = "PAM50", **more: object) -> dict[str, list[str]]:
    asked = settings(folder, **more)
    people = find_people(asked, template, read_participants(asked))
    return {p.name: [*p.candidate.missing] for p in people}


def test_runs_sessions_and_chunks_are_apart(tmp_path: Path) -> None:
    names = (
        *("sub-01_run-1_T2w", "sub-01_run-2_T2w", "sub-02_ses-a_acq-x_T2w"),
        *("sub-03_chunk-1_T2w", "sub-03_chunk-2_T2w"),
    )
    for name in names:
        leave(tmp_path, name)
    people = find_people(settings(tmp_path), "PAM50", read_participants(settings(tmp_path)))
    assert [p.name for p in people] == [
        *("sub-01_run-1", "sub-01_run-2", "sub-02_ses-a", "sub-03_chunk-1", "sub-03_chunk-2"),
    ]
    for person, name in zip(people, names, strict=True):
        image = ImageName.of(name)
        assert person.lesion == output_path(tmp_path, "lesion_template", image)
        assert person.image == output_path(tmp_path, "preproc_template", image)
        assert person.paths["perlevel"] == output_path(tmp_path, "perlevel", image)
        assert (person.candidate.contrast, person.candidate.missing) == ("T2w", ())


def test_an_mts_image_is_found_by_what_its_masks_say(tmp_path: Path) -> None:
    leave(tmp_path, "sub-01_flip-1_mt-on_MTS")
    (person,) = find_people(settings(tmp_path), "PAM50", read_participants(settings(tmp_path)))
    assert person.image is not None
    assert person.image.name == "sub-01_flip-1_mt-on_space-PAM50_desc-preproc_MTS.nii.gz"
    assert person.image_name is not None
    assert dict(person.image_name.entities) == {"flip": "1", "mt": "on"}
    assert person.candidate.contrast == "MTS"


def test_two_templates_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    leave(tmp_path, "sub-01_T2w")
    leave(tmp_path, "sub-01_T2w", "Generic", "cord_template", "coverage_template")
    cord_alone = leave(tmp_path, "sub-02_T2w", "Generic", "cord_template")
    coverage = output_path(tmp_path, "coverage_template", cord_alone, template="Generic").name
    assert found(tmp_path, "PAM50") == {"sub-01": []}
    assert found(tmp_path, "Generic") == {"sub-01": [], "sub-02": [coverage]}
    asked = settings(tmp_path)
    person = find_people(asked, "Generic", read_participants(asked))[0]
    assert person.candidate.contrast == "T2w"
    assert "template_slices" not in person.paths
    with pytest.raises(NoInputError, match="there are results in Generic, PAM50"):
        found(tmp_path, "Mine")


def test_who_has_no_lesions_counts_all_the_same(tmp_path: Path) -> None:
    leave(tmp_path, "sub-01_T1w", "PAM50", "cord_template", "coverage_template", "perlevel")
    (person,) = find_people(settings(tmp_path), "PAM50", read_participants(settings(tmp_path)))
    assert (person.lesion, person.candidate.missing) == (None, ())


def test_automatic_results_beside_manual_ones_don_t_count(tmp_path: Path) -> None:
    image = leave(tmp_path, "sub-01_T2w")
    auto = output_path(tmp_path, "lesion_template", image, auto=True)
    auto.touch()
    sidecar_path(auto).write_text("{}")
    (person,) = find_people(settings(tmp_path), "PAM50", read_participants(settings(tmp_path)))
    assert person.lesion == output_path(tmp_path, "lesion_template", image)


def test_who_is_asked_for_and_what_they_are_called(tmp_path: Path) -> None:
    leave(tmp_path, "sub-01_ses-a_T2w")
    leave(tmp_path, "sub-02_ses-b_T2w")
    assert list(found(tmp_path, participant_label=("02",))) == ["sub-02_ses-b"]
    assert list(found(tmp_path, session_label=("a",))) == ["sub-01_ses-a"]
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tgroup\n01\tMS\nsub-02\tn/a\n")
    asked = settings(tmp_path, cohort_column="group")
    people = find_people(asked, "PAM50", read_participants(asked))
    assert [p.candidate.cohort for p in people] == ["MS", "n/a"]
    with pytest.raises(UsageError, match="no column 'sex'"):
        found(tmp_path, person_column="sex")


def test_people_s_tables_come_together(tmp_path: Path) -> None:
    image = leave(tmp_path, "sub-01_T2w")
    leave(tmp_path, "sub-02_T2w")
    for name in ("FA", "MD"):
        path = output_path(tmp_path, "metric", image, name=name)
        pd.DataFrame([{"metric": name}]).to_csv(path, sep="\t", index=False)
    asked = settings(tmp_path)
    people = find_people(asked, "PAM50", read_participants(asked))
    gates = gather_tables(people, "qc", used={"sub-02"})
    assert gates is not None
    assert gates[["person_id", "used"]].to_numpy().tolist() == [["sub-01", False], ["sub-02", True]]
    metrics = gather_metrics(people)
    assert metrics is not None
    assert metrics[["person_id", "metric"]].to_numpy().tolist() == [
        ["sub-01", "FA"],
        ["sub-01", "MD"],
    ]
    assert gather_metrics(people[1:]) is None
    assert gather_tables([], "qc") is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"participant_id\nsub-01\t3"])
def test_a_table_of_people_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "participants.tsv").write_bytes(content)
    with pytest.raises(InputError, match=r"participants\.tsv can't be read as a table"):
        read_participants(settings(tmp_path))


def test_both_levels_read_the_same_rows(tmp_path: Path) -> None:
    asked = settings(tmp_path)
    rows = "participant_id\tsite\nsub-01\tM\xfcnchen\n\n02\nsub-01\tUlm\n"
    asked.bids_dir.mkdir(exist_ok=True)
    (asked.bids_dir / "participants.tsv").write_bytes(rows.encode("latin-1"))
    write_participants(asked, ["01", "02"])
    own = read_participants(asked).fillna("n/a").to_numpy().tolist()
    copied = pd.read_csv(asked.out_dir / "participants.tsv", sep="\t", keep_default_na=False)
    assert own == copied.to_numpy().tolist() == [["sub-01", "München"], ["sub-02", "n/a"]]


ROWS = "vertebral_level\tarea_mm2\nC3\t71.5\nC4\tn/a\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "No columns"),
        (ROWS.encode().replace(b"C3", b"\xe4"), "can't decode"),
        (ROWS.replace("71.5", "large").encode(), "its column area_mm2 holds words"),
        (ROWS.replace("area_mm2", "area").encode(), "it has no column area_mm2"),
        (ROWS.replace("C4", "C4\t1\t2").encode(), "Expected 2 fields"),
    ],
    ids=("empty", "latin-1", "words", "column", "ragged"),
)
def test_a_table_that_was_changed_since_is_refused(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "sub-01_morph.tsv"
    told = {"area_mm2": {"Units": "mm^2"}, "vertebral_level": {}, "Sources": []}
    sidecar_path(path).write_text(json.dumps(told))
    path.write_text(ROWS)
    assert read_output(path)["area_mm2"].tolist()[0] == 71.5
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as refused:
        read_output(path)
    assert str(path) in str(refused.value)
