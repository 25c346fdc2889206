"""The cord of one labeled image after changes that must not matter.

``python benchmarks/robustness.py IMAGE CORD_MASK [CENTERLINE CORD] [--picture PNG]`` (weights)
prints Dice and the ratio of volumes for other resolutions, a small field of view, tilt, inverted
contrast, noise, bias and a faint edge, and whether the mask is the same in all 48 orders of the
axes. The picture shows the change that did most harm beside the image as it is (mask green, found
red).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.errors import NoCordError
from spinalprep.image import Image, grid_with_spacing, load, reorient, resample, to_world
from spinalprep.image.sanity import conform
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.training.evaluation.pictures import draw_panels, panel_of

FIELD_MM, TILT_DEG, NOISE, BIAS, FADED = 25.0, 30.0, 0.1, 0.5, 0.5
Case = tuple[str, Image, Image]


@dataclass(frozen=True)
class Judged:
    """A changed image, what was found in it, and how good that is."""

    case: Case
    found: NDArray[np.bool_]
    dice: float
    said: str


def variants(image: Image, mask: Image) -> Iterator[Case]:
    """Yield a name, the changed image and its mask."""
    yield "as it is", image, mask
    yield from other_grids(image, mask)
    yield from other_greys(image, mask)


def other_grids(image: Image, mask: Image) -> Iterator[Case]:
    """Yield other resolutions, a small field of view, a tilt, and the 48 orders of the axes."""
    through = float(image.voxel_sizes[2])
    for spacing in (
        (0.3, 0.3, through),
        (1.5, 1.5, through),
        (2.0, 2.0, 2.0),
        (0.7, 0.7, 5.0),
        (3.3, 0.7, 0.7),
        (5.0, 0.8, 0.8),
    ):
        name = " x ".join(f"{n:.1f}" for n in spacing)
        yield f"{name} mm", acquired(image, spacing), acquired(mask, spacing)
    middle = np.argwhere(mask.data > 0.5).mean(axis=0)
    reach = (FIELD_MM / 2 / image.voxel_sizes[:2]).astype(int)
    low = np.maximum(middle[:2].astype(int) - reach, 0)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, middle[:2] + reach, strict=True))
    affine = image.affine.copy()
    affine[:3, 3] = to_world(np.array([*low, 0.0]), image.affine)
    small = [Image(i.data[part], affine) for i in (image, mask)]
    yield f"field of view {FIELD_MM:.0f} mm", small[0], small[1]
    if through < 1.5:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("x", TILT_DEG, degrees=True).as_matrix()
        centre = to_world(middle, image.affine)
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        tilted = [resample(i, image.shape, turn @ image.affine) for i in (image, mask)]
        level = [image.with_data(i.data) for i in tilted]
        yield f"tilt {TILT_DEG:.0f} degrees", level[0], level[1]


def acquired(image: Image, spacing: tuple[float, float, float]) -> Image:
    """Return the image in other voxels; larger ones hold the mean, as an acquisition does."""
    shape, affine = grid_with_spacing(image, spacing)
    wide = [max(round(n), 1) for n in np.array(spacing) / image.voxel_sizes]
    mean = ndimage.uniform_filter(image.data.astype(np.float32), wide, mode="nearest")
    return resample(image.with_data(mean), shape, affine)


def other_greys(image: Image, mask: Image) -> Iterator[Case]:
    """Yield inverted contrast, noise, bias, and half the step between the cord and what is near."""
    yield "inverted", image.with_data(image.data.max() - image.data), mask
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    level = np.float32(NOISE * np.percentile(image.data, 99))
    yield "noise 10 %", image.with_data(image.data + level * noise.astype(np.float32)), mask
    ramp = [np.linspace(-1, 1, n) for n in image.shape]
    field = np.exp(BIAS * (ramp[0][:, None, None] + ramp[1][None, :, None] + ramp[2]))
    yield "bias", image.with_data(image.data * field.astype(np.float32)), mask
    soft = ndimage.gaussian_filter((mask.data > 0.5).astype(np.float32), 0.5)
    inside = mask.data > 0.5
    disc = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), 4)[..., None]
    around = ndimage.binary_dilation(inside, disc) & ~inside
    step = float(image.data[around].mean() - image.data[inside].mean())
    yield "half the step", image.with_data(image.data + np.float32(FADED * step) * soft), mask


def orders(image: Image) -> Iterator[tuple[str, nib.Nifti1Image]]:
    """Yield the image with its axes in each of the 48 orders."""
    whole = nib.Nifti1Image(image.data, image.affine)
    for order in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            turned = whole.as_reoriented(np.array(list(zip(order, flips, strict=True)), float))
            yield "".join(nib.aff2axcodes(turned.affine)), turned


def judge(case: Case, networks: Networks[Model]) -> Judged:
    """Compare what is found with the mask in the labeled slices."""
    _, image, mask = case
    true = mask.data > 0.5
    try:
        found = find_cord(image, networks).cord.data > 0
    except NoCordError as error:
        return Judged(case, np.zeros_like(true), 0.0, str(error))
    rows = true.any(axis=(0, 1))
    total = int(found[:, :, rows].sum()) + int(true.sum())
    dice = 2 * int((found & true).sum()) / total
    ratio = found[:, :, rows].sum() / true.sum()
    return Judged(case, found, dice, f"Dice {dice:.3f}, volume {ratio:.2f}")


def draw(judged: list[Judged], path: Path) -> None:
    """Draw the middle and the worst slice of the first case and of the worst one."""
    worst = min(judged[1:], key=lambda one: one.dice)
    cases = []
    for one in (judged[0], worst):
        name, image, mask = one.case
        true = mask.data > 0.5
        labelled = np.flatnonzero(true.any(axis=(0, 1)))
        missed = (true ^ one.found).sum(axis=(0, 1))[labelled] / true.sum(axis=(0, 1))[labelled]
        slices = (labelled[len(labelled) // 2], labelled[missed.argmax()])
        panels = [panel_of(f"slice {k}", image, (true, one.found), int(k)) for k in slices]
        cases.append((f"{name}: {one.said[:35]}", panels))
    draw_panels(cases, path)


def same_in_all_orders(image: Image, networks: Networks[Model]) -> str:
    """Say in how many of the 48 orders of the axes the mask is, voxel by voxel, the same."""
    own = find_cord(image, networks).cord.data
    with TemporaryDirectory() as folder:
        same = 0
        for name, turned in orders(image):
            path = Path(folder) / f"{name}.nii.gz"
            nib.save(turned, path)
            same += bool(np.array_equal(find_cord(conform(path), networks).cord.data, own))
    return f"{same} of 48 orders of the axes give the same mask"


def main() -> None:
    """Print one line per change."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("weights", nargs="*", default=["centerline", "cord"])
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    image, mask = (reorient(load(path)) for path in (given.image, given.mask))
    if len(given.weights) != 2:
        parser.error("weights: expected two, of the centerline and of the cord")
    centerline, cord = map(load_model, given.weights)
    networks = Networks(centerline=centerline, cord=cord)
    judged = []
    for case in variants(image, mask):
        judged.append(judge(case, networks))
        sys.stdout.write(f"{case[0]:24s} {judged[-1].said}\n")
        sys.stdout.flush()
    if given.picture:
        draw(judged, given.picture)
    sys.stdout.write(same_in_all_orders(image, networks) + "\n")


if __name__ == "__main__":
    main()
