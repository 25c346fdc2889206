"""The group level: who counts, maps, tables, statistics, report."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spinalprep.app.log import LOG
from spinalprep.errors import MixedResultsError, NoInputError, UsageError
from spinalprep.settings import Settings

if TYPE_CHECKING:
    from spinalprep.app.group_people import PersonFiles
    from spinalprep.group.cohort import Decision
    from spinalprep.group.domain import Domain
    from spinalprep.group.regions import Regions
    from spinalprep.template.files import Template


@dataclass(frozen=True)
class Group:
    """Whom and what the group level works on.

    Attributes
    ----------
    settings : Settings
    template : Template
    domain : Domain
        The template's cord.
    regions : Regions
        Levels and tracts of the template.
    people : list of PersonFiles
        The images that count, one per person.
    everybody : list of PersonFiles
        All images.
    decisions : list of Decision
        All images, used or not.
    table : DataFrame
        A row per person: ``person_id``, ``name`` and the columns of ``participants.tsv``.
    warnings : tuple of str
        Differences that ``--allow-mixed`` let pass.
    work : Path
        Where crops and sums are kept.
    """

    settings: Settings
    template: "Template"
    domain: "Domain"
    regions: "Regions"
    people: "list[PersonFiles]"
    everybody: "list[PersonFiles]"
    decisions: "list[Decision]"
    table: pd.DataFrame
    warnings: tuple[str, ...]
    work: Path

    @property
    def names(self) -> list[str]:
        """Names of the images that count."""
        return [files.candidate.name for files in self.people]

    def cohorts(self) -> dict[str, np.ndarray]:
        """Return the rows of every cohort, by its name as a BIDS label; none without a column."""
        found: dict[str, list[int]] = {}
        if self.settings.cohort_column is not None:
            for n, files in enumerate(self.people):
                if files.candidate.cohort != "n/a":
                    found.setdefault(bare(files.candidate.cohort), []).append(n)
        return {name: np.array(rows) for name, rows in sorted(found.items())}


def bare(text: str) -> str:
    """Keep the letters and digits of a cohort's name, as file names need them."""
    return "".join(c for c in text if c.isascii() and c.isalnum()) or "x"


def run_group(settings: Settings) -> int:
    """Carry out the group level and return the exit code.

    The steps are a loop over people and a few sums: there is no graph to cache. What is costly, the
    reading of volumes, is kept per person in the work folder (`app.group_crops`).
    """
    if settings.participant_label:
        LOG.debug("the group is limited to %d participants", len(settings.participant_label))
    from spinalprep.bids.dataset import check_folders

    if not settings.out_dir.is_dir():
        raise NoInputError(f"{settings.out_dir} does not exist; run the participant level first")
    check_folders(settings)
    started = time.monotonic()
    files, decisions, participants = _choose(settings)
    if settings.dry_run:
        _print_decisions(decisions)
    group = _gather(settings, files, decisions, participants)
    if settings.dry_run:
        return 0
    _carry_out(group)
    LOG.info("group of %d people in %.0f s", len(group.people), time.monotonic() - started)
    LOG.info("report: %s", settings.out_dir / "group.html")
    return 0


def _choose(settings: Settings) -> tuple[Any, "list[Decision]", pd.DataFrame]:
    """Find the images, and decide which count."""
    from spinalprep.app.group_people import find_people, read_exclusions, read_participants
    from spinalprep.group.cohort import choose_people
    from spinalprep.template.files import resolve_template

    template = resolve_template(settings.template)
    LOG.info("template %s (%s)", template.name, template.version)
    participants = read_participants(settings)
    files = find_people(settings, template.name, participants)
    excluded = read_exclusions(settings.exclude_yml)
    decisions = choose_people([f.candidate for f in files], excluded)
    used = sum(decision.used for decision in decisions)
    LOG.info("%d of %d images count, one per person", used, len(decisions))
    for decision in decisions:
        if not decision.used:
            LOG.debug("%s is left out: %s", decision.candidate.name, decision.reason)
    return (files, template), decisions, participants


