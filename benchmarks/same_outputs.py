"""Whether two output folders hold the same: ``python benchmarks/same_outputs.py A B [--html]``.

Images are compared by what a reader gets (voxels bit by bit, type, affine), tables, sidecars and
other text by their lines. What is bound to a run is left out by name: absolute paths, times, run
names, the version in ``GeneratedBy``, the columns of ``status.tsv`` that measure, and the folders
of logs. Prints what differs, and exits with 1 where something does.
"""

import argparse
import csv
import difflib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

FOLDERS = {"log", ".spinalprep-tmp"}  # of runs, and of files that are being written
NAMES = {"CHANGES", ".status.lock", "resources.tsv"}
MEASURED = {"wall_s", "peak_mib", "cache_hits"}
TEXTS = {".json", ".tsv", ".txt", ".md", ".bib", ".html", ".yml", ".toml", ""}
SCRUBBED = (
    (re.compile(r"(?:file://|(?<![\w.:/<]))/[\w.+@~%-]+(?:/[\w.+@~%-]+)+/?"), "<path>"),
    (re.compile(r"\b\d{8}-\d{6}_[0-9a-f]{8}\b"), "<run>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\bspinalprep \d[\w.+]*\w"), "spinalprep <version>"),
)


def files_of(folder: Path, html: bool) -> set[Path]:
    """Return the files that count, relative to the folder."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path
        for path in found
        if not FOLDERS & set(path.parts[:-1])
        and path.name not in NAMES
        and (html or path.suffix != ".html")
    }


def differences(a: Path, b: Path, html: bool = False) -> Iterator[str]:
    """Yield a line, or a few, for every file that is not the same in both folders.

    Parameters
    ----------
    a, b : Path
        Output folders, or any two trees.
    html : bool
        Look at the reports too.
    """
    ours, theirs = files_of(a, html), files_of(b, html)
    yield from (f"only in {a}: {path}" for path in sorted(ours - theirs))
    yield from (f"only in {b}: {path}" for path in sorted(theirs - ours))
    for path in sorted(ours & theirs):
        yield from (f"{path}: {line}" for line in unlike(a / path, b / path))


def unlike(one: Path, other: Path) -> list[str]:
    """Return in which way two files of the same name differ."""
    if one.read_bytes() == other.read_bytes():
        return []
    if one.name.endswith((".nii", ".nii.gz")):
        return _unlike_images(one, other)
    if one.suffix in TEXTS:
        try:
            lines = [readable(path).splitlines() for path in (one, other)]
        except UnicodeDecodeError:
            return ["bytes differ"]
        changed = list(difflib.unified_diff(*lines, "", "", lineterm="", n=0))[2:]
        return [line[:300] for line in changed if not line.startswith("@@")]
    return ["bytes differ"]


def _unlike_images(one: Path, other: Path) -> list[str]:
    try:
        a, b = nib.load(one), nib.load(other)
        x, y = np.asanyarray(a.dataobj), np.asanyarray(b.dataobj)
    except (OSError, EOFError, ImageFileError) as error:
        return [f"can't be read: {error}"]
    told = []
    for what, p, q in (
        ("type", a.get_data_dtype(), b.get_data_dtype()),
        ("shape", x.shape, y.shape),
        ("codes", _codes(a.header), _codes(b.header)),
    ):
        if p != q:
            told.append(f"{what} {p}, {q}")
    if not np.array_equal(a.affine, b.affine):
        told.append(f"affine differs by up to {np.abs(a.affine - b.affine).max():g}")
    if x.shape == y.shape:
        x, y = x.astype(float), y.astype(float)  # holds every type that is written
        apart = (x != y) & ~(np.isnan(x) & np.isnan(y))
        if apart.any():
            most = np.nanmax(np.abs(x - y)[apart], initial=0)
            told.append(f"{apart.sum()} of {x.size} voxels differ, by up to {most:g}")
    return told


def _codes(header: Any) -> tuple[int, ...]:
    return tuple(int(header[name]) for name in ("qform_code", "sform_code", "intent_code"))


def readable(path: Path) -> str:
    """Return a text without what is bound to a run."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        text = json.dumps(_without_versions(json.loads(text)), indent=1)
    elif path.name.endswith("status.tsv"):
        text = _without_columns(text, MEASURED)
    for pattern, word in SCRUBBED:
        text = pattern.sub(word, text)
    return text


def _without_versions(value: Any) -> Any:
    """Leave out the versions and containers below any ``GeneratedBy``."""
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_versions(item) for key, item in value.items()}
    if isinstance(kept.get("GeneratedBy"), list):
        bound = {"Version", "Container"}
        kept["GeneratedBy"] = [
            {key: item for key, item in made.items() if key not in bound}
            for made in kept["GeneratedBy"]
        ]
    return kept


def _without_columns(text: str, names: set[str]) -> str:
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    kept = [n for n, name in enumerate(rows[0] if rows else []) if name not in names]
    return "\n".join("\t".join(row[n] for n in kept) for row in rows)


def main() -> int:
    """Print what differs, and how many files were compared."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--html", action="store_true", help="look at the reports too")
    given = parser.parse_args()
    for folder in (given.a, given.b):
        if not folder.is_dir() or not files_of(folder, given.html):
            parser.error(f"{folder} is no folder with files")
    told = list(differences(given.a, given.b, given.html))
    common = files_of(given.a, given.html) & files_of(given.b, given.html)
    for line in told:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(common)} files in both; {'not ' if told else ''}the same\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
