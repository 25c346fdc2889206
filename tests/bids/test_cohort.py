"""Who counts at the group level, and whether people can be compared."""

from pathlib import Path

import pytest

from spinalprep.bids.cohort import Candidate, choose_people, decision_table, read_exclusions
from spinalprep.bids.consistency import Origin, find_differences
from spinalprep.errors import UsageError


def candidate(name: str, **more: object) -> Candidate:
    given: dict[str, object] = {"person_id": f"sub-{name}", "level_source": "manual", **more}
    return Candidate(f"sub-{name}", "n/a", "n/a", "T2w", **given)  # type: ignore[arg-type]


def test_every_reason_to_leave_somebody_out() -> None:
    people = [
        candidate("08", person_id="A"),
        candidate("07", person_id="A"),
        candidate("01"),
        candidate("02", state="failed"),
        candidate("03", failed_gates=("components", "area_jump")),
        candidate("04", level_source="unknown"),
        candidate("05", missing=("x.nii.gz",)),
        candidate("06"),
    ]
    decisions = choose_people(people, {"sub-06"})
    told = {d.candidate.participant_id: d.reason for d in decisions}
    assert [d.candidate.participant_id for d in decisions if d.used] == ["sub-01", "sub-07"]
    assert told == {
        "sub-01": "n/a",
        "sub-02": "the participant level did not finish (failed)",
        "sub-03": "quality gate FAIL: components, area_jump",
        "sub-04": "vertebral levels are unknown",
        "sub-05": "missing: x.nii.gz",
        "sub-06": "excluded by --exclude-yml",
        "sub-07": "n/a",
        "sub-08": "another image of the same person is included (sub-07)",
    }


def test_the_first_usable_image_of_a_person_counts() -> None:
    runs = [
        Candidate("sub-1", "ses-1", run, "T2w", "x", level_source=source)
        for run, source in (("1", "unknown"), ("2", "manual"), ("3", "manual"))
    ]
    used = [d.candidate.name for d in choose_people(runs) if d.used]
    assert used == ["sub-1_ses-1_run-2"]


def test_differences_are_named_with_their_people() -> None:
    same = [Origin(f"sub-{n}", "1.0", "PAM50#a", {"cord": "f" * 64}, {"n4": True}) for n in "abc"]
    assert find_differences(same) == []
    drawn = Origin("sub-d", "1.0", "PAM50#a", {}, {"n4": True})  # masks drawn by hand
    assert find_differences([*same, drawn]) == []
    other = Origin("sub-e", "1.1", "PAM50#a", {"cord": "0" * 64}, {"n4": False})
    lines = find_differences([*same, other])
    assert lines[0] == "version: 1.0 in 3 participants, but 1.1 in sub-e"
    assert [line.partition(":")[0] for line in lines] == ["version", "model cord", "parameter n4"]


def test_pieces_of_a_person_have_names_of_their_own() -> None:
    parts = [candidate("1", chunk=n, person_id="x") for n in ("1", "2")]
    assert [part.name for part in parts] == ["sub-1_chunk-1", "sub-1_chunk-2"]
    table = decision_table(choose_people(parts))
    assert table["used"].to_dict() == {"sub-1_chunk-1": True, "sub-1_chunk-2": False}
    assert table["reason_left_out"].iloc[1].endswith("(sub-1_chunk-1)")


def test_marks_of_a_report_exclude_who_failed(tmp_path: Path) -> None:
    marks = tmp_path / "marks.yml"
    marks.write_text(
        "sub-1: {cord: pass, levels: {c: fail}}\nsub-2: {cord: artifact}\nsub-3: fail\n"
    )
    assert read_exclusions(marks) == {"sub-1", "sub-3"}
    marks.write_text("[sub-4, sub-5_ses-1]")
    assert read_exclusions(marks) == {"sub-4", "sub-5_ses-1"}
    assert read_exclusions(None) == frozenset()
    for text in ("{a: [", "word"):
        marks.write_text(text)
        with pytest.raises(UsageError, match="--exclude-yml"):
            read_exclusions(marks)
