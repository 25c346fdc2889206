"""From shared data and a recipe to a weight file."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinalprep.errors import UsageError
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import Model, save_model
from spinalprep.training.evaluation.temperature import measured_temperature
from spinalprep.training.fitting.curves import draw_range_test
from spinalprep.training.fitting.loop import Validation, fit, range_test, read_progress
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.fitting.schedules import Schedule, rising_rates, suggest_rates
from spinalprep.training.material.labelled import (
    Dataset,
    digital_people,
    draw_own,
    labelled_volumes,
    read_own,
    with_digital,
)
from spinalprep.training.material.people import check_people, people_of_fold
from spinalprep.training.material.slices import PERSONS, Slices, read_slices
from spinalprep.training.material.straightened import straighten_volumes
from spinalprep.training.options import NEVER_TRAINED, Choice
from spinalprep.training.recipe import Recipe, find_recipe
from spinalprep.training.synthesis.pictures import SHOWN, draw_samples
from spinalprep.training.synthesis.slices import Batch
from spinalprep.training.tasks.sampling import draw_batch
from spinalprep.training.tasks.volumes import (
    SPACING_MM,
    STACK_RECIPES,
    WIDTH_MM,
    StackRecipe,
    train_stacks,
)

LOG = logging.getLogger("spinalprep")
RANGE = 1e-6, 1.0  # learning rates of a range test
LOOKED_AT = 8  # batches at every validation


def train(name: str, out_dir: Path, shared: Path, choice: Choice | None = None) -> Path:
    """Train the network of a recipe and return the path of its weights.

    Parameters
    ----------
    name : str
        Of a packaged recipe, or the path of a TOML file.
    out_dir : Path
        Checkpoint, loss curve, a picture of samples, weights and card go here; a checkpoint of
        the same run is resumed.
    shared : Path
        Folder with the training data, see `read_slices`.
    choice : Choice, optional
        Seed, steps, and who is left out.
    """
    choice = choice or Choice()
    if name == "discs":
        return _train_discs(out_dir, shared, choice)
    if name in STACK_RECIPES:
        return _train_stacks(STACK_RECIPES[name], out_dir, shared, choice)
    recipe = find_recipe(name)
    steps = choice.steps or recipe.steps
    material, watched, left_out = _split(recipe, shared, choice)
    people = sorted(set(material.person.tolist()))
    LOG.info("%s: %d slices of %s", recipe.name, len(material.person), ", ".join(people))
    out_dir.mkdir(parents=True, exist_ok=True)
    enough = range(-(-SHOWN // recipe.batch))  # batches for the picture
    draw = _draw(choice)
    first = [draw(recipe, material, choice.seed, step) for step in enough]
    draw_samples(material, first, out_dir / "samples.png")
    torch.manual_seed(choice.seed)
    network = PRESETS[recipe.preset]()
    schedule = schedule_of(recipe, steps)
    key = repr((recipe, choice.seed, steps, people, len(material.person)))
    trained = fit(
        network,
        lambda step: draw(recipe, material, choice.seed, step),
        replace(schedule, run=f"{key} {choice.validate}" if choice.validate else key),
        out_dir,
        find_loss(recipe.loss),
        _validation(recipe, watched, choice),
        choice.device,
    )
    done = read_progress(out_dir)
    card = _card(recipe, material, (choice.seed, done.kept), done.seconds)
    if choice.own is not None:
        card |= _own_facts(card["data"])
    card["data"] |= {"left_out": sorted(left_out), "stopped_by": sorted(choice.validate)}
    card |= measured_temperature(Model(trained, card))
    return save_model(trained, out_dir / f"{recipe.name}.safetensors", card)


def find_rates(
    name: str, out_dir: Path, shared: Path, choice: Choice | None = None
) -> tuple[float, float]:
    """Carry out a learning-rate range test and return the bounds that it suggests.

    Parameters
    ----------
    name, shared, choice
        As for `train`; ``steps`` is 200 if not given.
    out_dir : Path
        Gets ``range_test.csv`` and ``range_test.png``.

    Raises
    ------
    UsageError
        If the loss does not fall at any rate, or the recipe is not one of slices.
    """
    choice = choice or Choice()
    if name == "discs" or name in STACK_RECIPES:
        raise UsageError(f"--range-test is for recipes of axial slices; {name} is none")
    recipe = find_recipe(name)
    material = _split(recipe, shared, choice)[0]
    torch.manual_seed(choice.seed)
    rates = rising_rates(*RANGE, choice.steps or 200)
    losses = range_test(
        PRESETS[recipe.preset]().to(choice.device),
        lambda step: _draw(choice)(recipe, material, choice.seed, step),
        rates,
        find_loss(recipe.loss),
        recipe.bfloat16,
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    columns = np.stack([rates, losses], axis=1)
    np.savetxt(out_dir / "range_test.csv", columns, "%.6g", ",", header="rate,loss", comments="")
    draw_range_test(rates, losses, None, out_dir / "range_test.png")
    bounds = suggest_rates(rates, losses)
    draw_range_test(rates, losses, bounds, out_dir / "range_test.png")
    return bounds


def _train_discs(out_dir: Path, shared: Path, choice: Choice) -> Path:
    """Train the disc detector, which has material and a recipe of its own."""
    from spinalprep.training.tasks.discs import train_discs

    if choice != Choice(seed=choice.seed, steps=choice.steps):
        raise UsageError(
            "the disc detector is trained on all its material; give seed or steps only"
        )
    return train_discs(out_dir, shared, choice.seed, choice.steps)


def _train_stacks(recipe: StackRecipe, out_dir: Path, shared: Path, choice: Choice) -> Path:
    """Train a network in three dimensions on the people of a choice, and digital persons."""
    own = choice.own or Dataset(shared / "data" / "bids-dev", persons=PERSONS)
    grid = SPACING_MM, WIDTH_MM
    healthy = choice.own is None  # of one's own people nobody says that
    tubes = straighten_volumes(labelled_volumes(own.cases()), *grid, lesion_free=healthy)
    tubes += straighten_volumes(digital_people(), *grid, lesion_free=True)
    people = {tube.person for tube in tubes}
    left_out = choice.leave_out
    if choice.fold is not None:
        left_out = (*left_out, *people_of_fold(people, *choice.fold))
    check_people((*left_out, *choice.validate), people)
    taught = [tube for tube in tubes if tube.person not in (*left_out, *choice.validate)]
    watched = [tube for tube in tubes if tube.person in choice.validate]
    return train_stacks(recipe, (taught, watched), out_dir, replace(choice, leave_out=left_out))


def schedule_of(recipe: Recipe, steps: int) -> Schedule:
    """Return the schedule of a recipe for a number of steps."""
    return Schedule(
        steps,
        recipe.rate,
        shape=recipe.schedule,
        lowest=recipe.lowest,
        cycle=recipe.cycle,
        bfloat16=recipe.bfloat16,
    )


def _split(
    recipe: Recipe, shared: Path, choice: Choice
) -> tuple[Slices, Slices | None, tuple[str, ...]]:
    """Return what is trained on, what tells when to stop, and who is left out."""
    material = _read(recipe, shared, choice)
    if recipe.needs_gm:
        material = material.with_gm()
    left_out = choice.leave_out
    if choice.fold is not None:
        drawn = material.person[material.cord.any(axis=(1, 2))].tolist()  # lone negatives stay
        left_out = (*left_out, *people_of_fold(drawn, *choice.fold))
    material = material.without(left_out)
    everybody = set(material.person.tolist())
    watched = None
    if choice.validate:
        watched = material.without(tuple(everybody - set(choice.validate)))
        material = material.without(choice.validate)
    return material, watched, left_out


def _read(recipe: Recipe, shared: Path, choice: Choice) -> Slices:
    """Read the shared data, or one's own dataset and digital persons."""
    if choice.own is None:
        return read_slices(
            shared, recipe.spacing_mm, recipe.material_size, recipe.centred, recipe.usual_mm
        )
    return with_digital(read_own(choice.own.cases(), recipe), recipe)


