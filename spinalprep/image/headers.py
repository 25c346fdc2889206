"""Headers that nibabel mends while it reads them, told with the name of the file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, get_ident
from typing import Any

import nibabel as nib

LOGGER = logging.getLogger("nibabel.global")  # of `nibabel.imageglobals`
NO_SIZE = "should be non-zero"  # in what nibabel says
_one_at_a_time = RLock()


class _Keep(logging.Handler):
    """Keeps what nibabel says in this thread."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines, self._thread = lines, get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        if record.thread == self._thread:
            self._lines.append(record.getMessage())


def open_header(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Open an image file with nibabel, which reads no voxel yet.

    Parameters
    ----------
    path : Path
        An image file.

    Returns
    -------
    volume : nibabel image
        Its header as nibabel mended it.
    notes : tuple of str
        One line if anything in the header was mended; nibabel itself would print it to stderr
        without the name of the file.

    Raises
    ------
    ValueError
        If the size of a voxel is 0 and no sform tells it: nibabel would assume 1 mm.
    Exception
        Whatever nibabel, zlib and the file system raise.
    """
    with _heard() as lines:
        volume: Any = nib.loadsave.load(path)
    if any(NO_SIZE in line for line in lines) and not volume.header["sform_code"]:
        raise ValueError("its voxel sizes are 0, and it has no sform")
    mended = "; ".join(dict.fromkeys(lines))
    return volume, (f"{path} has errors in its header ({mended})",) if mended else ()


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Take what nibabel's log says, in place of those who hear it otherwise."""
    lines: list[str] = []
    with _one_at_a_time:
        kept = LOGGER.handlers, LOGGER.level, LOGGER.propagate
        LOGGER.handlers, LOGGER.propagate = [_Keep(lines)], False
        LOGGER.setLevel(logging.WARNING)
        try:
            yield lines
        finally:
            LOGGER.handlers, LOGGER.propagate = kept[0], kept[2]
            LOGGER.setLevel(kept[1])
