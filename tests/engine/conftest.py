"""A toy package that counts what it executes, driven in interpreters of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCES = {
    "__init__.py": """
from spinalprep.engine import hashing, sources
sources.follow("toys")
""",
    "numbers.py": """
FACTOR = 2

def double(x):
    return x * FACTOR
""",
    "signs.py": """
def negate(x):
    return -x
""",
    "notes.py": """
import os
import signal
import sys
import time

from spinalprep.errors import NoCordError

def note(task, value):
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(f"{task} {value}\\n")
    for one in (task, f"{task}_{value}"):
        time.sleep(float(os.environ.get("TOY_SLEEP_" + one, 0)))
    name, number, how = os.environ.get("TOY_FAIL", "-=0=-").split("=")
    if (name, int(number)) != (task, value):
        return
    if how == "large":
        block = bytes([1]) * 2_500_000_000
        time.sleep(8)
        return
    if how == "hang":
        time.sleep(600)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "raise":
        raise NoCordError("no cord here; best heat 0.1")
    if how == "defect":
        raise ZeroDivisionError("half of nothing")
    if how == "memory":
        raise MemoryError
    if how == "exit":
        sys.exit(3)
    os.kill(os.getpid(), 9)
""",
    "tasks.py": '''
from pathlib import Path

from fileformats.generic import File
from pydra.compose import python

from toys.notes import note


def number(file):
    return int(Path(file).read_text())


def written(value):
    path = Path("out.txt").absolute()
    path.write_text(str(value))
    return path


@python.define(outputs=["out"])
def Read(image: File) -> File:
    """Read a number."""
    note("Read", number(image))
    return written(number(image))
''',
    "sums.py": '''
from fileformats.generic import File
from pydra.compose import python

from toys.notes import note
from toys.tasks import number, written


@python.define(outputs=["out"])
def Double(image: File) -> File:
    """Double a number.

    :param image: A number.
    """
    from toys.numbers import double

    note("Double", number(image))
    return written(double(number(image)))
''',
    "signed.py": '''
from fileformats.generic import File
from pydra.compose import python

from toys.notes import note
from toys.signs import negate
from toys.tasks import number, written


@python.define(outputs=["out"])
def Negate(image: File) -> File:
    """Change the sign."""
    note("Negate", number(image))
    return written(negate(number(image)))
''',
    "graphs.py": """
from fileformats.generic import File
from pydra.compose import workflow

from toys.signed import Negate
from toys.sums import Double
from toys.tasks import Read


@workflow.define(outputs=["out"])
def Prepare(image: File) -> File:
    read = workflow.add(Read(image=image))
    return workflow.add(Double(image=read.out)).out


@workflow.define(outputs=["out"])
def Quadruple(image: File) -> File:
    once = workflow.add(Double(image=image), name="Once")
    return workflow.add(Double(image=once.out), name="Twice").out


@workflow.define(outputs=["out"])
def Opposite(image: File) -> File:
    return workflow.add(Negate(image=image)).out


@workflow.define(outputs=["prepared", "large", "opposite"])
def Person(image: File) -> tuple[File, File, File]:
    prepare = workflow.add(Prepare(image=image), name="prepare")
    large = workflow.add(Quadruple(image=prepare.out), name="large")
    opposite = workflow.add(Opposite(image=image), name="opposite")
    return prepare.out, large.out, opposite.out
""",
}

DRIVER = """
import json
import os
import sys
from pathlib import Path

from toys.graphs import Person
from spinalprep.engine.plan import plan_sessions
from spinalprep.engine.run import Interrupted, Observer, RunOptions, run_sessions


class Listener(Observer):
    def __init__(self):
        self.stages, self.failures, self.events = [], [], []

    def on_task(self, session, stage, event, tally):
        task = event.job.name
        self.events.append([session, stage, event.kind, task, event.peak_mib, tally.total])

    def on_stage(self, session, stage, outputs):
        if os.environ.get("TOY_FULL") == session:
            raise OSError("no space left")
        self.stages.append([session, stage, Path(outputs.out).read_text()])

    def on_failure(self, session, stage, node, failure):
        self.failures.append([session, stage, node, failure.reason, failure.traceback])


