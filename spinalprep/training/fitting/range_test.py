"""The range test of Smith (2017): how large learning rates may be."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from spinalprep.training.fitting.loop import Batches, optimiser_of, take_step
from spinalprep.training.fitting.losses import Objective

DIVERGED = 4.0  # a loss so many times the lowest ends the test


def range_test(
    network: nn.Module,
    batches: Batches,
    rates: NDArray[np.float64],
    objective: Objective,
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
    objective : Objective
        See `find_loss`.
    bfloat16 : bool
        As in `Schedule`.

    Returns
    -------
    losses : ndarray of float, shape (N,)
        NaN after the loss was four times its lowest.
    """
    network.train()
    optimiser = optimiser_of(network, float(rates[0]))
    losses = np.full(len(rates), np.nan)
    for step, rate in enumerate(rates):
        losses[step] = take_step(
            network, optimiser, batches(step), objective, float(rate), bfloat16
        )
        if not losses[step] <= DIVERGED * np.nanmin(losses):
            break
    return losses
