"""Networks of several contrasts of a person: lesions, whichever of them there are."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinalprep.networks.hemis import CONTRASTS
from spinalprep.training.material.contrasts import Aligned, ContrastSlices, gather_contrasts
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.people import Kind
from spinalprep.training.material.synthetic import digital_contrasts
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.contrasts import ContrastRanges, make_contrasts
from spinalprep.training.task import Recipe, TrainingTask
from spinalprep.training.tasks.slices import choose_slices, volumes_of


@dataclass(frozen=True, kw_only=True)
class ContrastRecipe(Recipe):
    """How a network of several contrasts is trained.

    Attributes
    ----------
    spacing_mm, material_size, usual_mm
        See `SliceRecipe`.
    ranges : ContrastRanges
        What the image generator draws from.
    digital_people : int
        How many of them, of the seeds from 0 on, each in every contrast.
    digital_share, template_share : float
        Of the samples.
    counts : tuple of float
        Chances of one, two, ... contrasts in a sample.
    often : tuple of float
        How often each contrast of `hemis.CONTRASTS` is among them.
    """

    spacing_mm: float
    material_size: int
    usual_mm: float
    ranges: ContrastRanges
    batch: int = 12
    digital_people: int = 24
    digital_share: float = 0.4
    template_share: float = 0.1
    counts: tuple[float, ...] = (0.25, 0.35, 0.2, 0.1, 0.1)
    often: tuple[float, ...] = field(default=(0.14, 0.26, 0.24, 0.22, 0.14))


class ContrastTask(TrainingTask[ContrastRecipe, ContrastSlices]):
    """Axial slices of people in one contrast, of synthetic subjects in all of them."""

    recipe_type = ContrastRecipe
    pieces = "slices"
    synthetic = (
        "synthetic subjects have all contrasts; of people one is real and the others are that one "
        "recoloured; intensities and geometry randomized; all lesions are synthetic"
    )

    def read(self, dataset: LabelledDataset) -> ContrastSlices:
        """Cut every volume with a cord mask into slices, and those of synthetic subjects."""
        recipe = self.recipe
        return gather_contrasts(
            chain(_people(dataset), digital_contrasts(recipe.digital_people)),
            recipe.spacing_mm,
            recipe.material_size,
            recipe.usual_mm,
        )

    def draw(self, material: ContrastSlices, seed: int, step: int) -> Batch:
        """Return the batch of a step; the same for the same material, seed and step."""
        recipe, lot = self.recipe, np.random.default_rng([seed, step])
        index = choose_slices(material.slices, recipe.batch, recipe.template_share, lot)
        digital = np.flatnonzero(material.of_kind(Kind.DIGITAL))
        if len(digital):
            pick = lot.random(recipe.batch) < recipe.digital_share
            index = np.where(pick, lot.choice(digital, recipe.batch), index)
        wanted = self._contrasts(lot)
        draw = torch.Generator().manual_seed(int(lot.integers(2**62)))
        return make_contrasts(material, index, wanted, recipe.ranges, draw)

    def _contrasts(self, lot: np.random.Generator) -> NDArray[np.bool_]:
        """Draw the contrasts of every sample, (N, contrasts), one at least."""
        recipe, every = self.recipe, len(CONTRASTS)
        wanted = np.zeros((recipe.batch, every), bool)
        counts = lot.choice(np.arange(1, every + 1), recipe.batch, p=recipe.counts)
        for row, count in zip(wanted, counts, strict=True):
            row[lot.choice(every, count, replace=False, p=recipe.often)] = True
        return wanted

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        recipe = self.recipe
        return {
            "inputs": "of every contrast: one axial slice, scaled to [0, 1] between its "
            "percentiles 1 and 99, and its difference from the median of those within "
            f"{recipe.usual_mm:g} mm along the cord; zero where a contrast is missing",
            "spacing": [recipe.spacing_mm, recipe.spacing_mm],
            "window": recipe.ranges.size,
            "orientation": "LAS axial",
            "channels": 2 * len(CONTRASTS),
            "contrasts": list(CONTRASTS),
            "usual_mm": recipe.usual_mm,
            "classes": ["cord", "gm", "lesion"],
        }


def _people(dataset: LabelledDataset) -> Iterator[Aligned]:
    """Yield what a dataset shows of people and of a template, one contrast each."""
    for volume in volumes_of(replace(dataset, digital_people=0), automatic=True):
        yield {volume.contrast: volume}