def main(work, dataset, plan, **options):
    sessions = {p.stem: Person(image=p) for p in sorted(Path(dataset).glob("*.txt"))}
    cache = lambda key: Path(work) / "cache-1" / key
    if plan:
        return {"plan": [str(line) for line in plan_sessions(sessions, cache)]}
    listener = Listener()
    code = 0
    try:
        results = run_sessions(sessions, cache, RunOptions(**options), listener)
    except Interrupted as stop:
        results, code = stop.results, stop.exit_code
    return {
        "code": code,
        "states": {key: result.state for key, result in results.items()},
        "reasons": {key: result.reason for key, result in results.items()},
        "nodes": {key: result.failed_node for key, result in results.items()},
        "hits": sum(result.cache_hits for result in results.values()),
        "run": sum(result.tasks_run for result in results.values()),
        "peak": max(result.peak_mib for result in results.values()),
        "stages": listener.stages,
        "failures": listener.failures,
        "events": listener.events,
        "folder": str(Path.cwd()),
    }


if __name__ == "__main__":
    told = main(**json.loads(sys.argv[1]))
    Path("told.json").write_text(json.dumps(told))
"""


class Toy:
    """A copy of the toy package, a dataset of three numbers, and a work folder."""

    tasks_each = 5

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "toys"
        self.dataset = root / "dataset"
        self.work = root / "work"
        self.package.mkdir()
        self.dataset.mkdir()
        for name, text in SOURCES.items():
            (self.package / name).write_text(text)
        (root / "drive.py").write_text(DRIVER)
        for value in (1, 2, 3):
            (self.dataset / f"sub-{value}.txt").write_text(str(value))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a source file."""
        text = (self.package / name).read_text()
        assert old in text
        (self.package / name).write_text(text.replace(old, new))

    def keep(self, *names: str) -> None:
        """Take everybody else out of the dataset."""
        for path in self.dataset.glob("*.txt"):
            if path.stem not in names:
                path.unlink()

    def start(
        self,
        *,
        plan: bool = False,
        env: dict | None = None,
        before: tuple = (),
        **options,
    ) -> subprocess.Popen:
        """Start the driver in a new interpreter and session."""
        (self.root / "log").unlink(missing_ok=True)
        (self.root / "told.json").unlink(missing_ok=True)
        environment = {
            **os.environ,
            "TOY_LOG": str(self.root / "log"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.root / "home"),
            "OMP_NUM_THREADS": "1",
            **(env or {}),
        }
        told = {"work": str(self.work), "dataset": str(self.dataset), "plan": plan}
        options = {"worker": "debug", "n_procs": 2, **options}
        command = [*before, sys.executable, "drive.py", json.dumps({**told, **options})]
        return subprocess.Popen(command, cwd=self.root, env=environment, start_new_session=True)

    def run(self, **options) -> dict:
        """Run the driver to its end and return what it told, with the executed tasks counted."""
        process = self.start(**options)
        assert process.wait(timeout=180) == 0
        return self.told()

    def told(self) -> dict:
        """Return what the last run told."""
        told = json.loads((self.root / "told.json").read_text())
        return {**told, "executed": self.executed()}

    def noted(self) -> list[str]:
        """Return task and number of each execution of the last run, as they began."""
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def executed(self) -> dict[str, int]:
        """Count the executions of each task in the last run."""
        names = [line.split()[0] for line in self.noted()]
        return {name: names.count(name) for name in sorted(set(names))}

    def wait_until(self, condition, timeout: float = 20.0) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)


@pytest.fixture
def toy(tmp_path):
    """Return a toy package of one's own."""
    return Toy(tmp_path)
