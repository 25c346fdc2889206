"""Lesions looked for in a sagittal and an axial image of one synthetic subject, and joined.

``python benchmarks/lesion_fusion.py [FIRST COUNT] [--healthy] [--keep DIR]`` draws COUNT subjects
from reserved seed FIRST (default 171000, 12 subjects: those of docs/validation/lesions.md; 170000
are the ones that the rule was chosen on), every second one with three lesions, or none with
``--healthy``. Each has a sagittal T2w (3.3 mm slices of 0.7 mm), the reference, and, in turn, an
axial T2w of 0.7 x 0.7 x 5 mm, one of 0.5 x 0.5 x 3 mm and an axial T2starw of 0.6 x 0.6 x 4 mm,
after a small motion; noise grows from head to foot by up to four times. The cord is found and the
images are registered as the App does it. Printed for every way to join: lesions found, false
lesions, Dice and volume error on the grid of the reference, and the paired difference from the
reference alone with its 95 % interval (bootstrap over subjects). ``--keep`` stores what was found
in the images in a folder.
"""

import argparse
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.image import Image
from spinalprep.lesion.aligned import AlignedLesions, OwnLesions, align_lesions
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.lesion.fusion import join_lesions
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import CSF, LESION, WM, Person, make_person
from spinalprep.phantom.images import INTENSITY, acquire, las_grid
from spinalprep.registration.coregister import coregister

Grid = tuple[tuple[int, int, int], NDArray[np.float64]]
Found = dict[str, NDArray[np.int32]]

SAGITTAL = (15, 96, 160), (3.3, 0.7, 0.7)
OTHERS = (
    ("T2w", (90, 90, 20), (0.7, 0.7, 5.0)),
    ("T2w", (120, 120, 32), (0.5, 0.5, 3.0)),
    ("T2starw", (100, 100, 24), (0.6, 0.6, 4.0)),
)
STEPS = (0.3, 0.8)  # of the step from white matter to the fluid: how bright lesions are
LEAST, GROWS = (0.01, 0.03), (1.0, 4.0)  # noise, and times it at the foot
SHIFT_MM, TURN_DEG = 1.5, 1.5  # standard deviations of the motion
LEAST_FOUND = 0.25  # of a lesion's voxels
DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Case:
    """What is known of a subject on the grid of the reference.

    ``truth`` are the masks of the lesions, ``volume_mm3`` what they have in truth.
    """

    seed: int
    cord: Image
    truth: list[NDArray[np.bool_]]
    volume_mm3: float
    images: list[AlignedLesions]


def grid_around(
    person: Person, shape: Sequence[int], spacing: Sequence[float], up_mm: float = 0.0
) -> Grid:
    """Return a grid around the middle of the cord."""
    middle = person.centerline.at(person.centerline.length / 2)
    return las_grid(shape, spacing, middle + np.array([0, 0, up_mm]))


def draw(person: Person, contrast: str, grid: Grid, seed: int, step: float) -> Image:
    """Return an image with lesions as bright as ``step`` says and noise that grows downwards."""
    chance = np.random.default_rng([seed, len(grid[0]) + grid[0][0]])
    levels = np.array(INTENSITY[contrast])
    levels[LESION] = levels[WM] + step * (levels[CSF] - levels[WM])
    shares = person.labels_on(*grid, fine=3)
    clean = acquire(shares, levels, grid[1], chance, noise=0.0)
    least = chance.uniform(*LEAST)
    noise = np.linspace(least * chance.uniform(*GROWS), least, grid[0][2])
    noise = chance.normal(size=grid[0]) * noise * np.percentile(clean.data, 99)
    return clean.with_data((clean.data + noise).astype(np.float32))


def motion(seed: int) -> NDArray[np.float64]:
    """Return the motion between the images: points of the first to points of the second."""
    chance = np.random.default_rng([seed, 7])
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", chance.normal(0, TURN_DEG, 3), degrees=True)
    matrix[:3, :3] = turn.as_matrix()
    matrix[:3, 3] = chance.normal(0, SHIFT_MM, 3)
    return matrix


def look(image: Image, networks: Networks[Model]) -> OwnLesions:
    """Return what the App finds in an image."""
    found = find_cord(image, networks)
    called = call_lesions(found.lesion, image, found.cord, found.centerline, LesionRule())
    return OwnLesions(found.lesion, found.cord, called)


