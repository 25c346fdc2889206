"""How soft the probabilities of a network are, measured on synthetic subjects."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import ModelError
from spinalprep.image import Image
from spinalprep.networks.cards import card_path, read_card
from spinalprep.networks.predict import segment
from spinalprep.networks.temperature import sharpen
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, GM, TISSUES, make_person
from spinalprep.phantom.images import render

FIRST_SEED, PEOPLE = 50_000, 3  # neither taught with nor tested on
SHAPE, SPACING_MM = (64, 64, 12), (0.7, 0.7, 4.0)
CONTRASTS = {"cord": ("T2w", "T2starw"), "gm": ("T2starw", "MTS")}
CORD = [TISSUES.index(name) for name in ("white matter", "gray matter", "lesion")]
LOWEST, HIGHEST = 0.2, 2.0
LEAST = 0.01  # share or probability from which a voxel counts: the rest is easy
NOISE = 0.02  # of the range of intensities


def fit_temperature(model: Model) -> float:
    """Return the temperature at which probabilities are nearest to shares of a voxel.

    Parameters
    ----------
    model : Model
        Of task ``cord`` (its cord is held against the truth) or ``gm`` (its gray matter).

    Returns
    -------
    temperature : float
        0.2 to 2, of least mean cross-entropy over the voxels with a share or a probability of at
        least 0.01, on three synthetic subjects in two contrasts.

    Notes
    -----
    Guo et al. (2017) fit one number on held-out data; the truth of synthetic subjects is the share
    of each voxel, which no rater draws, and no person has to be spared for it.
    """
    task = str(model.card["task"])
    plain = Model(model.network, {**model.card, "temperature": 1.0})
    pairs = [
        _voxels(getattr(segment(image, line, plain), task), truth)
        for image, line, truth in _people(task)
    ]
    found, truth = (np.concatenate(parts) for parts in zip(*pairs, strict=True))

    def cross_entropy(log_temperature: float) -> float:
        p = np.clip(sharpen(found, float(np.exp(log_temperature))), 1e-6, 1 - 1e-6)
        return -float(np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p)))

    best = minimize_scalar(
        cross_entropy, bounds=np.log([LOWEST, HIGHEST]), method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(best.x))


def measured_temperature(model: Model) -> dict[str, float]:
    """Return what the card of a network says of its temperature; nothing for a heat map."""
    if model.card["task"] not in CONTRASTS:
        return {}
    return {"temperature": round(fit_temperature(model), 2)}


def _people(task: str) -> Iterator[tuple[Image, Centerline, NDArray[np.float32]]]:
    """Yield image, centerline, and the share of each voxel that is cord, or gray matter."""
    affine = np.diag([-SPACING_MM[0], *SPACING_MM[1:], 1.0])
    affine[:3, 3] = np.array([0.0, 4.0, 0.0]) - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    tissues = CORD if task == "cord" else [GM]
    for seed in range(FIRST_SEED, FIRST_SEED + PEOPLE):
        assert seed < FIRST_TEST_SEED
        person = make_person(seed)
        shares = person.labels_on(SHAPE, affine, fine=3)[tissues].sum(axis=0)
        for contrast in CONTRASTS[task]:
            image = render(person, contrast, (SHAPE, affine), seed, noise=NOISE)
            yield image, person.centerline, shares


def calibrate(weights: Path) -> float:
    """Measure the temperature of a weight file and write it into the card beside it.

    Raises
    ------
    ModelError
        If the network gives no cord or gray matter, or its card can't be written.
    """
    measured = measured_temperature(load_model(weights))
    if not measured:
        raise ModelError(
            f"{weights} is of task {read_card(weights)['task']}: it has no temperature"
        )
    card = card_path(weights)
    try:
        card.write_text(json.dumps(read_card(weights) | measured, indent=2) + "\n")
    except OSError as error:
        raise ModelError(
            f"{card} can't be written ({error.strerror}); copy weights and card first"
        ) from error
    return measured["temperature"]


def _voxels(
    found: NDArray[np.float32], truth: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the voxels that are not plainly background."""
    kept = (found >= LEAST) | (truth >= LEAST)
    return found[kept], truth[kept]
