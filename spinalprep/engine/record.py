"""A note beside every result: what it was made from, and how its files looked when finished."""

import hashlib
import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import cloudpickle
from fileformats.core import FileSet
from pydra.engine.result import Result
from pydra.utils.general import is_workflow

from spinalprep.engine.graph import leaves

RECORD = "_record.json"
RESULT = "_result.pklz"


@dataclass(frozen=True)
class Stamp:
    """How a file looked: size, modification time, inode, and the digest of its contents."""

    size: int
    mtime_ns: int
    inode: int
    digest: str

    def fits(self, path: Path, thorough: bool = False) -> bool:
        """Tell whether a file is unchanged: by size, time and inode, else by content."""
        status = path.stat()
        if not thorough and (status.st_size, status.st_mtime_ns, status.st_ino) == (
            self.size,
            self.mtime_ns,
            self.inode,
        ):
            return True
        return status.st_size == self.size and _digest(path) == self.digest


@dataclass(frozen=True)
class Record:
    """What a result was made from and what it consists of.

    ``fields`` maps each input to its hash; ``folder`` is where the result was
    made, since pydra's results hold absolute paths. ``nodes`` are path and class of each task of a
    workflow; empty for a single task.
    """

    name: str
    task: str
    folder: str
    seconds: float
    peak_mib: float
    fields: dict[str, str]
    files: dict[str, Stamp] = field(default_factory=dict)
    nodes: tuple[tuple[str, str], ...] = ()


def write_record(job: Any, result: Any, seconds: float, peak_mib: float) -> None:
    """Note beside a new result what it is; a result without a note is unfinished."""
    folder = Path(job.cache_dir)
    if (folder / RECORD).exists():
        return
    files = {str(path): stamp(path) for path in (folder / RESULT, *_files_of(result.outputs))}
    hashes = dict(job.task._hashes or {})
    nodes = tuple(leaves(job.task)) if is_workflow(job.task) else ()
    record = Record(
        job.name, type(job.task).__name__, str(folder), seconds, peak_mib, hashes, files, nodes
    )
    partial = folder / f"{RECORD}.part"
    partial.write_text(json.dumps(asdict(record)))
    os.replace(partial, folder / RECORD)


def read_record(folder: Path) -> Record | None:
    """Return the note beside a result, or None where there is none that can be read."""
    try:
        values = json.loads((folder / RECORD).read_text())
        files = {path: Stamp(**stamp) for path, stamp in values.pop("files").items()}
        nodes = tuple((path, task) for path, task in values.pop("nodes", ()))
        return Record(**values, files=files, nodes=nodes)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def tasks_of_result(task: Any, folder: Path) -> list[tuple[str, str]]:
    """Return path and class of each task behind a result, as `leaves` does.

    The note beside a workflow's result spares constructing it once more.
    """
    record = read_record(folder)
    return list(record.nodes if record is not None and record.nodes else leaves(task))


class _OutputsAlone(pickle.Unpickler):
    """Reads of a result what its outputs are, and leaves its task packed: that takes longer."""

    def find_class(self, module: str, name: str) -> Any:
        """Take an empty object in place of pydra's."""
        if (module, name) == (Result.__module__, Result.__name__):
            return SimpleNamespace
        return super().find_class(module, name)


def outputs_of_result(folder: Path) -> Any:
    """Return the outputs of a finished task or workflow from its folder in the cache."""
    with (folder / RESULT).open("rb") as stream:
        return cloudpickle.loads(_OutputsAlone(stream).load().outputs)


def damage(folder: Path, thorough: bool = False) -> str:
    """Say what is wrong with a result in the cache; empty if it can be trusted.

    ``thorough`` reads every file; else those that look unchanged are trusted.
    """
    record = read_record(folder)
    if record is None:
        return "failed" if (folder / "_error.pklz").exists() else "unfinished"
    if record.folder != str(folder):
        return "made elsewhere"
    for name, noted in record.files.items():
        path = Path(name)
        if not path.exists():
            return f"{path.name} is missing"
        if not noted.fits(path, thorough):
            return f"{path.name} is damaged"
    return ""


def stamp(path: Path) -> Stamp:
    """Return how a file or folder looks now."""
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino, _digest(path))


def _digest(path: Path) -> str:
    """Return SHA-256 of a file's contents; of the list of names for a folder."""
    if path.is_dir():
        return hashlib.sha256("\n".join(sorted(os.listdir(path))).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files_of(outputs: Any) -> Iterator[Path]:
    """Yield every file that a set of outputs names."""
    values = attrs.asdict(outputs, recurse=False)
    for name, value in values.items():
        if not name.startswith("_"):
            yield from _paths(value)


def _paths(value: Any) -> Iterator[Path]:
    """Yield the paths inside a value."""
    if isinstance(value, FileSet):
        yield from value.fspaths
    elif isinstance(value, Path):
        if value.exists():
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner)
