"""Lesions drawn into two images of a real person: found in one of them, and in both.

``python benchmarks/lesion_fusion_real.py BIDS_DIR PARTICIPANT SUFFIX SUFFIX [--draws N]`` draws
three soft clouds at a time into both images of a person with manual cord masks, at the same place
of the cord and each towards the fluid by a share of its own (see ``several_scans_real.py``). The
cord is found and the images are registered as the App does it; the manual masks say only where to
draw. The first image is the reference. Printed as by ``lesion_fusion.py``; the first row of draws
is the person without a cloud.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lesion_fusion import Case, aligned_pair, look, tell
from numpy.typing import NDArray
from several_scans_real import CLOUD_STEPS, CLOUDS, Real, cloud, step_to_fluid

from spinalprep.image import Image
from spinalprep.networks.cascade import Networks
from spinalprep.networks.weights import Model, load_model

LESIONS = 3
APART_MM = 20.0
CLOUD_DRAWS = 6


@dataclass(frozen=True)
class Clouds:
    """What is drawn: places (n, 3) in mm as `several_scans_real.cloud` has them, half widths."""

    places: NDArray[np.float64]
    half_mm: NDArray[np.float64]
    volumes_mm3: NDArray[np.float64]


def place_clouds(person: Real, chance: np.random.Generator) -> Clouds:
    """Return clouds in the part of the cord that both images show, apart from each other."""
    low, high = person.in_all_mm()
    room = high - low - 2 * APART_MM
    count = int(np.clip(room // APART_MM + 1, 1, LESIONS))
    heights = np.linspace(low + APART_MM, high - APART_MM, count)
    heights = heights + chance.uniform(-APART_MM / 4, APART_MM / 4, count)
    side = chance.uniform((-3, -2), (3, 2), (count, 2))
    volumes = chance.uniform(*CLOUDS, count)
    halves = (3 * volumes / (8 * np.pi)) ** (1 / 3)
    return Clouds(np.column_stack([side, heights]), halves, volumes)


def with_clouds(
    person: Real, clouds: Clouds, chance: np.random.Generator
) -> tuple[dict[str, Image], list[NDArray[np.bool_]]]:
    """Return the images with the clouds, and their masks in the reference."""
    changed, truth = {}, []
    for name, image in person.images.items():
        cord = person.cords[name]
        step = step_to_fluid(image, cord)
        data = image.data.astype(np.float32)
        for place, half in zip(clouds.places, clouds.half_mm, strict=True):
            shape = cloud(image, cord, place, half)
            data = data + np.float32(chance.uniform(*CLOUD_STEPS) * step) * shape
            if not changed:
                truth.append(shape >= 0.5)
        changed[name] = image.with_data(data)
    return changed, [mask for mask in truth if mask.any()]


def make_case(person: Real, number: int, networks: Networks[Model]) -> Case:
    """Draw into both images, look at both, register them, align what was found."""
    chance = np.random.default_rng([number, 5])
    images: Mapping[str, Image] = person.images
    truth: list[NDArray[np.bool_]] = []
    if number:
        images, truth = with_clouds(person, place_clouds(person, chance), chance)
    (_, reference), (name, other) = images.items()
    own, second = look(reference, networks), look(other, networks)
    volume = sum(float(mask.sum()) for mask in truth) * own.cord.voxel_volume
    return Case(number, own.cord, truth, volume, aligned_pair(name, other, reference, own, second))


def main() -> None:
    """Go through the draws."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("participant")
    parser.add_argument("suffixes", nargs=2)
    parser.add_argument("--draws", type=int, default=CLOUD_DRAWS)
    given = parser.parse_args()
    person = Real.read(given.bids_dir, given.participant, given.suffixes)
    names = "centerline", "cord", "lesion"
    networks = Networks(**{name: load_model(name) for name in names})
    cases = []
    for number in range(given.draws + 1):
        cases.append(make_case(person, number, networks))
        sys.stderr.write(f"draw {number}: {len(cases[-1].images)} images\n")
    tell(cases)


if __name__ == "__main__":
    main()
