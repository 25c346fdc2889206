"""The pybids index of the anatomical images, built small and kept on request."""

import json
import logging
import os
import re
import shutil
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from spinalprep.bids.names import CONTRASTS, is_label

INDEX_FOLDER = "spinalprep-1"  # inside --bids-database-dir; the number changes with the content
STAMP = "stamp.json"
MADE = re.compile(r"_(?:space|desc|label|seg|atlas|from)-")  # no raw image

_log = logging.getLogger("spinalprep")


def participants(bids_dir: Path) -> tuple[str, ...]:
    """Return the labels of the ``sub-`` folders, in order; without `nameless`."""
    return tuple(label for label in _folders(bids_dir) if is_label(label))


def nameless(bids_dir: Path) -> tuple[str, ...]:
    """Return the ``sub-`` folders whose names hold more than letters and digits, in order."""
    return tuple(f"sub-{label}" for label in _folders(bids_dir) if not is_label(label))


def alike(labels: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of labels that differ only in capitals.

    Examples
    --------
    >>> alike(["01", "A", "a"])
    (('A', 'a'),)
    """
    first: dict[str, str] = {}
    pairs = ((first.setdefault(label.lower(), label), label) for label in labels)
    return tuple((one, other) for one, other in pairs if one != other)


def _folders(bids_dir: Path) -> list[str]:
    with os.scandir(bids_dir) as entries:
        names = [entry.name for entry in entries if entry.name.startswith("sub-")]
    return sorted(n.removeprefix("sub-") for n in names if (bids_dir / n).is_dir())


def open_index(
    bids_dir: Path, labels: Sequence[str] | None = None, database_dir: Path | None = None
) -> Any:
    """Return a pybids layout that knows the anatomical images and nothing else.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    labels : sequence of str or None
        Participants to read; None reads all. Ignored when the index is kept, so that one kept
        index answers every question.
    database_dir : Path or None
        Where the index is kept. It is made anew when a folder of images has changed since.

    Notes
    -----
    pybids spends its time on every file that it is shown (0.7 ms each), so folders and files
    that can't be inputs are ignored before it looks inside them; metadata is not indexed.
    """
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    indexer = BIDSLayoutIndexer(
        validate=False,
        index_metadata=False,
        ignore=_ignored(labels if not database_dir else None),
        config_filename=uuid.uuid4().hex,  # what names mean is not the dataset's to say
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pybids's own libraries, of no use to a user
        if database_dir is None:
            return BIDSLayout(bids_dir, validate=False, indexer=indexer)
        kept = database_dir / INDEX_FOLDER
        stamp = _stamp(bids_dir)
        fresh = _is_fresh(kept, stamp)
        if not fresh:
            shutil.rmtree(kept, ignore_errors=True)
        layout = BIDSLayout(bids_dir, validate=False, indexer=indexer, database_path=kept)
        if not fresh:
            (kept / STAMP).write_text(json.dumps(stamp))
        _log.debug("index %s: %s", kept, "read" if fresh else "made")
        return layout


def anat_folders(bids_dir: Path, label: str) -> Iterator[Path]:
    """Yield the folders of a participant's anatomical images."""
    subject = bids_dir / f"sub-{label}"
    try:
        with os.scandir(subject) as entries:
            names = sorted(entry.name for entry in entries)
    except FileNotFoundError:  # removed since it was listed
        return
    for name in names:
        folder = subject / name if name == "anat" else subject / name / "anat"
        if (name == "anat" or name.startswith("ses-")) and folder.is_dir():
            yield folder


def _ignored(labels: Sequence[str] | None) -> list[re.Pattern[str]]:
    """Return patterns of what is not read, matched against ``/sub-01/anat/...``."""
    some = "|".join(map(re.escape, labels or ()))
    wanted = f"sub-(?:{some})" if labels else r"sub-[^/]+"
    image = rf".*_(?:{'|'.join(CONTRASTS)})\.nii(?:\.gz)?$"
    return [
        re.compile(rf"^/(?!{wanted}(?:/|$))"),
        re.compile(r"^/sub-[^/]+/(?!ses-[^/]+(?:/|$)|anat(?:/|$))"),
        re.compile(r"^/sub-[^/]+/ses-[^/]+/(?!anat(?:/|$))"),
        re.compile(rf"/anat/(?!{image})"),
        re.compile(rf"/anat/.*{MADE.pattern}"),
        re.compile(r"[\ud800-\udfff]"),  # bytes that are no UTF-8, which SQLite can't keep
    ]


def _stamp(bids_dir: Path) -> dict[str, Any]:
    """Return what changes when an image is added or removed: the times of the anat folders."""
    folders = {
        str(folder.relative_to(bids_dir)): folder.stat().st_mtime_ns
        for label in participants(bids_dir)
        for folder in anat_folders(bids_dir, label)
    }
    return {"root": str(bids_dir), "folders": folders}


def _is_fresh(kept: Path, stamp: dict[str, Any]) -> bool:
    """Tell whether the kept index describes the dataset as it is."""
    try:
        return bool(json.loads((kept / STAMP).read_text()) == stamp)
    except (OSError, ValueError):
        return False
