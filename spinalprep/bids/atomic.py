"""A file appears in the output folder whole or not at all."""

import contextlib
import filecmp
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spinalprep.jsontext import json_text
from spinalprep.machine import machine

TEMPORARY = ".spinalprep-tmp"
ABANDONED_S = 2 * 24 * 3600.0  # of another machine, whose processes can't be seen from here


def put_bytes(out_dir: Path, path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path``; tell whether it was written, False if it was there already.

    The bytes go to a temporary file of the same file system, reach the disk, and take the name
    in one step. A file that holds the same bytes is left alone, with its time.
    """
    if _holds(path, content):
        return False
    with _temporary(out_dir) as temporary:
        temporary.write_bytes(content)
        _publish(temporary, path)
    return True


def put_text(out_dir: Path, path: Path, text: str) -> bool:
    """Write ``text`` as UTF-8 with `put_bytes`."""
    return put_bytes(out_dir, path, text.encode("utf-8"))


def put_json(out_dir: Path, path: Path, content: Mapping[str, Any]) -> bool:
    """Write a JSON object with `put_bytes`; an undefined number is null."""
    return put_text(out_dir, path, json_text(content) + "\n")


def put_copy(out_dir: Path, path: Path, source: Path) -> bool:
    """Copy the bytes of ``source`` to ``path``, as `put_bytes` does (never a link)."""
    if path.is_file() and filecmp.cmp(source, path, shallow=False):
        return False
    with _temporary(out_dir) as temporary:
        shutil.copyfile(source, temporary)
        _publish(temporary, path)
    return True


def put_made(out_dir: Path, path: Path, make: Callable[[Path], object]) -> bool:
    """Let ``make`` write a file of the same extension, and publish it at ``path``."""
    with _temporary(out_dir, "".join(path.suffixes[-2:])) as temporary:
        make(temporary)
        if path.is_file() and filecmp.cmp(temporary, path, shallow=False):
            return False
        _publish(temporary, path)
    return True


def clear_temporary(out_dir: Path) -> None:
    """Remove what killed runs have left; files of runs that are alive stay.

    Every process writes in a folder named after its machine and number, so that jobs can share
    an output folder.
    """
    mine = _own(out_dir).name
    for folder in (out_dir / TEMPORARY).glob("*"):
        if folder.name == mine or not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)
    end_temporary(out_dir)


def end_temporary(out_dir: Path) -> None:
    """Remove this process's temporary folder, and the common one if it is empty."""
    shutil.rmtree(_own(out_dir), ignore_errors=True)
    with contextlib.suppress(OSError):
        (out_dir / TEMPORARY).rmdir()


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


@contextlib.contextmanager
def _temporary(out_dir: Path, suffix: str = "") -> Iterator[Path]:
    """Yield the path of a temporary file; whatever is left of it is removed."""
    folder = _own(out_dir)
    while not folder.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another job removed the common folder
            folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}{suffix}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, after its bytes have reached the disk."""
    with open(temporary, "rb") as handle:
        os.fsync(handle.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, path)
    with contextlib.suppress(OSError):  # some file systems can't open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _own(out_dir: Path) -> Path:
    return out_dir / TEMPORARY / f"{machine()}@{os.getpid()}"


def _is_alive(folder: Path) -> bool:
    """Tell whether the process that a temporary folder belongs to may still run."""
    host, _, number = folder.name.rpartition("@")
    if host == machine() and number.isdigit():
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    with contextlib.suppress(OSError):
        return time.time() - folder.stat().st_mtime < ABANDONED_S
    return False
