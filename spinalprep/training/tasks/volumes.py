"""Networks in three dimensions: from labelled cords and a recipe to a weight file."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import Model, save_model
from spinalprep.training.evaluation.temperature import measured_temperature
from spinalprep.training.fitting.loop import Validation, fit, read_progress
from spinalprep.training.fitting.losses import USUAL, find_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.material.labelled import DIGITAL
from spinalprep.training.material.straightened import Tube
from spinalprep.training.options import NEVER_TRAINED, Choice
from spinalprep.training.synthesis.slices import Batch
from spinalprep.training.synthesis.volumes import StackRanges, make_stacks

LOG = logging.getLogger("spinalprep")
SPACING_MM = 0.5
WIDTH_MM = 48.0  # of the material's sections: room for shifts and turns
CLASSES = ("cord", "gm", "lesion")
LOOKED_AT = 4  # batches at every validation
DIGITAL_SHARE = 0.3  # of the stacks


@dataclass(frozen=True)
class StackRecipe:
    """Everything that decides a training in three dimensions but the data and the seed.

    Attributes
    ----------
    name, preset : str
        Weight file and network.
    classes : tuple of str
        What the network tells, some of cord, gm and lesion.
    ranges : StackRanges
        What the generator draws from.
    steps, batch, rate
        Length, batch size and peak learning rate (AdamW, cosine decay).
    loss : str
        See `losses.find_loss`.
    """

    name: str
    preset: str
    classes: tuple[str, ...] = CLASSES
    ranges: StackRanges = field(default_factory=StackRanges)
    steps: int = 2000
    batch: int = 4
    rate: float = 2e-3
    loss: str = USUAL


STACK_RECIPES = {
    "cord3d": StackRecipe("cord3d", "cord_unet3d"),
    "gros_cord": StackRecipe("gros_cord", "gros_cord", ("cord",), rate=5e-5, loss="dice"),
    "gros_lesion": StackRecipe(
        "gros_lesion",
        "gros_lesion",
        ("lesion",),
        StackRanges(size=48, depth=48, shift=3.0, lesions=0.8),
        rate=5e-5,
        loss="dice",
    ),
}


def train_stacks(
    recipe: StackRecipe, tubes: tuple[list[Tube], list[Tube]], out_dir: Path, choice: Choice
) -> Path:
    """Train a network in three dimensions and return the path of its weights.

    Parameters
    ----------
    recipe : StackRecipe
    tubes : tuple of list of Tube
        Who is trained on, and who tells when to stop, maybe nobody.
    out_dir : Path
        Checkpoint, loss curve, weights and card go here; a checkpoint of the same run is resumed.
    choice : Choice
        Seed, steps, patience and device, and who was left out.
    """
    people, watched = tubes
    steps, names = choice.steps or recipe.steps, sorted({tube.person for tube in people})
    LOG.info("%s: %d cords of %s", recipe.name, len(people), ", ".join(names))
    torch.manual_seed(choice.seed)
    network = PRESETS[recipe.preset]()
    key = repr((recipe, choice.seed, steps, names, len(people), sorted(choice.validate)))
    trained = fit(
        network,
        lambda step: draw_stacks(recipe, people, choice.seed, step),
        Schedule(steps, recipe.rate, run=key, bfloat16=True),
        out_dir,
        find_loss(recipe.loss),
        _validation(recipe, watched, choice),
        choice.device,
    )
    done = read_progress(out_dir)
    card = _card(recipe, names, (choice.seed, done.kept), done.seconds)
    card["data"] |= {"left_out": sorted(choice.leave_out), "stopped_by": sorted(choice.validate)}
    if "cord" in recipe.classes:
        card |= measured_temperature(Model(trained, card))
    return save_model(trained, out_dir / f"{recipe.name}.safetensors", card)


def draw_stacks(recipe: StackRecipe, people: list[Tube], seed: int, step: int) -> Batch:
    """Return the batch of a step, of the recipe's classes; people come up alike."""
    chance = np.random.default_rng([seed, step])
    real = sorted({tube.person for tube in people} - {DIGITAL})
    names = [DIGITAL] if any(tube.person == DIGITAL for tube in people) else []
    chosen = []
    for _ in range(recipe.batch):
        pool = names if names and (not real or chance.random() < DIGITAL_SHARE) else real
        name = pool[int(chance.integers(len(pool)))]
        own = [tube for tube in people if tube.person == name]
        chosen.append(own[int(chance.integers(len(own)))])
    draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
    batch = make_stacks(chosen, recipe.ranges, draw)
    kept = [CLASSES.index(name) for name in recipe.classes]
    return Batch(batch.image, batch.truth[:, kept], batch.weight[:, kept])


def _validation(recipe: StackRecipe, watched: list[Tube], choice: Choice) -> Validation | None:
    """Draw the samples of the people who tell when to stop, once."""
    if not watched:
        return None
    steps = range(NEVER_TRAINED, NEVER_TRAINED + LOOKED_AT)
    batches = [draw_stacks(recipe, watched, choice.seed, step) for step in steps]
    return Validation(batches, choice.patience)


def _card(
    recipe: StackRecipe, people: list[str], run: tuple[int, int], seconds: float
) -> dict[str, Any]:
    """Return the model card."""
    return {
        "name": recipe.name,
        "version": "1",
        "task": recipe.classes[0],
        "preset": recipe.preset,
        "inputs": "stacks of sections across the centerline, each scaled to [0, 1] between its "
        "percentiles 1 and 99",
        "spacing": [SPACING_MM] * 3,
        "window": recipe.ranges.size,
        "depth": recipe.ranges.depth,
        "orientation": "straightened: right-left, posterior-anterior, along the cord",
        "channels": 1,
        "classes": list(recipe.classes),
        "data": {"people": people, "sources": "labelled cords, and digital persons"},
        "synthetic": "intensities and geometry randomised; lesions are drawn in, none is real",
        "seed": run[0],
        "steps": run[1],
        "recipe": repr(recipe),
        "training_minutes": round(seconds / 60, 1),
        "licence": "that of the data it was trained on",
        "limits": "people and scanners that it was trained on; judge it on people left out",
    }
