"""Lesions drawn into several images of a real person: one image, joined probabilities, HeMIS.

``python benchmarks/several_scans_real.py HEMIS CHOSEN BIDS_DIR PARTICIPANT SUFFIX [SUFFIX ...]``
draws soft clouds, one at a time, into the images of a person with manual cord masks, at the same
place of the cord and each towards the fluid by a share of its own; co-registers the images to the
first; and counts at the thresholds that ``several_scans.py`` chose (``choose.tsv`` in its folder).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from several_scans import Kept, Mask, Scans, choose, count, look

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image, grid_points, load, reorient
from spinalprep.networks.cards import find_weights
from spinalprep.networks.hemis import contrast_of
from spinalprep.networks.weights import Model, load_model
from spinalprep.registration.coregister import coregister

CLOUDS, CLOUD_STEPS = (60.0, 200.0), (0.2, 0.6)  # mm3; of the step to the fluid
CLOUD_DRAWS = 12


def cloud(image: Image, cord: Mask, at: NDArray[np.float64], half_mm: float) -> NDArray[np.float32]:
    """Return a soft cloud, twice as long as wide, at an offset from the cord's middle.

    Parameters
    ----------
    image : Image
    cord : ndarray of bool, shape (I, J, K)
    at : ndarray of float, shape (3,)
        Offset right and forward from the middle of the cord, and height, in mm.
    half_mm : float
        Half width at half its height.
    """
    rows = np.flatnonzero(cord.any(axis=(0, 1)))
    middles = np.array([ndimage.center_of_mass(cord[:, :, k]) for k in rows])
    every = np.arange(image.shape[2])
    i, j = (np.interp(every, rows, middles[:, axis]) for axis in (0, 1))
    centre = np.stack([i, j, every], axis=-1) @ image.affine[:3, :3].T + image.affine[:3, 3]
    points = grid_points(image.shape, image.affine)
    steps = (np.arange(5) - 2) / 5 * float(image.voxel_sizes[2])  # thick slices hold a mean
    apart = points - centre
    flat = (apart[..., 0] - at[0]) ** 2 + (apart[..., 1] - at[1]) ** 2
    parts = [flat + ((points[..., 2] + step - at[2]) / 2) ** 2 for step in steps]
    mean = np.mean([np.exp2(-part / half_mm**2) for part in parts], axis=0)
    return (mean * cord).astype(np.float32)


def step_to_fluid(image: Image, cord: Mask) -> float:
    """Return how much brighter the surroundings of the cord are, in the median."""
    around = ndimage.binary_dilation(cord, iterations=3) & ~cord
    return float(np.median(image.data[around]) - np.median(image.data[cord]))


@dataclass(frozen=True)
class Real:
    """A person's images and cords by contrast, the first of them the reference."""

    name: str
    images: Mapping[str, Image]
    cords: Mapping[str, Mask]

    @classmethod
    def read(cls, bids_dir: Path, name: str, suffixes: Sequence[str]) -> "Real":
        """Read images and manual cord masks."""
        images, cords = {}, {}
        for suffix in suffixes:
            stem = f"sub-{name}/anat/sub-{name}_{suffix}"
            image = reorient(load(bids_dir / f"{stem}.nii.gz"))
            contrast = contrast_of(suffix, image.voxel_sizes.tolist())
            (mask,) = (bids_dir / "derivatives" / "labels").glob(f"{stem}_*seg*.nii.gz")
            images[contrast], cords[contrast] = image, reorient(load(mask)).data > 0.5
        return cls(name, images, cords)

    @property
    def cord(self) -> Image:
        """The cord of the reference."""
        first = next(iter(self.images))
        return self.images[first].with_data(self.cords[first])

    def affines(self) -> dict[str, NDArray[np.float64]]:
        """Return where the voxels of each image lie in the space of the reference."""
        (_, reference), *others = self.images.items()
        found = {next(iter(self.images)): reference.affine}
        for name, image in others:
            fit = coregister(image, reference, self.cord)
            found[name] = np.linalg.inv(fit.forward.matrix) @ image.affine
        return found

    def in_all_mm(self) -> tuple[float, float]:
        """Return the heights between which every image shows a cord."""
        ends = []
        for name, cord in self.cords.items():
            k = np.flatnonzero(cord.any(axis=(0, 1)))[[0, -1]]
            affine = self.images[name].affine
            ends.append(affine[2, 3] + affine[2, 2] * k)
        return max(float(low) for low, _ in ends), min(float(high) for _, high in ends)

    def with_lesion(
        self, at: NDArray[np.float64], volume_mm3: float, chance: np.random.Generator
    ) -> tuple[dict[str, Image], Mask]:
        """Return the images with one cloud, brighter or darker by any share, and the truth."""
        half = (3 * max(volume_mm3, 1.0) / (8 * np.pi)) ** (1 / 3)
        changed, truth = {}, np.zeros(self.cord.shape, bool)
        for name, image in self.images.items():
            cord = self.cords[name]
            step = step_to_fluid(image, cord)
            shape = cloud(image, cord, at, half) * np.float32(volume_mm3 > 0)
            share = np.float32(chance.uniform(*CLOUD_STEPS) * step)
            truth = truth if changed else shape >= 0.5
            changed[name] = image.with_data(image.data + share * shape)
        return changed, truth


