"""Networks of axial slices: centerline, cord, gray matter, lesions."""

from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.networks.weights import Model
from spinalprep.networks.window import Beside
from spinalprep.training.evaluation.temperature import measured_temperature
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.labelled import (
    automatic_volumes,
    labelled_volumes,
    volumes_without_cord,
)
from spinalprep.training.material.people import Kind
from spinalprep.training.material.slices import Slices, Usual, gather_slices
from spinalprep.training.material.synthetic import digital_volumes, template_volume
from spinalprep.training.material.volume import LabelledVolume
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.pictures import SHOWN, draw_samples
from spinalprep.training.synthesis.sections import make_sections
from spinalprep.training.synthesis.slices import SliceRanges, make_slices
from spinalprep.training.task import Recipe, TrainingTask


@dataclass(frozen=True, kw_only=True)
class SliceRecipe(Recipe):
    """How a network of axial slices is trained.

    Attributes
    ----------
    spacing_mm, material_size, centered
        Grid of the material, see `gather_slices`.
    ranges : SliceRanges
        What the image generator draws from.
    template_share : float
        Share of samples from a template's slices, without one from those of synthetic subjects.
    heat_sd_px : float or None
        Train a heat map of this width around the center in place of the masks.
    needs_gm : bool
        Use only slices in which gray matter is known.
    usual_mm : float
        Show the network how a slice differs from the usual section of the cord in this reach.
    beside : Beside
        Show it sections along the cord beside each slice, as they are.
    """

    spacing_mm: float
    material_size: int
    ranges: SliceRanges
    batch: int = 16
    centred: bool = True
    template_share: float = 0.3
    heat_sd_px: float | None = None
    needs_gm: bool = False
    usual_mm: float = 0.0
    beside: Beside = field(default_factory=Beside)

    @property
    def in_sections(self) -> bool:
        """Whether samples have sections beside them, or outlines that are hidden."""
        return self.beside.channels > 1 or self.ranges.faults > 0


