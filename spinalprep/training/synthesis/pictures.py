"""A picture of what a network is shown: generated samples beside the slices they come from."""

from pathlib import Path

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.training.material.people import Kind
from spinalprep.training.material.slices import Slices
from spinalprep.training.synthesis.batch import Batch

SHOWN, PER_ROW, ZOOM = 20, 5, 2
EDGE = (255, 80, 60)
GAP_PX = 12


def draw_samples(material: Slices, batches: list[Batch], path: Path) -> None:
    """Write twenty real slices (left) and twenty samples (right), the first truth outlined.

    Parameters
    ----------
    material : Slices
        Real slices; people take turns.
    batches : list of Batch
        At least twenty samples in all.
    path : Path
        Gets a PNG.
    """
    images = np.concatenate([batch.image[:, 0].numpy() for batch in batches])[:SHOWN]
    truths = np.concatenate([batch.truth[:, 0].numpy() for batch in batches])[:SHOWN]
    size = images.shape[-1]
    shown = material.kind != Kind.DIGITAL
    names = np.unique(material.person[shown])
    chosen = [
        np.flatnonzero(shown & (material.person == names[n % len(names)])) for n in range(SHOWN)
    ]
    slices = [int(rows[(7 * n) % len(rows)]) for n, rows in enumerate(chosen)]
    real = [
        _framed(
            _cut(material.image[n], material.centre[n], size),
            _cut(material.cord[n], material.centre[n], size),
        )
        for n in slices
    ]
    drawn = [_framed(image, truth) for image, truth in zip(images, truths, strict=True)]
    left, right = _sheet(real), _sheet(drawn)
    gap = np.full((left.shape[0], GAP_PX, 3), 255, np.uint8)
    imsave(path, np.concatenate([left, gap, right], axis=1))


def _cut(plane: NDArray[np.float32], centre: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Cut ``size`` x ``size`` pixels around a center; zero outside."""
    padded = np.pad(plane, size)
    i, j = np.rint(centre).astype(int) + size - size // 2
    return padded[i : i + size, j : j + size]


def _framed(image: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return one picture in RGB, posterior below, with the outline of the truth."""
    grey = np.clip(image * 255, 0, 255).astype(np.uint8)
    mask = ndimage.zoom(truth, ZOOM, order=1) > 0.5
    picture = np.repeat(np.kron(grey, np.ones((ZOOM, ZOOM), np.uint8))[..., None], 3, axis=2)
    picture[mask & ~ndimage.binary_erosion(mask)] = EDGE
    return np.rot90(picture)


def _sheet(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    rows = [
        np.concatenate(pictures[n : n + PER_ROW], axis=1) for n in range(0, len(pictures), PER_ROW)
    ]
    return np.concatenate(rows, axis=0)
