"""What a run says: short lines on the screen, or JSON."""

import contextlib
import json
import logging
from collections.abc import Iterator

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


ONLY_ONCE = {"only_once": True}  # as `extra` of a record: not true of another run like this one


class _Notes(logging.Handler):
    """Keeps level and message of every record, those of `ONLY_ONCE` aside."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if not hasattr(record, "only_once"):
            self.kept.append((record.levelno, record.getMessage()))


@contextlib.contextmanager
def listening() -> Iterator[list[tuple[int, str]]]:
    """Yield a list to which level and message of all that is said meanwhile are added."""
    notes = _Notes()
    LOG.addHandler(notes)
    try:
        yield notes.kept
    finally:
        LOG.removeHandler(notes)


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
