"""What differs between kinds of networks: one file each, named in this table."""

from typing import Any

from spinalprep.training.task import TrainingTask
from spinalprep.training.tasks.contrasts import ContrastTask
from spinalprep.training.tasks.discs import DiscsTask
from spinalprep.training.tasks.lumbar import LumbarTask
from spinalprep.training.tasks.slices import SliceTask
from spinalprep.training.tasks.straightened import StraightenedTask
from spinalprep.training.tasks.tumors import TumorTask

TASKS: dict[str, type[TrainingTask[Any, Any]]] = {
    "contrasts": ContrastTask,
    "discs": DiscsTask,
    "lumbar": LumbarTask,
    "slices": SliceTask,
    "straightened": StraightenedTask,
    "tumors": TumorTask,
}
