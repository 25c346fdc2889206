"""The helper that looks at everything a run needs, and says what to do about what is missing."""

import os
import platform
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spinalprep import __version__
from spinalprep.app.log import LOG
from spinalprep.device import find_device
from spinalprep.engine import scheduler
from spinalprep.engine.resources import PERSON
from spinalprep.errors import InputError, SpinalprepError, UsageError
from spinalprep.memory import count_cpus, free_gb, most_gb

DISK_GB = 1.0  # a participant's cache, and as much again to spare
GIB = 1024**3 / 1e9


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do where that is not enough."""

    what: str
    found: str
    advice: str = ""
    error: type[SpinalprepError] = InputError


def add_doctor_options(sub: ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
    sub.add_argument("--template", help="NAME_OR_PATH, as for spinalprep")
    sub.add_argument(
        "-w", "--work-dir", type=Path, default=Path("work"), metavar="DIR", help="default: ./work"
    )


def examine(given: Namespace) -> None:
    """Say everything, then end with the exit code of the first thing that prevents a run.

    Raises
    ------
    SpinalprepError
        If a run would fail.
    """
    LOG.info("spinalprep %s, Python %s", __version__, platform.python_version())
    wrong = []
    for look in (_weights, lambda: _template(given.template), _machine, lambda: _disk(given)):
        for finding in look():
            LOG.info("%s: %s", finding.what, finding.found)
            if finding.advice:
                LOG.warning("%s: %s", finding.what, finding.advice)
                wrong.append(finding)
    if wrong:
        raise wrong[0].error(f"{len(wrong)} of these have to be fixed first")


def _weights() -> Iterator[Finding]:
    from spinalprep.networks.cards import packaged_names
    from spinalprep.networks.weights import load_model

    for name in packaged_names():
        yield _checked(
            f"weights {name}",
            lambda name=name: str(load_model(name).card["sha256"])[:12],  # type: ignore[misc]
            "install the package again",
        )


def _template(wanted: str | None) -> Iterator[Finding]:
    from spinalprep.template.files import resolve_template

    def found() -> str:
        template = resolve_template(wanted)
        hint = "" if template.name != "Generic" else "; PAM50: spinalprep-tools template fetch"
        return f"{template.name} ({template.version}){hint}"

    yield _checked("template", found, "give --template, or spinalprep-tools template fetch")


def _checked(what: str, look: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(what, look())
    except SpinalprepError as error:
        return Finding(what, str(error), advice, type(error))


def _machine() -> Iterator[Finding]:
    import torch

    yield Finding("CPUs", f"{count_cpus()} (torch uses {torch.get_num_threads()})")
    most, free, enough = most_gb(), free_gb(), PERSON.mem_gb * GIB
    few = f"a participant needs {enough:.1f} GB; ask for more, or end other programs"
    yield Finding("memory", f"{free:.1f} GB free of {most:.1f} GB", few if free < enough else "")
    device = find_device("auto")
    yield Finding("GPU", device.name or "none (not needed)")
    yield Finding("networks", f"run on {device} (--device auto)")
    slurm = "SLURM" if scheduler.is_here() else "none here; see docs/cluster.md"
    yield Finding("scheduler", slurm)
    names = [name for name in ("apptainer", "singularity", "docker") if shutil.which(name)]
    yield Finding("containers", ", ".join(names) or "none")


def _disk(given: Namespace) -> Iterator[Finding]:
    folders = {"work folder": given.work_dir}
    try:
        folders["temporary files"] = Path(tempfile.gettempdir())
    except FileNotFoundError:
        advice = "set TMPDIR to a folder that can be written (docker run --tmpfs /tmp)"
        yield Finding("temporary files", "no folder can be written", advice, UsageError)
    for what, folder in folders.items():
        there = next(
            path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
        )
        free = shutil.disk_usage(there).free / 1e9
        advice = ""
        if not os.access(there, os.W_OK):
            advice = f"{there} can't be written; give another folder (-w, $TMPDIR)"
        elif free < DISK_GB:
            advice = f"less than {DISK_GB:g} GB are free in {there}"
        yield Finding(what, f"{folder}, {free:.0f} GB free", advice)
