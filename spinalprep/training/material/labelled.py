"""Training material of one's own: a BIDS dataset with labels, and digital persons beside it."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from spinalprep.errors import InputError
from spinalprep.image import load, reorient
from spinalprep.training.material.cases import Case, find_cases
from spinalprep.training.material.slices import Labelled, Slices, gather_slices
from spinalprep.training.material.synthetic import automatic_cord, digital_volumes
from spinalprep.training.recipe import Recipe
from spinalprep.training.synthesis.slices import Batch, make_batch
from spinalprep.training.tasks.sampling import as_heat, choose_slices

LOG = logging.getLogger("spinalprep")
DIGITAL = "phantom"  # digital persons teach, or keep alive, what nobody labelled
DIGITAL_PEOPLE = 4


@dataclass(frozen=True)
class Dataset:
    """A labelled BIDS dataset.

    Attributes
    ----------
    bids_dir : Path
        The raw dataset.
    labels : Path, optional
        Folder of labels; ``derivatives/labels`` of the dataset.
    persons : mapping
        Person of a participant's label, where the label is not the person.
    """

    bids_dir: Path
    labels: Path | None = None
    persons: Mapping[str, str] = field(default_factory=dict)

    def cases(self) -> list[Case]:
        """Return its images that have labels; see `find_cases`."""
        return find_cases(self.bids_dir, self.labels, self.persons)


def read_own(cases: list[Case], recipe: Recipe) -> Slices:
    """Cut labelled images into slices.

    Raises
    ------
    InputError
        If no slice shows what somebody drew.
    """
    try:
        return gather_slices(
            labelled_volumes(cases),
            recipe.spacing_mm,
            recipe.material_size,
            recipe.centred,
            recipe.usual_mm,
        )
    except InputError as error:
        raise InputError(f"the dataset teaches nothing: {error}") from error


def with_digital(own: Slices, recipe: Recipe) -> Slices:
    """Return the slices of people followed by those of digital persons."""
    digital = gather_slices(
        digital_people(), recipe.spacing_mm, recipe.material_size, recipe.centred, recipe.usual_mm
    )
    return Slices(
        *(
            np.concatenate([getattr(own, name), getattr(digital, name)])
            for name in own.__dataclass_fields__
        )
    )


def draw_own(recipe: Recipe, material: Slices, seed: int, step: int) -> Batch:
    """Return the batch of a step; what nobody drew in own images is not taught from them."""
    chance = np.random.default_rng([seed, step])
    index = choose_slices(recipe, material, chance, apart=DIGITAL)
    draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
    batch = make_batch(material, index, recipe.ranges, draw)
    if recipe.heat_sd_px is not None:
        return as_heat(batch, recipe.heat_sd_px)
    weight = batch.weight.clone()
    unknown = (material.person != DIGITAL) & ~material.has_lesion  # patients have lesions
    weight[torch.from_numpy(unknown[index]), 2] = 0
    return Batch(batch.image, batch.truth, weight)


def labelled_volumes(cases: list[Case]) -> Iterator[Labelled]:
    """Yield what people drew; where that is lesions alone, with the packaged networks' cord."""
    for case in cases:
        image = reorient(load(case.image))
        drawn = {role: reorient(load(path)) for role, path in case.truth.items()}
        if not {"cord", "gm"} & set(drawn):
            drawn["cord"] = automatic_cord(image)  # lesions lie in a cord
        yield Labelled(case.person, image, *(drawn.get(role) for role in ("cord", "gm", "lesion")))


def digital_people() -> Iterator[Labelled]:
    """Yield the digital persons that teach beside a dataset."""
    for image, cord, gm in islice(digital_volumes(), DIGITAL_PEOPLE):
        yield Labelled(DIGITAL, image, cord, gm)
