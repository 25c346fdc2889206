"""How files look: one digest of the names, sizes and times of all that a run depends on."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def digest_of(lines: Iterable[str]) -> str:
    """Return one SHA-256 of some lines."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def file_state(path: str | Path) -> str:
    """Return a line that differs once a file does: size, both times and inode, of what is linked.

    The time of the last change of the inode tells an edit that keeps size and modification time.
    """
    try:
        s = os.stat(path)
    except OSError as error:
        return f"{path} {error.errno}"
    return f"{path} {s.st_mode} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}"


def tree_states(
    folder: str | Path, leave: frozenset[str] = frozenset(), above: frozenset[int] = frozenset()
) -> Iterator[str]:
    """Yield the lines of all files below a folder, and access to the folders, in a fixed order.

    Parameters
    ----------
    folder : path
        One that is not there, or can't be read, is a line of its own.
    leave : frozenset of str
        Names of folders that are left out.
    above : frozenset of int
        Inodes of the folders above, so that links to them end.
    """
    try:
        own = os.stat(folder)
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield f"{folder} {error.errno}"
        return
    yield f"{folder} {own.st_mode} {own.st_uid}"
    if own.st_ino in above:
        return
    for entry in entries:
        if not entry.is_dir():
            yield file_state(entry.path)
        elif entry.name not in leave:
            yield from tree_states(entry.path, leave, above | {own.st_ino})


def top_states(folder: Path) -> Iterator[str]:
    """Yield the lines of the files of a folder, without those of its folders."""
    try:
        with os.scandir(folder) as found:
            paths = sorted(entry.path for entry in found if not entry.is_dir())
    except OSError as error:
        yield f"{folder} {error.errno}"
        return
    yield from map(file_state, paths)
