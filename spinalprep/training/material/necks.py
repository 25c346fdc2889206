"""Necks on sagittal grids: what tumors are drawn into while a network is trained."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.image import Image, grid_points, load, resample_like, to_voxel, to_world
from spinalprep.networks.sagittal import to_sagittal
from spinalprep.phantom.anatomy import CSF, FIRST_TEST_SEED, GM, WM, make_person
from spinalprep.training.material.dataset import TemplateFolders
from spinalprep.training.material.people import Kind, Material, Owner
from spinalprep.training.material.synthetic import DIGITAL
from spinalprep.training.material.volume import LabelledVolume

Volume = NDArray[np.float32]
LEAST_STEP = 0.05  # of the range of intensities: fluid that is no brighter than the cord
FLUID_MM = 6.0  # around the cord, in which fluid is looked for
SEEN_MM = 20.0  # of cord that teaches something


@dataclass(frozen=True)
class Room:
    """How much around the cord is kept, and at which resolution.

    Attributes
    ----------
    spacing_mm : float
        Of isotropic voxels; two of them, side by side, make one of the network's.
    anterior_mm, left_mm : float
        From the cord to either side.
    """

    spacing_mm: float
    anterior_mm: float
    left_mm: float


@dataclass(frozen=True)
class Neck:
    """A neck, voxel order SAL, isotropic voxels, even numbers of them.

    Attributes
    ----------
    owner : Owner
        Whose it is.
    spacing_mm, length_mm : float
        Edge of a voxel, and length of the cord.
    tissue : ndarray of uint8, shape (I, J, K), or None
        Of a digital person, see `anatomy.TISSUES`.
    image : ndarray of float32, shape (I, J, K), or None
        Of a person: intensities in which fluid is brighter than the cord, 0 to 1 between the
        percentiles 0.5 and 99.5.
    cord, fluid : ndarray of float32, shape (I, J, K)
        Share of the voxel.
    place : ndarray of float32, shape (4, I/2, J/2, K/2)
        Arc length of the nearest point of the centerline in mm, and the way from there in voxels.
    inside : ndarray of int, shape (N, 3)
        Voxels of the cord.
    """

    owner: Owner
    spacing_mm: float
    length_mm: float
    tissue: NDArray[np.uint8] | None
    image: Volume | None
    cord: Volume
    fluid: Volume
    place: Volume
    inside: NDArray[np.intp]


@dataclass(frozen=True)
class Necks(Material):
    """Necks to be taught."""

    necks: tuple[Neck, ...]

    def owners(self) -> list[Owner]:
        """Return whose each neck is."""
        return [neck.owner for neck in self.necks]

    def take(self, kept: NDArray[np.intp]) -> "Necks":
        """Return these necks alone, in this order."""
        return Necks(tuple(self.necks[n] for n in kept))


def digital_necks(seeds: Iterable[int], room: Room) -> Iterator[Neck]:
    """Yield digital people of seeds below those reserved for tests."""
    for seed in seeds:
        assert seed < FIRST_TEST_SEED
        person = make_person(seed)
        line = person.centerline
        shape, affine = _grid_around(line.points, room)
        points = grid_points(shape, affine)
        tissue = person.tissue(line.project(points))
        cord = np.isin(tissue, (WM, GM)).astype(np.float32)
        fluid = (tissue == CSF).astype(np.float32)
        place = _place(line, shape, affine)
        inside = np.argwhere(cord > 0.5)
        owner = Owner(DIGITAL, Kind.DIGITAL)
        yield Neck(owner, room.spacing_mm, line.length, tissue, None, cord, fluid, place, inside)


def labelled_necks(volumes: Iterable[LabelledVolume], room: Room) -> Iterator[Neck]:
    """Yield what people drew, where 20 mm of cord and fluid brighter than it are seen."""
    for volume in volumes:
        cord = volume.cord
        if cord is None or volume.kind is Kind.DIGITAL:
            continue
        neck = _labelled(volume.owner, volume.image, cord, room)
        if neck is not None:
            yield neck


def template_neck(template: TemplateFolders, room: Room) -> Neck | None:
    """Return the T2w contrast of a template with its cord."""
    image, cord = (
        load(template.small / f"{template.name}_small_{part}.nii.gz") for part in ("t2", "cord")
    )
    return _labelled(Owner(template.name, Kind.TEMPLATE), image, cord, room)


def _labelled(owner: Owner, image: Image, cord: Image, room: Room) -> Neck | None:
    """Return a labeled image as a neck; None where it teaches nothing."""
    drawn = cord.with_data((cord.data >= 0.5).astype(np.float32))
    if drawn.data.any(axis=(0, 1)).sum() < 3:
        return None
    line = centerline_from_mask(drawn)
    if line.length < SEEN_MM:
        return None
    shape, affine = _grid_around(line.points, room)
    grid = Image(np.zeros(shape, np.float32), affine)
    fine = to_sagittal(image, (room.spacing_mm,) * 3)
    values = _scaled(_edge_sampled(fine, grid))
    mask = resample_like(to_sagittal(drawn, (room.spacing_mm,) * 3), grid).data
    inside = np.argwhere(mask > 0.5)
    fluid = _fluid(values, mask, room.spacing_mm)
    if fluid is None or not len(inside):
        return None
    place = _place(line, shape, affine)
    return Neck(owner, room.spacing_mm, line.length, None, values, mask, fluid, place, inside)


def _grid_around(
    points: NDArray[np.float64], room: Room
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return a SAL grid around the points of a centerline, even numbers of voxels."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = np.array([room.left_mm, room.anterior_mm, 0.0])
    counts = 2 * np.ceil((high - low + 2 * reach) / (2 * room.spacing_mm)).astype(int)
    middle = (low + high) / 2
    first = middle - (counts - 1) / 2 * room.spacing_mm * np.array([-1.0, 1.0, 1.0])
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = room.spacing_mm
    affine[0, 2] = -room.spacing_mm
    affine[:, 3] = [*first, 1.0]
    return (int(counts[2]), int(counts[1]), int(counts[0])), affine


def _edge_sampled(image: Image, grid: Image) -> Volume:
    """Resample on a grid; beyond the image its edge goes on."""
    last = np.asarray(image.shape) - 1.0
    ijk = np.clip(to_voxel(grid_points(grid.shape, grid.affine), image.affine), 0.0, last)
    values = ndimage.map_coordinates(image.data, np.moveaxis(ijk, -1, 0), order=1)
    return np.asarray(values, np.float32)


def _scaled(values: Volume) -> Volume:
    low, high = np.percentile(values, [0.5, 99.5])
    scaled: Volume = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.2)
    return scaled.astype(np.float32)


def _fluid(values: Volume, cord: Volume, spacing_mm: float) -> Volume | None:
    """Return the share of fluid: what is bright near the cord; None where nothing is brighter."""
    mask = cord > 0.5
    away = ndimage.distance_transform_edt(~mask) * spacing_mm
    near = (away > 0) & (away <= FLUID_MM)
    if not near.any():
        return None
    level, bright = float(np.median(values[mask])), float(np.percentile(values[near], 85))
    if bright - level < LEAST_STEP:
        return None
    share = np.clip((values - (level + bright) / 2) / (0.3 * (bright - level)) + 0.5, 0.0, 1.0)
    reach = np.clip((FLUID_MM + 1.0 - away) / 2.0, 0.0, 1.0)
    fluid: Volume = (share * reach * (1 - cord)).astype(np.float32)
    return fluid


def _place(line: Centerline, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Volume:
    """Return arc lengths and ways from the centerline on every second voxel of a grid."""
    coarse = affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    coarse[:3, 3] = to_world(np.full(3, 0.5), affine)
    points = grid_points([n // 2 for n in shape], coarse)
    s = line.project(points)[..., 0]
    apart = (points - line.at(s)) @ np.linalg.inv(affine[:3, :3]).T
    place: Volume = np.concatenate([s[None], np.moveaxis(apart, -1, 0)]).astype(np.float32)
    return place
