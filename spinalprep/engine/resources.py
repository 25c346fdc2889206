"""What a task needs, by the name of its class; measured by ``benchmarks``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Threads that a task can use, peak memory in GiB and a generous time limit in minutes."""

    cpus: int = 1
    mem_gb: float = 1.0
    minutes: int = 30


DEFAULT = Resources()
TABLE: dict[str, Resources] = {}


def resources_of(task: object) -> Resources:
    """Return the needs of a task."""
    return TABLE.get(type(task).__name__, DEFAULT)