def real(person: Real, models: tuple[Model, Model], draws: int) -> pd.DataFrame:
    """Return the rows of a person into whose images lesions are drawn, one at a time."""
    chance, affines, (low, high) = np.random.default_rng(0), person.affines(), person.in_all_mm()
    line, subsets = centerline_from_mask(person.cord), _nested(tuple(person.images))
    rows: list[dict[str, object]] = []
    for draw, volume in [(0, 0.0), *product(range(draws), CLOUDS)]:
        at = np.array([chance.uniform(-3, 3), chance.uniform(-2, 2), chance.uniform(low, high)])
        changed, truth = person.with_lesion(at, volume, chance)
        own = {name: Image(image.data, affines[name]) for name, image in changed.items()}
        scans = Scans.of(own, person.cord, line, truth)
        who = f"{person.name} {draw} {volume:.0f}"
        rows += count(who, scans, look(scans, subsets, models), subsets, False)
    return pd.DataFrame(rows)


def _nested(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the first, the first with each other, and all, by their names."""
    pairs = [(names[0], other) for other in names[1:]]
    return {" and ".join(some): some for some in (names[:1], *pairs, names)}


def tell_real(rows: pd.DataFrame, chosen: pd.DataFrame) -> None:
    """Print what is found in real images by subset, method and contrast.

    Thresholds are those chosen for as many images of synthetic subjects; a single contrast that was
    not chosen there takes that of the one that was.
    """
    like = {1: "axial T2w", 2: "axial T2w and T2starw"}
    for keys, part in rows.groupby(["subset", "method", "contrast"], sort=False):
        subset, method, contrast = keys
        row = chosen[
            (chosen["subset"] == like.get(subset.count(" and ") + 1, "all five"))
            & (chosen["method"] == method)
        ]
        threshold = float(row["threshold"].iloc[0])
        kept = part[part["threshold"] == threshold]
        n = kept[["drawn", "detected", "found", "true"]].sum()
        sys.stdout.write(
            f"{subset}: {method} {contrast} at {threshold}: {n['detected']} of {n['drawn']} "
            f"detected, {n['found'] - n['true']} false, Dice {kept['dice'].mean():.2f}\n"
        )


def main() -> None:
    """Go through one person."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hemis", type=find_weights)
    parser.add_argument("chosen", type=Path)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("participant")
    parser.add_argument("suffixes", nargs="+")
    parser.add_argument("--draws", type=int, default=CLOUD_DRAWS)
    given = parser.parse_args()
    person = Real.read(given.bids_dir, given.participant, given.suffixes)
    rows = real(person, (load_model("lesion"), load_model(given.hemis)), given.draws)
    tell_real(rows, choose(Kept(given.chosen, False).read()))


if __name__ == "__main__":
    main()
