"""Where a process number means something: the machine, and the container on it."""

import contextlib
import os
import socket


def machine() -> str:
    """Return a name for this machine and its space of process numbers.

    Containers may share the name of their host but count processes on their own: there the same
    number is another process, and one that is alive can't be seen.
    """
    space = ""
    with contextlib.suppress(OSError):  # Linux: "pid:[4026531836]"
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{socket.gethostname()}-{space}" if space else socket.gethostname()
