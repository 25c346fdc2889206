"""Tables as people save them."""

import codecs
from pathlib import Path

import pytest

from spinalprep.bids.saved_tables import SavedTable, read_people, read_saved_table
from spinalprep.errors import InputError

PLAIN = "participant_id\tgroup\tnote\nsub-01\tMS\tMüller\nsub-02\tn/a\t\n"
ROWS = [
    {"participant_id": "sub-01", "group": "MS", "note": "Müller"},
    {"participant_id": "sub-02"},
]


def people(tmp_path: Path, content: bytes | str) -> SavedTable:
    path = tmp_path / "participants.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_people(path)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        codecs.BOM_UTF8 + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\n\n").encode(),
        PLAIN.replace("\n", "\t\t\n").encode(),
        PLAIN.replace("sub-", "").encode(),
        PLAIN.replace("sub-01", '"sub-01"').replace("group", '"group"').encode(),
        PLAIN.replace("participant_id", " Participant_ID ").encode(),
        PLAIN.replace("\t", " \t ").encode(),
    ],
)
def test_all_ways_to_save_a_table_are_read_alike(tmp_path: Path, content: bytes) -> None:
    table = people(tmp_path, content)
    assert [dict(row) for row in table.rows] == ROWS
    assert table.columns == ("participant_id", "group", "note")
    assert table.notes == ()


def test_another_encoding_is_read_and_said(tmp_path: Path) -> None:
    table = people(tmp_path, PLAIN.encode("latin-1"))
    assert [dict(row) for row in table.rows] == ROWS
    (note,) = table.notes
    assert "not in UTF-8" in note


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"\xff\xfe\x00", "no utf-16 text"),
        (b"participant_id\0\tage\n", "it is not text"),
        (b"participant_id,age\nsub-01,3\n", "separated by commas; expected tabs"),
        (b"age\n3\n", "no column participant_id"),
        (b"participant_id\tage\tage\n", "two columns age"),
        (b"participant_id\t\tage\n", "column 2 has no name"),
        (b"participant_id\tage\nsub-01\t3\nsub-02\t4\tMS\n", "line 3 has 3 cells and the header 2"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=r"participants\.tsv can't be read as a table") as caught:
        people(tmp_path, content)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_odd_rows_are_said_with_their_lines(tmp_path: Path) -> None:
    text = "participant_id\tage\n01\t3\n\n02\n\t5\nsub-01\t4\n"
    table = people(tmp_path, text)
    assert [dict(row) for row in table.rows] == [
        {"participant_id": "sub-01", "age": "3"},
        {"participant_id": "sub-02"},
    ]
    short, nobody, double = table.notes
    assert "line 4: 1 cells for 2 columns" in short
    assert "line 5: no participant_id" in nobody
    assert "line 6: sub-01 is already in line 2" in double


def test_a_folder_or_nothing_is_no_table(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.tsv"):
        with pytest.raises(InputError, match="can't be read as a table"):
            read_saved_table(path)
