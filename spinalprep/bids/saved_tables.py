"""Tables as people save them: any encoding and line end, and what is wrong said by its line."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinalprep.errors import InputError

MISSING = "n/a"
LARGEST_BYTES = 50_000_000
_LINE_END = re.compile(r"\r\n|\r|\n")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class SavedTable:
    """A table of words.

    Attributes
    ----------
    columns : tuple of str
        Of the header, without blanks and quotes around them.
    rows : tuple of mapping of str to str
        By column; what is empty, ``n/a`` or left off at the end of a line is missing.
    lines : tuple of int
        The line of the file on which each row is, from 1.
    notes : tuple of str
        One line for each thing that was mended.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]
    notes: tuple[str, ...] = ()


def read_saved_table(path: Path) -> SavedTable:
    """Read a table of tabs that a person, or a program for spreadsheets, saved.

    Parameters
    ----------
    path : Path
        UTF-8 or UTF-16 (with or without a byte order mark), else Windows' Western European; line
        ends of any system; quotes around cells, blanks around them and empty lines are allowed.

    Raises
    ------
    InputError
        If it can't be read, is empty, has no tab but commas or semicolons, has a column twice, or
        has a row with more cells than the header: nobody knows which one is too much.
    """
    text, notes = _text(path)
    numbered = [(n, line) for n, line in enumerate(_LINE_END.split(text), 1) if line.strip()]
    if not numbered:
        raise _no_table(path, "it is empty")
    columns = tuple(_cells(numbered[0][1].rstrip("\t")))
    _check_header(path, columns)
    rows, lines = [], []
    for number, line in numbered[1:]:
        cells = _cells(line)
        while len(cells) > len(columns) and not cells[-1]:
            cells.pop()
        if len(cells) > len(columns):
            raise _no_table(
                path,
                f"line {number} has {len(cells)} cells and the header {len(columns)}; is a cell "
                "divided by a tab, or the name of a column missing?",
            )
        if len(cells) < len(columns):
            notes.append(
                f"{path}, line {number}: {len(cells)} cells for {len(columns)} columns; the last "
                f"are taken as {MISSING}"
            )
        pairs = zip(columns, cells, strict=False)
        rows.append({column: cell for column, cell in pairs if cell not in ("", MISSING)})
        lines.append(number)
    return SavedTable(columns, tuple(rows), tuple(lines), tuple(notes))


def read_people(path: Path) -> SavedTable:
    """Read ``participants.tsv``: a row per person, ids with ``sub-``.

    The column of ids may be written with other capitals. Of several rows of one id the first
    counts; rows without an id are left out. Both are said in the notes.

    Raises
    ------
    InputError
        As `read_saved_table`, and if there is no column ``participant_id``, or two in other
        capitals.
    """
    table = read_saved_table(path)
    headings = [c for c in table.columns if c.lower() == "participant_id"]
    if len(headings) != 1:
        raise _no_table(path, f"it has {'two columns' if headings else 'no column'} participant_id")
    (heading,) = headings
    columns = tuple("participant_id" if c == heading else c for c in table.columns)
    notes = list(table.notes)
    rows: dict[str, Mapping[str, str]] = {}
    lines: dict[str, int] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        given = row.get(heading)
        if given is None:
            notes.append(f"{path}, line {line}: no participant_id; the row is left out")
            continue
        name = given if given.startswith("sub-") else f"sub-{given}"
        if name in rows:
            notes.append(
                f"{path}, line {line}: {name} is already in line {lines[name]}; the first row "
                "counts"
            )
            continue
        rest = {key: value for key, value in row.items() if key != heading}
        rows[name], lines[name] = {"participant_id": name, **rest}, line
    return SavedTable(columns, tuple(rows.values()), tuple(lines.values()), tuple(notes))


def _text(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and what was odd about it."""
    if path.exists() and not path.is_file():  # a named pipe would be waited for
        raise _no_table(path, "it is not a file")
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST_BYTES else b""
    except OSError as error:
        raise _no_table(path, error.strerror or str(error)) from error
    if size > LARGEST_BYTES:
        raise _no_table(path, f"it has {size / 1e6:.0f} MB")
    coded = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    notes = []
    try:
        text = content.decode(coded)
    except UnicodeDecodeError as error:
        if coded != "utf-8":
            raise _no_table(path, f"it is no {coded} text") from error
        text = content.decode("cp1252", errors="replace")
        notes.append(f"{path} is not in UTF-8; it is read as Windows-1252")
    if "\0" in text:
        raise _no_table(path, "it is not text")
    return text, notes


def _cells(line: str) -> list[str]:
    """Return the cells of a line without what stands around their words."""
    return [_bare(cell.strip()) for cell in line.split("\t")]


def _bare(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"').strip() if quoted else cell


def _check_header(path: Path, columns: tuple[str, ...]) -> None:
    if len(columns) == 1 and any(mark in columns[0] for mark in ",;"):
        raise _no_table(path, "its columns are separated by commas; expected tabs")
    if "" in columns:
        raise _no_table(path, f"column {columns.index('') + 1} has no name")
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise _no_table(path, f"it has two columns {doubled[0]}")


def _no_table(path: Path, why: str) -> InputError:
    return InputError(f"{path} can't be read as a table: {why}")
