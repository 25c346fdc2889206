"""Spines with known discs: label volumes in straight space, to teach the disc detector on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import InputError, UsageError
from spinalprep.image import load, reorient, sample, to_voxel, to_world
from spinalprep.levels.sequence import LAST, spacing_mm
from spinalprep.phantom.anatomy import DISC, FIRST_TEST_SEED, TISSUES, Person, make_person
from spinalprep.training.material.dataset import LabelledDataset, TemplateFolders
from spinalprep.training.material.people import Kind, Material, Owner
from spinalprep.training.material.synthetic import DIGITAL

X_MM, BACK_MM, FRONT_MM = 8, -35, 34  # of the material, wider than what the network sees
CLUSTERS = 9
BONE, CSF, CORD = CLUSTERS + 1, CLUSTERS + 2, CLUSTERS + 3
FIRST_DISC_LABEL = 20  # label of disc n is 20 + n
LABELS = FIRST_DISC_LABEL + LAST + 1
DIGITAL_SEEDS = range(1000, 1060)  # none of them serves the other networks


@dataclass(frozen=True)
class Spine:
    """A spine in straight space, 1 mm.

    Attributes
    ----------
    owner : Owner
        Whose it is.
    image : ndarray of float32, shape (S, X, Y), or None
        Intensities, 0 to 1; x from 8 mm left to right, y from 35 mm behind to 34 mm before.
    labels : ndarray of uint8, shape (S, X, Y)
        0 where there is nothing; 1 to 9 other tissues, then bone, fluid, cord; 20 + n for disc n.
    discs : ndarray of float, shape (n, 3)
        Number, row, and column of the posterior edge.
    """

    owner: Owner
    image: NDArray[np.float32] | None
    labels: NDArray[np.uint8]
    discs: NDArray[np.float64]


@dataclass(frozen=True)
class Spines(Material):
    """Spines to be taught."""

    spines: tuple[Spine, ...]

    def owners(self) -> list[Owner]:
        """Return whose each spine is."""
        return [spine.owner for spine in self.spines]

    def take(self, kept: NDArray[np.intp]) -> "Spines":
        """Return these spines alone, in this order."""
        return Spines(tuple(self.spines[n] for n in kept))


def read_spines(dataset: LabelledDataset) -> Spines:
    """Return a template's spine, those of synthetic subjects, and axial stacks that hide levels.

    Raises
    ------
    UsageError
        If the dataset is not described with a template.
    """
    if not dataset.templates:
        raise UsageError("disc detection is trained on the discs of a template; expected --shared")
    template = dataset.templates[0]
    if not template.small.is_dir():
        raise InputError(f"{template.small} is missing; give the folder with --shared")
    digital = digital_spines(DIGITAL_SEEDS)
    stacks = (stack for part in dataset.parts for stack in _stacks(part))
    return Spines((_template(template), *digital, *stacks))


def digital_spines(seeds: range) -> list[Spine]:
    """Return synthetic subjects; every second one goes on below T2."""
    return [_digital(make_person(seed), long=seed % 2 == 0) for seed in seeds]


def _template(template: TemplateFolders) -> Spine:
    """Return a template: its T2w with bones, discs, fluid and cord of its label maps laid over."""
    small = f"{template.small}/{template.name}_small"
    image = reorient(load(Path(f"{small}_t2.nii.gz")))
    middle = np.argwhere(load(Path(f"{small}_label_disc.nii.gz")).data > 0)[0]
    count = image.shape[2] * 2  # rows of 1 mm, head first
    s, x, y = np.meshgrid(np.arange(count), _offsets(X_MM), _columns(), indexing="ij")
    ijk = np.stack([middle[0] - x, middle[1] + y, image.shape[2] - 1 - s / 2], axis=-1)
    values = sample(image, to_world(ijk, image.affine), order=1)
    values /= np.percentile(values, 99.5)
    labels = _cluster(np.clip(values, 0, 1.2), ijk, image.shape)
    full = ijk * (2, 2, 4)
    parts = {name: _on_full(template, name, full) for name in ("spine", "csf", "cord")}
    for name, label in (("csf", CSF), ("cord", CORD), ("spine", BONE)):
        labels[parts[name] & (labels > 0)] = label
    discs = _posterior(Path(f"{small}_label_discPosterior.nii.gz"), count)
    _lay_discs(labels, parts["spine"], discs)
    return Spine(Owner(template.name, Kind.TEMPLATE), np.clip(values, 0, 1.5), labels, discs)


def _offsets(half: int) -> NDArray[np.int_]:
    return np.arange(-half, half + 1)


def _columns() -> NDArray[np.int_]:
    return np.arange(BACK_MM, FRONT_MM + 1)


def _cluster(
    values: NDArray[np.float32], ijk: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return intensity clusters 1 to 9 by brightness; 0 outside the image."""
    inside = np.all((ijk >= -0.5) & (ijk <= np.array(shape) - 0.5), axis=-1)
    smooth = ndimage.gaussian_filter(values, (1.0, 0.7, 0.7))
    start = np.percentile(smooth[inside], np.linspace(3, 97, CLUSTERS))[:, None]
    centres, _ = kmeans2(smooth[inside][::7, None].astype(float), start, minit="matrix")
    edges = (np.sort(centres[:, 0])[1:] + np.sort(centres[:, 0])[:-1]) / 2
    return np.where(inside, np.digitize(smooth, edges) + 1, 0).astype(np.uint8)


