"""Checksums of input files, each read once."""

import functools
import os
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


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    return file_sha256(path)
