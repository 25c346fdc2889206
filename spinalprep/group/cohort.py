"""Who counts at the group level, once each, and why the others don't."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

MISSING = "n/a"


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

    @property
    def name(self) -> str:
        """Names of participant, session and run."""
        run = MISSING if self.run == MISSING else f"run-{self.run}"
        return "_".join(
            part for part in (self.participant_id, self.session_id, run) if part != MISSING
        )


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
            reason = f"another image of the same person is used ({taken[candidate.person_id]})"
        if not reason:
            taken[candidate.person_id] = candidate.name
        decisions.append(Decision(candidate, not reason, reason or MISSING))
    return decisions


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
