"""What was read of source files, kept between runs: parsing a hundred of them takes two seconds."""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

Known = tuple[str, tuple[str, ...]]


class KeptSources:
    """Digest and imports of each source by path, package, size, times and inode, in one file.

    The file is named for the version of Python, whose syntax trees the digests are of, and for the
    module that makes them. Without `open`, nothing is found and nothing is kept.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._state = (0, 0)
        self._known: dict[str, Known] = {}
        self._fresh: dict[str, Known] = {}

    def open(self, folder: Path) -> None:
        """Read what was kept in a folder, if it is new, and keep more there from now on."""
        maker = hashlib.sha256(Path(__file__).with_name("sources.py").read_bytes()).hexdigest()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        path = folder / f"sources-{version}-{maker[:12]}.json"
        state = _state(path)
        if (path, state) == (self._path, self._state):
            return
        self._path, self._state = path, state
        self._known, self._fresh = {}, {}
        with contextlib.suppress(OSError, ValueError, TypeError):  # not there, or damaged: anew
            kept = json.loads(self._path.read_text())
            self._known = {
                str(key): (str(digest), tuple(map(str, imports)))
                for key, (digest, imports) in kept.items()
            }

    def find(self, path: Path, package: str) -> Known | None:
        """Return digest and imports of a source that is as it was, else None."""
        return self._known.get(_key(path, package))

    def add(self, path: Path, package: str, known: Known) -> None:
        """Note a source that was read."""
        self._fresh[_key(path, package)] = known

    def write(self) -> None:
        """Write what is new; a folder that can't be written to costs time in the next run, only."""
        if self._path is None or not self._fresh:
            return
        self._known |= self._fresh
        self._fresh = {}
        partial = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self._known))
            os.replace(partial, self._path)
            self._state = _state(self._path)


def _state(path: Path) -> tuple[int, int]:
    """Return inode and modification time of a file that is replaced with every change."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_ino, status.st_mtime_ns


def _key(path: Path, package: str) -> str:
    """Return everything that tells one state of a file from another, content aside."""
    s = path.stat()
    return repr((str(path), package, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino))
