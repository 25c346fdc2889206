"""What a task needs, by the name of its class; measured by ``benchmarks``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Threads that a task can use, peak memory in GiB, and minutes that a scheduler is asked for.

    The minutes are many times what was measured (docs/benchmarks.md), start of the program
    included: a cluster's file system may be slow, and a job that ends early costs nothing.
    """

    cpus: int = 1
    mem_gb: float = 1.0
    minutes: int = 15


DEFAULT = Resources()
PERSON = Resources(cpus=4, mem_gb=4.0, minutes=120)  # a participant as one job
GROUP = Resources(cpus=4, mem_gb=8.0, minutes=240)
TABLE: dict[str, Resources] = {
    "Conform": Resources(mem_gb=1.5),
    "Denoise": Resources(mem_gb=1.5, minutes=30),
    "CorrectBias": Resources(cpus=4, mem_gb=1.5, minutes=30),
    "Coregister": Resources(cpus=4, mem_gb=1.5, minutes=30),
    "FindHeat": Resources(cpus=4, mem_gb=2.0, minutes=30),
    "DetectElsewhere": Resources(cpus=4, mem_gb=2.0, minutes=30),
    "SegmentElsewhere": Resources(cpus=4, mem_gb=2.0, minutes=30),
    "SegmentCord": Resources(cpus=4, mem_gb=2.0, minutes=30),
    "SegmentLumbar": Resources(cpus=4, mem_gb=2.0, minutes=30),
    "RegisterToTemplate": Resources(cpus=4, mem_gb=2.0, minutes=30),
}


def largest_gb() -> float:
    """Return what the largest task needs, in GB (1e9 bytes)."""
    return max(needs.mem_gb for needs in TABLE.values()) * 1024**3 / 1e9


def resources_of(task: object) -> Resources:
    """Return the needs of a task."""
    return TABLE.get(type(task).__name__, DEFAULT)
