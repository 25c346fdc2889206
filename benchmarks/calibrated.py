"""CPU seconds of a command and its children, in those of a fixed kernel of the same minute.

python benchmarks/calibrated.py [--log FILE] -- COMMAND [WORDS...]

Seconds of CPU differ between machines, and on one machine from hour to hour: the clock follows
the load, and neighbors take cache and memory. Their ratio to a kernel that does the same kinds of
work hardly does. One unit is about a second on a core of a laptop of 2024.
"""

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
POLL_S = 0.25
KERNEL = """
import time
import numpy as np, torch
from scipy import fft, sparse
from scipy.sparse.linalg import spsolve

torch.set_num_threads(1)
generator = np.random.default_rng(0)
images = torch.from_numpy(generator.random((4, 16, 96, 96), np.float32))
weights = torch.from_numpy(generator.random((16, 16, 3, 3), np.float32))
volume = generator.random((96, 96, 96), np.float32)
n = 120
line = sparse.diags([-1.0, 2.05, -1.0], [-1, 0, 1], shape=(n, n))
grid = (sparse.kron(line, sparse.eye(n)) + sparse.kron(sparse.eye(n), line)).tocsc()

def kernel():
    for _ in range(40):
        torch.nn.functional.conv2d(images, weights, padding=1)
    for _ in range(6):
        fft.irfftn(fft.rfftn(volume, workers=1), volume.shape, workers=1)
    for _ in range(2):
        spsolve(grid, np.ones(n * n))
    words = {}
    for number in range(600_000):
        words[number % 977] = words.get(number % 977, 0) + (number * 7) % 13

kernel()  # once, so that everything is loaded
began = time.process_time()
for _ in range(3):
    kernel()
print(time.process_time() - began)
"""


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes
    ----------
    code : int
        Its exit code.
    cpu_s, kernel_s : float
        CPU seconds of the whole tree of processes, and of the kernel: the mean of just before and
        just after.
    wall_s : float
    peak_mib : float
        Largest sum over the tree of the memory of its own (proportional set size: what processes
        share counts once).
    """

    code: int
    cpu_s: float
    kernel_s: float
    wall_s: float
    peak_mib: float

    @property
    def calibrated(self) -> float:
        """CPU seconds over those of the kernel."""
        return self.cpu_s / self.kernel_s


def kernel_seconds() -> float:
    """Return the CPU seconds of the kernel on one thread, in a process of its own."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-c", KERNEL]
    return float(
        subprocess.run(command, check=True, capture_output=True, env=os.environ | one).stdout
    )


def measure(command: Sequence[str], log: Path | None = None) -> Cost:
    """Run a command and say what it and all its descendants took; Linux only.

    Parameters
    ----------
    command : sequence of str
    log : Path, optional
        Takes what the command prints; by default it is shown.
    """
    before = kernel_seconds()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # orphans (a fork server) are counted too
    used, began = _children_seconds(), time.monotonic()
    with open(log or os.devnull, "w") as sink:
        stream = None if log is None else sink
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
        peak = _Peak(process.pid)
        peak.start()
        code = process.wait()
        wall_s = time.monotonic() - began
        peak.ended.set()
        peak.join()
        _reap()
    cpu_s = _children_seconds() - used
    return Cost(code, cpu_s, (before + kernel_seconds()) / 2, wall_s, peak.mib)


class _Peak(threading.Thread):
    """Watches the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.mib, self.ended = pid, 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(POLL_S):
            self.mib = max(self.mib, sum(map(_own_mib, _tree(self.pid))))


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            for task in tasks:
                found += [int(n) for n in (task / "children").read_text().split()]
        except OSError:  # it ended meanwhile
            continue
    return found


def _own_mib(pid: int) -> float:
    """Return the proportional set size of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _reap() -> None:
    """Wait for every descendant that outlived the command, so that its time is counted."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children_seconds() -> float:
    """Return user and system seconds of all descendants that were waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Measure the command that is given, and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--log", type=Path, help="takes what the command prints")
    parser.add_argument("command", nargs="+", help="after --")
    given = parser.parse_args()
    cost = measure(given.command, given.log)
    sys.stdout.write(
        f"calibrated {cost.calibrated:.1f}: {cost.cpu_s:.1f} s of CPU, kernel {cost.kernel_s:.2f} "
        f"s; wall {cost.wall_s:.1f} s, peak {cost.peak_mib:.0f} MiB\n"
    )
    return cost.code


if __name__ == "__main__":
    sys.exit(main())
