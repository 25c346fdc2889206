"""What a task needs, by the name of its class; measured by ``benchmarks``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Threads that a task can use, and peak memory in GiB."""

    cpus: int = 1
    mem_gb: float = 1.0


DEFAULT = Resources()
TABLE: dict[str, Resources] = {
    "Conform": Resources(mem_gb=1.5),
    "Denoise": Resources(mem_gb=1.5),
    "CorrectBias": Resources(cpus=4, mem_gb=1.5),
    "Coregister": Resources(cpus=4, mem_gb=1.5),
    "FindHeat": Resources(cpus=4, mem_gb=2.0),
    "DetectElsewhere": Resources(cpus=4, mem_gb=2.0),
    "SegmentCord": Resources(cpus=4, mem_gb=2.0),
    "RegisterToTemplate": Resources(cpus=4, mem_gb=2.0),
}


def resources_of(task: object) -> Resources:
    """Return the needs of a task."""
    return TABLE.get(type(task).__name__, DEFAULT)
