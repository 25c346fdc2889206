"""Which value of a label is the structure, where a table or a sidecar beside it says so."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from spinalprep.bids.names import image_stem
from spinalprep.bids.saved_json import read_object
from spinalprep.bids.saved_tables import read_saved_table
from spinalprep.errors import InputError

LONGEST = 10  # characters of a value: 32 bits; Python converts no more than 4300 digits
# what look-up tables call the structures, without blanks and signs
NAMES = {
    "cord": ("sc", "cord", "spinalcord"),
    "gm": ("gm", "graymatter", "greymatter", "spinalcordgraymatter", "spinalcordgreymatter"),
    "lesion": ("lesion", "lesions"),
}


def label_value(label: Path, role: str, given: Mapping[str, int] | None = None) -> int | None:
    """Return the value of a label that is its structure; None where nothing says so.

    Parameters
    ----------
    label : Path
        A NIfTI file. ``<its name>.tsv`` with the columns ``index`` and ``name`` is looked at,
        then ``LabelMap`` in ``<its name>.json``.
    role : str
        ``cord``, ``gm`` or ``lesion``; others have no names.
    given : mapping of str to int, optional
        What the user says of labels without such a table, by role (``--label-values``).
    """
    found = [int(n) for n, name in _entries(label) if _plain(name) in NAMES.get(role, ())]
    return found[0] if len(found) == 1 else (given or {}).get(role)


def _entries(label: Path) -> Iterator[tuple[str, str]]:
    """Yield values and names that tables beside a label give."""
    beside = label.with_name(image_stem(label))
    table, sidecar = (beside.with_name(f"{beside.name}{end}") for end in (".tsv", ".json"))
    given: list[tuple[str, str]] = []
    try:
        if table.is_file():
            read = read_saved_table(table)
            given = [(row.get("index", ""), row.get("name", "")) for row in read.rows]
        elif sidecar.is_file():
            content = read_object(sidecar)
            given = [(str(key), str(name)) for key, name in content.get("LabelMap", {}).items()]
    except (InputError, AttributeError):
        return  # of no use: the values speak for themselves, or are refused
    yield from ((v, name) for v, name in given if v.strip().isdecimal() and len(v) <= LONGEST)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