def make_case(seed: int, networks: Networks[Model], lesions: int) -> Case:
    """Draw a subject, look at both images, register them, align what was found."""
    chance = np.random.default_rng([seed, 3])
    person, step = make_person(seed, lesions=lesions), chance.uniform(*STEPS)
    grid = grid_around(person, *SAGITTAL)
    contrast, shape, spacing = OTHERS[(seed // 2) % len(OTHERS)]
    still = grid_around(person, shape, spacing)
    reference = draw(person, "T2w", grid, seed, step)
    other = draw(person, contrast, still, seed + 500_000, step)
    moved = Image(other.data, motion(seed) @ other.affine)
    own, second = look(reference, networks), look(moved, networks)
    images = aligned_pair(contrast, moved, reference, own, second)
    truth = []
    for lesion in person.lesions:
        share = replace(person, lesions=(lesion,)).labels_on(*grid, fine=4)[LESION]
        truth.append(share >= min(0.5, float(share.max())))
    return Case(seed, own.cord, truth, sum(one.volume_mm3 for one in person.lesions), images)


def aligned_pair(
    name: str, moving: Image, reference: Image, own: OwnLesions, second: OwnLesions
) -> list[AlignedLesions]:
    """Return what the reference shows, and what the other image does if it can be registered."""
    fit = coregister(moving, reference, own.cord)
    images = [_of_reference(own)]
    if fit.accepted or fit.headers_hold:
        images.append(align_lesions(name, second, fit.forward, own.cord))
    return images


def _of_reference(own: OwnLesions) -> AlignedLesions:
    covered = np.ones(own.cord.shape, bool)
    soft = own.soft.data.astype(np.float32)
    return AlignedLesions("reference", soft, covered, own.called.labels, own.called.evidence)


def ways(case: Case) -> Found:
    """Return the lesions of a subject by each way to join them."""
    rule, others = LesionRule(), case.images[1:]
    found = {
        "reference": case.images[0].labels,
        "other": others[0].labels if others else np.zeros_like(case.images[0].labels),
    }
    for fusion in ("union", "mean"):
        found[fusion] = join_lesions(case.images, case.cord, rule, fusion).labels
    return found


Score = dict[str, float]


def score(case: Case, labels: NDArray[np.int32]) -> Score:
    """Return what is right and wrong in the lesions of a subject."""
    truth = np.any([*case.truth, np.zeros(labels.shape, bool)], axis=0)
    near = ndimage.binary_dilation(truth, np.ones((3, 3, 3)))
    numbers = [n for n in np.unique(labels) if n > 0]
    called = labels > 0
    total = float(called.sum()) * case.cord.voxel_volume
    both = int(called.sum()) + int(truth.sum())
    return {
        "found": sum(float(called[one].mean()) >= LEAST_FOUND for one in case.truth),
        "drawn": len(case.truth),
        "rows": len(numbers),
        "false": sum(not near[labels == n].any() for n in numbers),
        "false_mm3": float((called & ~near).sum()) * case.cord.voxel_volume,
        "dice": 2 * int((called & truth).sum()) / both if both else 1.0,
        "error_mm3": total - case.volume_mm3,
    }


def tell(cases: Sequence[Case]) -> None:
    """Print a line per way."""
    scores: dict[str, list[Score]] = {}
    for case in cases:
        for way, labels in ways(case).items():
            scores.setdefault(way, []).append(score(case, labels))
    ill = np.array([bool(case.truth) for case in cases])
    for way, rows in scores.items():
        told = _line(rows, scores["reference"], ill)
        sys.stdout.write(f"{way:12s} {told}\n")


def _line(rows: Sequence[Score], before: Sequence[Score], ill: NDArray[np.bool_]) -> str:
    def of(key: str, these: Sequence[Score] = rows) -> NDArray[np.float64]:
        return np.array([row[key] for row in these], float)

    def apart(value: Callable[[Sequence[Score]], NDArray[np.float64]]) -> str:
        difference = (value(rows) - value(before))[ill]
        low, high = interval(difference)
        mean = difference.mean() if len(difference) else np.nan
        return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    share = apart(lambda these: of("found", these) / np.maximum(of("drawn", these), 1))
    dice = apart(lambda these: of("dice", these))
    error = apart(lambda these: np.abs(of("error_mm3", these)))
    return (
        f"found {of('found').sum():.0f} of {of('drawn').sum():.0f} (sensitivity {share}), rows "
        f"{of('rows').sum():.0f}; false: with lesions {of('false')[ill].sum():.0f}, without "
        f"{of('false')[~ill].sum():.0f} ({of('false_mm3')[~ill].sum():.0f} mm3, "
        f"{(of('false')[~ill] > 0).sum()} of {(~ill).sum()} subjects); Dice "
        f"{of('dice')[ill].mean():.3f} ({dice}); volume error {of('error_mm3')[ill].mean():+.1f}, "
        f"absolute {np.abs(of('error_mm3'))[ill].mean():.1f} mm3 ({error})"
    )


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean; NaN of nobody."""
    if not len(values):
        return np.nan, np.nan
    chance = np.random.default_rng(0)
    means = values[chance.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Go through the subjects."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", nargs="?", type=int, default=171_000)
    parser.add_argument("count", nargs="?", type=int, default=12)
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    names = "centerline", "cord", "lesion"
    networks = Networks(**{name: load_model(name) for name in names})
    cases = []
    for seed in range(given.first, given.first + given.count):
        kept = given.keep / f"{seed}.pickle" if given.keep else None
        if kept is not None and kept.is_file():
            cases.append(pickle.loads(kept.read_bytes()))
            continue
        cases.append(make_case(seed, networks, 0 if given.healthy else 3 * (seed % 2)))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps(cases[-1]))
        sys.stderr.write(f"{seed}: {len(cases[-1].images)} images\n")
    tell(cases)


if __name__ == "__main__":
    main()
