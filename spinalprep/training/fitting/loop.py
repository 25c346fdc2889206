"""The training loop: resumable, seeded, with a moving average of the weights."""

import csv
import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spinalprep.errors import UsageError
from spinalprep.training.fitting.curves import COLUMNS, draw_curve
from spinalprep.training.fitting.losses import USUAL, Loss, find_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.synthesis.slices import Batch

LOG = logging.getLogger("spinalprep")
AVERAGE = 0.998
DIVERGED = 4.0  # a loss so many times the lowest ends a range test
Batches = Callable[[int], Batch]


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


@dataclass
class _State:
    """All that a checkpoint holds."""

    network: nn.Module
    average: nn.Module
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
    loss: Loss | None = None,
    validation: Validation | None = None,
    device: str = "cpu",
) -> nn.Module:
    """Train a network and return the moving average of its weights.

    Parameters
    ----------
    network : nn.Module
        Initialised under a seed by the caller.
    batches : callable
        Step number to batch; its chance must depend on the step alone, so that a resumed run
        sees what an uninterrupted one would.
    schedule : Schedule
        Steps and learning rates.
    folder : Path
        ``checkpoint.pt``, ``loss.csv`` and ``loss.png`` are kept here; a checkpoint is resumed.
    loss : Loss, optional
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
    measure = loss or find_loss(USUAL)
    network = network.to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=1e-4)
    state = _State(network, deepcopy(network), optimiser, schedule)
    _resume(folder / "checkpoint.pt", state, device)
    if validation is not None and not state.best:  # nothing learned may be the best
        _look(state, validation, measure)
    piece = _Piece(state, folder)
    while state.step < schedule.steps and not _is_over(state, validation):
        piece.add(_step(state, batches(state.step), measure, schedule.rate_at(state.step)))
        if state.step % schedule.save_every and state.step < schedule.steps:
            continue
        piece.keep(_look(state, validation, measure) if validation is not None else math.nan)
    draw_curve(folder / "loss.csv", folder / "loss.png")
    if state.best:
        state.average.load_state_dict(state.best)
        LOG.info("lowest validation loss %.4f at step %d", state.best_loss, state.best_step)
    return state.average.to("cpu").eval()


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

    def keep(self, seen: float) -> None:
        """Save a checkpoint, write the curve's row, and say how far it is."""
        state, schedule = self.state, self.state.schedule
        spent = time.monotonic() - self.started
        state.seconds = self.before + spent
        _save(self.folder / "checkpoint.pt", state)
        rate = schedule.rate_at(state.step - 1)
        _write(self.folder / "loss.csv", (state.step, self.recent, seen, rate, state.seconds))
        left = spent / (state.step - self.first) * (schedule.steps - state.step)
        LOG.info("%s", _line(state, schedule.steps, self.recent, seen, left))


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


def range_test(
    network: nn.Module,
    batches: Batches,
    rates: NDArray[np.float64],
    loss: Loss,
    bfloat16: bool = False,
) -> NDArray[np.float64]:
    """Return the loss at every step of a training whose rate rises from step to step.

    Parameters
    ----------
    network : nn.Module
        Is trained, and of no use afterwards.
    batches : callable
        As for `fit`.
    rates : ndarray of float, shape (N,)
        Learning rates; AdamW.
    loss : Loss
        See `find_loss`.
    bfloat16 : bool
        As in `Schedule`.

    Returns
    -------
    losses : ndarray of float, shape (N,)
        NaN after the loss was four times its lowest.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=float(rates[0]), weight_decay=1e-4)
    schedule = Schedule(len(rates), float(rates[-1]), bfloat16=bfloat16)
    state = _State(network.train(), network, optimiser, schedule)
    losses = np.full(len(rates), np.nan)
    for step, rate in enumerate(rates):
        losses[step] = _step(state, batches(step), loss, float(rate))
        if not losses[step] <= DIVERGED * np.nanmin(losses):
            break
    return losses


def _step(state: _State, batch: Batch, loss: Loss, rate: float) -> float:
    """Take one optimiser step and return its loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    value = _loss_of(state.network, batch, loss, state.schedule.bfloat16)
    state.optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    if state.average is not state.network:
        _move_average(
            state.average, state.network, min(AVERAGE, (state.step + 1) / (state.step + 10))
        )
    return float(value.detach())


def _loss_of(network: nn.Module, batch: Batch, loss: Loss, bfloat16: bool) -> torch.Tensor:
    """Return the loss of a batch, in float32."""
    device = next(network.parameters()).device
    image, truth, weight = (part.to(device) for part in (batch.image, batch.truth, batch.weight))
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        logits = network(image)
    return loss(logits.float(), truth, weight)


@torch.no_grad()
def _look(state: _State, validation: Validation, loss: Loss) -> float:
    """Return the validation loss of the average, and keep the best."""
    state.average.eval()
    values = [
        float(_loss_of(state.average, batch, loss, state.schedule.bfloat16))
        for batch in validation.batches
    ]
    mean = float(np.mean(values))
    if mean < state.best_loss - validation.least_gain:
        state.best_loss, state.best_step = mean, state.step
        state.best = {name: part.clone() for name, part in state.average.state_dict().items()}
    return mean


def _is_over(state: _State, validation: Validation | None) -> bool:
    """Tell whether the validation loss has not fallen for too long."""
    if validation is None or not state.best:
        return False
    return state.step - state.best_step >= validation.patience * state.schedule.save_every


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)
    for own, new in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(new)  # statistics of batch norm are averages already


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
            f"{path} belongs to another training (other people, recipe, seed or steps); "
            "choose another folder, or delete it to start anew"
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


def _write(path: Path, row: tuple[int, float, float, float, float]) -> None:
    """Append a row to the curve."""
    new = not path.is_file()
    step, loss, seen, rate, seconds = row
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(COLUMNS)
        shown = "n/a" if math.isnan(seen) else f"{seen:.5f}"
        rows.writerow([step, f"{loss:.5f}", shown, f"{rate:.3g}", f"{seconds:.0f}"])
