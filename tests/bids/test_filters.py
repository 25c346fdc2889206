"""The file of ``--bids-filter-file``."""

from pathlib import Path

import pytest

from spinalprep.bids.filters import read_filters
from spinalprep.errors import UsageError


def test_no_file_is_no_filter() -> None:
    assert read_filters(None) == {}


def test_filters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text('{"t2w": {"acquisition": "sag", "run": null}}')
    assert read_filters(path) == {"t2w": {"acquisition": "sag", "run": None}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be read"),
        ("[]", "an object of objects"),
        ('{"t2w": 1}', "an object of objects"),
        ('{"bold": {}}', "unknown contrast bold"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_filters(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_filters(tmp_path / "none.json")
