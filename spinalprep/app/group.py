"""The group level: who counts, maps, tables, statistics, report."""

import time
from dataclasses import replace

from spinalprep.app.log import LOG
from spinalprep.errors import NoInputError
from spinalprep.settings import Settings
from spinalprep.streams import say


def run_group(settings: Settings) -> int:
    """Carry out the group level and return the exit code.

    The steps are a loop over people and a few sums: there is no graph to cache. What is costly, the
    reading of volumes, is kept per person in the work folder (`group.crops`).
    """
    if settings.participant_label:
        LOG.debug("the group is limited to %d participants", len(settings.participant_label))
    from spinalprep.app.group_choice import check_group, choose_group
    from spinalprep.bids.dataset import check_folders

    if not settings.out_dir.is_dir():
        raise NoInputError(f"{settings.out_dir} does not exist; run the participant level first")
    check_folders(settings)
    _name_the_lost(settings)
    started = time.monotonic()
    group = choose_group(settings)
    if settings.dry_run:
        for decision in group.decisions:
            word = "used" if decision.used else f"not included: {decision.reason}"
            say(f"{decision.candidate.name}  {word}")
    group = replace(group, warnings=check_group(group))
    if settings.dry_run:
        return 0
    from spinalprep.app.group_steps import Steps
    from spinalprep.app.run_folder import RunFolder

    page = Steps.of(group).take()
    LOG.debug("settings: %s", RunFolder(settings).write_group_settings())
    LOG.info(
        "group level finished: %d participants in %.0f s",
        len(group.people),
        time.monotonic() - started,
    )
    LOG.info("report: %s", page)
    return 0


def _name_the_lost(settings: Settings) -> None:
    """Name participants without any status: never begun, or killed with their job or node."""
    from spinalprep.bids.index import participants
    from spinalprep.bids.left_out import ignored_folders
    from spinalprep.bids.status import read_status, rebuild_status

    if not settings.dry_run:
        rebuild_status(settings.out_dir)
    told = {status.participant_id for status in read_status(settings.out_dir)}
    there = {f"sub-{label}" for label in participants(settings.bids_dir)}
    there -= ignored_folders(settings.bids_dir, there)
    if settings.participant_label:
        there &= {f"sub-{label}" for label in settings.participant_label}
    lost = sorted(there - told)
    if lost:
        more = f" and {len(lost) - 10} more" if len(lost) > 10 else ""
        LOG.warning(
            "not in status.tsv (never processed, or stopped before a status was written): %s%s",
            ", ".join(lost[:10]),
            more,
        )
