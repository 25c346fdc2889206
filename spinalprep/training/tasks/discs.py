"""The disc detector: straightened mid-sagittal planes of a template and synthetic subjects."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spinalprep.networks.weights import Model
from spinalprep.training.evaluation.scale import measure_scale
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.people import Kind
from spinalprep.training.material.spines import Spines, read_spines
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.planes import PlaneRanges, make_planes
from spinalprep.training.task import Recipe, TrainingTask


@dataclass(frozen=True, kw_only=True)
class DiscsRecipe(Recipe):
    """How the disc detector is trained."""

    ranges: PlaneRanges = field(default_factory=PlaneRanges)
    batch: int = 12


class DiscsTask(TrainingTask[DiscsRecipe, Spines]):
    """Planes along the cord, with a blob in every disc."""

    recipe_type = DiscsRecipe
    pieces = "spines"
    can_leave_out = False  # they show no disc
    synthetic = (
        "contrast, geometry and field of view randomized; no real subject with visible discs "
        "was used for training"
    )

    def read(self, dataset: LabelledDataset) -> Spines:
        """Return spines with known discs, and people's axial stacks that hide theirs."""
        return read_spines(dataset)

    def draw(self, material: Spines, seed: int, step: int) -> Batch:
        """Return the batch of a step; the same for the same material, seed and step."""
        chance = np.random.default_rng([seed, step])
        return make_planes(material.spines, self.recipe.batch, self.recipe.ranges, chance)

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        return {
            "inputs": "the straightened mid-sagittal plane, mean of 8 mm, locally equalized",
            "spacing": [1.0, 1.0],
            "orientation": "rows from superior to inferior, columns from posterior to anterior",
            "channels": 1,
            "classes": ["disc", "C2/C3"],
        }

    def figures(self, trained: Model, material: Spines, seed: int) -> dict[str, Any]:
        """Measure what a logit says, on the template and synthetic subjects not seen before."""
        seen = [spine for spine in material.spines if spine.owner.kind is Kind.TEMPLATE]
        recipe = self.recipe
        return {"scale": measure_scale(trained.network, seen, recipe.ranges, recipe.batch, seed)}

    def terms(self) -> dict[str, str]:
        """Return what a card says of sources and limits."""
        return {
            "sources": (
                "a template (its T2w at 1 x 1 x 2 mm and label maps), synthetic subjects, "
                "axial stacks as images without discs"
            ),
            "limits": "one real anatomy, the template's; fused or operated discs were not used",
        }
