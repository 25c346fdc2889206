"""Whom the group level counts, and whether they can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.app.log import LOG
from spinalprep.bids.cohort import Decision, choose_people, read_exclusions
from spinalprep.bids.consistency import find_differences
from spinalprep.bids.people import PersonFiles, find_people, read_participants
from spinalprep.bids.saved_tables import MISSING
from spinalprep.errors import MixedResultsError, NoInputError
from spinalprep.group.design import EVERYBODY, check_file_labels, file_label
from spinalprep.settings import Settings
from spinalprep.template.files import Template, resolve_template


@dataclass(frozen=True)
class Group:
    """Whom and what the group level works on.

    Attributes
    ----------
    settings : Settings
    template : Template
    people : list of PersonFiles
        The images that count, one per person.
    everybody : list of PersonFiles
        All images.
    decisions : list of Decision
        All images, used or not.
    table : DataFrame
        A row per person: ``person_id``, ``participant_id`` and the columns of
        ``participants.tsv``.
    warnings : tuple of str
        Differences that ``--allow-mixed`` let pass.
    """

    settings: Settings
    template: Template
    people: list[PersonFiles]
    everybody: list[PersonFiles]
    decisions: list[Decision]
    table: pd.DataFrame
    warnings: tuple[str, ...] = ()

    @property
    def work(self) -> Path:
        """Where crops and sums are kept."""
        name = f"{self.template.name}-{self.template.identity}"
        return self.settings.work_dir / "group" / name

    @cached_property
    def cohorts(self) -> dict[str, NDArray[np.intp]]:
        """The rows of every cohort, by its name as a BIDS label; none without a column."""
        found: dict[str, list[int]] = {}
        if self.settings.cohort_column is not None:
            for n, files in enumerate(self.people):
                if files.candidate.cohort != MISSING:
                    found.setdefault(file_label(files.candidate.cohort), []).append(n)
        return {name: np.array(rows) for name, rows in sorted(found.items())}

    @property
    def rows(self) -> dict[str, NDArray[np.intp]]:
        """The rows of everybody, and of every cohort."""
        return {EVERYBODY: np.arange(len(self.people)), **self.cohorts}

    def of(self, rows: Sequence[int] | NDArray[np.intp]) -> list[PersonFiles]:
        """Return the people of these rows."""
        return [self.people[row] for row in rows]


def choose_group(settings: Settings) -> Group:
    """Find the images, decide which count, and check that they can be compared.

    Raises
    ------
    NoInputError
        If nobody counts.
    MixedResultsError
        If the people were processed differently, without ``--allow-mixed``.
    UsageError
        If a column is missing, or two cohorts have one name in files.
    """
    template = resolve_template(settings.template)
    LOG.info("template %s (%s)", template.name, template.version)
    participants = read_participants(settings)
    everybody = find_people(settings, template.name, participants)
    excluded = read_exclusions(settings.exclude_yml)
    decisions = choose_people([files.candidate for files in everybody], excluded)
    _tell(decisions)
    used = {decision.candidate for decision in decisions if decision.used}
    people = [files for files in everybody if files.candidate in used]
    people.sort(key=lambda files: files.name)
    unsearched = sum(files.lesion is None for files in people)
    if unsearched:
        LOG.warning(
            "%d of %d have no lesion mask and are not in any lesion map: lesions are searched for "
            "in the contrasts of --lesion-contrasts only, unless there is a manual lesion mask",
            unsearched,
            len(people),
        )
    table = pd.DataFrame(
        {
            "person_id": [files.candidate.person_id for files in people],
            "participant_id": [files.candidate.participant_id for files in people],
        }
    ).merge(participants, on="participant_id", how="left")
    return Group(settings, template, people, everybody, decisions, table)


def check_group(group: Group) -> tuple[str, ...]:
    """Refuse people who can't be counted together; return the differences that are allowed."""
    if not group.people:
        reasons = pd.Series([decision.reason for decision in group.decisions]).value_counts()
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons.items())
        raise NoInputError(f"no image can be included at the group level: {told}")
    differences = find_differences([files.origin for files in group.people])
    if differences and not group.settings.allow_mixed:
        for line in differences:
            LOG.error("%s", line)
        raise MixedResultsError(
            "these results are not comparable; process all participants alike, or combine them "
            "with --allow-mixed"
        )
    for line in differences:
        LOG.warning("mixed results: %s", line)
    check_file_labels({files.candidate.cohort for files in group.people} - {MISSING})
    return tuple(differences)


def _tell(decisions: Sequence[Decision]) -> None:
    used = sum(decision.used for decision in decisions)
    LOG.info("%d of %d images are included, one per person", used, len(decisions))
    for decision in decisions:
        if not decision.used:
            LOG.debug("%s is excluded: %s", decision.candidate.name, decision.reason)
