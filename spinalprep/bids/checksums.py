"""Checksums of input files, each read once."""

import contextlib
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from spinalprep.template.checksums import file_sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; a file that looks unchanged is not read again.

    Raises
    ------
    OSError
        If it can't be read.
    """
    status = os.stat(path)
    return _digest(path, status.st_size, status.st_mtime_ns)


def sizes_and_times(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return size (bytes) and modification time (ns) of files; those that are gone are left out."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found[path] = status.st_size, status.st_mtime_ns
    return found


def first_changed(before: Mapping[Path, tuple[int, int]]) -> Path | None:
    """Return the first file that looks other than it did before; None where all look the same."""
    now = sizes_and_times(before)
    return next((path for path in before if now.get(path, before[path]) != before[path]), None)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    return file_sha256(path)