def _print_decisions(decisions: "list[Decision]") -> None:
    for decision in decisions:
        word = "used" if decision.used else f"left out: {decision.reason}"
        sys.stdout.write(f"{decision.candidate.name}  {word}\n")


def _gather(
    settings: Settings, found: Any, decisions: "list[Decision]", participants: pd.DataFrame
) -> Group:
    """Check that the people can be compared, and prepare what all steps share."""
    from spinalprep.app.group_regions import read_regions
    from spinalprep.group.consistency import find_differences
    from spinalprep.group.domain import Domain
    from spinalprep.image import load

    files, template = found
    used = {decision.candidate for decision in decisions if decision.used}
    people = [f for f in files if f.candidate in used]
    people.sort(key=lambda f: f.candidate.name)
    if not people:
        reasons = pd.Series([d.reason for d in decisions]).value_counts()
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons.items())
        raise NoInputError(f"nobody counts at the group level: {told}")
    differences = find_differences([f.origin for f in people])
    if differences and not settings.allow_mixed:
        for line in differences:
            LOG.error("%s", line)
        raise MixedResultsError(
            "these results can't be compared; process the people alike, or count them all the "
            "same with --allow-mixed"
        )
    for line in differences:
        LOG.warning("mixed results: %s", line)
    domain = Domain.of(load(template.cord))
    table = pd.DataFrame(
        {
            "person_id": [f.candidate.person_id for f in people],
            "participant_id": [f.candidate.participant_id for f in people],
        }
    ).merge(participants, on="participant_id", how="left")
    group = Group(
        settings,
        template,
        domain,
        read_regions(template, domain),
        people,
        files,
        decisions,
        table,
        tuple(differences),
        settings.work_dir / "group" / f"{template.name}-{template.identity}",
    )
    _check_cohorts(group)
    return group


def _check_cohorts(group: Group) -> None:
    """Refuse cohorts whose names differ only in signs that file names can't hold."""
    names: dict[str, str] = {"all": "everybody"}
    for cohort in sorted({files.candidate.cohort for files in group.people} - {"n/a"}):
        key = bare(cohort).lower()  # some file systems don't know upper from lower
        if names.setdefault(key, cohort) != cohort:
            raise UsageError(
                f"the cohorts {names[key]!r} and {cohort!r} can't be told apart in file names "
                "(letters and digits, upper or lower); rename one"
            )


def _carry_out(group: Group) -> None:
    """Take the steps, one line of log each."""
    from spinalprep.app.group_maps import accumulate, write_maps, write_means
    from spinalprep.app.group_report import write_report
    from spinalprep.app.group_tables import write_occupancy, write_people, write_person_tables
    from spinalprep.app.group_tests import test_maps, test_regions, write_curves
    from spinalprep.bids.atomic import end_temporary
    from spinalprep.bids.dataset import write_ignored
    from spinalprep.group.design import plan_comparisons

    s = group.settings
    write_ignored(s.out_dir)
    comparisons = plan_comparisons(group.table, s.cohort_column, s.covariate, s.nuisance)
    if s.cohort_column is not None and not comparisons:
        LOG.warning("--cohort-column %s has no two values with two people each", s.cohort_column)
    for comparison in comparisons:
        LOG.info("comparison %s: %d people", comparison.question, len(comparison.rows))
        if comparison.dropped:
            LOG.warning(
                "%s: without a value and left out: %s",
                comparison.question,
                ", ".join(comparison.dropped),
            )
    sums = accumulate(group, bool(comparisons))
    write_maps(group, sums)
    write_people(group, sums)
    write_person_tables(group)
    write_occupancy(group, sums)
    rows = test_maps(group, sums, comparisons)
    rows += test_regions(group, sums, comparisons)
    write_curves(group, comparisons, rows)
    write_means(group)
    write_report(group, comparisons)
    end_temporary(s.out_dir)
