"""Age and sex of a participant, for cohorts of any size."""

from pathlib import Path

import pytest

from spinalprep.bids import dataset
from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.saved_tables import read_people


def test_the_table_is_read_once_while_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, reads = tmp_path / "participants.tsv", []

    def read(path: Path) -> object:
        reads.append(path)
        return read_people(path)

    monkeypatch.setattr(dataset, "read_people", read)
    table.write_text("participant_id\tage\nsub-1\t30\nsub-2\t40\n")
    assert [age_and_sex(tmp_path, label)[0] for label in ("1", "2", "3")] == [30.0, 40.0, None]
    assert reads == [table]
    table.write_text("participant_id\tage\nsub-1\t30\nsub-2\t40\nsub-3\t5\n")
    assert age_and_sex(tmp_path, "3")[0] == 5.0
