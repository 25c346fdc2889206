"""Who finished, who did not, and why: a file per participant, and one table of all."""

import csv
import io
import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock, Timeout

from spinalprep.bids.atomic import put_json, put_text
from spinalprep.bids.columns import describe_columns
from spinalprep.bids.saved_tables import MISSING
from spinalprep.errors import DefectError

STATES = ("finished", "failed", "skipped", "interrupted")
REASONS = ("input:", "memory:", "time:", "cancelled:", "defect:")
LOCK_TIMEOUT_S = 60.0
FEW = 300  # participants whose files are all read, so that status.tsv heals by itself

_log = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Status:
    """How the last run of one participant and session ended.

    Attributes
    ----------
    participant_id, session_id : str
        With ``sub-`` and ``ses-``; no session is ``n/a``.
    state : str
        ``finished``, ``failed``, ``skipped`` or ``interrupted``.
    failed_node : str
        The task that failed.
    reason : str
        Begins with ``input:``, ``memory:``, ``time:``, ``cancelled:`` or ``defect:``.
    wall_s, peak_mib : float or None
        Wall-clock seconds; the largest memory of a task in MiB.
    cache_hits : int or None
        Tasks that were not run again.
    """

    participant_id: str
    session_id: str = MISSING
    state: str = "finished"
    failed_node: str = MISSING
    reason: str = MISSING
    wall_s: float | None = None
    peak_mib: float | None = None
    cache_hits: int | None = None


COLUMNS = tuple(field.name for field in fields(Status))


def status_path(out_dir: Path, participant_id: str, session_id: str = MISSING) -> Path:
    """Return a participant's own status file (its folder is in ``.bidsignore``)."""
    name = participant_id if session_id == MISSING else f"{participant_id}_{session_id}"
    return out_dir / participant_id / "log" / f"{name}_status.tsv"


def write_status(out_dir: Path, status: Status) -> None:
    """Write a participant's own status, then the table of all (raises as `write_own_status`)."""
    write_own_status(out_dir, status)
    rebuild_status(out_dir, status.participant_id)


def write_own_status(out_dir: Path, status: Status) -> None:
    """Write a participant's own status alone.

    Raises
    ------
    DefectError
        If the state or the first word of the reason is not in the contract.
    """
    if status.state not in STATES:
        raise DefectError(f"state is {status.state!r}; expected one of {', '.join(STATES)}")
    if status.reason != MISSING and not status.reason.startswith(REASONS):
        raise DefectError(f"reason is {status.reason!r}; expected it to begin with {REASONS}")
    path = status_path(out_dir, status.participant_id, status.session_id)
    put_text(out_dir, path, _text([status]))


def rebuild_status(out_dir: Path, changed: str | None = None) -> None:
    """Write ``status.tsv`` from all participants' own files.

    A lock in ``logs/`` keeps parallel jobs apart; each reads the files after taking it, so the
    last one to write has seen everything. In large cohorts only the file of ``changed``, the
    participant whose row is new, is read, and those of participants who have no row: thousands of
    jobs that read thousands of files each would wait for each other. A job that waits too long
    leaves the row to the next one.
    """
    logs = out_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    missed = logs / ".status.missed"
    try:
        with FileLock(logs / ".status.lock", timeout=LOCK_TIMEOUT_S):
            behind = missed.exists()
            missed.unlink(missing_ok=True)  # first: who gives up from now on is for the next one
            rows = None if changed is None or behind else _merged(out_dir, changed)
            rows = collect_status(out_dir) if rows is None else rows
            put_text(out_dir, out_dir / "status.tsv", _text(rows))
            put_json(out_dir, out_dir / "status.json", describe_columns(COLUMNS))
    except Timeout:
        missed.touch()
        _log.warning(
            "status.tsv has been locked for %.0f s and is not up to date; the next participant "
            "or the group level updates it",
            LOCK_TIMEOUT_S,
        )


def _merged(out_dir: Path, changed: str) -> list[Status] | None:
    """Return the rows of the table with those of one participant new; None in small cohorts."""
    there = {path.name for path in out_dir.glob("sub-*") if path.suffix != ".html"}
    if len(there) <= FEW:
        return None
    others = there - {changed}
    kept = [row for row in read_status(out_dir) if row.participant_id in others]
    fresh = sorted((there - {row.participant_id for row in kept}) | {changed})
    paths = (path for name in fresh for path in (out_dir / name / "log").glob("*_status.tsv"))
    return sorted([*kept, *(row for path in paths for row in _read(path))], key=_order)


def collect_status(out_dir: Path) -> list[Status]:
    """Return every participant's own status, in the order of names."""
    found: list[Status] = []
    for path in sorted(out_dir.glob("sub-*/log/*_status.tsv")):
        found.extend(_read(path))
    return sorted(found, key=_order)


def _order(status: Status) -> tuple[str, str]:
    return status.participant_id, status.session_id


def read_status(out_dir: Path) -> list[Status]:
    """Return the rows of ``status.tsv``."""
    return _read(out_dir / "status.tsv")


def _read(path: Path) -> list[Status]:
    """Return the rows of a status file; one that can't be read is skipped with a warning."""
    try:
        text = path.read_text(encoding="utf-8")
        return [_status(row) for row in csv.DictReader(io.StringIO(text), delimiter="\t")]
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s can't be read (%s); it is not included in status.tsv", path, error)
        return []


def _status(row: dict[str, str]) -> Status:
    numbers = {name: None if row[name] == MISSING else float(row[name]) for name in COLUMNS[5:7]}
    hits = None if row["cache_hits"] == MISSING else int(row["cache_hits"])
    texts = {name: row[name] for name in COLUMNS[:5]}
    return Status(**texts, wall_s=numbers["wall_s"], peak_mib=numbers["peak_mib"], cache_hits=hits)


def _text(rows: list[Status]) -> str:
    """Return the table; a line break in a reason becomes a space."""
    cells = [[_cell(value) for value in asdict(status).values()] for status in rows]
    lines = ["\t".join(row) for row in ([*COLUMNS], *cells)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.1f}"
    return " ".join(str(value).split()).replace('"', "'") or MISSING
