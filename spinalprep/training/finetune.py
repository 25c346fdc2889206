"""Networks adapted to a group's own scanner, by the masks that its people drew."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spinalprep.errors import UsageError
from spinalprep.networks.onnx import OnnxNetwork
from spinalprep.networks.weights import Model, load_model, save_model
from spinalprep.networks.window import CORD_SIZE
from spinalprep.training.evaluation.temperature import measured_temperature
from spinalprep.training.fitting.loop import Validation, fit, read_progress
from spinalprep.training.fitting.losses import find_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.material.cases import Case, find_cases
from spinalprep.training.material.labelled import draw_own, read_own, with_digital
from spinalprep.training.material.people import people_of_fold
from spinalprep.training.material.slices import Slices
from spinalprep.training.recipe import RECIPES, Recipe
from spinalprep.training.synthesis.slices import Batch

LOG = logging.getLogger("spinalprep")
NEVER_TRAINED, LOOKED_AT = 10**9, 6


@dataclass(frozen=True)
class Tuning:
    """How weights are adapted.

    Attributes
    ----------
    steps, rate : int, float
        Optimiser steps, and the peak of their learning rate (cosine).
    seed : int
        Of the samples.
    labels : Path, optional
        Folder of labels; ``derivatives/labels`` of the dataset.
    persons : mapping
        Person of a participant's label, where the label is not the person.
    leave_out : tuple of str
        People who are neither trained on nor looked at, to be judged on afterwards.
    validate : tuple of str
        People who tell when to stop; a fold of the others if not given.
    patience, look_every : int
        Looks without gain after which it stops, and steps between looks.
    freeze : int
        Blocks of the contracting path, from the first, that stay as they are.
    device : str
        ``cpu`` or ``cuda``.
    """

    steps: int = 400
    rate: float = 3e-4
    seed: int = 0
    labels: Path | None = None
    persons: Mapping[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    validate: tuple[str, ...] = ()
    patience: int = 6
    look_every: int = 20
    freeze: int = 0
    device: str = "cpu"


def finetune(weights: str, bids_dir: Path, out_dir: Path, tuning: Tuning | None = None) -> Path:
    """Train weights further on a labelled BIDS dataset and return the path of the new ones.

    Parameters
    ----------
    weights : str
        Packaged network, or a ``.safetensors`` file.
    bids_dir : Path
        With labels of the cord or of grey matter; labels of lesions are not learned from.
    out_dir : Path
        Gets checkpoint, curve, weights and card; a checkpoint of the same run is resumed.
    tuning : Tuning, optional
        Length, and who is left out.

    Raises
    ------
    UsageError
        If fewer than two people are left, or a person is unknown.
    NoInputError
        If the dataset has no label.
    """
    tuning = tuning or Tuning()
    model = load_model(weights)
    layout = torch.contiguous_format  # channels last is for inference alone
    model.network.to(memory_format=layout)  # type: ignore[call-overload]
    recipe = _recipe_of(model)
    own = read_own(_without(find_cases(bids_dir, tuning.labels, tuning.persons), tuning), recipe)
    watching = tuning.validate or _some(own)
    taught = own.without(watching)
    others = tuple(set(own.person.tolist()) - set(watching))
    if not len(taught.person):
        raise UsageError("nobody is left to train on; expected at least two people with labels")
    people = sorted(set(taught.person.tolist()))
    LOG.info(
        "%s: %d slices of %s; %s tell when to stop",
        recipe.name,
        len(taught.person),
        ", ".join(people),
        ", ".join(sorted(watching)),
    )
    material = with_digital(taught, recipe)
    _freeze(model.network, tuning.freeze)
    key = repr((model.card["sha256"], recipe, replace(tuning, device=""), people))
    trained = fit(
        model.network,
        lambda step: draw_own(recipe, material, tuning.seed, step),
        Schedule(tuning.steps, tuning.rate, tuning.look_every, key, bfloat16=recipe.bfloat16),
        out_dir,
        find_loss(recipe.loss),
        Validation(_samples(recipe, own.without(others), tuning.seed), tuning.patience),
        tuning.device,
    )
    kept = read_progress(out_dir).kept
    if not kept:
        LOG.warning("no step lowered the validation loss: these are the weights it started from")
    card = _card(model, (people, sorted(watching)), tuning, kept, len(taught.person))
    card |= measured_temperature(Model(trained, card))
    return save_model(trained, out_dir / f"{recipe.name}.safetensors", card)


def _recipe_of(model: Model) -> Recipe:
    """Return the recipe of a network, with the windows that its card tells."""
    name, window = model.card.get("task"), model.card.get("window")
    if name not in RECIPES or isinstance(model.network, OnnxNetwork):
        raise UsageError(
            f"weights of task {name!r} can't be adapted; expected a .safetensors file of "
            f"{', '.join(RECIPES)}"
        )
    recipe = RECIPES[name]
    size = window or (recipe.ranges.size if recipe.heat_sd_px else CORD_SIZE)
    return replace(recipe, template_share=0.3, ranges=replace(recipe.ranges, size=size))


def _without(cases: list[Case], tuning: Tuning) -> list[Case]:
    """Drop the images of people who are left out; refuse a name that nobody has."""
    people = {case.person for case in cases}
    unknown = sorted(set(tuning.leave_out) - people)
    if unknown:
        raise UsageError(
            f"nobody with labels is called {', '.join(unknown)}; "
            f"expected some of {', '.join(sorted(people))}"
        )
    return [case for case in cases if case.person not in tuning.leave_out]


def _some(own: Slices) -> tuple[str, ...]:
    """Return about a quarter of the people, by their names."""
    people = set(own.person.tolist())
    if len(people) < 2:
        raise UsageError(
            f"labels of {len(people)} person; expected at least two people, one to train on "
            "and one who tells when to stop"
        )
    return people_of_fold(people, 1, min(len(people), 4))


def _freeze(network: nn.Module, blocks: int) -> None:
    """Keep the first blocks of the contracting path as they are."""
    down = list(network.get_submodule("down").children())
    if not 0 <= blocks <= len(down):
        raise UsageError(f"--freeze {blocks}: expected 0 to {len(down)} blocks")
    for block in down[:blocks]:
        block.requires_grad_(False)


def _samples(recipe: Recipe, watched: Slices, seed: int) -> list[Batch]:
    steps = range(NEVER_TRAINED, NEVER_TRAINED + LOOKED_AT)
    return [draw_own(recipe, watched, seed, step) for step in steps]


def _card(
    model: Model, people: tuple[list[str], list[str]], tuning: Tuning, kept: int, slices: int
) -> dict[str, Any]:
    """Return the card: what it was before, and what was added."""
    old = model.card
    before = {key: old.get(key) for key in ("name", "version", "sha256", "data", "recipe")}
    taught, watching = people
    return {
        **{key: value for key, value in old.items() if key not in ("sha256", "figures")},
        "version": f"{old.get('version', '')} adapted",
        "data": {
            "people": sorted({*old["data"]["people"], *taught, *watching}),
            "added": taught,
            "stopped_by": watching,
            "left_out": sorted(tuning.leave_out),
            "slices": slices,
            "sources": "those of the weights it started from, and labels of the user's own",
        },
        "seed": tuning.seed,
        "steps": kept,
        "recipe": repr(replace(tuning, persons={}, labels=None)),
        "started_from": before,
        "figures": {"note": "none: judge it on people left out with spinalprep-tools evaluate"},
    }
