"""The regions of the template's atlas and how they are combined."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinalprep.template.files import Template

LISTING = "info_label.txt"
_SINGLE, _COMBINED = "IndivLabels", "CombinedLabels"
FLUID = "CSF"  # of the atlas: no part of the cord
CORD = "cord"

# Names as in the atlas's own table of combined labels.
COLUMNS = {"dorsal columns": "dorsal", "lateral funiculi": "lateral", "ventral funiculi": "ventral"}
TISSUES = {"white matter": "white matter", "gray matter": "gray matter"}
SIDES = ("both", "left", "right")


@dataclass(frozen=True)
class Region:
    """A region across the cord.

    Attributes
    ----------
    kind : str
        ``cord``, ``column``, ``tissue`` or ``tract``. Columns and gray matter make up the cord,
        so do white and gray matter, so do the tracts.
    name : str
        ``dorsal``, ``gray matter``, or the tract's name in the atlas.
    side : str
        ``both``, ``left`` or ``right``.
    members : tuple of int
        Its regions of the atlas.
    """

    kind: str
    name: str
    side: str
    members: tuple[int, ...]


def list_regions(names: Sequence[str], combined: Mapping[str, Sequence[int]]) -> tuple[Region, ...]:
    """Return what is measured across the cord: cord, columns, tissues and tracts, by side.

    Parameters
    ----------
    names : sequence of str
        From `region_names`; ``left`` and ``right`` in a name say its side.
    combined : mapping of str to sequence of int
        From `combined_regions`.

    Examples
    --------
    >>> found = list_regions(["WM left x", "WM right x", "CSF contour"], {"white matter": (0, 1)})
    >>> [(r.kind, r.name, r.side, r.members) for r in found][3:6]
    [('tissue', 'white matter', 'both', (0, 1)), ('tissue', 'white matter', 'left', (0,)),
     ('tissue', 'white matter', 'right', (1,))]
    """
    solid = tuple(n for n, name in enumerate(names) if not name.startswith(FLUID))
    wide: list[tuple[str, str, Sequence[int]]] = [(CORD, CORD, solid)]
    for kind, wanted in (("column", COLUMNS), ("tissue", TISSUES)):
        wide += [
            (kind, short, combined[name]) for name, short in wanted.items() if name in combined
        ]
    found = []
    for kind, name, members in wide:
        kept = tuple(n for n in members if n in solid)
        parts = {"both": kept}
        parts |= {side: tuple(n for n in kept if _side(names[n]) == side) for side in SIDES[1:]}
        found += [Region(kind, name, side, part) for side, part in parts.items() if part]
    return (*found, *(Region("tract", names[n], _side(names[n]), (n,)) for n in solid))


def _side(name: str) -> str:
    """Return the side that a name says."""
    words = name.split()
    return next((side for side in SIDES[1:] if side in words), SIDES[0])


def region_names(template: Template) -> list[str]:
    """Return the name of every region of the atlas, in its order; file names where none is told."""
    told = {row[-1]: ", ".join(row[1:-1]) for row in _rows(template, _SINGLE) if len(row) >= 3}
    return [told.get(path.name, path.name.partition(".")[0]) for path in template.atlas]


def combined_regions(template: Template) -> dict[str, tuple[int, ...]]:
    """Return the regions that the atlas combines: name to indices of single regions.

    Empty where the atlas has no listing.
    """
    found = {}
    for row in _rows(template, _COMBINED):
        if len(row) == 3:
            indices = _indices(row[2])
            if indices and max(indices) < len(template.atlas):
                found[row[1]] = indices
    return found


def _rows(template: Template, section: str) -> list[list[str]]:
    """Return the rows of a section of the listing, split at commas."""
    path: Path | None = template.atlas[0].with_name(LISTING) if template.atlas else None
    if path is None or not path.is_file():
        return []
    rows, inside = [], False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        keyword = re.match(r"#\s*Keyword=(\w+)", line)
        if keyword:
            inside = keyword.group(1) == section
        elif inside and line[:1].isdigit():
            rows.append([part.strip() for part in line.split(",")])
    return rows


def _indices(text: str) -> tuple[int, ...]:
    """Read ``0:3`` or ``4:13`` (ends included), or single numbers.

    Examples
    --------
    >>> _indices("0:3")
    (0, 1, 2, 3)
    """
    found: list[int] = []
    for part in re.split(r"[;\s]+", text.strip()):
        first, colon, last = part.partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            return ()
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
