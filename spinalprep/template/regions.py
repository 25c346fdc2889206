"""The regions of the template's atlas and how they are combined."""

import re
from pathlib import Path

from spinalprep.template.files import Template

LISTING = "info_label.txt"
_SINGLE, _COMBINED = "IndivLabels", "CombinedLabels"


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
