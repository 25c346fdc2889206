"""What a run says: short lines on the screen, or JSON."""

import json
import logging

from spinalprep.errors import one_line

LOG = logging.getLogger("spinalprep")
MARK = {"DEBUG": " ", "INFO": " ", "WARNING": "!", "ERROR": "x", "CRITICAL": "x"}


class _Plain(logging.Formatter):
    """``! message``: one mark, one line; the traceback of a defect with ``-v``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = f"{MARK[record.levelname]} {one_line(record.getMessage())}"
        if record.exc_info and LOG.isEnabledFor(logging.DEBUG):
            line += f"\n{self.formatException(record.exc_info)}"
        return line


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
    for name in ("pydra", "nipype", "bids", "matplotlib"):
        logging.getLogger(name).setLevel(logging.INFO if verbose > 1 else logging.CRITICAL)
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # `image.headers` tells it
