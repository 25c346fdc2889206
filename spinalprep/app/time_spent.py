"""Where the time of a run went, and what would make the next one shorter."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from spinalprep.app.outcome import ComputedTask
from spinalprep.settings import Settings
from spinalprep.stages import Node

MOST_STAGES = 4  # that are named
WORTH_IT = 0.1  # of the time of all tasks
LEAST_S = 10.0  # a shorter run needs no advice
ON_TEMPLATE = ("WarpImages", "WarpLesions")  # write the template's whole grid
FOR_LESIONS = ("SegmentLesions",)  # and all tasks of stages named after them


@dataclass(frozen=True)
class _Saving:
    """An option that spares tasks, and what a run without them lacks."""

    option: str
    lacks: str
    spares: Callable[[ComputedTask], bool]
    is_used: Callable[[Settings], bool]


_SAVINGS = (
    _Saving(
        "--output-spaces reference",
        "no images in template space",
        lambda task: task.task in ON_TEMPLATE,
        lambda settings: "template" not in settings.output_spaces,
    ),
    _Saving(
        "--skip n4",
        "no bias correction",
        lambda task: task.task == "CorrectBias",
        lambda settings: "n4" in settings.skip,
    ),
    _Saving(
        "--skip coreg",
        "other contrasts stay where their headers place them",
        lambda task: task.task == "Coregister",
        lambda settings: "coreg" in settings.skip,
    ),
    _Saving(
        "--skip lesion",
        "no lesions",
        lambda task: _stage(task).startswith("lesion") or task.task in FOR_LESIONS,
        lambda settings: "lesion" in settings.skip,
    ),
    _Saving(
        "--skip template",
        "no tracts, nothing in template space",
        lambda task: _stage(task).startswith("template") or _stage(task) == "lesion_template",
        lambda settings: "template" in settings.skip,
    ),
)


def time_lines(tasks: Sequence[ComputedTask], settings: Settings) -> Iterator[str]:
    """Yield a line that says which stages took the time, and one that says how to save some.

    Parameters
    ----------
    tasks : sequence of ComputedTask
        All that were computed, of every participant; none where all came from the cache.
    settings : Settings
        What is left out already is not advised.

    Yields
    ------
    line : str
        Seconds of CPU. None for a run whose tasks took less than ten seconds.
    """
    total = sum(task.usage.cpu_s for task in tasks)
    if total < LEAST_S:
        return
    spent: dict[str, float] = {}
    for task in tasks:
        spent[_stage(task)] = spent.get(_stage(task), 0.0) + task.usage.cpu_s
    longest = sorted(spent, key=lambda stage: -spent[stage])[:MOST_STAGES]
    named = [f"{stage} {spent[stage]:.0f} s" for stage in longest]
    rest = total - sum(spent[stage] for stage in longest)
    named += [f"others {rest:.0f} s"] if len(spent) > MOST_STAGES else []
    yield f"CPU time of {len(tasks)} tasks: {total:.0f} s ({', '.join(named)})"
    savings = [
        (sum(task.usage.cpu_s for task in tasks if saving.spares(task)), saving)
        for saving in _SAVINGS
        if not saving.is_used(settings)
    ]
    worth = [f"{s.option} saves {t:.0f} s ({s.lacks})" for t, s in savings if t >= WORTH_IT * total]
    if worth:
        yield f"to save time where less is enough: {'; '.join(worth)}"


def _stage(task: ComputedTask) -> str:
    """Return the stage of a task without its contrast."""
    return Node.named(task.stage).stage.name
