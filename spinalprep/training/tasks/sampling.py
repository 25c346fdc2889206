"""Which slices a batch is made of: people alike, whatever their number of slices."""

import numpy as np
import torch

from spinalprep.training.material.slices import Slices
from spinalprep.training.recipe import Recipe
from spinalprep.training.synthesis.slices import Batch, make_batch


def draw_batch(recipe: Recipe, material: Slices, seed: int, step: int) -> Batch:
    """Return the batch of a step; the same for the same recipe, material, seed and step."""
    chance = np.random.default_rng([seed, step])
    index = choose_slices(recipe, material, chance)
    draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
    batch = make_batch(material, index, recipe.ranges, draw)
    return batch if recipe.heat_sd_px is None else as_heat(batch, recipe.heat_sd_px)


def choose_slices(
    recipe: Recipe, material: Slices, chance: np.random.Generator, apart: str = "PAM50"
) -> np.ndarray:
    """Draw the slices of a batch: ``template_share`` of them from ``apart``, people alike."""
    template = material.person == apart
    pools = np.flatnonzero(template), np.flatnonzero(~template)
    from_template = (chance.random(recipe.batch) < recipe.template_share) & bool(len(pools[0]))
    return np.where(
        from_template,
        chance.choice(pools[0], recipe.batch) if len(pools[0]) else 0,
        _by_person(material, pools[1], recipe.batch, chance),
    )


def _by_person(
    material: Slices, pool: np.ndarray, count: int, chance: np.random.Generator
) -> np.ndarray:
    """Draw people alike, whatever their number of slices."""
    names = np.unique(material.person[pool])
    drawn = chance.choice(names, count)
    return np.array([chance.choice(pool[material.person[pool] == name]) for name in drawn])


def as_heat(batch: Batch, sd_px: float) -> Batch:
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
