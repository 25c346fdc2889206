"""The sha256 of a fetched template's files: recorded once, verified afterwards."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from spinalprep.errors import TemplateError

CHECKSUMS = "checksums.json"


def record_checksums(folder: Path, release: str, source: str, archive: str) -> Path:
    """Write the sha256 of every file under ``folder`` to its ``checksums.json``.

    Parameters
    ----------
    folder : Path
        A template, just unpacked.
    release : str
        Name of the release.
    source : str
        Address that it came from.
    archive : str
        The sha256 of the archive there.

    Returns
    -------
    path : Path
        The file written (whole or not at all).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    record = {
        "release": release,
        "source": source,
        "archive_sha256": archive,
        "sha256": {path.relative_to(folder).as_posix(): file_sha256(path) for path in files},
    }
    target = folder / CHECKSUMS
    partial = folder / f".{CHECKSUMS}.partial"
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, target)
    return target


def verify_checksums(folder: Path) -> bool:
    """Compare the files of a template with its ``checksums.json``.

    Returns
    -------
    known : bool
        False where the folder has no record to compare with.

    Raises
    ------
    TemplateError
        If a file is gone or has changed since it was recorded, or the record can't be read.
    """
    record = folder / CHECKSUMS
    if not record.exists():
        return False
    try:
        expected: dict[str, str] = dict(json.loads(record.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TemplateError(f"{record} can't be read as checksums; {_REMEDY}") from error
    for name, digest in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            raise TemplateError(
                f"template file {path} has disappeared since it was fetched; {_REMEDY}"
            )
        if file_sha256(path) != digest:
            raise TemplateError(f"template file {path} has changed since it was fetched; {_REMEDY}")
    return True


_REMEDY = "delete the folder and run: spinalprep-tools template fetch"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def known_release(folder: Path) -> str | None:
    """Return the release that the folder itself names, or None."""
    for name, key in ((CHECKSUMS, "release"), ("template_description.json", "Version")):
        try:
            content: Any = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get(key), str):
            return str(content[key])
    return None
