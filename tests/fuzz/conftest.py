"""What must hold of every file, whatever is in it."""

import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from spinalprep.errors import SpinalprepError

collect_ignore = ["guided.py"]  # a program, which needs atheris
MINUTES = float(os.environ.get("SPINALPREP_FUZZ_MINUTES", "0"))
FIRST_SEED = int(os.environ.get("SPINALPREP_FUZZ_SEED", "0"))
KEEP = os.environ.get("SPINALPREP_FUZZ_KEEP", "")  # folder for the files that were found
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


def keep(name: str, number: int, files: Mapping[str, bytes]) -> None:
    """Keep the smallest files that show a find, with what was raised, and say so."""
    error = traceback.format_exc()
    sys.stdout.write(f"found by seed {number}: {error.splitlines()[-1]}\n")
    if not KEEP:
        return
    folder = Path(KEEP) / name / str(number)
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "raised.log").write_text(error, encoding="utf-8")


@pytest.fixture
def search(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a search for files that break what reads them; it says how many it tried.

    A search for minutes goes on after a find, and fails at its end.
    """

    def find(
        files: st.SearchStrategy[dict[str, bytes]],
        read: Callable[[Path], None],
        share: float = 1.0,  # of the usual number of examples, for what takes long
    ) -> int:
        tried = rounds = finds = 0
        began, cpu, last = time.monotonic(), time.process_time(), {}
        while rounds == 0 or time.monotonic() < began + 60 * MINUTES:

            @seed(FIRST_SEED + rounds)
            @settings(
                max_examples=int(EXAMPLES * share),
                deadline=None,
                database=None,
                derandomize=not MINUTES,
                suppress_health_check=list(HealthCheck),
            )
            @given(files)
            def one_round(some: dict[str, bytes]) -> None:
                nonlocal tried, last
                tried, last = tried + 1, some
                attempt(read, some, tmp_path)

            try:
                one_round()
            except Exception:
                if not MINUTES:
                    raise
                keep(request.node.name, FIRST_SEED + rounds, last)
                finds += 1
            rounds += 1
            if MINUTES or rounds == 1:
                wall, spent = time.monotonic() - began, time.process_time() - cpu
                sys.stdout.write(f"{tried} files in {rounds} rounds, {finds} of them with finds; ")
                sys.stdout.write(f"{wall:.0f} s, of CPU time {spent:.0f} s\n")
                sys.stdout.flush()
        assert finds == 0
        return tried

    return find
