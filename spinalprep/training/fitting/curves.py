"""Pictures of a training: loss over steps, loss over learning rates."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLUMNS = ("step", "loss", "validation_loss", "dice", "matthews", "rate", "seconds")


def draw_curve(table: Path, path: Path) -> None:
    """Draw losses and learning rate over the steps; nothing where there is no table.

    Parameters
    ----------
    table : Path
        CSV with the columns of ``COLUMNS``.
    path : Path
        Gets a PNG.
    """
    if not table.is_file():
        return
    rows = pd.read_csv(table, na_values="n/a")
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(rows["step"], rows["loss"], color="#1f4e79", label="training")
    if rows["validation_loss"].notna().any():
        axes.plot(rows["step"], rows["validation_loss"], color="#c0504d", label="validation")
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    right = axes.twinx()
    right.plot(rows["step"], rows["rate"], color="#999999", linewidth=0.8, label="learning rate")
    right.set(ylabel="learning rate", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path)


def draw_range_test(
    rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    bounds: tuple[float, float] | None,
    path: Path,
) -> None:
    """Draw the loss over the learning rate of a range test, with the bounds it suggests."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="#1f4e79")
    for bound in bounds or ():
        axes.axvline(bound, color="#c0504d", linewidth=0.8)
    axes.set(xlabel="learning rate", ylabel="loss", xscale="log")
    figure.savefig(path)
