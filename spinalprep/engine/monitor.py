"""What a run takes of the machine, second by second."""

import contextlib
import threading
import time
from dataclasses import dataclass
from types import TracebackType

import psutil


@dataclass(frozen=True)
class Sample:
    """One look at this process and all that it has started.

    Attributes
    ----------
    time_s : float
        Since the monitor began.
    processes : int
        How many there are.
    cpus : float
        Processors that were busy on average since the last look.
    rss_mib : float
        Sum of the resident memory; pages that processes share count once for each.
    """

    time_s: float
    processes: int
    cpus: float
    rss_mib: float


class ResourceMonitor:
    """Looks at this process and its descendants until the ``with`` block ends.

    Attributes
    ----------
    samples : list of Sample
        One every ``every_s`` seconds, and one at the end.
    """

    def __init__(self, every_s: float = 1.0) -> None:
        self.every_s = every_s
        self.samples: list[Sample] = []
        self._began = self._last = time.monotonic()
        self._busy: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ResourceMonitor":
        self._began = self._last = time.monotonic()
        self._busy = {pid: busy for pid, busy, _ in _family()}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def to_tsv(self) -> str:
        """Return the samples as a table, one row each."""
        rows = ["time_s\tprocesses\tcpus\trss_mib"]
        rows += [
            f"{s.time_s:.1f}\t{s.processes}\t{s.cpus:.2f}\t{s.rss_mib:.0f}" for s in self.samples
        ]
        return "\n".join(rows) + "\n"

    def _watch(self) -> None:
        while not self._ended.wait(self.every_s):
            self._look()
        self._look()

    def _look(self) -> None:
        now, family = time.monotonic(), _family()
        worked = sum(busy - self._busy.get(pid, 0.0) for pid, busy, _ in family)
        passed = max(now - self._last, 1e-3)
        memory = sum(rss for _, _, rss in family) / 1024**2
        self.samples.append(Sample(now - self._began, len(family), worked / passed, memory))
        self._last, self._busy = now, {pid: busy for pid, busy, _ in family}


def _family() -> list[tuple[int, float, int]]:
    """Return number, CPU seconds and resident bytes of this process and its descendants."""
    here = psutil.Process()
    found = []
    for process in (here, *here.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it may have ended
            times = process.cpu_times()
            busy = times.user + times.system
            found.append((process.pid, busy, process.memory_info().rss))
    return found
