"""Pairs of images of one person on one grid: whether the networks see the same cord in both.

``python benchmarks/agreement.py BIDS_DIR [CENTERLINE CORD ...]`` (weights) takes every image of
the dataset, needs no label, and prints Dice and the difference of mean area between runs, and
between MTS images with the pulse on and off; for each image how many slices have cord, and the
volume of lesions.
"""

import re
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError
from spinalprep.image import Image
from spinalprep.image.sanity import conform
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.networks.cascade import Found, Networks, by_task, find_cord
from spinalprep.networks.weights import Model, load_model

THRESHOLDS = 0.8, 0.9
CordOfImage = Found[Image, Centerline]
PAIRED = re.compile(r"_(run|mt)-[a-z0-9]+")


def mean_area(found: CordOfImage, image: Image) -> float:
    """Return volume over the length of centerline in the slices with cord, in mm2."""
    volume = float((found.cord.data > 0).sum()) * image.voxel_volume
    return volume / found.centerline.length


def look(path: Path, models: tuple[Model, ...]) -> tuple[Image, CordOfImage]:
    """Run the networks on one image and print a line."""
    image = conform(path)
    found = find_cord(image, Networks(**by_task(models)))
    told = []
    for threshold in THRESHOLDS:
        rule = LesionRule(threshold)
        lesions = call_lesions(found.lesion, image, found.cord, found.centerline, rule).labels
        told.append(f"{(lesions > 0).sum() * image.voxel_volume:.0f} mm3 over {threshold}")
    slices = int((found.cord.data > 0).any(axis=(0, 1)).sum())
    sys.stdout.write(
        f"{path.name:48s} {slices:3d} of {image.shape[2]:3d} slices, mean area "
        f"{mean_area(found, image):5.1f} mm2, confidence {found.confidence:.2f}, lesions "
        f"{', '.join(told)}\n"
    )
    sys.stdout.flush()
    return image, found


def main() -> None:
    """Print a line per image, then one per pair."""
    words: list[Path | str] = [Path(word) for word in sys.argv[2:]] or [
        "centerline",
        "cord",
        "lesion",
    ]
    models = tuple(load_model(word) for word in words)
    groups: dict[str, list[tuple[str, Image, CordOfImage]]] = defaultdict(list)
    for path in sorted(Path(sys.argv[1]).glob("sub-*/**/anat/*.nii.gz")):
        try:
            groups[PAIRED.sub("", path.name)].append((path.name, *look(path, models)))
        except InputError as error:
            sys.stdout.write(f"{path.name}: {error}\n")
    for rows in groups.values():
        for (one, image, first), (other, there, second) in combinations(rows, 2):
            if image.shape != there.shape or not np.allclose(image.affine, there.affine, atol=1e-3):
                continue
            a, b = first.cord.data > 0, second.cord.data > 0
            dice = 2 * int((a & b).sum()) / (int(a.sum()) + int(b.sum()))
            change = 100 * (mean_area(second, there) / mean_area(first, image) - 1)
            sys.stdout.write(f"{one} | {other}: Dice {dice:.3f}, mean area {change:+.1f} %\n")


if __name__ == "__main__":
    main()
