"""Copies of one processed participant, to time a run in which nothing has changed.

python benchmarks/many_people.py BIDS_DIR LABEL WORK COPIES NEW_BIDS

LABEL, of two letters or digits, has been processed with the work folder WORK; the copies' labels
are as long, so that the paths inside cached results can be replaced. Files are linked, not copied.
Afterwards run `spinalprep NEW_BIDS OUT participant -w WORK` with the same options, with or without
`--dry-run`.
"""

import argparse
import json
import os
import shutil
from dataclasses import asdict
from itertools import product
from pathlib import Path
from string import ascii_lowercase, digits

from spinalprep.engine.record import RECORD, Stamp, stamp


def main() -> None:
    """Make the dataset and its cache."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bids", type=Path)
    parser.add_argument("label")
    parser.add_argument("work", type=Path)
    parser.add_argument("copies", type=int)
    parser.add_argument("new_bids", type=Path)
    given = parser.parse_args()
    if len(given.label) != 2:
        parser.error("LABEL must have two letters or digits")
    given.new_bids.mkdir(parents=True)
    shutil.copy(given.bids / "dataset_description.json", given.new_bids)
    labels = ["".join(pair) for pair in product(ascii_lowercase, ascii_lowercase + digits)]
    for label in labels[: given.copies]:
        for folder in (f"sub-{given.label}", f"derivatives/labels/sub-{given.label}"):
            _copy_images(given.bids / folder, given.new_bids, given.label, label)
        _copy_cache(given.work.resolve() / "cache-1", given.label, label)


def _copy_images(folder: Path, new_bids: Path, old: str, new: str) -> None:
    """Link the files of a participant under another label."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            there = str(path).removeprefix(f"{folder}{os.sep}").replace(f"sub-{old}", f"sub-{new}")
            base = "" if folder.parent.name != "labels" else "derivatives/labels"
            target = new_bids / base / f"sub-{new}" / there
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path.resolve(), target)


def _copy_cache(cache: Path, old: str, new: str) -> None:
    """Link the results of a participant under another label, with their paths replaced."""
    source, target = cache / f"sub-{old}", cache / f"sub-{new}"
    for path in sorted(source.rglob("*")):
        there = target / str(path.relative_to(source)).replace(f"sub-{old}", f"sub-{new}")
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".pklz" or path.name == RECORD:
            content = path.read_bytes()
            there.write_bytes(content.replace(f"sub-{old}".encode(), f"sub-{new}".encode()))
        elif path.is_file():
            os.link(path, there)
    for path in target.rglob(RECORD):
        record = json.loads(path.read_text())
        record["files"] = {
            name: asdict(_stamp(Path(name), Stamp(**s))) for name, s in record["files"].items()
        }
        path.write_text(json.dumps(record))


def _stamp(path: Path, noted: Stamp) -> Stamp:
    """Return how a linked or rewritten file looks."""
    return noted if noted.fits(path) else stamp(path)


if __name__ == "__main__":
    main()