def _on_full(template: TemplateFolders, part: str, ijk: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask of a template at its voxels ``ijk``, half a voxel of smoothing."""
    mask = reorient(load(template.folder / f"{template.name}_{part}.nii.gz")).data
    soft = ndimage.map_coordinates(mask.astype(np.float32), np.moveaxis(ijk, -1, 0), order=1)
    return np.asarray(soft >= 0.5)


def _posterior(path: Path, count: int) -> NDArray[np.float64]:
    """Return number, row and column of the posterior edge of a template's discs from C2/C3 on."""
    labels = reorient(load(path))
    rows = [
        (labels.data[tuple(ijk)], count - 1 - (2 * ijk[2] + 1), ijk[1] - 35 - BACK_MM)
        for ijk in np.argwhere(labels.data > 2)
    ]
    return np.array(sorted(rows), float)


def _lay_discs(
    labels: NDArray[np.uint8], bone: NDArray[np.bool_], discs: NDArray[np.float64]
) -> None:
    """Fill the gaps between bodies with discs, in place."""
    closed = ndimage.binary_closing(bone, np.ones((13, 1, 1)), border_value=0)
    gaps = closed & ~bone
    for number, row, column in discs:
        part = np.zeros_like(gaps)
        rows = slice(max(int(row) - 9, 0), int(row) + 10)
        part[rows, :, int(column) - 2 :] = gaps[rows, :, int(column) - 2 :]
        labels[part & (labels > 0)] = FIRST_DISC_LABEL + int(number)


def _digital(person: Person, long: bool) -> Spine:
    """Return a synthetic subject; a long one goes on below T2 as far as L3."""
    if long:
        longer, size = dict(person.disc_s), (person.disc_s[10] - person.disc_s[3]) / 117.0
        for n in range(10, 22):
            longer[n + 1] = longer[n] + spacing_mm(n)[0] * size
        person = replace(person, disc_s=longer)
    first, last = -20.0, max(person.disc_s.values()) + 40.0
    s, x, y = np.meshgrid(
        np.arange(first, last), _offsets(X_MM), _columns(), indexing="ij", copy=False
    )
    tissue = person.tissue(np.stack([s, x, y], axis=-1).astype(float))
    labels = np.array([1, 2, 3, BONE, 0, CSF, CORD, CORD, CORD, 4], np.uint8)[tissue]
    assert len(TISSUES) == 10
    places = np.array([person.disc_s[n] for n in sorted(person.disc_s)])
    numbers = np.array(sorted(person.disc_s))
    nearest = numbers[np.abs(s[:, 0, 0][:, None] - places).argmin(axis=1)]
    labels = np.where(tissue == DISC, (FIRST_DISC_LABEL + nearest)[:, None, None], labels).astype(
        np.uint8
    )
    discs = np.array([(n, person.disc_s[n] - first, 6.5 - BACK_MM) for n in numbers if n > 2])
    return Spine(Owner(DIGITAL, Kind.DIGITAL), None, labels, discs)


def _stacks(dataset: LabelledDataset) -> Iterator[Spine]:
    """Yield axial stacks of people in which nobody could tell a level."""
    hiding = {label for label, _ in dataset.which("hides_levels")}
    for case in dataset.cases() if hiding else ():
        if case.participant not in hiding or "cord" not in case.truth:
            continue
        image = reorient(load(case.image))
        cord = case.read("cord", image)
        slices = np.flatnonzero(cord.data.any(axis=(0, 1)))
        points = [np.argwhere(cord.data[:, :, k]).mean(axis=0) for k in slices]
        ijk = np.column_stack([np.array(points), slices])
        line = fit_centerline(to_world(ijk, cord.affine))
        s, x, y = np.meshgrid(np.arange(line.length), _offsets(X_MM), _columns(), indexing="ij")
        world = StraightSpace(line).to_world(np.stack([s, x, y], axis=-1).astype(float))
        values = sample(image, world)
        inside = np.moveaxis(to_voxel(world, image.affine), -1, 0)
        valid = np.all(
            [(a >= 0) & (a <= n - 1) for a, n in zip(inside, image.shape, strict=True)], axis=0
        )
        values = values / np.percentile(values[valid], 99.5)
        who = Owner(case.person, Kind.PERSON)
        yield Spine(who, values, valid.astype(np.uint8), np.zeros((0, 3)))


assert max(DIGITAL_SEEDS) < FIRST_TEST_SEED
