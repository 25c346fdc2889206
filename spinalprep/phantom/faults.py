"""Faults drawn into a labeled image: what defeats a segmentation, with known truth.

Every fault changes the image, or the grid; two deform the cord, and its truth with it. The same
seed draws the same image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.defaults import FAULT_KINDS, FAULT_SEED
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Float, Image, to_world

RING_MM = 3.5  # of fluid around the cord
WALL_MM = 2.5  # of what lies beyond the fluid, from which its gray is taken
RIM_MM = 0.8  # inside the outline, where fluid shares the voxels
LENGTH_MM = (5.0, 60.0)
WIDE_DEG = 80.0  # to either side of the direction in which one side is changed
SWOLLEN = (1.2, 1.7)  # times the diameter, while the sac keeps its own
COMPRESSED = (0.5, 0.75)  # times the anterior-posterior diameter, of the sac with it
COMPRESSED_REACH_MM = 18.0
TAPER_MM = 6.0  # over which a cord gets back its own shape
SIDES = {
    "all": None,
    "right": (1.0, 0.0),
    "left": (-1.0, 0.0),
    "front": (0.0, 1.0),
    "back": (0.0, -1.0),
}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """A labeled image with a fault.

    Attributes
    ----------
    image, cord : Image
        The changed image and its cord, 0 or 1, on one grid.
    lesion : Image or None
        What was drawn as a lesion, 0 or 1.
    first, last : int
        The slices, along the third axis, between which the fault lies, both included.
    side : str
        ``all`` round the cord, ``left``, ``right``, ``front`` or ``back``.
    """

    image: Image
    cord: Image
    lesion: Image | None
    first: int
    last: int
    side: str = "all"


@dataclass(frozen=True)
class Scene:
    """A labeled image, in the voxel order LAS or any whose third axis runs along the body."""

    image: Image
    cord: Image

    @property
    def grey(self) -> Array:
        """The image as numbers to count with."""
        return self.image.data.astype(np.float64)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The cord."""
        return np.asarray(self.cord.data > 0.5)

    @property
    def step_mm(self) -> float:
        """Distance of slices."""
        return float(self.image.voxel_sizes[2])

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last slice with cord."""
        found = np.flatnonzero(self.mask.any(axis=(0, 1)))
        return int(found[0]), int(found[-1])

    def depth_mm(self) -> Array:
        """Return the distance from the outline in each slice: positive inside, negative outside."""
        pitch = [float(mm) for mm in self.image.voxel_sizes[:2]]
        depth = np.full(self.mask.shape, -np.inf)
        for k in np.flatnonzero(self.mask.any(axis=(0, 1))):
            section = self.mask[:, :, k]
            inside = ndimage.distance_transform_edt(section, sampling=pitch)
            outside = ndimage.distance_transform_edt(~section, sampling=pitch)
            half = min(pitch) / 2
            depth[:, :, k] = np.where(section, inside - half, half - outside)
        return depth

    def stretch(self, chance: np.random.Generator, length_mm: float) -> tuple[int, int]:
        """Return the first and the last slice of a stretch of this length within the cord."""
        low, high = self.ends
        count = min(max(round(length_mm / self.step_mm), 1), high - low + 1)
        first = int(chance.integers(low, high - count + 2))
        return first, first + count - 1

    def towards(self, side: str) -> NDArray[np.bool_]:
        """Return the voxels that lie on one side of the middle of the cord, slice by slice."""
        direction = SIDES[side]
        there = np.ones(self.mask.shape, bool)
        if direction is None:
            return there
        plane = self.image.affine[:2, :2]
        for k in np.flatnonzero(self.mask.any(axis=(0, 1))):
            middle = np.array(ndimage.center_of_mass(self.mask[:, :, k]))
            ij = np.moveaxis(np.indices(self.mask.shape[:2]), 0, -1) - middle
            right, front = np.moveaxis(ij @ plane.T, -1, 0)
            along = right * direction[0] + front * direction[1]
            there[:, :, k] = along >= np.hypot(right, front) * np.cos(np.deg2rad(WIDE_DEG))
        return there

    def noise(self) -> float:
        """Return the standard deviation of the image inside the cord, from pixel to pixel."""
        inner = self.depth_mm() > RIM_MM
        smooth = ndimage.uniform_filter(self.grey, (3, 3, 1))
        return float(np.std((self.grey - smooth)[inner if inner.any() else self.mask]) * 1.06)


Fault = Callable[[Scene, np.random.Generator], Drawn]


def draw_fault(kind: str, image: Image, cord: Image, seed: int = FAULT_SEED) -> Drawn:
    """Draw a fault into a labeled image.

    Parameters
    ----------
    kind : str
        One of `FAULTS`: ``equalfluid`` (fluid as gray as the cord over 5 to 60 mm, on one side
        or all round), ``wall`` (the cord touches the wall of the sac on one side), ``faded``
        (coil fall-off with noise), ``cut`` (a field of view that cuts the cord above and below),
        ``blurredends``, ``thick`` (through-plane averaging), ``lesionend`` (a lesion at an end),
        ``swollen`` (a cord that nearly fills its sac), ``compressed`` (flat from front to back).
    image, cord : Image, shape (I, J, K)
        On one grid; the third axis runs along the body.
    seed : int
        From 100000 on reserved for tests; limits of gates are chosen on those from 107000 on,
        figures come from 106000 on.

    Raises
    ------
    EmptyMaskError
        If there is no cord.
    """
    scene = Scene(image, cord)
    if not scene.mask.any():
        raise EmptyMaskError("the cord mask is empty; expected at least 1")
    chance = np.random.default_rng([seed, NUMBER_OF[kind]])
    return FAULTS[kind](scene, chance)


def equal_fluid(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Give the fluid around a stretch of cord the gray of the cord's white matter."""
    side = str(chance.choice(["all", "all", *list(SIDES)[1:]]))
    first, last = scene.stretch(chance, float(chance.uniform(*LENGTH_MM)))
    depth, there = scene.depth_mm(), scene.towards(side)
    changed = scene.grey
    sigma = scene.noise()
    for k in range(first, last + 1):
        rim = changed[:, :, k][(depth[:, :, k] > RIM_MM) & (depth[:, :, k] < 3 * RIM_MM)]
        if not len(rim):
            rim = changed[:, :, k][scene.mask[:, :, k]]
        grey = np.median(rim) + sigma * chance.standard_normal(changed.shape[:2])
        ring = (depth[:, :, k] <= RIM_MM) & (depth[:, :, k] > -RING_MM) & there[:, :, k]
        changed[:, :, k] = np.where(ring, grey, changed[:, :, k])
    return _on_grid(scene, changed, first, last, side)


