"""A run in which nothing has changed since the last one like it, told before anything is read.

When a run has finished, it is noted how all files looked that it read and wrote. While they look
the same, the same command has nothing to do: the dataset is not searched, no graph is built, and
no library for either is loaded. Where anything differs, the cache of every task decides as always.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from glob import glob
from pathlib import Path

from spinalprep.app.ending import say_end
from spinalprep.app.file_states import digest_of, file_state, top_states, tree_states
from spinalprep.app.log import LOG
from spinalprep.app.work_folder import cache_folder, last_run_path
from spinalprep.bids.atomic import clear_temporary
from spinalprep.bids.container import CONTAINER_VARIABLE
from spinalprep.bids.index import participants
from spinalprep.bids.places import citation_paths, report_path, viewer_path
from spinalprep.bids.status import Status, rebuild_status, write_own_status
from spinalprep.device import find_device
from spinalprep.engine.lines import unchanged_line
from spinalprep.settings import Settings
from spinalprep.streams import say
from spinalprep.template.places import CACHE_VARIABLE, pam50_places

PACKAGE = Path(__file__).parents[1]
NO_RESULT = (  # settings that change no result
    *("nprocs", "omp_nthreads", "mem_gb", "max_jobs", "retries", "task_minutes"),
    *("sbatch_args", "stop_on_first_crash", "log_json"),
)
VARIABLES = (
    *("HOME", "SCT_DIR", "TEMPLATEFLOW_HOME", "TMPDIR", "XDG_CACHE_HOME"),
    *(CACHE_VARIABLE, CONTAINER_VARIABLE),
)
LIBRARIES = ("site-packages", "dist-packages")
OF_OTHERS = ("sub-", "group", "status")  # files of the output folder that are not of every run


@dataclass(frozen=True)
class LastRun:
    """What is noted of a run that has finished.

    Attributes
    ----------
    inputs, outputs : str
        Digests of how the files that it read looked when it began, and those that it wrote, the
        cache among them, when it ended.
    said : sequence of (int, str)
        Level and text of what it said of its inputs.
    hits : mapping of str to int
        Number of tasks of each session run.
    rows : sequence of Status
        Its rows of ``status.tsv``, with ``hits`` as if all had come from the cache.
    """

    inputs: str
    outputs: str
    said: Sequence[tuple[int, str]]
    hits: Mapping[str, int]
    rows: Sequence[Status]


def repeat_unchanged(settings: Settings) -> bool:
    """Say once more how the last run like this one ended; False if something has changed since."""
    if not _can_be_told(settings):
        return False
    began = time.monotonic()
    last = _read(_note_path(settings))
    if last is None or last.inputs != inputs_now(settings) or last.outputs != _outputs(settings):
        return False
    try:
        _write_status(settings.out_dir, last.rows, time.monotonic() - began)
    except OSError:  # the run itself says why
        return False
    for level, text in last.said:
        LOG.log(level, "%s", text)
    for session, hits in last.hits.items():
        if settings.log_json:
            LOG.info("%s", unchanged_line(session, hits))
        else:
            say(unchanged_line(session, hits), sys.stderr)
    labels = sorted({row.participant_id.removeprefix("sub-") for row in last.rows})
    say_end(settings.out_dir, labels, time.monotonic() - began)
    return True


def note_run(
    settings: Settings,
    inputs: str,
    said: Sequence[tuple[int, str]],
    hits: Mapping[str, int],
    rows: Sequence[Status],
) -> None:
    """Note a run in which nothing failed; ``inputs`` are `inputs_now` from before it read any.

    The others are as in `LastRun`.
    """
    if not _can_be_told(settings):
        return
    path = _note_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(asdict(LastRun(inputs, _outputs(settings), said, hits, rows))))
    partial.replace(path)


def inputs_now(settings: Settings) -> str:
    """Return a digest of how everything looks that a run reads."""
    return digest_of([*_program(), *_dataset(settings), *_given_files(settings)])


def _can_be_told(settings: Settings) -> bool:
    """Tell whether a run computes what is missing and nothing else, and says no more than usual."""
    more = settings.dry_run or settings.reports_only or settings.boilerplate_only
    more = more or settings.write_graph or settings.resource_monitor or settings.verbose > 0
    return not more and settings.clean_workdir == "never"


def _note_path(settings: Settings) -> Path:
    """Return where runs of the same command are noted, whatever it may take of the machine."""
    names = [one.name for one in fields(settings) if one.name not in NO_RESULT]
    asked = [f"{name} {getattr(settings, name)!r}" for name in names]
    return last_run_path(settings, digest_of([*asked, str(find_device(settings.device))])[:32])


def _read(path: Path) -> LastRun | None:
    """Return what was noted of a run; None where nothing was, or it can't be read."""
    try:
        found = json.loads(path.read_text())
        rows = [Status(**row) for row in found.pop("rows")]
        return LastRun(rows=rows, **found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _labels(settings: Settings) -> list[str]:
    """Return the participants that are asked for."""
    asked = {label.removeprefix("sub-") for label in settings.participant_label}
    return sorted(asked or _everybody(settings.bids_dir))


def _everybody(bids_dir: Path) -> tuple[str, ...]:
    """Return all participants; none where there is no dataset, which the run itself says."""
    try:
        return participants(bids_dir)
    except OSError:
        return ()


def _program() -> Iterator[str]:
    """Yield how this package and installed libraries look, and what the environment says."""
    yield sys.version
    yield from (f"{name} {os.environ.get(name)}" for name in VARIABLES)
    yield from tree_states(PACKAGE, leave=frozenset({"__pycache__"}))
    for folder in sys.path:
        if Path(folder).name in LIBRARIES:  # changes with every library that comes, goes or is new
            yield file_state(folder)


def _dataset(settings: Settings) -> Iterator[str]:
    """Yield how the images of the participants look, their labels, and what all have in common."""
    labels, raw = _labels(settings), settings.bids_dir
    made = {path.name for path in settings.out_dir.glob("sub-*") if path.is_dir()}
    yield from sorted(made.union(f"sub-{label}" for label in _everybody(raw)))
    for folder in (raw, raw / "derivatives" / "labels", *settings.derivatives.values()):
        yield from top_states(folder)
        for label in labels:
            yield from tree_states(folder / f"sub-{label}")


def _given_files(settings: Settings) -> Iterator[str]:
    """Yield how the files look that the command names, and the template."""
    for pattern in settings.metrics.values():
        found = glob(pattern, root_dir=settings.bids_dir, recursive=True)
        yield from (file_state(settings.bids_dir / path) for path in sorted(found))
    for weights in settings.models.values():
        yield from map(file_state, sorted(weights.parent.glob(f"{weights.stem}*")))  # and cards
    for path in (settings.bids_filter_file, settings.qc_gates):
        if path is not None:
            yield file_state(path)
    places = pam50_places(os.environ)
    if settings.template not in (None, "auto", "PAM50"):
        places = (Path(str(settings.template)),)  # the embedded one is part of the package
    for place in places if "template" not in settings.skip else ():
        yield from tree_states(place)


def _outputs(settings: Settings) -> str:
    """Return a digest of how the results look that a run leaves, and the cache; without logs."""
    out_dir = settings.out_dir
    lines = [line for line in top_states(out_dir) if not _is_of_others(line, out_dir)]
    lines += map(file_state, citation_paths(out_dir))
    for label in _labels(settings):
        lines += map(file_state, (report_path(out_dir, label), viewer_path(out_dir, label)))
        lines += tree_states(out_dir / f"sub-{label}", leave=frozenset({"log"}))
        cache = cache_folder(settings, label)
        for folder in sorted(path for path in cache.glob("*-*") if path.is_dir()):
            lines += tree_states(folder)
    return digest_of(lines)


def _is_of_others(line: str, out_dir: Path) -> bool:
    """Tell whether a file of the output folder is not one that every run writes."""
    return line.removeprefix(f"{out_dir}{os.sep}").startswith(OF_OTHERS)


def _write_status(out_dir: Path, rows: Sequence[Status], seconds: float) -> None:
    """Write the rows of a run in which nothing was computed."""
    clear_temporary(out_dir)
    for row in rows:
        write_own_status(out_dir, replace(row, wall_s=round(seconds, 1), peak_mib=0))
    people = {row.participant_id for row in rows}
    rebuild_status(out_dir, people.pop() if len(people) == 1 else None)
