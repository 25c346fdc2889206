"""Lesions in noise that grows along the cord: what is called in the healthy, and found in others.

``python benchmarks/lesion_noise.py [FIRST COUNT]`` renders COUNT synthetic subjects from reserved
seed ``FIRST`` (default 108000, 24 people: those of docs/lesion.md; 102000 are the ones that the
rule was chosen on), a contrast each in turn, with noise that grows from head to foot by up to four
times, as a cord away from the coil has it. Every person is looked at as it is and with three soft
clouds in the cord, at 0.4 and 0.8 of the step to the fluid. Printed by contrast: what the network
proposes, and what is called.
"""

import sys
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from lesions import GRIDS, draw_lesion
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.image import Image
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.networks.predict import lesions
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import GM, LESION, WM, make_person
from spinalprep.phantom.images import las_grid, render
from spinalprep.training.evaluation.metrics import count_lesions

SIZES = (25.0, 70.0, 200.0)  # mm3
STEPS = (0.0, 0.4, 0.8)
LEAST, GROWS = (0.01, 0.03), (1.0, 4.0)  # noise of the brightest hundredth; times it at the foot
SMOOTH = 0.6  # pixels; half of the people have such noise, as interpolated images do
LONG = {"T2w": 120, "T1w": 120}  # slices
WRONG_MM3 = 10.0


@dataclass
class Score:
    """Sums over people: drawn and found lesions, false volume, people with more than 10 mm3."""

    drawn: int = 0
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    false_mm3: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    people: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def draw_person(seed: int, contrast: str) -> tuple[Image, Image, float]:
    """Return a noisy image, its cord, and the step from the cord to its fluid."""
    chance = np.random.default_rng(seed)
    shape, spacing = GRIDS[contrast]
    shape = (*shape[:2], LONG.get(contrast, shape[2]))
    person = make_person(seed)
    grid = las_grid(shape, spacing, person.centerline.at(person.centerline.length / 2))
    image = render(person, contrast, grid, seed, noise=0.0)
    cord = person.labels_on(*grid, fine=2)[[WM, GM, LESION]].sum(axis=0) >= 0.5
    least = chance.uniform(*LEAST)
    levels = np.linspace(least * chance.uniform(*GROWS), least, shape[2])  # the foot comes first
    noise = chance.normal(size=shape)
    if chance.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, (SMOOTH, SMOOTH, 0))
        noise /= noise.std()
    noisy = image.data + (noise * levels * np.percentile(image.data, 99)).astype(np.float32)
    around = ndimage.binary_dilation(cord, iterations=2) & ~cord
    step = float(np.median(image.data[around]) - np.median(image.data[cord]))
    return image.with_data(noisy), image.with_data(cord), step


def judge(image: Image, cord: Image, truth: NDArray[np.bool_], model: Model, to: Score) -> None:
    """Add what is proposed and called in one image."""
    line: Centerline = centerline_from_mask(cord)
    probability = image.with_data(lesions(image, line, model))
    called = call_lesions(probability, image, cord, line, LesionRule())
    masks = {"proposed": (called.labels > 0) | (called.refused > 0), "called": called.labels > 0}
    to.drawn += count_lesions(masks["called"], truth, cord.data).drawn
    for name, mask in masks.items():
        to.found[name] += count_lesions(mask, truth, cord.data).detected
        false_mm3 = float(mask.sum()) * image.voxel_volume if not truth.any() else 0.0
        to.false_mm3[name] += false_mm3
        to.people[name] += false_mm3 > WRONG_MM3


def main() -> None:
    """Print a line per contrast and step."""
    first, count = (int(word) for word in (sys.argv[1:3] or ("108000", "24")))
    scores: dict[tuple[str, float], Score] = defaultdict(Score)
    model, contrasts = load_model("lesion"), ("T2w", "T1w", "T2starw", "MTS")
    for seed in range(first, first + count):
        contrast = contrasts[seed % len(contrasts)]
        image, cord, step = draw_person(seed, contrast)
        clouds = [
            draw_lesion(cord.data, image.voxel_sizes.astype(float), size, seed * 10 + n)
            for n, size in enumerate(SIZES)
        ]
        lesion = np.max(clouds, axis=0)
        for share in STEPS:
            changed = image.with_data(image.data + np.float32(share * step) * lesion)
            truth = (lesion >= 0.5) & (share > 0)
            judge(changed, cord, truth, model, scores[contrast, share])
    for (contrast, share), score in sorted(scores.items()):
        told = "; ".join(
            f"{name}: {score.found[name]} of {score.drawn} found, {score.false_mm3[name]:.0f} mm3 "
            f"false, {score.people[name]} people over {WRONG_MM3:.0f} mm3"
            for name in ("proposed", "called")
        )
        sys.stdout.write(f"{contrast:8s} step {share}: {told}\n")


if __name__ == "__main__":
    main()
