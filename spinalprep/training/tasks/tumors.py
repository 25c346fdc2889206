"""Networks of tumors: the cord around them, and what of it is tumor, edema and cavity."""

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.labelled import automatic_volumes, labelled_volumes
from spinalprep.training.material.necks import (
    Necks,
    Room,
    digital_necks,
    labelled_necks,
    template_neck,
)
from spinalprep.training.material.people import Kind
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.tumors import CLASSES, TumorRanges, make_tumors
from spinalprep.training.task import Recipe, TrainingTask


@dataclass(frozen=True, kw_only=True)
class TumorRecipe(Recipe):
    """How a network of tumors is trained.

    Attributes
    ----------
    tube : bool
        Teach where the cord is, in T2w alone, in place of what grows in it.
    room : Room
        What is kept of a neck.
    digital_people : int
        How many of them, of the seeds from 0 on.
    digital_share, template_share : float
        Of the patches.
    ranges : TumorRanges
        What the generator draws from.
    """

    tube: bool = False
    room: Room = field(default_factory=lambda: Room(1.0, 32.0, 20.0))
    digital_people: int = 24
    digital_share: float = 0.4
    template_share: float = 0.2
    ranges: TumorRanges = field(default_factory=TumorRanges)
    batch: int = 2
    validation_batches: int = 4


class TumorTask(TrainingTask[TumorRecipe, Necks]):
    """Necks of people, digital people and a template, with tumors drawn in."""

    recipe_type = TumorRecipe
    pieces = "necks"
    synthetic = (
        "every tumor, edema and cavity is drawn, and so is gadolinium's enhancement; the T1w image "
        "of a person is made up from the other contrast; no patient was seen"
    )

    def read(self, dataset: LabelledDataset) -> Necks:
        """Return the necks of people with a drawn or automatic cord, of digital people, a template.

        Images in which fluid is no brighter than the cord are passed over.
        """
        recipe = self.recipe
        volumes = chain(labelled_volumes(dataset), automatic_volumes(dataset))
        templates = [template_neck(template, recipe.room) for template in dataset.templates]
        return Necks(
            (
                *labelled_necks(volumes, recipe.room),
                *digital_necks(range(recipe.digital_people), recipe.room),
                *(template for template in templates if template is not None),
            )
        )

    def draw(self, material: Necks, seed: int, step: int) -> Batch:
        """Return the batch of a step; people come up alike."""
        recipe, chance = self.recipe, np.random.default_rng([seed, step])
        draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
        chosen = [material.necks[self._one(material, chance)] for _ in range(recipe.batch)]
        return make_tumors(chosen, recipe.ranges, draw, recipe.tube)

    def _one(self, material: Necks, chance: np.random.Generator) -> int:
        """Draw a neck: a share digital, a share of the template, else any person's."""
        recipe, owners = self.recipe, material.owners()
        lot = chance.random()
        wanted = (Kind.DIGITAL, Kind.TEMPLATE, Kind.PERSON)
        shares = np.cumsum([recipe.digital_share, recipe.template_share])
        first = int(np.searchsorted(shares, lot, side="right"))
        there = {who.kind for who in owners}
        kind = next(k for k in (wanted[first], *reversed(wanted)) if k in there)
        people = sorted({who for who in owners if who.kind is kind})
        who = people[int(chance.integers(len(people)))]
        theirs = [n for n, owner in enumerate(owners) if owner == who]
        return theirs[int(chance.integers(len(theirs)))]

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        recipe, mm = self.recipe, self.recipe.room.spacing_mm
        contrasts = ["T2w"] if recipe.tube else ["T2w", "Gd-T1w"]
        return {
            "inputs": f"{' and '.join(contrasts)}, each minus its mean, over its standard "
            "deviation; zero where a contrast is missing",
            "spacing": [mm, mm, 2 * mm],
            "patch": list(recipe.ranges.size),
            "orientation": "SAL",
            "channels": len(contrasts),
            "classes": ["cord"] if recipe.tube else list(CLASSES),
            "use": "research only; not for diagnosis",
        }

    def terms(self) -> dict[str, str]:
        """Return what a card says of limits in place of the dataset's words."""
        return {
            "limits": "trained on drawn tumors alone and never tried on a patient's; smaller than "
            "the published network (filters, depth, patch, steps); necks of healthy people, 19 cm "
            "at most of a digital person, so that no cavity is as long as many are in patients"
        }
