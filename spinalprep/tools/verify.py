"""The helper that compares two output folders, or reads a whole cache.

Images are compared by what a reader gets (voxels, type, affine), tables, sidecars and other text by
their lines. What is bound to a run is left out by name: absolute paths, times, run names, the
version in ``GeneratedBy``, the ``Device`` of networks, the columns of ``status.tsv`` that measure,
and the folders of logs.
"""

import csv
import difflib
import io
import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from spinalprep.engine.cache_repair import damaged_entries
from spinalprep.errors import DifferenceError, UsageError
from spinalprep.streams import say

FOLDERS = {"log", ".spinalprep-tmp"}  # of runs, and of files that are being written
NAMES = {"CHANGES", ".status.lock", ".status.missed", "resources.tsv"}
MEASURED = {"wall_s", "peak_mib", "cache_hits"}
TEXTS = {".json", ".tsv", ".txt", ".md", ".bib", ".html", ".yml", ".toml", ""}
SCRUBBED = (
    (re.compile(r"(?:file://|(?<![\w.:/<]))/[\w.+@~%-]+(?:/[\w.+@~%-]+)+/?"), "<path>"),
    (re.compile(r"\b\d{8}-\d{6}_[0-9a-f]{8}\b"), "<run>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\bspinalprep \d[\w.+]*\w"), "spinalprep <version>"),
)


NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Tolerance:
    """What still counts as the same.

    Attributes
    ----------
    voxel : float
        Difference of a voxel.
    voxels : int
        Number of voxels of an image that may differ by more than that.
    number : float
        Difference of a number in a text, relative to the larger one.
    """

    voxel: float = 0.0
    voxels: int = 0
    number: float = 0.0


EXACT = Tolerance()


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


def differences(
    a: Path, b: Path, html: bool = False, tolerance: Tolerance = EXACT
) -> Iterator[str]:
    """Yield a line, or a few, for every file that is not the same in both folders.

    Parameters
    ----------
    a, b : Path
        Output folders, or any two trees.
    html : bool
        Look at the reports too.
    tolerance : Tolerance
        Nothing by default.
    """
    ours, theirs = files_of(a, html), files_of(b, html)
    yield from (f"only in {a}: {path}" for path in sorted(ours - theirs))
    yield from (f"only in {b}: {path}" for path in sorted(theirs - ours))
    for path in sorted(ours & theirs):
        yield from (f"{path}: {line}" for line in unlike(a / path, b / path, tolerance))


def unlike(one: Path, other: Path, tolerance: Tolerance = EXACT) -> list[str]:
    """Return in which way two files of the same name differ."""
    if one.read_bytes() == other.read_bytes():
        return []
    if one.name.endswith((".nii", ".nii.gz")):
        return _unlike_images(one, other, tolerance)
    if one.suffix in TEXTS:
        try:
            ours, theirs = readable(one).splitlines(), readable(other).splitlines()
        except UnicodeDecodeError:
            return ["bytes differ"]
        numbers = _unlike_numbers(ours, theirs, tolerance.number)
        if numbers == "":
            return []
        changed = list(difflib.unified_diff(ours, theirs, "", "", lineterm="", n=0))[2:]
        shown = [line[:300] for line in changed if not line.startswith("@@")]
        return [*([numbers] if numbers else []), *shown]
    return ["bytes differ"]


def _unlike_numbers(one: list[str], other: list[str], tolerance: float) -> str | None:
    """Say how far the numbers of two texts are apart; None where more than numbers differs.

    Empty where none is farther apart than the tolerance.
    """
    texts = ["\n".join(lines) for lines in (one, other)]
    words = [NUMBER.split(text) for text in texts]
    if words[0] != words[1]:
        return None
    a, b = (np.array([float(n) for n in NUMBER.findall(text)]) for text in texts)
    apart = np.abs(np.subtract(a, b, out=np.zeros_like(a), where=a != b))  # 1e999 is infinite
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)
    share = np.divide(apart, size, out=np.ones_like(apart), where=np.isfinite(apart))
    count = int((share > tolerance).sum())
    if not count:
        return ""
    return f"{count} of {a.size} numbers differ, by up to {apart.max():g} ({share.max():.2%})"


def _unlike_images(one: Path, other: Path, tolerance: Tolerance) -> list[str]:
    try:
        a, b = _volume(one), _volume(other)
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
        unequal = (x != y) & ~(np.isnan(x) & np.isnan(y))  # equal infinities have no difference
        distance = np.abs(x[unequal] - y[unequal])
        apart = ~(distance <= tolerance.voxel)  # NaN against a number is apart
        if apart.sum() > tolerance.voxels:
            most = np.nanmax(distance[apart], initial=0)
            told.append(f"{apart.sum()} of {x.size} voxels differ, by up to {most:g}")
    return told


def _volume(path: Path) -> Any:
    return nib.loadsave.load(path)


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
    """Leave out devices, and the versions and containers below any ``GeneratedBy``."""
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_versions(item) for key, item in value.items() if key != "Device"}
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


def add_verify_options(sub: ArgumentParser) -> None:
    """Add the arguments of ``verify``."""
    sub.add_argument("folders", nargs="*", type=Path, metavar="A B", help="two output folders")
    sub.add_argument("--html", action="store_true", help="compare the reports too")
    sub.add_argument(
        "--voxel-tolerance", type=float, default=0.0, metavar="X", help="of a voxel (default: 0)"
    )
    sub.add_argument(
        "--voxels",
        type=int,
        default=0,
        metavar="N",
        help="voxels of an image that may differ by more (default: 0)",
    )
    sub.add_argument(
        "--number-tolerance",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="relative, of numbers in tables and sidecars (default: 0)",
    )
    sub.add_argument(
        "--cache",
        type=Path,
        metavar="WORK_DIR",
        help="instead: read every cached file and compare it with its checksum",
    )


def verify(given: Namespace) -> None:
    """Print what differs, or what is damaged.

    Raises
    ------
    DifferenceError
        If something does.
    UsageError
        If a folder has no files, or not two are given.
    """
    if given.cache is not None:
        _verify_cache(given.cache)
        return
    if len(given.folders) != 2:
        raise UsageError("verify: expected two output folders, or --cache WORK_DIR")
    a, b = given.folders
    for folder in given.folders:
        if not folder.is_dir() or not files_of(folder, given.html):
            raise UsageError(f"{folder} is no folder with files")
    tolerance = Tolerance(given.voxel_tolerance, given.voxels, given.number_tolerance)
    told = list(differences(a, b, given.html, tolerance))
    common = files_of(a, given.html) & files_of(b, given.html)
    for line in told:
        say(line)
    if told:
        raise DifferenceError(f"{len(common)} files are in both folders; not all are the same")
    say(f"{len(common)} files are in both folders, and the same")


def _verify_cache(work_dir: Path) -> None:
    if not work_dir.is_dir():
        raise UsageError(f"{work_dir} is not a folder")
    bad, count = 0, 0
    for entry, why in damaged_entries(work_dir):
        count += 1
        if why:
            bad += 1
            say(f"{entry}: {why}")
    if bad:
        raise DifferenceError(
            f"{bad} of {count} cached results are damaged; delete these folders, and the same "
            "command computes them again"
        )
    say(f"{count} cached results are whole")
