"""Largest differences between the results of two versions, by kind of output.

python benchmarks/compare_runs.py OUT_A OUT_B

OUT_A and OUT_B are output folders of the same participants; `spinalprep-tools verify` says whether
they are the same at all. Masks are compared by the voxels that differ, as a share of those of the
larger one; transforms by how far they move the voxels of the cord apart; other images by their
voxels, and areas, tables and gates by their numbers. Files that only one folder has are listed.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import load, to_world
from spinalprep.image.gzipped import read_volume
from spinalprep.registration.transform import read_itk
from spinalprep.tables import read_table

MOST_POINTS = 20_000  # of the cord, at which transforms are compared


@dataclass(frozen=True)
class Difference:
    """How much one output differs, in the unit of its kind."""

    kind: str
    path: Path
    amount: float
    unit: str


def compare(a: Path, b: Path) -> Iterator[Difference]:
    """Yield the differences of all outputs that both folders have."""
    for path in sorted(_files(a) & _files(b)):
        name = path.name
        if name.endswith("_xfm.nii.gz") or (name.endswith(".txt") and "_xfm" in name):
            yield Difference("transform", path, _apart(a, b, path), "mm")
        elif name.endswith(("_mask.nii.gz", "_dseg.nii.gz")):
            yield Difference("mask", path, _unlike_voxels(a / path, b / path), "of its voxels")
        elif name.endswith(".nii.gz"):
            kind = "probability" if "probseg" in name else "image"
            yield Difference(kind, path, _largest(a / path, b / path), "")
        elif name.endswith(".tsv"):
            yield from _columns(a, b, path)


def _files(folder: Path) -> set[Path]:
    """Return images, transforms and tables of the participants, relative to the folder."""
    found = (path for path in folder.glob("sub-*/**/*") if path.suffix in (".gz", ".tsv", ".txt"))
    return {path.relative_to(folder) for path in found if "log" not in path.parts}


def _voxels(path: Path) -> NDArray[np.float32]:
    """Return the voxels of an image of three or four dimensions."""
    return np.asarray(read_volume(path).dataobj, np.float32)


def _unlike_voxels(one: Path, other: Path) -> float:
    """Return the share of the larger mask whose voxels differ."""
    a, b = _voxels(one), _voxels(other)
    if a.shape != b.shape:
        return float("inf")
    return float(np.count_nonzero(a != b) / max(np.count_nonzero(a), np.count_nonzero(b), 1))


def _largest(one: Path, other: Path) -> float:
    """Return the largest difference of a voxel, as a share of the largest value."""
    a, b = _voxels(one), _voxels(other)
    if a.shape != b.shape:
        return float("inf")
    return float(np.nanmax(np.abs(a - b)) / max(float(np.nanmax(np.abs(a))), 1e-12))


def _apart(a: Path, b: Path, path: Path) -> float:
    """Return how far two transforms take a voxel of the cord apart at most, in mm.

    Without bound where they differ and there is no mask of the cord to tell how far.
    """
    if (a / path).read_bytes() == (b / path).read_bytes():
        return 0.0
    source = re.search(r"from-(\w+)_to-(\w+)_", path.name)
    space = source.group(2) if source else ""  # resampling goes from the target to the source
    points = _cord_points((a / path).parent, space)
    if not len(points):
        return float("inf")
    one, other = (read_itk(folder / path).apply(points) for folder in (a, b))
    return float(np.linalg.norm(one - other, axis=1).max(initial=0.0))


def _cord_points(folder: Path, space: str) -> NDArray[np.float64]:
    """Return the voxels of the cord in a space, in RAS+ mm."""
    for path in sorted(folder.glob(f"*space-{space}*_label-SC_mask.nii.gz")):
        mask = load(path)
        points = to_world(np.argwhere(mask.data > 0), mask.affine)
        return np.asarray(points[:: max(1, len(points) // MOST_POINTS)], np.float64)
    return np.zeros((0, 3))


def _columns(a: Path, b: Path, path: Path) -> Iterator[Difference]:
    """Yield the largest relative difference of each numeric column of a table."""
    one, other = read_table(a / path), read_table(b / path)
    if list(one) != list(other) or len(one) != len(other):
        yield Difference("table", path, float("inf"), "(other rows or columns)")
        return
    for column in one.select_dtypes("number"):
        x, y = (table[column].to_numpy(np.float64) for table in (one, other))
        scale = np.maximum(np.maximum(np.abs(x), np.abs(y)), 1e-12)
        apart = np.where(np.isnan(x) & np.isnan(y), 0.0, np.abs(x - y) / scale)
        kind = "area" if str(column).startswith("area") else "number"
        worst = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
        yield Difference(kind, path, worst, f"relative, {column}")


def main() -> int:
    """Print the largest difference of every kind; return 1 where a file has no counterpart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    given = parser.parse_args()
    found = list(compare(given.a, given.b))
    for kind in sorted({one.kind for one in found}):
        these = [one for one in found if one.kind == kind]
        worst = max(these, key=lambda one: one.amount)
        same = sum(one.amount == 0 for one in these)
        where = f"; most in {worst.path.name}" if worst.amount else ""
        sys.stdout.write(
            f"{kind:12} {same} of {len(these)} the same, largest difference {worst.amount:.2g} "
            f"{worst.unit}{where}\n"
        )
    alone = _files(given.a) ^ _files(given.b)
    sys.stdout.writelines(f"only in one: {path}\n" for path in sorted(alone))
    return 1 if alone else 0


if __name__ == "__main__":
    sys.exit(main())
