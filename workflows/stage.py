"""Stages of the graph, and what several of them are told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydra.compose import workflow

from spinalprep.stages import Result, Stage

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Regions:
    """What says where in the cord a voxel is, as `LesionTables` and `RegionalMetric` take it.

    ``shares`` are the atlas's regions of the cord's voxels, ``names`` what they are called,
    ``combined`` those that are also measured together; in ``doubtful`` slices the cord's outline
    is.
    """

    cord: Path
    names: list[str]
    combined: dict[str, list[int]]
    vertebrae: Path | None = None
    levels: Path | None = None
    shares: Path | None = None
    doubtful: list[int] = field(default_factory=list)


def add_stage(stage: Stage[R], task: Any, item: str = "") -> R:
    """Add a stage to the graph that is being built and return what it promises to leave."""
    return stage.result_of(workflow.add(task, name=stage.name_of(item)))
