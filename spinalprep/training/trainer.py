"""The training loop: resumable, seeded, with a moving average of the weights."""

import csv
import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from spinalprep.errors import UsageError
from spinalprep.training.generator import Batch
from spinalprep.training.losses import mixed_loss

LOG = logging.getLogger("spinalprep")
AVERAGE = 0.998
WARM_UP = 100


@dataclass(frozen=True)
class Schedule:
    """Length of a run.

    Attributes
    ----------
    steps : int
        Optimiser steps in all.
    rate : float
        Peak learning rate, reached after 100 steps, then cosine decay to zero.
    save_every : int
        Steps between checkpoints.
    run : str
        What is trained on what; only a checkpoint of the same run is resumed.
    bfloat16 : bool
        Convolve in bfloat16: a third less time on processors that have it; weights stay float32.
    """

    steps: int
    rate: float
    save_every: int = 200
    run: str = ""
    bfloat16: bool = False

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = min(1.0, (step + 1) / WARM_UP)
        return self.rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def fit(
    network: nn.Module,
    batches: Callable[[int], Batch],
    schedule: Schedule,
    folder: Path,
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
        Steps and learning rate.
    folder : Path
        ``checkpoint.pt`` and ``loss.csv`` are kept here; a checkpoint is resumed.

    Raises
    ------
    UsageError
        If the checkpoint belongs to another run: other people, recipe, seed or steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=1e-4)
    average = deepcopy(network)
    first = _resume(folder / "checkpoint.pt", (network, average), optimiser, schedule.run)
    started, recent = time.monotonic(), 0.0
    for step in range(first, schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        batch = batches(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=schedule.bfloat16):
            logits = network(batch.image)
        loss = mixed_loss(logits.float(), batch.truth, batch.weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        _move_average(average, network, min(AVERAGE, (step + 1) / (step + 10)))
        recent = (
            0.98 * recent + 0.02 * float(loss.detach()) if step > first else float(loss.detach())
        )
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            _save(folder / "checkpoint.pt", (network, average), optimiser, (step + 1, schedule.run))
            _tell(folder / "loss.csv", (step + 1, schedule.steps, first), recent, started)
    return average.eval()


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


def _save(
    path: Path,
    networks: tuple[nn.Module, nn.Module],
    optimiser: torch.optim.Optimizer,
    done: tuple[int, str],
) -> None:
    """Write a checkpoint whole or not at all."""
    state = {
        "network": networks[0].state_dict(),
        "average": networks[1].state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": done[0],
        "run": done[1],
    }
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def _resume(
    path: Path, networks: tuple[nn.Module, nn.Module], optimiser: torch.optim.Optimizer, run: str
) -> int:
    """Load a checkpoint of the same run, tensors only, and return its step."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state.get("run", "") != run:
        raise UsageError(
            f"{path} belongs to another training (other people, recipe, seed or steps); "
            "choose another folder, or delete it to start anew"
        )
    networks[0].load_state_dict(state["network"])
    networks[1].load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _tell(path: Path, steps: tuple[int, int, int], loss: float, started: float) -> None:
    """Log the loss and the time that is left, and append them to the curve."""
    done, total, first = steps
    spent = time.monotonic() - started
    left = spent / max(done - first, 1) * (total - done)
    LOG.info("step %d of %d, loss %.4f, %.0f min left", done, total, loss, left / 60)
    new = not path.is_file()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(["step", "loss", "seconds"])
        rows.writerow([done, f"{loss:.5f}", f"{spent:.0f}"])
