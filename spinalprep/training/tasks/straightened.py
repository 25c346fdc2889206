"""Networks in three dimensions: volumes of sections across a straightened cord."""

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from spinalprep.networks.weights import Model
from spinalprep.training.evaluation.temperature import measured_temperature
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.labelled import labelled_volumes
from spinalprep.training.material.people import Kind
from spinalprep.training.material.straightened import StraightVolumes, straighten_volumes
from spinalprep.training.material.synthetic import digital_volumes
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.volumes import VolumeRanges, make_volumes
from spinalprep.training.task import Recipe, TrainingTask

SPACING_MM = 0.5
WIDTH_MM = 48.0  # of the material's sections: room for shifts and turns
CLASSES = ("cord", "gm", "lesion")
DIGITAL_PEOPLE = 4
DIGITAL_SHARE = 0.3  # of the samples


@dataclass(frozen=True, kw_only=True)
class StraightenedRecipe(Recipe):
    """How a network in three dimensions is trained.

    Attributes
    ----------
    classes : tuple of str
        What the network tells, some of cord, gm and lesion.
    ranges : VolumeRanges
        What the generator draws from.
    """

    classes: tuple[str, ...] = CLASSES
    ranges: VolumeRanges = field(default_factory=VolumeRanges)
    steps: int = 2000
    batch: int = 4
    validation_batches: int = 4


class StraightenedTask(TrainingTask[StraightenedRecipe, StraightVolumes]):
    """Straightened cords of people and synthetic subjects."""

    recipe_type = StraightenedRecipe
    pieces = "cords"

    def read(self, dataset: LabelledDataset) -> StraightVolumes:
        """Straighten every cord that was drawn, and those of synthetic subjects."""
        volumes = chain(labelled_volumes(dataset), digital_volumes(DIGITAL_PEOPLE))
        return straighten_volumes(volumes, SPACING_MM, WIDTH_MM)

    def draw(self, material: StraightVolumes, seed: int, step: int) -> Batch:
        """Return the batch of a step, of the recipe's classes; people come up alike."""
        recipe, chance = self.recipe, np.random.default_rng([seed, step])
        owners = material.owners()
        real = sorted({who for who in owners if who.kind is not Kind.DIGITAL})
        digital = sorted({who for who in owners if who.kind is Kind.DIGITAL})
        chosen = []
        for _ in range(recipe.batch):
            pool = digital if digital and (not real or chance.random() < DIGITAL_SHARE) else real
            who = pool[int(chance.integers(len(pool)))]
            theirs = [volume for volume in material.volumes if volume.owner == who]
            chosen.append(theirs[int(chance.integers(len(theirs)))])
        draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
        batch = make_volumes(chosen, recipe.ranges, draw)
        kept = [CLASSES.index(name) for name in recipe.classes]
        return Batch(batch.image, batch.truth[:, kept], batch.weight[:, kept])

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        return {
            "inputs": "volumes of sections across the centerline, each scaled to [0, 1] between "
            "its percentiles 1 and 99",
            "spacing": [SPACING_MM] * 3,
            "window": self.recipe.ranges.size,
            "depth": self.recipe.ranges.depth,
            "orientation": "straightened: right-left, posterior-anterior, along the cord",
            "channels": 1,
            "classes": list(self.recipe.classes),
        }

    def figures(self, trained: Model, material: StraightVolumes, seed: int) -> dict[str, Any]:
        """Measure the temperature of probabilities of the cord, on synthetic subjects."""
        return measured_temperature(trained) if "cord" in self.recipe.classes else {}
