"""The one driver: from a recipe and a labeled dataset to a weight file with its card."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spinalprep.errors import UsageError
from spinalprep.networks.weights import Model, load_model, save_model
from spinalprep.training.card import Taught, adapted_card, make_card
from spinalprep.training.fitting.curves import draw_range_test
from spinalprep.training.fitting.loop import Validation, fit, read_progress
from spinalprep.training.fitting.range_test import range_test
from spinalprep.training.fitting.schedules import rising_rates, suggest_rates
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.people import Material, check_people, people_of_fold
from spinalprep.training.options import RunOptions
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.task import Recipe, TrainingTask

LOG = logging.getLogger("spinalprep")
RANGE = 1e-6, 1.0  # learning rates of a range test
RANGE_STEPS = 200
NEVER_TRAINED = 10**9  # the first step whose samples are for validation


@dataclass(frozen=True)
class Start:
    """Weights that are trained further.

    Attributes
    ----------
    model : Model
        Is changed.
    freeze : int
        Blocks of the contracting path, from the first, that stay as they are.
    """

    model: Model
    freeze: int = 0

    def network(self) -> nn.Module:
        """Return the network, in the layout of training.

        Raises
        ------
        UsageError
            If it has fewer blocks than are to stay.
        """
        network = self.model.network
        layout = torch.contiguous_format  # channels last is for inference alone
        network.to(memory_format=layout)  # type: ignore[call-overload]
        down = list(network.get_submodule("down").children())
        if not 0 <= self.freeze <= len(down):
            raise UsageError(f"--freeze {self.freeze}: expected 0 to {len(down)} blocks")
        for block in down[: self.freeze]:
            block.requires_grad_(False)
        return network


def start_from(weights: str, recipe: Recipe) -> Start:
    """Return weights to train further by a recipe.

    Parameters
    ----------
    weights : str
        Packaged network, or a ``.safetensors`` file.
    recipe : Recipe

    Raises
    ------
    UsageError
        If they are of another network than the recipe's.
    """
    model = load_model(weights)
    if model.card.get("preset") != recipe.preset:
        raise UsageError(
            f"--start {weights}: a network of preset {model.card.get('preset')!r}; "
            f"{recipe.name} trains {recipe.preset!r}"
        )
    return Start(model)


def train(
    recipe: Recipe | str,
    dataset: LabelledDataset,
    out_dir: Path,
    options: RunOptions | None = None,
    start: Start | None = None,
) -> Path:
    """Train the network of a recipe and return the path of its weights.

    Parameters
    ----------
    recipe : Recipe or str
        See `find_recipe` for names.
    dataset : LabelledDataset
        See `described_dataset` and `user_dataset`.
    out_dir : Path
        Checkpoint, loss curve, a picture of samples, weights and card go here; a checkpoint of
        the same run is resumed.
    options : RunOptions, optional
        Seed, steps, and who is left out.
    start : Start, optional
        Weights to train further, in place of random ones.

    Raises
    ------
    UsageError
        If a named person is not there, nobody is left to train on, or ``out_dir`` holds another
        training.
    """
    options = options or RunOptions()
    task = task_of(find_recipe(recipe) if isinstance(recipe, str) else recipe)
    parts = split(task, task.read(dataset), options)
    LOG.info("%s: %d %s of %s", *_in_words(task, parts))
    out_dir.mkdir(parents=True, exist_ok=True)
    task.draw_picture(parts.taught, options.seed, out_dir)
    torch.manual_seed(options.seed)
    network = start.network() if start is not None else task.network()
    trained = fit(
        network,
        lambda step: task.draw(parts.taught, options.seed, step),
        task.schedule(options.steps or task.recipe.steps, _run(task, parts, options, start)),
        out_dir,
        task.objective(),
        _validation(task, parts, options),
        options.device,
    ).to("cpu")
    done = read_progress(out_dir)
    if not done.kept:
        LOG.warning("no step lowered the validation loss: the weights are unchanged")
    taught = Taught(dataset, parts.taught, parts.stopped_by, parts.left_out)
    card = make_card(task, taught, done, options.seed)
    if start is not None:
        card = adapted_card(card, start.model.card)
    card["device"] = options.device
    card |= task.figures(Model(trained, card), parts.taught, options.seed)
    return save_model(trained, out_dir / f"{task.recipe.name}.safetensors", card)


def find_rates(
    recipe: Recipe | str,
    dataset: LabelledDataset,
    out_dir: Path,
    options: RunOptions | None = None,
) -> tuple[float, float]:
    """Carry out a learning-rate range test and return the bounds that it suggests.

    Parameters
    ----------
    recipe, dataset, options
        As for `train`; ``steps`` is 200 if not given.
    out_dir : Path
        Gets ``range_test.csv`` and ``range_test.png``.

    Raises
    ------
    UsageError
        If the loss does not fall at any rate.
    """
    options = options or RunOptions()
    task = task_of(find_recipe(recipe) if isinstance(recipe, str) else recipe)
    taught = split(task, task.read(dataset), options).taught
    torch.manual_seed(options.seed)
    rates = rising_rates(*RANGE, options.steps or RANGE_STEPS)
    losses = range_test(
        task.network().to(options.device),
        lambda step: task.draw(taught, options.seed, step),
        rates,
        task.objective(),
        task.recipe.bfloat16,
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    columns = np.stack([rates, losses], axis=1)
    np.savetxt(out_dir / "range_test.csv", columns, "%.6g", ",", header="rate,loss", comments="")
    draw_range_test(rates, losses, None, out_dir / "range_test.png")
    bounds = suggest_rates(rates, losses)
    draw_range_test(rates, losses, bounds, out_dir / "range_test.png")
    return bounds


@dataclass(frozen=True)
class Parts:
    """Material, shared out.

    Attributes
    ----------
    taught : Material
        What is trained on.
    watched : Material or None
        What tells when to stop.
    stopped_by, left_out : tuple of str
        Whose material is watched, and whose is in neither.
    """

    taught: Material
    watched: Material | None
    stopped_by: tuple[str, ...]
    left_out: tuple[str, ...]


def split(task: TrainingTask[Any, Any], material: Material, options: RunOptions) -> Parts:
    """Share out people by the options of a run.

    Raises
    ------
    UsageError
        If a named person is not there, nobody is left to train on, or the task spares nobody.
    """
    spared = options.fold is not None or options.leave_out or options.validate
    if (spared or options.stop_early) and not task.can_leave_out:
        raise UsageError(
            f"{task.recipe.name} is trained on all of its data; no subject can be held out"
        )
    left_out = options.leave_out
    if options.fold is not None:
        left_out = (*left_out, *people_of_fold(material.people_in_folds, *options.fold))
    check_people((*left_out, *options.validate), material.people)
    material = material.without(left_out)
    stopped_by = options.validate
    if options.stop_early and not stopped_by:
        stopped_by = _a_quarter(material.people)
    taught = material.without(stopped_by)
    if (spared or stopped_by) and not taught.people:
        raise UsageError("no subjects left for training; expected at least two with labels")
    watched = material.only(stopped_by) if stopped_by else None
    return Parts(taught, watched, stopped_by, left_out)


def _a_quarter(people: tuple[str, ...]) -> tuple[str, ...]:
    """Return about a quarter of the people, by their names."""
    if len(people) < 2:
        raise UsageError(
            f"labels of {len(people)} subject; expected at least two, one for training and one "
            "for validation"
        )
    return people_of_fold(people, 1, min(len(people), 4))


def _in_words(task: TrainingTask[Any, Any], parts: Parts) -> tuple[str, int, str, str]:
    return task.recipe.name, len(parts.taught), task.pieces, ", ".join(parts.taught.people)


def _run(
    task: TrainingTask[Any, Any], parts: Parts, options: RunOptions, start: Start | None
) -> str:
    """Return what a checkpoint must be of to be resumed."""
    before = (start.model.card["sha256"], start.freeze) if start is not None else None
    told = options.seed, options.steps, sorted(parts.stopped_by), options.patience
    return repr((task.recipe, told, before, parts.taught.people, len(parts.taught)))


def _validation(
    task: TrainingTask[Any, Any], parts: Parts, options: RunOptions
) -> Validation | None:
    """Draw the samples of the people who tell when to stop, once."""
    if parts.watched is None:
        return None
    steps = range(NEVER_TRAINED, NEVER_TRAINED + task.recipe.validation_batches)
    batches = [task.draw(parts.watched, options.seed, step) for step in steps]
    return Validation(batches, options.patience)
