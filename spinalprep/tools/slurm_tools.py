"""The helper that writes a script for SLURM: one job per participant, and one for the group."""

import math
import os
import shlex
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from dataclasses import dataclass, replace
from pathlib import Path

from spinalprep import __version__
from spinalprep.app.parser import parse
from spinalprep.app.words import words_of
from spinalprep.engine.resources import GROUP, PERSON, Resources
from spinalprep.errors import NoInputError, UsageError
from spinalprep.flags import gigabytes, positive
from spinalprep.settings import Settings
from spinalprep.streams import say

LOGS = "logs/slurm"
SIGTERM_S = 120  # before its time is over a job is told to end, and notes how it stands
_OF_THE_JOB = ("participant_label", "nprocs", "mem_gb", "worker", "sbatch_args", "max_jobs")

SCRIPT = """#!/bin/bash
# {n} participants as one array of SLURM jobs{limit_text}{group_text}.
# Written by spinalprep-tools slurm {version}. Submit: bash THIS_FILE
# A failed job does not affect the others; if submitted again, only what is missing is computed.
set -euo pipefail
mkdir -p {folders}

array=$(sbatch --parsable{sbatch_args} <<'JOB'
#!/bin/bash
#SBATCH --job-name=spinalprep
#SBATCH --array=0-{last}{limit}
{requests}
#SBATCH --signal=B:TERM@{sigterm}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={logs}/%A_%a.txt
people=({people})
exec {command} --participant-label "${{people[SLURM_ARRAY_TASK_ID]}}"
JOB
)
echo "participants: job $array, {logs}"
"""

GROUP_SCRIPT = """
group=$(sbatch --parsable --dependency=afterany:"${{array%%;*}}"{sbatch_args} <<'JOB'
#!/bin/bash
#SBATCH --job-name=spinalprep-group
{requests}
#SBATCH --output={logs}/%j_group.txt
exec {command}
JOB
)
echo "group: job $group, after the participants"
"""


@dataclass(frozen=True)
class Place:
    """Where jobs run: in this environment, or in an image of Apptainer; with a GPU (``gres``)."""

    image: Path | None = None
    gres: str = ""

    def command(self, settings: Settings, needs: Resources) -> str:
        """Return the command of a job, as a shell reads it."""
        limits = [f"--nprocs={needs.cpus}", f"--mem={_megabytes(needs)}MB"]
        words = shlex.join([*words_of(settings, _OF_THE_JOB), *limits])
        if self.image is None:
            return f"{shlex.join([sys.executable, '-m', 'spinalprep'])} {words}"
        binds = [
            f"{path}:{path}{':ro' if read_only else ''}" for path, read_only in _binds(settings)
        ]
        gpu = ["--nv"] if self.gres else []
        flags = shlex.join(
            ["apptainer", "run", *gpu, "--cleanenv", "--no-home", "--bind", ",".join(binds)]
        )
        scratch = '--bind "${TMPDIR:-/tmp}" --env TMPDIR="${TMPDIR:-/tmp}"'
        return f"{flags} {scratch} {shlex.quote(str(self.image))} {words}"


def add_slurm_options(sub: ArgumentParser) -> None:
    """Add the arguments of ``slurm``."""
    sub.add_argument(
        "--image", type=Path, metavar="FILE.sif", help="run in this Apptainer image (default: no)"
    )
    sub.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help=("maximum number of participants at a time (default: set by SLURM)"),
    )
    sub.add_argument(
        "--cpus",
        type=positive,
        default=PERSON.cpus,
        metavar="N",
        help=("CPUs per participant (default: 4)"),
    )
    sub.add_argument(
        "--mem",
        type=gigabytes,
        metavar="SIZE",
        help=("memory per participant, as for spinalprep (default: 4 GiB)"),
    )
    sub.add_argument(
        "--minutes",
        type=positive,
        default=PERSON.minutes,
        metavar="N",
        help="minutes per participant (default: %(default)s)",
    )
    sub.add_argument(
        "--sbatch-args",
        default="",
        metavar="WORDS",
        help=("partition, account etc., as one quoted argument"),
    )
    sub.add_argument(
        "--gres",
        default="",
        metavar="GRES",
        help="generic resources per participant, gpu:1 for a GPU (default: none)",
    )
    sub.add_argument("--no-group", action="store_true", help="do not submit a group-level job")
    sub.add_argument(
        "words",
        nargs=REMAINDER,
        metavar="COMMAND",
        help="of spinalprep: BIDS_DIR OUT_DIR participant [options]",
    )


