"""The training loop: resumable, seeded, with a moving average of the weights."""

import csv
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spinalprep.errors import UsageError
from spinalprep.training.fitting.curves import COLUMNS, draw_curve
from spinalprep.training.fitting.losses import USUAL, Objective, find_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.fitting.scores import Confusion, confusion
from spinalprep.training.synthesis.batch import Batch

LOG = logging.getLogger("spinalprep")
AVERAGE = 0.998  # of the average is kept at a step, less at first
WEIGHT_DECAY = 1e-4
LONGEST_GRADIENT = 5.0
Batches = Callable[[int], Batch]
Tensors = tuple[Tensor, ...] | list[Tensor]
MOVING_BY: Callable[[float], Callable[[Tensors, Tensors, int], None]] = get_ema_multi_avg_fn


@dataclass(frozen=True)
class Validation:
    """When to stop, by people who are not trained on.

    Attributes
    ----------
    batches : sequence of Batch
        The same at every look.
    patience : int
        Looks (one per checkpoint) without a lower loss after which the training stops.
    least_gain : float
        A loss lower by less than this is not lower.
    """

    batches: list[Batch]
    patience: int = 5
    least_gain: float = 1e-4


@dataclass(frozen=True)
class _Seen:
    """What a look at the people who tell when to stop showed; NaN without any.

    ``dice`` and ``matthews`` are of all their voxels together, NaN for several scales.
    """

    loss: float = math.nan
    dice: float = math.nan
    matthews: float = math.nan


@dataclass
class _State:
    """All that a checkpoint holds."""

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    best_step: int = 0
    best: dict[str, Any] = field(default_factory=dict)


def fit(
    network: nn.Module,
    batches: Batches,
    schedule: Schedule,
    folder: Path,
    objective: Objective | None = None,
    validation: Validation | None = None,
    device: str = "cpu",
) -> nn.Module:
    """Train a network and return the moving average of its weights.

    Parameters
    ----------
    network : nn.Module
        Initialized under a seed by the caller.
    batches : callable
        Step number to batch; its chance must depend on the step alone, so that a resumed run
        sees what an uninterrupted one would.
    schedule : Schedule
        Steps and learning rates.
    folder : Path
        ``checkpoint.pt``, ``loss.csv`` and ``loss.png`` are kept here; a checkpoint is resumed.
    objective : Objective, optional
        Soft Dice plus cross-entropy if not given.
    validation : Validation, optional
        With it the training stops early, and the average at the lowest validation loss is
        returned.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    UsageError
        If the checkpoint belongs to another run: other people, recipe, seed or steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    measure = objective or find_loss(USUAL)
    network = network.to(device).train()
    state = _State(
        network,
        average_of(network),
        optimiser_of(network, schedule.rate, schedule.optimizer),
        schedule,
    )
    _resume(folder / "checkpoint.pt", state, device)
    if validation is not None and not state.best:  # nothing learned may be the best
        _look(state, validation, measure)
    piece = _Piece(state, folder)
    while state.step < schedule.steps and not _is_over(state, validation):
        batch, rate = batches(state.step), schedule.rate_at(state.step)
        piece.add(take_step(network, state.optimiser, batch, measure, rate, schedule.bfloat16))
        state.average.update_parameters(network)
        if state.step % schedule.save_every and state.step < schedule.steps:
            continue
        piece.keep(_look(state, validation, measure) if validation is not None else _Seen())
    draw_curve(folder / "loss.csv", folder / "loss.png")
    if state.best:
        state.average.module.load_state_dict(state.best)
        LOG.info("lowest validation loss %.4f at step %d", state.best_loss, state.best_step)
    kept: nn.Module = state.average.module.to("cpu").eval()
    return kept


class _Piece:
    """What a run, from a start or a resumed checkpoint to its end, tells of itself."""

    def __init__(self, state: _State, folder: Path) -> None:
        self.state, self.folder = state, folder
        self.started, self.first, self.before = time.monotonic(), state.step, state.seconds
        self.recent = math.nan

    def add(self, loss: float) -> None:
        """Count a step, and average its loss with those of the last steps."""
        self.recent = loss if math.isnan(self.recent) else 0.98 * self.recent + 0.02 * loss
        self.state.step += 1

    def keep(self, seen: _Seen) -> None:
        """Save a checkpoint, write the curve's row, and say how far it is."""
        state, schedule = self.state, self.state.schedule
        spent = time.monotonic() - self.started
        state.seconds = self.before + spent
        _save(self.folder / "checkpoint.pt", state)
        rate = schedule.rate_at(state.step - 1)
        told = (self.recent, seen.loss, seen.dice, seen.matthews)
        _write(self.folder / "loss.csv", state.step, told, rate, state.seconds)
        left = spent / (state.step - self.first) * (schedule.steps - state.step)
        LOG.info("%s", _line(state, schedule.steps, self.recent, seen.loss, left))


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    step, kept : int
        Steps that were taken, and the step whose average is kept.
    seconds : float
        In all pieces together.
    """

    step: int
    kept: int
    seconds: float


def read_progress(folder: Path) -> Progress:
    """Return how far the checkpoint of a folder is."""
    content = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    kept = content["best_step"] if content["best"] else content["step"]
    return Progress(content["step"], kept, content["seconds"])


def average_of(network: nn.Module) -> AveragedModel:
    """Return a moving average of weights that starts at those of a network.

    At step n it keeps n / (n + 9) of itself, up to ``AVERAGE``, so that the first, random weights
    are soon forgotten; statistics of batch norm are averages already, and are copied.
    """
    average = AveragedModel(network, multi_avg_fn=_moving)
    average.update_parameters(network)  # the first update copies
    return average


def _moving(average: Tensors, now: Tensors, count: Tensor | int) -> None:
    n = int(count)
    MOVING_BY(min(AVERAGE, n / (n + 9)))(average, now, n)


def optimiser_of(network: nn.Module, rate: float, kind: str = "AdamW") -> torch.optim.Optimizer:
    """Return the optimizer of a network, one of `schedules.OPTIMIZERS`; AdamW decays weights."""
    decay = {"weight_decay": WEIGHT_DECAY} if kind == "AdamW" else {}
    made: torch.optim.Optimizer = getattr(torch.optim, kind)(network.parameters(), lr=rate, **decay)
    return made


def take_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    objective: Objective,
    rate: float,
    bfloat16: bool,
) -> float:
    """Take one optimizer step and return its loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    value = _loss_of(network, batch, objective, bfloat16)
    optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), LONGEST_GRADIENT)
    optimiser.step()
    return float(value.detach())


