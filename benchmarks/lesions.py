"""Drawn-in lesions in labeled images, and synthetic subjects: what is found, by size and contrast.

``python benchmarks/lesions.py CORD LESION IMAGE CORD_MASK [IMAGE CORD_MASK ...]`` (weights that
never saw these people) draws lesions otherwise than training: one soft cloud in 3D, Gaussian and
twice as long as wide, of ``SIZES`` mm3 over half its height; its peak goes from the cord's
intensity towards that of the fluid by ``STEPS`` times the step between them. Printed: sensitivity
and precision by lesion, Dice, and what is found without any.

``python benchmarks/lesions.py CORD LESION --people N`` renders N synthetic subjects no network was
taught with, three sharp ellipsoids in each, in four contrasts and their usual voxels: sensitivity
by contrast and volume, precision and Dice by contrast.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.defaults import LESION_THRESHOLD
from spinalprep.image import Image, load, reorient
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.networks.cards import find_weights
from spinalprep.networks.predict import lesions, segment
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, GM, LESION, WM, make_person
from spinalprep.phantom.images import las_grid, render
from spinalprep.training.evaluation.metrics import count_lesions

SIZES = (20.0, 60.0, 200.0)
STEPS = (0.25, 0.5, 1.0)
DRAWS, THRESHOLDS = 6, (0.8, 0.85, 0.9, 0.95)
LONG = 2.0  # times as long as wide
BINS = 0.0, 30.0, 60.0, 1000.0  # mm3
GRIDS = {
    "T2w": ((60, 80, 110), (1.0, 1.0, 1.0)),
    "T1w": ((60, 80, 110), (1.0, 1.0, 1.0)),
    "T2starw": ((110, 110, 24), (0.6, 0.6, 4.0)),
    "MTS": ((80, 80, 24), (0.9, 0.9, 5.0)),
}


def draw_lesion(
    cord: NDArray[np.bool_], sizes_mm: NDArray[np.float64], volume_mm3: float, seed: int
) -> NDArray[np.float32]:
    """Return one cloud inside the cord, 0 to 1; over 0.5 it has about the volume asked for."""
    chance = np.random.default_rng(seed)
    places = np.argwhere(cord)
    at = places[chance.integers(len(places))]
    far = (np.indices(cord.shape) - at[:, None, None, None]) * sizes_mm[:, None, None, None]
    far[2] /= LONG
    reach = np.where(cord, np.sqrt((far**2).sum(axis=0)), np.inf)
    voxels = min(max(round(volume_mm3 / float(np.prod(sizes_mm))), 1), int(cord.sum()) - 1)
    half = float(np.partition(reach[cord], voxels)[voxels])
    cloud: NDArray[np.float32] = np.exp2(-((reach / half) ** 2)).astype(np.float32)
    return cloud


Called = Callable[[float], NDArray[np.int32]]  # the lesions at a threshold


def look(image: Image, line: Centerline, models: tuple[Model, Model]) -> Called:
    """Return what is called in an image, as the App does it."""
    cord = image.with_data(segment(image, line, models[0], 1).cord >= 0.5)
    probability = image.with_data(lesions(image, line, models[1]))
    return lambda t: call_lesions(probability, image, cord, line, LesionRule(t)).labels


def judge(image: Image, cord: NDArray[np.bool_], models: tuple[Model, Model]) -> None:
    """Print a line per size and step, and one for the image as it is."""
    line = centerline_from_mask(image.with_data(cord))
    around = ndimage.binary_dilation(cord, iterations=3) & ~cord
    step = float(np.median(image.data[around])) - float(np.median(image.data[cord]))
    own = look(image, line, models)
    for threshold in THRESHOLDS:
        found = own(threshold)
        volume = float((found > 0).sum()) * image.voxel_volume
        sys.stdout.write(f"  no lesion, threshold {threshold}: {volume:.0f} mm3 found\n")
    for size, share in product(SIZES, STEPS):
        counts: dict[float, list[tuple[int, int, int, int, float]]] = {t: [] for t in THRESHOLDS}
        for seed in range(DRAWS):
            lesion = draw_lesion(cord, image.voxel_sizes.astype(float), size, seed)
            changed = image.with_data(image.data + np.float32(share * step) * lesion)
            seen, truth = look(changed, line, models), lesion >= 0.5
            for threshold in THRESHOLDS:
                found = seen(threshold)
                counts[threshold].append(_count(found > 0, truth, cord))
        for threshold, rows in counts.items():
            _tell(size, share, threshold, rows)
        sys.stdout.flush()


def _count(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], cord: NDArray[np.bool_]
) -> tuple[int, int, int, int, float]:
    n = count_lesions(found, truth, cord)
    both = int(found.sum()) + int(truth.sum())
    dice = 2 * int((found & truth).sum()) / both if both else 1.0
    return n.detected, n.drawn, n.true, n.found, dice


def _tell(
    size: float, share: float, threshold: float, rows: Sequence[tuple[int, int, int, int, float]]
) -> None:
    detected, drawn, true, found = (sum(row[n] for row in rows) for n in range(4))
    dice = float(np.median([row[4] for row in rows]))
    sys.stdout.write(
        f"  {size:5.0f} mm3, step {share:.2f}, threshold {threshold}: {detected} of {drawn} "
        f"detected, {true} of {found} true, Dice {dice:.2f}\n"
    )


def people(count: int, models: tuple[Model, Model]) -> None:
    """Print a line per contrast over synthetic subjects."""
    for contrast, (shape, spacing) in GRIDS.items():
        rows, sizes = [], list[tuple[float, bool]]()
        for seed in range(FIRST_TEST_SEED + 700, FIRST_TEST_SEED + 700 + count):
            person = make_person(seed, lesions=3)
            grid = las_grid(shape, spacing, person.centerline.at(person.centerline.length / 2))
            image = render(person, contrast, grid, seed, noise=0.02)
            shares = person.labels_on(*grid, fine=2)
            cord = shares[[WM, GM, LESION]].sum(axis=0) >= 0.5
            truth = shares[LESION] >= 0.5
            seen = look(image, centerline_from_mask(image.with_data(cord)), models)
            found = seen(LESION_THRESHOLD) > 0
            rows.append(_count(found, truth, cord))
            sizes += met_by_size(truth, found, image.voxel_volume)
        told = []
        for low, high in pairwise(BINS):
            met = [hit for volume, hit in sizes if low <= volume < high]
            told.append(f"{low:.0f} to {high:.0f} mm3 {sum(met)} of {len(met)}")
        dice = float(np.median([row[4] for row in rows]))
        true, called = (sum(row[n] for row in rows) for n in (2, 3))
        sys.stdout.write(
            f"{contrast}: {', '.join(told)}; {true} of {called} true, Dice {dice:.2f}\n"
        )
        sys.stdout.flush()


def met_by_size(
    truth: NDArray[np.bool_], found: NDArray[np.bool_], voxel_mm3: float
) -> list[tuple[float, bool]]:
    """Return the volume in mm3 of every drawn lesion, and whether a quarter of it was found."""
    labels, count = ndimage.label(truth, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(labels[found], minlength=count + 1)[1:]
    return [(n * voxel_mm3, bool(m >= 0.25 * n)) for n, m in zip(sizes, shared, strict=True)]


def main() -> None:
    """Go through the images, or synthetic subjects."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cord", type=find_weights)
    parser.add_argument("lesion", type=find_weights)
    parser.add_argument("images", nargs="*", type=Path, help="image and cord mask, in turn")
    parser.add_argument("--people", type=int, default=0)
    given = parser.parse_args()
    models = load_model(given.cord), load_model(given.lesion)
    if given.people:
        people(given.people, models)
    for name, mask in zip(given.images[::2], given.images[1::2], strict=True):
        image, drawn = reorient(load(name)), reorient(load(mask))
        sys.stdout.write(f"{name.name}\n")
        judge(image, drawn.data > 0.5, models)


if __name__ == "__main__":
    main()
