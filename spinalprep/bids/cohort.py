"""Who counts at the group level, once each, and why the others don't."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from spinalprep.bids.saved_tables import MISSING
from spinalprep.errors import UsageError
from spinalprep.flags import read_settings_text


@dataclass(frozen=True)
class Candidate:
    """One image of one person as the participant level left it.

    Attributes
    ----------
    participant_id, session_id, run : str
        With ``sub-`` and ``ses-``; ``n/a`` where there is none.
    contrast : str
        Of the reference image.
    person_id : str
        Who it is: the participant, or what ``--person-column`` says.
    cohort : str
        Value of ``--cohort-column``; ``n/a`` where it is unknown or not asked for.
    state : str
        From ``status.tsv``.
    failed_gates : tuple of str
        Metrics whose gate says FAIL.
    level_source : str
        ``manual``, ``hint``, ``network`` or ``unknown``.
    missing : tuple of str
        Files that the maps need and that are not there.
    chunk : str
        Label of ``chunk-``, where a person was taken in several pieces.
    """

    participant_id: str
    session_id: str
    run: str
    contrast: str
    person_id: str
    cohort: str = MISSING
    state: str = "finished"
    failed_gates: tuple[str, ...] = ()
    level_source: str = "unknown"
    missing: tuple[str, ...] = ()
    chunk: str = MISSING

    @property
    def name(self) -> str:
        """Names of participant, session, run and chunk."""
        told = (
            f"{key}-{v}" for key, v in (("run", self.run), ("chunk", self.chunk)) if v != MISSING
        )
        session = () if self.session_id == MISSING else (self.session_id,)
        return "_".join((self.participant_id, *session, *told))


@dataclass(frozen=True)
class Decision:
    """Whether an image counts; ``reason`` says why not."""

    candidate: Candidate
    used: bool
    reason: str = MISSING


def choose_people(
    candidates: Sequence[Candidate], excluded: Collection[str] = ()
) -> list[Decision]:
    """Decide which images count.

    Parameters
    ----------
    candidates : sequence of Candidate
        In any order.
    excluded : collection of str
        Names of participants (``sub-01``) or of images (``sub-01_ses-1_run-2``) that a person
        marked as unusable.

    Returns
    -------
    decisions : list of Decision
        In the order of names. An image counts if its participant finished, nobody excluded it,
        no gate says FAIL, its levels are known and its files are there; of several such images
        of one person the first by name of participant, session and run counts.
    """
    taken: dict[str, str] = {}
    decisions = []
    for candidate in sorted(candidates, key=lambda c: (c.participant_id, c.session_id, c.run)):
        reason = _objection(candidate, excluded)
        if not reason and candidate.person_id in taken:
            reason = f"another image of the same person is included ({taken[candidate.person_id]})"
        if not reason:
            taken[candidate.person_id] = candidate.name
        decisions.append(Decision(candidate, not reason, reason or MISSING))
    return decisions


def decision_table(decisions: Sequence[Decision]) -> pd.DataFrame:
    """Return a row per image: who it is, whether it counts, and why not."""
    rows = [
        {
            "person_id": d.candidate.person_id,
            "participant_id": d.candidate.participant_id,
            "session_id": d.candidate.session_id,
            "run": d.candidate.run,
            "contrast": d.candidate.contrast,
            "cohort": d.candidate.cohort,
            "used": d.used,
            "reason_left_out": d.reason,
            "level_source": d.candidate.level_source,
        }
        for d in decisions
    ]
    return pd.DataFrame(rows, index=[d.candidate.name for d in decisions])


def read_exclusions(path: Path | None) -> frozenset[str]:
    """Return who is marked as failed in a file that the reports export.

    The file maps names to marks: ``sub-01: {cord: fail}``; ``fail`` anywhere excludes, ``pass``
    and ``artifact`` don't. A plain list of names excludes all of them.

    Raises
    ------
    UsageError
        If the file can't be read as such.
    """
    if path is None:
        return frozenset()
    try:
        content = _without_references(read_settings_text(path)) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--exclude-yml {path} can't be read: {reason}") from error
    if isinstance(content, list):
        return frozenset(map(str, content))
    if not isinstance(content, dict):
        raise UsageError(f"--exclude-yml {path}: expected ratings as exported from a report")
    return frozenset(str(name) for name, marks in content.items() if _fails(marks))


def _without_references(text: str) -> Any:
    """Return the content of YAML; thirty lines of references can stand for a billion marks."""
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise yaml.YAMLError("references (*name) are not allowed")
    return yaml.safe_load(text)


def _fails(marks: object) -> bool:
    if isinstance(marks, Mapping):
        return any(_fails(mark) for mark in marks.values())
    return str(marks) == "fail"


def _objection(candidate: Candidate, excluded: Collection[str]) -> str:
    """Return why an image can't be used, or nothing."""
    if candidate.state != "finished":
        return f"the participant level did not finish ({candidate.state})"
    if candidate.participant_id in excluded or candidate.name in excluded:
        return "excluded by --exclude-yml"
    if candidate.failed_gates:
        return f"quality gate FAIL: {', '.join(candidate.failed_gates)}"
    if candidate.level_source == "unknown":
        return "vertebral levels are unknown"
    if candidate.missing:
        return f"missing: {', '.join(candidate.missing)}"
    return ""
