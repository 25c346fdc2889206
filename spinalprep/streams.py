"""Standard streams that are closed, or whose reader has left: what is said goes nowhere."""

import os
import sys
from typing import TextIO

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # in the order of their numbers


def open_closed_streams() -> None:
    """Open standard streams that the caller closed (``>&-``), on nothing.

    Otherwise the next file that is opened would take their number, and what a library prints would
    be written into it.
    """
    for number, (name, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def say(line: str, stream: TextIO | None = None) -> None:
    """Write a line to a stream (the standard output), unless its reader has left."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except BrokenPipeError:
        _to_nowhere(stream)


def end_streams() -> None:
    """Write what is still buffered; a reader who has left (``| head``) is no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
