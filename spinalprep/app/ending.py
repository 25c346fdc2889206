"""How a run ended, in words."""

from collections.abc import Sequence
from pathlib import Path

from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary
from spinalprep.bids.places import report_path
from spinalprep.bids.status import read_status

MOST_REPORTS = 20  # that are named


def say_end(out_dir: Path, labels: Sequence[str], seconds: float) -> None:
    """Say how a run of some participants ended and where their reports are."""
    end_temporary(out_dir)
    rows = [row for row in read_status(out_dir) if row.participant_id[4:] in labels]
    finished = sum(row.state == "finished" for row in rows)
    LOG.info("%d of %d sessions finished in %.0f s", finished, len(rows), seconds)
    for row in rows:
        if row.state != "finished":
            LOG.info("%s %s: %s", row.participant_id, row.state, row.reason)
    for label in labels[:MOST_REPORTS]:
        path = report_path(out_dir, label)
        if path.is_file():
            LOG.info("report: %s", path)
    LOG.info("status: %s", out_dir / "status.tsv")