def print_script(given: Namespace) -> None:
    """Write the script to the standard output."""
    settings = parse(given.words)
    mem_gb = PERSON.mem_gb if given.mem is None else given.mem * 1e9 / 1024**3
    person = Resources(given.cpus, mem_gb, given.minutes)
    say(array_script(settings, person, given).rstrip("\n"))


def array_script(settings: Settings, person: Resources, given: Namespace) -> str:
    """Return a shell script that submits the people of a dataset, and then the group.

    Parameters
    ----------
    settings : Settings
        Of the participant level.
    person : Resources
        What a job of one participant asks for.
    given : Namespace
        ``image``, ``limit``, ``sbatch_args``, ``gres`` and ``no_group`` of the command line.

    Raises
    ------
    UsageError
        If the level is another one, a path can't be written into a script, or the image of
        Apptainer is not there.
    NoInputError
        If the dataset has no participant.
    """
    if settings.level != "participant":
        raise UsageError(
            "slurm: expected the participant level; the group-level job is added automatically"
        )
    if given.image is not None and not given.image.is_file():
        raise UsageError(f"{given.image} is not a file; expected an Apptainer image")
    people = _people(settings)
    image = given.image.resolve() if given.image is not None else None
    place = Place(image, given.gres)
    logs = settings.out_dir / LOGS
    if any(character in str(logs) for character in "%\n\"'\\ "):
        raise UsageError(
            f"sbatch does not accept blanks, quotes or % in {logs}; use another folder"
        )
    common = {
        "logs": logs,
        "sbatch_args": f" {given.sbatch_args}" if given.sbatch_args else "",
    }
    text = SCRIPT.format(
        n=len(people),
        limit_text=f", {given.limit} at once" if given.limit else "",
        group_text="" if given.no_group else ", then the group",
        version=__version__,
        folders=shlex.join(str(path) for path in (logs, settings.work_dir)),
        last=len(people) - 1,
        limit=f"%{given.limit}" if given.limit else "",
        requests=_requests(person, given.gres),
        sigterm=SIGTERM_S,
        people=shlex.join(people),
        command=place.command(settings, person),
        **common,
    )
    if given.no_group:
        return text
    command = Place(image).command(replace(settings, level="group", device="auto"), GROUP)
    return text + GROUP_SCRIPT.format(requests=_requests(GROUP), command=command, **common)


def _people(settings: Settings) -> list[str]:
    """Return the labels of those who were asked for, or of everyone with a folder."""
    folders = sorted(path for path in settings.bids_dir.glob("sub-*") if path.is_dir())
    known = [path.name.removeprefix("sub-") for path in folders]
    if missing := sorted(set(settings.participant_label) - set(known)):
        raise NoInputError(f"{settings.bids_dir} has no sub-{missing[0]}")
    if not known:
        raise NoInputError(f"{settings.bids_dir} has no participant (no folder sub-*)")
    return [name for name in known if name in (settings.participant_label or known)]


def _requests(needs: Resources, gres: str = "") -> str:
    """Return the lines of a job that say what it asks for."""
    lines = [f"cpus-per-task={needs.cpus}", f"mem={_megabytes(needs)}M", f"time={needs.minutes}"]
    lines += [f"gres={gres}"] if gres else []
    return "\n".join(f"#SBATCH --{line}" for line in lines)


def _megabytes(needs: Resources) -> int:
    return math.ceil(needs.mem_gb * 1024)


def _binds(settings: Settings) -> list[tuple[Path, bool]]:
    """Return the folders that a container has to see, and whether for reading only."""
    named = [*settings.derivatives.values(), *(path.parent for path in settings.models.values())]
    files = (settings.bids_filter_file, settings.exclude_yml, settings.qc_gates)
    named += [path.parent for path in files if path is not None]
    if settings.template is not None and os.sep in settings.template:
        named.append(Path(settings.template).resolve())
    named += [
        Path(os.path.dirname(p.split("*")[0])) for p in settings.metrics.values() if p[0] == "/"
    ]
    inside = [settings.bids_dir, settings.out_dir, settings.work_dir]
    if settings.bids_database_dir is not None:
        inside.append(settings.bids_database_dir)
    more = {p for p in named if not any(p.is_relative_to(folder) for folder in inside)}
    return [
        (inside[0], True),
        *((p, False) for p in inside[1:]),
        *((p, True) for p in sorted(more)),
    ]
