"""Networks of the eleven structures of lumbar sagittal slices."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.training.fitting.losses import Objective
from spinalprep.training.fitting.structures import structure_loss
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.lumbar import SPACING_MM, LumbarSlices, draw_lumbar_slices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.lumbar import LumbarRanges, draw_lumbar_batch
from spinalprep.training.task import Recipe, TrainingTask


@dataclass(frozen=True, kw_only=True)
class LumbarRecipe(Recipe):
    """How a network of lumbar structures is trained.

    Attributes
    ----------
    digital_people, slices : int
        How many subjects, of the seeds from 0 on, and slices of each.
    ranges : LumbarRanges
        What the generator draws from.
    """

    digital_people: int = 240
    slices: int = 4
    ranges: LumbarRanges = field(default_factory=LumbarRanges)
    batch: int = 6


class LumbarTask(TrainingTask[LumbarRecipe, LumbarSlices]):
    """Slices of lumbar synthetic subjects alone; no real image is read."""

    recipe_type = LumbarRecipe
    pieces = "slices"
    can_leave_out = False
    synthetic = "every subject is synthetic, anatomy and intensities alike; no patient was seen"

    def read(self, dataset: LabelledDataset) -> LumbarSlices:
        """Draw the subjects; the dataset has no labels of these structures."""
        return draw_lumbar_slices(range(self.recipe.digital_people), self.recipe.slices)

    def draw(self, material: LumbarSlices, seed: int, step: int) -> Batch:
        """Return the batch of a step."""
        recipe = self.recipe
        return draw_lumbar_batch(material.tissues, recipe.batch, recipe.ranges, seed, step)

    def objective(self) -> Objective:
        """Return the loss of one structure a pixel, of every scale that the network gives."""

        def deep(given: Any, truth: Tensor, weight: Tensor) -> Tensor:
            return structure_loss(given, truth)

        return deep

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        return {
            "inputs": "T2w and T1w of one sagittal slice, each over its percentile 98; zero where "
            "a contrast is missing",
            "spacing": [SPACING_MM, SPACING_MM],
            "orientation": "SA",
            "channels": 2,
            "classes": list(STRUCTURES),
            "use": "research only; not for diagnosis",
        }

    def terms(self) -> dict[str, str]:
        """Return what a card says of sources and limits in place of the dataset's words."""
        return {
            "sources": "lumbar synthetic subjects (spinalprep.phantom.lumbar)",
            "limits": "trained on synthetic subjects alone; structures as that anatomy draws them",
        }