class SliceTask(TrainingTask[SliceRecipe, Slices]):
    """Axial slices of people, synthetic subjects and a template."""

    recipe_type = SliceRecipe
    pieces = "slices"

    def read(self, dataset: LabelledDataset) -> Slices:
        """Cut every labeled volume into slices.

        With usual sections, people whose cord nobody drew come along with the mask of the packaged
        networks, where the dataset's description names them.

        Raises
        ------
        InputError
            If nobody's slice has a label, of gray matter where the recipe needs it.
        """
        recipe = self.recipe
        slices = gather_slices(
            volumes_of(dataset, automatic=recipe.usual_mm > 0),
            recipe.spacing_mm,
            recipe.material_size,
            recipe.centred,
            Usual(recipe.usual_mm or recipe.beside.median_mm, recipe.beside.median_mm > 0),
        )
        slices = slices.with_gm() if recipe.needs_gm else slices
        if not slices.people:
            label = "label of gray matter" if recipe.needs_gm else "label"
            raise InputError(f"{dataset.bids_dir} has no training data: no slice has a {label}")
        return slices

    def draw(self, material: Slices, seed: int, step: int) -> Batch:
        """Return the batch of a step; the same for the same material, seed and step."""
        recipe, chance = self.recipe, np.random.default_rng([seed, step])
        index = choose_slices(material, recipe.batch, recipe.template_share, chance)
        draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
        if recipe.in_sections:
            return make_sections(material, index, recipe.ranges, draw, recipe.beside)
        batch = make_slices(material, index, recipe.ranges, draw)
        return batch if recipe.heat_sd_px is None else as_heat(batch, recipe.heat_sd_px)

    def describe(self) -> dict[str, Any]:
        """Return what a card says of the network's inputs and outputs."""
        recipe = self.recipe
        inputs = "one axial slice, scaled to [0, 1] between its percentiles 1 and 99"
        if recipe.usual_mm:
            reach = f"{recipe.usual_mm:g} mm along the cord"
            inputs += f", and its difference from the median of those within {reach}"
        beside = recipe.beside
        if beside.neighbours_mm:
            inputs += f"; those about {beside.neighbours_mm:g} mm below and above"
        if beside.median_mm:
            inputs += f"; the median of those within {beside.median_mm:g} mm along the cord"
        return {
            "inputs": inputs,
            "spacing": [recipe.spacing_mm, recipe.spacing_mm],
            "window": recipe.ranges.size,
            "orientation": "LAS axial",
            "channels": 2 if recipe.usual_mm else beside.channels,
            **({"beside": asdict(beside)} if beside.channels > 1 else {}),
            **({"usual_mm": recipe.usual_mm} if recipe.usual_mm else {}),
            "classes": ["heat"] if recipe.heat_sd_px else ["cord", "gm", "lesion"],
        }

    def figures(self, trained: Model, material: Slices, seed: int) -> dict[str, Any]:
        """Measure the temperature of probabilities, on synthetic subjects."""
        return measured_temperature(trained)

    def draw_picture(self, material: Slices, seed: int, folder: Path) -> None:
        """Draw twenty samples beside twenty real slices, ``samples.png``."""
        enough = range(-(-SHOWN // self.recipe.batch))
        first = [self.draw(material, seed, step) for step in enough]
        draw_samples(material, first, folder / "samples.png")


def volumes_of(dataset: LabelledDataset, automatic: bool) -> chain[LabelledVolume]:
    """Return all volumes of a dataset: people's, synthetic subjects's, a template's."""
    return chain(
        labelled_volumes(dataset),
        digital_volumes(dataset.digital_people),
        volumes_without_cord(dataset),
        map(template_volume, dataset.templates),
        automatic_volumes(dataset) if automatic else (),
    )


def choose_slices(
    material: Slices, count: int, template_share: float, chance: np.random.Generator
) -> NDArray[np.intp]:
    """Draw the slices of a batch: a share of a template's, the others of people alike.

    Where there is no template synthetic subjects stand for it; otherwise they are like one more.
    """
    apart = material.of_kind(Kind.TEMPLATE)
    if not apart.any():
        apart = material.of_kind(Kind.DIGITAL)
    pools = np.flatnonzero(apart), np.flatnonzero(~apart)
    from_apart = (chance.random(count) < template_share) & bool(len(pools[0]))
    return np.where(
        from_apart,
        chance.choice(pools[0], count) if len(pools[0]) else 0,
        _by_person(material, pools[1], count, chance),
    )


def _by_person(
    material: Slices, pool: NDArray[np.intp], count: int, chance: np.random.Generator
) -> NDArray[np.intp]:
    """Draw people alike, whatever their number of slices."""
    person, kind = material.person[pool], material.kind[pool]
    people = sorted(set(zip(person.tolist(), kind.tolist(), strict=True)))
    slices = [pool[(person == name) & (kind == its)] for name, its in people]
    drawn = chance.choice(len(people), count)
    return np.array([chance.choice(slices[n]) for n in drawn])


def as_heat(batch: Batch, sd_px: float) -> Batch:
    """Replace the masks by a Gaussian around the center of the cord, or of lone gray matter."""
    size = batch.truth.shape[-1]
    axis = torch.arange(size, dtype=torch.float32)
    known = batch.weight[:, :1] > 0
    guide = torch.where(known, batch.truth[:, :1], batch.truth[:, 1:2])
    mass = guide.sum(dim=(2, 3), keepdim=True)
    i = (guide * axis[:, None]).sum(dim=(2, 3), keepdim=True) / mass.clamp(min=1e-3)
    j = (guide * axis[None, :]).sum(dim=(2, 3), keepdim=True) / mass.clamp(min=1e-3)
    apart = (axis[:, None] - i) ** 2 + (axis[None, :] - j) ** 2
    heat = torch.exp(-apart / (2 * sd_px**2)) * (mass > 4)
    return Batch(batch.image, heat, torch.ones(len(heat), 1, 1, 1))