def _loss_of(network: nn.Module, batch: Batch, objective: Objective, bfloat16: bool) -> Tensor:
    """Return the loss of a batch, in float32."""
    given, truth, weight = _run(network, batch, bfloat16)
    return objective(given, truth, weight)


def _run(network: nn.Module, batch: Batch, bfloat16: bool) -> tuple[Any, Tensor, Tensor]:
    """Return what a network gives, in float32, with truth and weight on its device."""
    device = next(network.parameters()).device
    image, truth, weight = (part.to(device) for part in (batch.image, batch.truth, batch.weight))
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        given = network(image)
    return _as_float32(given), truth, weight


def _as_float32(given: Any) -> Any:
    """Return what a network gives, one tensor or several, in float32."""
    return given.float() if isinstance(given, Tensor) else [_as_float32(part) for part in given]


@torch.no_grad()
def _look(state: _State, validation: Validation, objective: Objective) -> _Seen:
    """Return validation loss and scores of the average, and keep the best."""
    state.average.eval()
    values, counts = [], Confusion()
    for batch in validation.batches:
        given, truth, weight = _run(state.average, batch, state.schedule.bfloat16)
        values.append(float(objective(given, truth, weight)))
        if isinstance(given, Tensor):
            counts += confusion(given, truth, weight)
    mean = float(np.mean(values))
    if mean < state.best_loss - validation.least_gain:
        state.best_loss, state.best_step = mean, state.step
        kept = state.average.module.state_dict()
        state.best = {name: part.clone() for name, part in kept.items()}
    scored = counts != Confusion()
    return _Seen(mean, counts.dice, counts.matthews) if scored else _Seen(mean)


def _is_over(state: _State, validation: Validation | None) -> bool:
    """Tell whether the validation loss has not fallen for too long."""
    if validation is None or not state.best:
        return False
    return state.step - state.best_step >= validation.patience * state.schedule.save_every


def _save(path: Path, state: _State) -> None:
    """Write a checkpoint whole or not at all."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "run": state.schedule.run,
        "step": state.step,
        "seconds": state.seconds,
        "best_loss": state.best_loss,
        "best_step": state.best_step,
        "best": state.best,
    }
    partial = path.with_suffix(".part")
    torch.save(content, partial)
    partial.replace(path)


def _resume(path: Path, state: _State, device: str) -> None:
    """Load a checkpoint of the same run, tensors and numbers only."""
    if not path.is_file():
        return
    content = torch.load(path, weights_only=True, map_location=device)
    if content.get("run", "") != state.schedule.run:
        raise UsageError(
            f"{path} belongs to another training (other subjects, recipe, seed or steps); "
            "choose another folder, or delete it to start again"
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    for name in ("step", "seconds", "best_loss", "best_step", "best"):
        setattr(state, name, content.get(name, getattr(state, name)))
    LOG.info("resumed at step %d", state.step)


def _line(state: _State, total: int, loss: float, seen: float, left: float) -> str:
    """Say how far it is, in one line."""
    told = "" if math.isnan(seen) else f", validation {seen:.4f}"
    return f"step {state.step} of {total}, loss {loss:.4f}{told}, {left / 60:.0f} min left"


def _write(
    path: Path, step: int, told: tuple[float, float, float, float], rate: float, seconds: float
) -> None:
    """Append a row to the curve; ``told`` are loss, validation loss, Dice and Matthews."""
    new = not path.is_file()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(COLUMNS)
        shown = ["n/a" if math.isnan(value) else f"{value:.5f}" for value in told]
        rows.writerow([step, *shown, f"{rate:.3g}", f"{seconds:.0f}"])
