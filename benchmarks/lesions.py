"""Drawn-in lesions in labelled images: what the networks find, by size and by contrast.

``python benchmarks/lesions.py CORD LESION IMAGE CORD_MASK [IMAGE CORD_MASK ...]`` (weights that
never saw these people) draws lesions otherwise than training: one soft cloud in 3D, Gaussian and
twice as long as wide, of ``SIZES`` mm3 over half its height; its peak goes from the cord's
intensity towards that of the fluid by ``STEPS`` times the step between them. Printed: sensitivity
and precision by lesion, Dice, and what is found without any.
"""

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.image import Image, load, reorient
from spinalprep.lesion.instances import SHORTEST_MM, lesion_instances
from spinalprep.networks.predict import lesions, segment
from spinalprep.networks.weights import Model, load_model
from spinalprep.training.metrics import count_lesions

SIZES = (20.0, 60.0, 200.0)
STEPS = (0.25, 0.5, 1.0)
DRAWS, THRESHOLDS, MIN_MM3 = 6, (0.8, 0.85, 0.9, 0.95), 3.0
LONG = 2.0  # times as long as wide


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


Maps = tuple[Image, Image]  # probability of lesions, and the mask of the cord


def look(image: Image, line: Centerline, models: tuple[Model, Model]) -> Maps:
    """Return what the networks see, as the App asks them."""
    cord = segment(image, line, models[0], 1).cord
    return image.with_data(lesions(image, line, models[1])), image.with_data(cord >= 0.5)


def judge(image: Image, cord: NDArray[np.bool_], models: tuple[Model, Model]) -> None:
    """Print a line per size and step, and one for the image as it is."""
    line = centerline_from_mask(image.with_data(cord))
    around = ndimage.binary_dilation(cord, iterations=3) & ~cord
    step = float(np.median(image.data[around])) - float(np.median(image.data[cord]))
    own = look(image, line, models)
    for threshold in THRESHOLDS:
        found = lesion_instances(*own, threshold, MIN_MM3, SHORTEST_MM)
        volume = float((found > 0).sum()) * image.voxel_volume
        sys.stdout.write(f"  no lesion, threshold {threshold}: {volume:.0f} mm3 found\n")
    for size, share in product(SIZES, STEPS):
        counts: dict[float, list[tuple[int, int, int, int, float]]] = {t: [] for t in THRESHOLDS}
        for seed in range(DRAWS):
            lesion = draw_lesion(cord, image.voxel_sizes.astype(float), size, seed)
            changed = image.with_data(image.data + np.float32(share * step) * lesion)
            seen, truth = look(changed, line, models), lesion >= 0.5
            for threshold in THRESHOLDS:
                found = lesion_instances(*seen, threshold, MIN_MM3, SHORTEST_MM)
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


def main() -> None:
    """Go through the images."""
    models = load_model(Path(sys.argv[1])), load_model(Path(sys.argv[2]))
    for name, mask in zip(sys.argv[3::2], sys.argv[4::2], strict=True):
        image, drawn = reorient(load(Path(name))), reorient(load(Path(mask)))
        sys.stdout.write(f"{Path(name).name}\n")
        judge(image, drawn.data > 0.5, models)


if __name__ == "__main__":
    main()
