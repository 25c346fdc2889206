"""What of a dataset is not worked on although it looks like it: said, never silent."""

import logging
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from pathspec import GitIgnoreSpec

from spinalprep.bids.index import MADE, anat_folders
from spinalprep.bids.names import CONTRASTS, not_labels, parse_name, printable

IGNORE_FILE = ".bidsignore"
SHOWN = 5
_NIFTI = (".nii", ".nii.gz")
_OTHERS = (  # formats of images that scanners and other programs write
    *(".img", ".mgz", ".mgh", ".mnc", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".ima"),
    *(".nii.bz2", ".nii.xz", ".nii.zst", ".nii.zip", ".nii.z"),
)

_log = logging.getLogger("spinalprep")


def ignored_folders(bids_dir: Path, folders: Iterable[str]) -> set[str]:
    """Return which of some folders ``.bidsignore`` leaves out of the dataset.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    folders : iterable of str
        Folders of participants or visits below it (``sub-01``, ``sub-01/ses-1``).

    Notes
    -----
    Single images that are named there are worked on: the file is written for validators, which
    complain of names, not of images.
    """
    if not (bids_dir / IGNORE_FILE).is_file():  # nor a named pipe, which would be waited for
        return set()
    try:
        lines = (bids_dir / IGNORE_FILE).read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return set()
    patterns = _patterns(lines.splitlines(), bids_dir / IGNORE_FILE)
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of re, on [a--b]
        spec = GitIgnoreSpec.from_lines(patterns)
    # a pattern of file names does not match the name of a folder inside
    return {folder for folder in folders if spec.match_file(f"{folder}/anat/images")}


def _patterns(lines: Iterable[str], path: Path) -> list[str]:
    """Return the lines of a file that are patterns; what is none is said and passed over."""
    kept = []
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of re, on [a--b]
        for number, line in enumerate(lines, 1):
            try:
                GitIgnoreSpec.from_lines([line])
                kept.append(line)
            except (ValueError, re.error) as error:
                _log.warning("%s, line %d is no pattern (%s): ignored", path, number, error)
    return kept


def unread_images(bids_dir: Path, label: str) -> dict[str | None, str]:
    """Return by visit one line on the anatomical images that no step can use.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    label : str
        A participant, without ``sub-``.
    """
    found: dict[str | None, str] = {}
    for folder in anat_folders(bids_dir, label):
        try:
            names = [name for name in sorted(os.listdir(folder)) if _is_unread(name)]
        except OSError:  # that of reading its images is told
            continue
        if names:
            inside = folder.parent.name
            session = inside.removeprefix("ses-") if inside.startswith("ses-") else None
            shown = ", ".join(map(_shown, names[:SHOWN]))
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            only = f"{', '.join(CONTRASTS[:-1])} and {CONTRASTS[-1]}"
            found[session] = f"not read: {shown}{more} (only raw {only} images in NIfTI are)"
    return found


def _is_unread(name: str) -> bool:
    """Tell whether a file is an image that `spinalprep.bids.query` does not look for."""
    entities, suffix, extension = parse_name(name)
    odd = suffix not in CONTRASTS or MADE.search(name) is not None or not_labels(entities) != ""
    if name.startswith("._"):  # what macOS notes about a file beside it
        return False
    if extension in _NIFTI:
        return odd
    return extension.lower() in _NIFTI or name.lower().endswith(_OTHERS)


def _shown(name: str) -> str:
    odd = not_labels(parse_name(name)[0])
    return f"{printable(name)} ({odd} is no label of BIDS)" if odd else printable(name)
