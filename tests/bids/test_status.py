"""Status: one row per participant and session, whoever writes at the same time."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from filelock import FileLock

from spinalprep.bids import status
from spinalprep.bids.status import (
    COLUMNS,
    Status,
    read_status,
    rebuild_status,
    status_path,
    write_own_status,
    write_status,
)
from spinalprep.errors import DefectError


def test_rows_of_others_survive(tmp_path: Path) -> None:
    write_status(tmp_path, Status("sub-02", wall_s=12.34, peak_mib=100.0, cache_hits=3))
    failed = Status(
        "sub-01", "ses-1", "failed", "SegmentCord", "input: no cord\tfound\nin it", 1.0, None, 0
    )
    write_status(tmp_path, failed)
    lines = (tmp_path / "status.tsv").read_text().splitlines()
    assert lines == [
        "participant_id\tsession_id\tstate\tfailed_node\treason\twall_s\tpeak_mib\tcache_hits",
        "sub-01\tses-1\tfailed\tSegmentCord\tinput: no cord found in it\t1.0\tn/a\t0",
        "sub-02\tn/a\tfinished\tn/a\tn/a\t12.3\t100.0\t3",
    ]
    write_status(tmp_path, Status("sub-01", "ses-1", wall_s=2.0))
    assert [row.state for row in read_status(tmp_path)] == ["finished", "finished"]
    assert (tmp_path / "status.json").is_file()


def test_in_a_large_cohort_only_what_is_new_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "FEW", 3)
    for number in range(5):
        write_status(tmp_path, Status(f"sub-{number}", wall_s=float(number)))
    write_own_status(tmp_path, Status("sub-5", "ses-1"))  # its job was killed before the table
    (tmp_path / "sub-6").mkdir()  # at work
    (tmp_path / "sub-3.html").touch()
    shutil.rmtree(tmp_path / "sub-4")
    read, original = [], status._read
    monkeypatch.setattr(status, "_read", lambda path: read.append(path.name) or original(path))
    write_status(tmp_path, Status("sub-0", state="failed", reason="input: no cord"))
    assert read == ["status.tsv", "sub-0_status.tsv", "sub-5_ses-1_status.tsv"]
    merged = (tmp_path / "status.tsv").read_text()
    assert [row.participant_id for row in read_status(tmp_path)] == [
        f"sub-{number}" for number in (0, 1, 2, 3, 5)
    ]
    rebuild_status(tmp_path)
    assert (tmp_path / "status.tsv").read_text() == merged


def test_a_job_that_waits_too_long_leaves_its_row_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(status, "FEW", 0)
    monkeypatch.setattr(status, "LOCK_TIMEOUT_S", 0.1)
    for name in ("sub-1", "sub-2"):
        write_status(tmp_path, Status(name))
    with FileLock(tmp_path / "logs" / ".status.lock"):
        write_status(tmp_path, Status("sub-1", state="failed", reason="input: no cord"))
    assert "has been locked for 0 s" in caplog.text
    assert [row.state for row in read_status(tmp_path)] == ["finished", "finished"]
    write_status(tmp_path, Status("sub-2"))
    assert [row.state for row in read_status(tmp_path)] == ["failed", "finished"]


def test_a_broken_file_loses_only_its_own_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_status(tmp_path, Status("sub-01"))
    status_path(tmp_path, "sub-01").write_text("what\nis this\n")
    write_status(tmp_path, Status("sub-02"))
    assert [row.participant_id for row in read_status(tmp_path)] == ["sub-02"]
    assert "not included in status.tsv" in caplog.text


@pytest.mark.parametrize("row", [Status("sub-01", state="done"), Status("sub-01", reason="oh")])
def test_words_outside_the_contract_are_our_defect(tmp_path: Path, row: Status) -> None:
    with pytest.raises(DefectError, match="expected"):
        write_status(tmp_path, row)


def test_two_processes_lose_no_row(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from spinalprep.bids.status import Status, write_status
        for number in range(15):
            write_status(Path(sys.argv[1]), Status(f"sub-{sys.argv[2]}{number:02d}", wall_s=1.0))
        """
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), letter]) for letter in "ab"
    ]
    assert [job.wait(60) for job in jobs] == [0, 0]
    rows = [row.participant_id for row in read_status(tmp_path)]
    assert rows == [f"sub-{letter}{number:02d}" for letter in "ab" for number in range(15)]
    assert len(COLUMNS) == 8
