"""The disc detector: from spines and a recipe to weights, with the scale of their logits."""

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from torch import nn

from spinalprep.levels.detect import row_signs
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import save_model
from spinalprep.training.fitting.loop import fit
from spinalprep.training.fitting.schedules import WARM_UP, Schedule
from spinalprep.training.material.slices import PERSONS
from spinalprep.training.material.spines import STACKS, Spine, phantom_spines, read_spines
from spinalprep.training.synthesis.planes import PlaneRanges, make_planes
from spinalprep.training.synthesis.slices import Batch

LOG = logging.getLogger("spinalprep")
SCALE_PHANTOMS = range(2000, 2020)  # digital people on whom the scale is measured alone
SCALE_BATCHES = 40
PULL = 1e-4  # of slope and offset to zero: classes that don't overlap have no finite slope
NEAR_ROWS, APART_ROWS = 2, 9
LIMITS = {"disc": (-4.0, 6.0), "c2c3": (-7.0, 7.0)}  # of log ratios: no image is like the training


@dataclass(frozen=True)
class DiscsRecipe:
    """Everything that decides the training of the disc detector but the data and the seed.

    The rate falls as if it were to reach zero at step ``zero_at``; the moving average of the
    weights does what the lowest rates would.
    """

    preset: str = "disc_unet"
    steps: int = 6000
    zero_at: int = 6000
    batch: int = 12
    rate: float = 2e-3
    ranges: PlaneRanges = field(default_factory=PlaneRanges)


RECIPE = DiscsRecipe()


@dataclass(frozen=True)
class CutCosine(Schedule):
    """Cosine decay of the learning rate that would reach zero at a later step than the last."""

    zero_at: int = RECIPE.zero_at

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = min(1.0, (step + 1) / WARM_UP)
        zero = max(self.zero_at, self.steps)
        return self.rate * warm * 0.5 * (1 + math.cos(math.pi * step / zero))


def train_discs(out_dir: Path, shared: Path, seed: int = 0, steps: int | None = None) -> Path:
    """Train the disc detector and return the path of its weights.

    Parameters
    ----------
    out_dir : Path
        Checkpoint, loss curve, weights and card go here.
    shared : Path
        Folder with the training data, see `read_spines`.
    seed : int
        Of weights and samples.
    steps : int, optional
        In place of the recipe's.
    """
    total = steps or RECIPE.steps
    spines = read_spines(shared)
    torch.manual_seed(seed)
    network = PRESETS[RECIPE.preset]()
    started = time.monotonic()
    trained = fit(
        network,
        lambda step: draw_batch(spines, seed, step),
        CutCosine(total, RECIPE.rate, run=repr((RECIPE, seed, total)), bfloat16=True),
        out_dir,
    )
    minutes = (time.monotonic() - started) / 60
    seen = [spine for spine in spines if spine.name == "PAM50"]
    scale = measure_scale(trained, [*seen, *phantom_spines(SCALE_PHANTOMS)], seed)
    LOG.info("scale of the logits: %s", scale)
    card = _card(seed, total, minutes) | {"scale": scale}
    return save_model(trained, out_dir / "discs.safetensors", card)


def draw_batch(spines: list[Spine], seed: int, step: int) -> Batch:
    """Return the batch of a step; the same for the same material, seed and step."""
    return make_planes(spines, RECIPE.batch, RECIPE.ranges, np.random.default_rng([seed, step]))


@torch.no_grad()
def measure_scale(network: nn.Module, spines: list[Spine], seed: int) -> dict[str, list[float]]:
    """Measure what a logit says, on planes that training never drew.

    Returns
    -------
    scale : dict of str to [slope, offset, lowest, highest]
        See `levels.detect.weigh_signs`: ``disc`` compares rows at a disc with rows far from any,
        ``c2c3`` compares C2/C3 with other discs.
    """
    at: dict[str, list[float]] = {"disc": [], "none": [], "c2c3": [], "other": []}
    for step in range(SCALE_BATCHES):
        chance = np.random.default_rng([seed, 10**6 + step])
        batch = make_planes(spines, RECIPE.batch, RECIPE.ranges, chance)
        for signs, truth, image in zip(
            row_signs(network(batch.image).numpy()),
            batch.truth.numpy().max(axis=-1),
            batch.image.numpy()[:, 0],
            strict=True,
        ):
            _collect(at, signs, truth, image.any(axis=-1))
    pairs = {"disc": ("disc", "none"), "c2c3": ("c2c3", "other")}
    return {
        name: [*_logistic(np.array(at[yes]), np.array(at[no])), *LIMITS[name]]
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


def _logistic(yes: NDArray[np.float64], no: NDArray[np.float64]) -> tuple[float, float]:
    """Fit slope and offset of the log ratio, both classes of equal weight."""

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the mean log loss with a slight pull to zero, and its gradient."""
        slope, offset = line
        above, below = slope * yes + offset, slope * no + offset
        up, down = -expit(-above) / 2, expit(below) / 2
        value = -(log_expit(above).mean() + log_expit(-below).mean()) / 2 + PULL / 2 * line @ line
        bend = np.array([(up * yes).mean() + (down * no).mean(), up.mean() + down.mean()])
        return value, bend + PULL * line

    slope, offset = minimize(loss, np.zeros(2), jac=True, options={"gtol": 1e-10}).x
    return round(float(slope), 3), round(float(offset), 3)


def _card(seed: int, steps: int, minutes: float) -> dict[str, Any]:
    """Return the model card."""
    return {
        "name": "discs",
        "version": "3",
        "task": "discs",
        "preset": RECIPE.preset,
        "inputs": "the straightened mid-sagittal plane, mean of 8 mm, brought to one contrast",
        "spacing": [1.0, 1.0],
        "orientation": "rows from superior to inferior, columns from posterior to anterior",
        "channels": 1,
        "classes": ["disc", "C2/C3"],
        "data": {
            "people": sorted({PERSONS.get(name, name) for name in STACKS}),
            "sources": "PAM50 (its T2w at 1 x 1 x 2 mm and label maps), digital persons, "
            "two axial stacks of gm-challenge-data as images without a sign of a level",
        },
        "synthetic": "contrast, geometry and field of view randomised; no image of a person "
        "with visible discs served for training",
        "seed": seed,
        "steps": steps,
        "recipe": repr(RECIPE),
        "training_minutes": round(minutes, 1),
        "licence": "research use only; sct_testing_data MIT, the rest public without a licence",
        "limits": "one real anatomy, PAM50's; fused or operated discs were never shown",
    }
