"""What a run says: short lines on the screen, everything in a file."""

import json
import logging
from pathlib import Path

LOG = logging.getLogger("spinalprep")
MARK = {"DEBUG": " ", "INFO": " ", "WARNING": "!", "ERROR": "x", "CRITICAL": "x"}


class _Plain(logging.Formatter):
    """``! message``: one mark, one line; a traceback only in files."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return f"{MARK[record.levelname]} {record.getMessage()}"


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        return json.dumps(line)


def start_log(verbose: int = 0, as_json: bool = False) -> None:
    """Show the records of ``spinalprep`` on stderr; pydra's own only when asked twice."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if as_json else _Plain())
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.DEBUG if verbose else logging.INFO)
    LOG.propagate = False
    for name in ("pydra", "nipype", "bids", "nibabel", "matplotlib"):
        logging.getLogger(name).setLevel(logging.INFO if verbose > 1 else logging.CRITICAL)


def log_to_file(path: Path) -> logging.Handler:
    """Also write every record to ``path``; remove the handler when the run ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    return handler
