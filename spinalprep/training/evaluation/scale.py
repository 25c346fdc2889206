"""What the logits of the disc detector say, measured on planes that training never drew."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from spinalprep.levels.detect import row_signs
from spinalprep.training.material.spines import Spine, digital_spines
from spinalprep.training.synthesis.planes import PlaneRanges, make_planes

SEEDS = range(2000, 2020)  # synthetic subjects on whom the scale is measured alone
BATCHES, FIRST_STEP = 40, 10**6
NEAR_ROWS, APART_ROWS = 2, 9
LIMITS = {"disc": (-4.0, 6.0), "c2c3": (-7.0, 7.0)}  # of log ratios: no image is like the training
RIDGE = 1e-4  # pulls slope and offset to zero, where classes can be told apart for sure


@torch.no_grad()
def measure_scale(
    network: nn.Module, seen: Sequence[Spine], ranges: PlaneRanges, batch: int, seed: int
) -> dict[str, list[float]]:
    """Measure what a logit says, on synthetic subjects whom training never saw.

    Parameters
    ----------
    network : nn.Module
        Planes to logits of discs and of C2/C3.
    seen : sequence of Spine
        Others on whom it is measured too.
    ranges, batch, seed
        Of the planes.

    Returns
    -------
    scale : dict of str to [slope, offset, lowest, highest]
        See `levels.detect.weigh_signs`: ``disc`` compares rows at a disc with rows far from any,
        ``c2c3`` compares C2/C3 with other discs.
    """
    spines = [*seen, *digital_spines(SEEDS)]
    at: dict[str, list[float]] = {"disc": [], "none": [], "c2c3": [], "other": []}
    for step in range(FIRST_STEP, FIRST_STEP + BATCHES):
        planes = make_planes(spines, batch, ranges, np.random.default_rng([seed, step]))
        for signs, truth, image in zip(
            row_signs(network(planes.image).numpy()),
            planes.truth.numpy().max(axis=-1),
            planes.image.numpy()[:, 0],
            strict=True,
        ):
            _collect(at, signs, truth, image.any(axis=-1))
    pairs = {"disc": ("disc", "none"), "c2c3": ("c2c3", "other")}
    return {
        name: [*log_ratio(np.array(at[yes]), np.array(at[no])), *LIMITS[name]]
        for name, (yes, no) in pairs.items()
    }


def _collect(
    at: dict[str, list[float]],
    signs: NDArray[np.float32],
    truth: NDArray[np.float32],
    shown: NDArray[np.bool_],
) -> None:
    """Add the logits of one plane at discs, at C2/C3, and far from them."""
    peaks = [
        k
        for k in range(1, len(truth[0]) - 1)
        if truth[0, k] > 0.7 and truth[0, k] == truth[0, k - 1 : k + 2].max()
    ]
    far = shown.copy()
    for k in peaks:
        around = slice(max(k - NEAR_ROWS, 0), k + NEAR_ROWS + 1)
        at["disc"].append(float(signs[0, k]))
        at["c2c3" if truth[1, k] > 0.7 else "other"].append(float(signs[1, around].max()))
        far[max(k - APART_ROWS, 0) : k + APART_ROWS + 1] = False
    at["none"] += signs[0, np.flatnonzero(far)[::3]].tolist()


def log_ratio(yes: NDArray[np.float64], no: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and offset of the log ratio of two classes, both of equal weight."""
    logits = np.concatenate([yes, no])
    is_yes = np.repeat([1, 0], [len(yes), len(no)])
    weight = np.repeat([0.5 / len(yes), 0.5 / len(no)], [len(yes), len(no)])
    model = LogisticRegression(
        C=1 / RIDGE, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000
    )
    model.fit(np.stack([logits, np.ones_like(logits)], axis=1), is_yes, weight)
    slope, offset = model.coef_[0]
    return round(float(slope), 3), round(float(offset), 3)
