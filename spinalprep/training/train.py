"""From shared data and a recipe to a weight file."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import save_model
from spinalprep.training.generator import Batch, make_batch
from spinalprep.training.recipe import Recipe, find_recipe
from spinalprep.training.slices import Slices, read_slices
from spinalprep.training.split import people_of_fold
from spinalprep.training.trainer import Schedule, fit

LOG = logging.getLogger("spinalprep")


def train(
    name: str,
    out_dir: Path,
    shared: Path,
    seed: int = 0,
    steps: int | None = None,
    leave_out: tuple[str, ...] = (),
    fold: tuple[int, int] | None = None,
) -> Path:
    """Train the network of a recipe and return the path of its weights.

    Parameters
    ----------
    name : str
        ``centerline`` or ``cord``.
    out_dir : Path
        Checkpoint, loss curve, weights and card go here; a checkpoint of the same run is resumed.
    shared : Path
        Folder with the training data, see `read_slices`.
    seed : int
        Of weights and samples.
    steps : int, optional
        In place of the recipe's.
    leave_out : tuple of str
        People that are left out, for evaluation; the card names them.
    fold : tuple of int, optional
        Leave out the people of one fold of several, see `people_of_fold`.
    """
    recipe = find_recipe(name)
    total = steps or recipe.steps
    material = read_slices(shared, recipe.spacing_mm, recipe.material_size, recipe.centred)
    if fold is not None:
        drawn = material.person[material.cord.any(axis=(1, 2))].tolist()  # lone negatives stay
        leave_out = (*leave_out, *people_of_fold(drawn, *fold))
    material = material.without(leave_out)
    people = sorted(set(material.person.tolist()))
    LOG.info("%s: %d slices of %s", name, len(material.person), ", ".join(people))
    torch.manual_seed(seed)
    network = PRESETS[recipe.preset]()
    started = time.monotonic()
    trained = fit(
        network,
        lambda step: draw_batch(recipe, material, seed, step),
        Schedule(
            total,
            recipe.rate,
            run=repr((recipe, seed, total, people, len(material.person))),
            bfloat16=recipe.bfloat16,
        ),
        out_dir,
    )
    card = _card(recipe, material, (seed, total), time.monotonic() - started)
    card["data"]["left_out"] = sorted(set(leave_out))
    return save_model(trained, out_dir / f"{name}.safetensors", card)


def draw_batch(recipe: Recipe, material: Slices, seed: int, step: int) -> Batch:
    """Return the batch of a step; the same for the same recipe, material, seed and step."""
    chance = np.random.default_rng([seed, step])
    template = material.person == "PAM50"
    pools = np.flatnonzero(template), np.flatnonzero(~template)
    from_template = (chance.random(recipe.batch) < recipe.template_share) & bool(len(pools[0]))
    index = np.where(
        from_template,
        chance.choice(pools[0], recipe.batch) if len(pools[0]) else 0,
        _by_person(material, pools[1], recipe.batch, chance),
    )
    draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
    batch = make_batch(material, index, recipe.ranges, draw)
    return batch if recipe.heat_sd_px is None else _heat_batch(batch, recipe.heat_sd_px)


def _by_person(
    material: Slices, pool: np.ndarray, count: int, chance: np.random.Generator
) -> np.ndarray:
    """Draw people alike, whatever their number of slices."""
    names = np.unique(material.person[pool])
    drawn = chance.choice(names, count)
    return np.array([chance.choice(pool[material.person[pool] == name]) for name in drawn])


def _heat_batch(batch: Batch, sd_px: float) -> Batch:
    """Replace the masks by a Gaussian around the centre of the cord, or of lone grey matter."""
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


def _card(recipe: Recipe, material: Slices, run: tuple[int, int], seconds: float) -> dict[str, Any]:
    """Return the model card of decisions on names, data, recipe and limits."""
    people = sorted(set(material.person.tolist()))
    return {
        "name": recipe.name,
        "version": "1",
        "task": recipe.name,
        "preset": recipe.preset,
        "inputs": "one axial slice, scaled to [0, 1] between its percentiles 1 and 99",
        "spacing": [recipe.spacing_mm, recipe.spacing_mm],
        "window": recipe.ranges.size,
        "orientation": "LAS axial",
        "channels": 1,
        "classes": ["heat"] if recipe.heat_sd_px else ["cord", "gm", "lesion"],
        "data": {
            "people": people,
            "slices": len(material.person),
            "sources": "gm-challenge-data, sct_testing_data, ivadomed data-testing, PAM50",
        },
        "synthetic": "intensities and geometry randomised; lesions are drawn in, none is real",
        "seed": run[0],
        "steps": run[1],
        "recipe": repr(recipe),
        "training_minutes": round(seconds / 60, 1),
        "licence": "research use only; sct_testing_data MIT, the rest public without a licence",
        "limits": "five labelled people, mostly T2*-weighted cervical cords of healthy adults",
    }