def wall(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Let the wall of the sac touch the cord on one side over a stretch."""
    side = str(chance.choice(list(SIDES)[1:]))
    first, last = scene.stretch(chance, float(chance.uniform(*LENGTH_MM)))
    depth, there = scene.depth_mm(), scene.towards(side)
    changed = scene.grey
    sigma = scene.noise()
    for k in range(first, last + 1):
        away = -depth[:, :, k]
        beyond = (away > RING_MM) & (away <= RING_MM + WALL_MM) & there[:, :, k]
        if not beyond.any():
            continue
        grey = np.median(changed[:, :, k][beyond]) + sigma * chance.standard_normal(away.shape)
        ring = (away > 0) & (away <= RING_MM) & there[:, :, k]
        changed[:, :, k] = np.where(ring, grey, changed[:, :, k])
    return _on_grid(scene, changed, first, last, side)


def faded(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Let signal fall off towards an end, as beyond a coil, and lift it with its noise.

    What is left is what a correction of the bias field makes of it: even gray, growing noise.
    """
    low, high = scene.ends
    least = float(chance.uniform(0.15, 0.4))
    weight = _towards_an_end(scene, chance, float(chance.uniform(30.0, 60.0)))
    gain = 1.0 - (1.0 - least) * weight
    level = 0.02 * float(np.percentile(scene.grey, 99))
    real = scene.grey * gain + level * chance.standard_normal(scene.mask.shape)
    changed = np.hypot(real, level * chance.standard_normal(scene.mask.shape)) / gain
    touched = np.flatnonzero(weight[low : high + 1] > 0) + low
    return _on_grid(scene, changed, int(touched[0]), int(touched[-1]))


def cut(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Show a part of the cord alone: it leaves the image above and below."""
    first, last = scene.stretch(chance, float(chance.uniform(25.0, LENGTH_MM[1])))
    part = slice(first, last + 1)
    affine = scene.image.affine.copy()
    affine[:3, 3] = to_world(np.array([0.0, 0.0, float(first)]), affine)
    image, cord = (Image(volume.data[:, :, part], affine) for volume in (scene.image, scene.cord))
    return Drawn(image, _binary(cord), None, 0, last - first)


def blurred_ends(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Blur the image towards one end of the cord, in the slice and across slices."""
    low, high = scene.ends
    sigma = [float(chance.uniform(1.5, 2.5)) / float(mm) for mm in scene.image.voxel_sizes]
    sigma[2] = min(sigma[2], 2.0)
    weight = _towards_an_end(scene, chance, float(chance.uniform(5.0, 20.0)))
    blurred = ndimage.gaussian_filter(scene.grey, sigma, mode="nearest")
    changed = scene.grey * (1 - weight) + blurred * weight
    touched = np.flatnonzero(weight[low : high + 1] > 0) + low
    return _on_grid(scene, changed, int(touched[0]), int(touched[-1]))


def thick(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Average slices to thicker ones of 4 to 8 mm, at least two to one."""
    count = max(round(float(chance.uniform(4.0, 8.0)) / scene.step_mm), 2)
    count = min(count, scene.mask.shape[2])
    kept = scene.mask.shape[2] // count
    first = int(chance.integers(scene.mask.shape[2] - kept * count + 1))
    part = slice(first, first + kept * count)

    def mean(data: Array) -> Array:
        return np.asarray(data[:, :, part].reshape(*data.shape[:2], kept, count).mean(axis=3))

    affine = scene.image.affine.copy()
    affine[:3, 3] = to_world(np.array([0.0, 0.0, first + (count - 1) / 2]), affine)
    affine[:3, 2] *= count
    image = Image(mean(scene.grey).astype(np.float32), affine)
    cord = Image(mean(scene.mask.astype(np.float64)).astype(np.float32), affine)
    return Drawn(image, _binary(cord), None, 0, kept - 1)


def lesion_end(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Draw a lesion near one end of the cord: its gray goes most of the way to the fluid's."""
    low, high = scene.ends
    half = np.array([*chance.uniform(1.2, 2.0, 2), chance.uniform(3.0, 7.0)])
    away = round(float(chance.uniform(1.0, half[2] + 2.0)) / scene.step_mm)
    k = min(max(high - away if chance.random() < 0.5 else low + away, low), high)
    depth = scene.depth_mm()
    inner = np.argwhere(depth[:, :, k] >= min(1.5, float(depth[:, :, k].max())))
    i, j = inner[int(chance.integers(len(inner)))]
    ijk = np.moveaxis(np.indices(scene.mask.shape), 0, -1) - np.array([i, j, k])
    apart = (ijk * scene.image.voxel_sizes / half) ** 2
    lesion = scene.mask & (apart.sum(axis=-1) <= 1.0)
    grey = scene.grey
    fluid = (depth > -2.5) & (depth < -RIM_MM)
    step = float(np.median(grey[fluid]) - np.median(grey[scene.mask]))
    changed = grey + float(chance.uniform(0.5, 0.9)) * step * lesion
    found = np.flatnonzero(lesion.any(axis=(0, 1)))
    drawn = _on_grid(scene, changed, int(found[0]), int(found[-1]))
    truth = scene.image.with_data(lesion.astype(np.uint8))
    return Drawn(drawn.image, drawn.cord, truth, drawn.first, drawn.last)


def swollen(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Widen a stretch of cord at the cost of the fluid around it."""
    by = float(chance.uniform(*SWOLLEN))
    reach = 1.9 * _radius_mm(scene)
    return _deformed(scene, chance, (by, by), reach)


def compressed(scene: Scene, chance: np.random.Generator) -> Drawn:
    """Flatten a stretch of cord and its sac from front to back."""
    by = float(chance.uniform(*COMPRESSED)), float(chance.uniform(1.0, 1.15))
    return _deformed(scene, chance, by[::-1], COMPRESSED_REACH_MM)


_DRAWN_BY: tuple[Fault, ...] = (
    equal_fluid,
    wall,
    faded,
    cut,
    blurred_ends,
    thick,
    lesion_end,
    swollen,
    compressed,
)
FAULTS: dict[str, Fault] = dict(zip(FAULT_KINDS, _DRAWN_BY, strict=True))
_NUMBERED = ("blurredends", "cut", "equalfluid", "faded", "lesionend", "thick", "wall")
NUMBER_OF = {kind: n for n, kind in enumerate((*_NUMBERED, "swollen", "compressed"))}


def _radius_mm(scene: Scene) -> float:
    """Return the radius of a disc as large as the median section of the cord."""
    areas = scene.mask.sum(axis=(0, 1)) * float(np.prod(scene.image.voxel_sizes[:2]))
    return float(np.sqrt(np.median(areas[areas > 0]) / np.pi))


def _deformed(
    scene: Scene, chance: np.random.Generator, by: tuple[float, float], reach_mm: float
) -> Drawn:
    """Scale a stretch of cord along the first two axes; what lies beyond the reach stays."""
    first, last = scene.stretch(chance, float(chance.uniform(LENGTH_MM[0], LENGTH_MM[1] / 2)))
    grey, mask = scene.grey, scene.mask.astype(np.float64)
    pitch = np.asarray(scene.image.voxel_sizes[:2], float)
    taper = max(TAPER_MM / scene.step_mm, 1.0)
    touched = []
    for k in np.flatnonzero(scene.mask.any(axis=(0, 1))):
        beyond = max(first - k, k - last, 0)
        share = float(np.cos(np.pi / 2 * min(beyond / taper, 1.0)) ** 2)
        if share < 0.01:
            continue
        touched.append(int(k))
        middle = np.array(ndimage.center_of_mass(scene.mask[:, :, k]))
        ij = np.moveaxis(np.indices(scene.mask.shape[:2]), 0, -1) - middle
        near = np.clip(1.0 - np.linalg.norm(ij * pitch, axis=-1) / reach_mm, 0.0, 1.0)
        wide = 1.0 - share * np.sqrt(near)[..., None] * (1.0 - 1.0 / np.asarray(by))
        where = np.moveaxis(ij * wide + middle, -1, 0)
        for data in (grey, mask):
            data[:, :, k] = ndimage.map_coordinates(data[:, :, k], where, order=1, mode="nearest")
    image = scene.image.with_data(grey.astype(np.float32))
    return Drawn(image, _binary(scene.cord.with_data(mask)), None, touched[0], touched[-1])


def _towards_an_end(scene: Scene, chance: np.random.Generator, length_mm: float) -> Array:
    """Return a weight per slice: 1 at and beyond one end of the cord, 0 from ``length_mm`` on."""
    low, high = scene.ends
    slices = np.arange(scene.mask.shape[2])
    away = high - slices if chance.random() < 0.5 else slices - low
    reach = max(length_mm / scene.step_mm, 1.0)
    return np.asarray(np.clip(1.0 - away / reach, 0.0, 1.0))


def _on_grid(scene: Scene, changed: Float, first: int, last: int, side: str = "all") -> Drawn:
    image = scene.image.with_data(changed.astype(np.float32))
    return Drawn(image, _binary(scene.cord), None, first, last, side)


def _binary(cord: Image) -> Image:
    return cord.with_data((cord.data >= 0.5).astype(np.uint8))
