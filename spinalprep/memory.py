"""Memory and processors that this process may use, and has used; the standard library alone.

Limits come from the machine, from control groups (both versions, every level above the process) and
from SLURM; the smallest holds.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
UNKNOWN_GB = 4.0  # where the system does not say


@dataclass(frozen=True)
class Usage:
    """What this process and its ended children have taken since it began.

    Attributes
    ----------
    cpu_s : float
        Seconds of processors.
    read_bytes, written_bytes : int
        What was asked of files and pipes, whether it came from the disk or from the system's
        memory; 0 where the system does not count.
    """

    cpu_s: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0

    def __sub__(self, before: "Usage") -> "Usage":
        return Usage(
            self.cpu_s - before.cpu_s,
            self.read_bytes - before.read_bytes,
            self.written_bytes - before.written_bytes,
        )


NOTHING = Usage()


def usage() -> Usage:
    """Return what has been taken so far."""
    times, counts = os.times(), {"rchar": 0, "wchar": 0}
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/io").read_text().splitlines():
            name, _, value = line.partition(":")
            counts[name] = int(value)
    cpu_s = times.user + times.system + times.children_user + times.children_system
    return Usage(cpu_s, counts["rchar"], counts["wchar"])


def peak_mib() -> float:
    """Return the peak resident memory in MiB, since the last reset if possible."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    scale = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def reset_peak() -> None:
    """Start the peak anew (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def free_gb(share: float = 1.0, root: Path = ROOT) -> float:
    """Return a share of the memory that this process may still take, in GB (1e9 bytes).

    The least of what the machine has free, what each control group leaves, and what SLURM gave.
    """
    free = [limit for limit in (_machine_free(root), slurm_memory()) if limit is not None]
    free += [limit - used for limit, used in _memory_groups(root)]
    return max(min(free, default=UNKNOWN_GB * 1e9), 0.0) / 1e9 * share


def most_gb(root: Path = ROOT) -> float:
    """Return the memory beyond which this process would be ended or swap, in GB (1e9 bytes)."""
    limits = [limit for limit in (_machine_total(root), slurm_memory()) if limit is not None]
    limits += [limit for limit, _ in _memory_groups(root)]
    return min(limits) / 1e9 if limits else float("inf")


def count_cpus(root: Path = ROOT) -> int:
    """Return how many processors this process may use, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")
    counts = [float(len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)]
    counts += _cpu_quotas(root)
    given = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE", "")
    if given.isdigit() and int(given):
        counts.append(float(given))
    return max(int(min(counts) + 1e-6), 1)


def slurm_memory() -> float | None:
    """Return the bytes that SLURM gave to this job on this node; None without a limit."""
    for name, times in (("SLURM_MEM_PER_NODE", None), ("SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE")):
        given = os.environ.get(name, "")
        count = os.environ.get(times, "1") if times else "1"
        if given.isdigit() and int(given) and count.isdigit():
            return float(int(given) * int(count) * 1024**2)
    return None


def oom_kills(root: Path = ROOT) -> int:
    """Return how often the kernel has ended a process of this control group for its memory."""
    count = 0
    for folder in _groups(root, "memory"):
        for name in ("memory.events", "memory.oom_control"):
            for line in _text(folder / name).splitlines():
                if line.startswith("oom_kill "):
                    count = max(count, int(line.split()[1]))
    return count


def _machine_free(root: Path) -> float | None:
    return _meminfo(root, "MemAvailable")


def _machine_total(root: Path) -> float | None:
    return _meminfo(root, "MemTotal")


def _meminfo(root: Path, name: str) -> float | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) * 1024
    return None


def _memory_groups(root: Path) -> Iterator[tuple[float, float]]:
    """Yield limit and use in bytes of each control group that limits memory.

    What the system keeps of files there does not count as used: it goes when memory is wanted.
    """
    for folder in _groups(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = _text(folder / limit_name)
            if limit.isdigit() and int(limit) < 2**60:  # the first version says "no limit" so
                used = _text(folder / used_name)
                kept = _kept_files(folder)
                yield float(limit), max(float(used if used.isdigit() else 0) - kept, 0.0)


def _kept_files(folder: Path) -> float:
    """Return the bytes of files that a group keeps in memory without need."""
    values = dict.fromkeys(("inactive_file", "total_inactive_file"), 0.0)
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in values:
            values[name] = float(value)
    return max(values.values())


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Yield the processors that each control group allows by its quota."""
    for folder in _groups(root, "cpu"):
        words = _text(folder / "cpu.max").split()
        if not words:
            period = _text(folder / "cpu.cfs_period_us")
            words = [_text(folder / "cpu.cfs_quota_us"), period]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            yield int(words[0]) / int(words[1])


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups of this process, of either version, upwards.

    In a container the path that the kernel tells may lie outside of what is mounted: the folders
    that exist count, the mounted root among them.
    """
    base = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines() or ["0::/"]:
        _, names, path = [*line.split(":", 2), "", "", ""][:3]
        if names and controller not in names.split(","):
            continue
        top = base / (controller if names else "")
        tops = [top] if names else [base, base / "unified"]
        for top in tops:
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts), -1, -1):
                folder = top.joinpath(*parts[:depth])
                if folder.is_dir():
                    yield folder


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
