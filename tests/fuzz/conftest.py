"""What must hold of every file, whatever is in it."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from spinalprep.errors import SpinalprepError

MINUTES = float(os.environ.get("SPINALPREP_FUZZ_MINUTES", "0"))
EXAMPLES = 100 if MINUTES else 30  # of a round
MOST_S = 10.0  # CPU time of one file
MOST_BYTES = 2 << 30  # more address space than the process had before

CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"),
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect"),
}

_writes: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every file that Python opens to write, every change and process, while watched."""
    if _writes is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _writes.append(str(path))
    elif event in CHANGES:
        _writes.append(f"{event} {arguments}")


sys.addaudithook(_watch)


@contextmanager
def bounded() -> Iterator[None]:
    """Hold what is done to its time and memory, and let it write nowhere."""
    global _writes  # noqa: PLW0603
    kept = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, kept[1]))
    _writes = []
    try:
        yield
        assert _writes == []
    finally:
        _writes = None
        resource.setrlimit(resource.RLIMIT_AS, kept)
    assert time.process_time() - began < MOST_S


def attempt(read: Callable[[Path], None], files: Mapping[str, bytes], folder: Path) -> None:
    """Write files and read them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before, said = sorted(folder.rglob("*")), ""
    try:
        with bounded():
            read(folder)
        assert sorted(folder.rglob("*")) == before
    except SpinalprepError as error:
        said = str(error)
    finally:
        for path in reversed(before):
            path.rmdir() if path.is_dir() else path.unlink()
    assert "\n" not in said


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., int]:
    """Return a search for files that break what reads them; it says how many it tried."""

    def find(
        files: st.SearchStrategy[dict[str, bytes]],
        read: Callable[[Path], None],
        share: float = 1.0,  # of the usual number of examples, for what takes long
    ) -> int:
        tried = rounds = 0
        end = time.monotonic() + 60 * MINUTES
        while rounds == 0 or time.monotonic() < end:

            @seed(rounds)
            @settings(
                max_examples=int(EXAMPLES * share),
                deadline=None,
                database=None,
                derandomize=not MINUTES,
                suppress_health_check=list(HealthCheck),
            )
            @given(files)
            def one_round(some: dict[str, bytes]) -> None:
                nonlocal tried
                tried += 1
                attempt(read, some, tmp_path)

            one_round()
            rounds += 1
        sys.stdout.write(f"{tried} files in {rounds} rounds\n")
        return tried

    return find