def _draw(choice: Choice) -> Callable[[Recipe, Slices, int, int], Batch]:
    """Return how batches are drawn from the material of a choice."""
    return draw_batch if choice.own is None else draw_own


def _validation(recipe: Recipe, watched: Slices | None, choice: Choice) -> Validation | None:
    """Draw the samples of the people who tell when to stop, once."""
    if watched is None:
        return None
    steps = range(NEVER_TRAINED, NEVER_TRAINED + LOOKED_AT)
    batches = [_draw(choice)(recipe, watched, choice.seed, step) for step in steps]
    return Validation(batches, choice.patience)


def _own_facts(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a card says of a network that knows one's own dataset alone."""
    return {
        "data": data | {"sources": "labels of the user's own, and digital persons"},
        "licence": "that of the user's own data",
        "limits": "people and scanners of one dataset; judge it on people left out",
    }


def _task_of(recipe: Recipe) -> str:
    """Return which of the App's networks a recipe makes, whatever its name."""
    if recipe.heat_sd_px is not None:
        return "centerline"
    if recipe.ranges.realistic:
        return "lesion"
    return "gm" if recipe.needs_gm else "cord"


def _card(recipe: Recipe, material: Slices, run: tuple[int, int], seconds: float) -> dict[str, Any]:
    """Return the model card of decisions on names, data, recipe and limits."""
    beside = ""
    if recipe.usual_mm:
        reach = f"{recipe.usual_mm:g} mm along the cord"
        beside = f", and its difference from the median of those within {reach}"
    people = sorted(set(material.person.tolist()))
    return {
        "name": recipe.name,
        "version": "1",
        "task": _task_of(recipe),
        "preset": recipe.preset,
        "inputs": "one axial slice, scaled to [0, 1] between its percentiles 1 and 99" + beside,
        "spacing": [recipe.spacing_mm, recipe.spacing_mm],
        "window": recipe.ranges.size,
        "orientation": "LAS axial",
        "channels": 2 if recipe.usual_mm else 1,
        **({"usual_mm": recipe.usual_mm} if recipe.usual_mm else {}),
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
