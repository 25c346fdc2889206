"""A synthetic subject: a neck whose every point has a known tissue, level and place in the cord.

Anatomy is described in straight space (arc length, right, front) around a bent centerline, so
that areas, levels, lesions and template coordinates are known without a voxel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.image import Float, Image, grid_points, to_voxel, to_world
from spinalprep.phantom.head import draw_head

TISSUES = (
    "air",
    "fat",
    "muscle",
    "bone",
    "disc",
    "csf",
    "white matter",
    "gray matter",
    "lesion",
    "vessel",
)
AIR, FAT, MUSCLE, BONE, DISC, CSF, WM, GM, LESION, VESSEL = range(len(TISSUES))

# Height of a vertebra with the disc above it, C2 to T2 in mm: the mean lengths by which the
# Spinal Cord Toolbox fills in missing discs (De Leener et al. 2017, NeuroImage 145:24-43,
# doi:10.1016/j.neuroimage.2016.10.009), rounded; T2 is lower than there (19.9). PAM50's own
# differ by up to 5 mm (C2 15.5, T1 21.5).
VERTEBRA_MM = {2: 20.0, 3: 17.0, 4: 17.8, 5: 16.8, 6: 16.0, 7: 15.7, 8: 16.8, 9: 18.0}
RL_OVER_AP = 1.55
LATTICE_MM = 2.0  # of the coarse grid on which straight coordinates are computed
CORD_REACH_MM = 12.0  # from the centerline, farther than any cord reaches
LESION_GAP_MM = 3.0  # of cord between two lesions, along the centerline
LESION_TRIES = 200


@dataclass(frozen=True)
class Ranges:
    """What a person is drawn from: lower and upper ends.

    Attributes
    ----------
    bend_mm : tuple
        Amplitude of the lordosis.
    tilt_deg : tuple
        Lean of the neck to the front.
    size : tuple
        Factor on the cord's diameters.
    stature : tuple
        Factor on the vertebral heights.
    turn_deg : tuple
        Rotation of the cord about its axis.
    """

    bend_mm: tuple[float, float]
    tilt_deg: tuple[float, float]
    size: tuple[float, float]
    stature: tuple[float, float]
    turn_deg: tuple[float, float]


TRAINING_RANGES = Ranges((2.0, 6.0), (-6.0, 6.0), (0.9, 1.1), (0.92, 1.08), (-3.0, 3.0))
TESTING_RANGES = Ranges((6.5, 9.0), (7.0, 12.0), (1.1, 1.18), (1.08, 1.15), (3.0, 6.0))
FIRST_TEST_SEED = 100_000


@dataclass(frozen=True)
class Lesion:
    """An ellipsoid in straight space: center (s, x, y) and half axes in mm."""

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]

    @property
    def volume_mm3(self) -> float:
        """Volume in straight space."""
        return float(4 / 3 * np.pi * np.prod(self.half_axes))


@dataclass(frozen=True)
class Person:
    """One synthetic subject.

    Attributes
    ----------
    centerline : Centerline
        True centerline, RAS+ mm.
    disc_s : mapping of int to float
        Arc length of the discs in mm; disc n lies above vertebra n.
    size : float
        Factor on the cord's diameters.
    turn_deg : float
        Rotation of the cord about its axis, right towards front.
    lesions : tuple of Lesion
    head : bool
        Whether the tooth of C2, the arches of C1 and the skull's base are drawn, and no disc
        at C1/C2.
    """

    centerline: Centerline
    disc_s: Mapping[int, float]
    size: float
    turn_deg: float
    lesions: tuple[Lesion, ...] = ()
    head: bool = False

    tissues: ClassVar[tuple[str, ...]] = TISSUES

    def level_at(self, s: Float | float) -> NDArray[np.float64]:
        """Return the continuous level (n at disc n), straight lines beyond the ends."""
        discs = sorted(self.disc_s)
        heights = np.array([self.disc_s[n] for n in discs])
        inside = np.interp(s, heights, discs)
        beyond = np.minimum(s - heights[0], 0) + np.maximum(s - heights[-1], 0)
        return np.asarray(inside + beyond / 17.0)

    def radii_at(self, s: Float | float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the half diameters of the cord, right-left and anterior-posterior, in mm."""
        rl, ap = cord_radii(self.level_at(s))
        return rl * self.size, ap * self.size

    def area_at(self, s: Float | float) -> NDArray[np.float64]:
        """Return the true cross-sectional area in mm2."""
        rl, ap = self.radii_at(s)
        return np.asarray(np.pi * rl * ap)

    def tissue(self, sxy: Float) -> NDArray[np.uint8]:
        """Return the tissue of points of straight space, shape (..., 3)."""
        s, x, y = np.moveaxis(np.asarray(sxy, float), -1, 0)
        shown = {n: place for n, place in self.disc_s.items() if n > 2 or not self.head}
        labels = _neck(s, x, y, shown)
        if self.head:
            draw_head(labels, (s, x, y), self.disc_s, {t: n for n, t in enumerate(TISSUES)})
        turn = np.deg2rad(self.turn_deg)
        a, b = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        rl, ap = self.radii_at(s)
        labels[(x / (rl + 3.0)) ** 2 + ((y - 0.3) / (ap + 2.6)) ** 2 <= 1] = CSF
        cord = (a / rl) ** 2 + (b / ap) ** 2 <= 1
        labels[cord] = WM
        labels[cord & _butterfly(a / rl, b / ap)] = GM
        for lesion in self.lesions:
            apart = (np.stack([s, x, y], axis=-1) - lesion.centre) / lesion.half_axes
            labels[cord & ((apart**2).sum(axis=-1) <= 1)] = LESION
        return labels

    def labels_on(self, shape: Sequence[int], affine: Float, fine: int = 1) -> NDArray[np.float32]:
        """Return the share of every tissue in the voxels of a grid.

        Parameters
        ----------
        shape, affine
            Voxels to RAS+ mm.
        fine : int
            Points per voxel and axis over which the share is taken.

        Returns
        -------
        shares : ndarray of float32, shape (tissues, I, J, K)
        """
        shares = np.zeros((len(self.tissues), *shape), np.float32)
        steps = (np.arange(fine) + 0.5) / fine - 0.5
        offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        coarse, lattice = self._lattice(shape, affine)
        centres = to_voxel(grid_points(shape, affine), lattice)
        for offset in offsets @ affine[:3, :3].T / LATTICE_MM:
            ijk = np.moveaxis(centres + offset, -1, 0)
            parts = [ndimage.map_coordinates(coarse[..., n], ijk, order=1) for n in range(3)]
            tissue = self.tissue(np.stack(parts, axis=-1))
            for label in np.unique(tissue):
                shares[label] += tissue == label
        shares /= len(offsets)
        return shares

    def to_template(self, points: Float, disc_z: Mapping[int, float]) -> NDArray[np.float64]:
        """Return where points of the cord lie in the generic template, RAS+ mm: the truth.

        Parameters
        ----------
        points : ndarray, shape (..., 3)
            RAS+ mm.
        disc_z : mapping of int to float
            Height of the template's discs in mm.

        Returns
        -------
        points : ndarray of float64, shape (..., 3)
            RAS+ mm; NaN above the first and below the last disc of either, where there is no
            truth.
        """
        s, x, y = np.moveaxis(self.centerline.project(points), -1, 0)
        turn = np.deg2rad(self.turn_deg)
        a, b = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        level = self.level_at(s)
        own, model = self.radii_at(s), cord_radii(level)
        discs = sorted(disc_z)
        z = np.interp(level, discs, [disc_z[n] for n in discs], left=np.nan, right=np.nan)
        z = np.where((s < min(self.disc_s.values())) | (s > max(self.disc_s.values())), np.nan, z)
        return np.stack([a * model[0] / own[0], b * model[1] / own[1], z], axis=-1)

    def _lattice(self, shape: Sequence[int], affine: Float) -> tuple[Float, Float]:
        """Return straight coordinates on a lattice of 2 mm around a grid, and its affine."""
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1).T
        world = corners @ affine[:3, :3].T + affine[:3, 3]
        low = world.min(axis=0) - 2 * LATTICE_MM
        count = np.ceil((world.max(axis=0) - low) / LATTICE_MM).astype(int) + 3
        lattice = np.diag([LATTICE_MM] * 3 + [1.0])
        lattice[:3, 3] = low
        return self.centerline.project(grid_points(count, lattice)), lattice


def cord_radii(level: Float | float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the half diameters (RL, AP) in mm of an average cord at continuous levels.

    Notes
    -----
    An ellipse of 60 mm2 at C2, 75 at C5 (the cervical enlargement) and 53 at T2. The means of
    healthy adults are 72, 76 and 42 mm2 with standard deviations of 7, 8 and 5.5 [1]_, so the
    average phantom lies within two of them. The ratio of the diameters, 1.55, is theirs at C2
    and T1; the enlargement is flatter in people (1.75 at C5).

    References
    ----------
    .. [1] Valosek et al. (2024), "A database of the healthy human spinal cord morphometry in the
       PAM50 template space", Imaging Neuroscience 2:1-15, doi:10.1162/imag_a_00075.
    """
    level = np.asarray(level, float)
    area = 60.0 + 15.0 * np.exp(-(((level - 5.3) / 1.5) ** 2)) - 5.0 * np.clip(level - 7.5, 0, 3)
    ap = np.sqrt(area / np.pi / RL_OVER_AP)
    return ap * RL_OVER_AP, ap


def make_person(
    seed: int, lesions: int = 0, ranges: Ranges | None = None, head: bool = True
) -> Person:
    """Return the person of a seed.

    Parameters
    ----------
    seed : int
        The same seed, the same person. From 100000 on, persons for tests: their parameters
        lie outside the ranges of the others.
    lesions : int
        Number of lesions.
    ranges : Ranges, optional
        In place of the seed's own.
    head : bool
        See `Person`.

    Raises
    ------
    ValueError
        If so many lesions find no place.
    """
    chance = np.random.default_rng(seed)
    drawn = ranges or (TESTING_RANGES if seed >= FIRST_TEST_SEED else TRAINING_RANGES)
    bend, tilt, size, stature, turn = (
        chance.uniform(*getattr(drawn, name))
        for name in ("bend_mm", "tilt_deg", "size", "stature", "turn_deg")
    )
    z = np.linspace(95.0, -95.0, 400)
    phase = chance.uniform(-0.3, 0.3)
    x = 1.5 * np.sin(z / 60.0 + phase)
    y = bend * np.cos(np.pi * z / 95.0 + phase) + np.tan(np.deg2rad(tilt)) * z * 0.5
    centerline = fit_centerline(np.stack([x, y, z], axis=-1), smoothing_mm=2.0)
    disc_s = _place_discs(centerline.length, stature)
    person = Person(centerline, disc_s, size, turn, head=head)
    return replace(person, lesions=_make_lesions(person, lesions, chance))


def _place_discs(length: float, stature: float) -> dict[int, float]:
    """Return the arc length of discs 2 to 10, C5 in the middle."""
    levels = sorted(VERTEBRA_MM)
    tops = np.concatenate([[0.0], np.cumsum([VERTEBRA_MM[n] * stature for n in levels])])
    middle = np.interp(5.5, [*levels, levels[-1] + 1], tops)
    return {n: float(length / 2 + top - middle) for n, top in zip([*levels, 10], tops, strict=True)}


def _make_lesions(person: Person, count: int, chance: np.random.Generator) -> tuple[Lesion, ...]:
    """Return lesions that stay apart, so that each is one component of the mask."""
    made: list[Lesion] = []
    for _ in range(LESION_TRIES * count):
        if len(made) == count:
            break
        lesion = _make_lesion(person, chance)
        if all(_gap(lesion, other) >= LESION_GAP_MM for other in made):
            made.append(lesion)
    if len(made) < count:
        raise ValueError(f"{count} lesions do not fit into one cord; expected fewer")
    return tuple(made)


def _gap(one: Lesion, other: Lesion) -> float:
    """Return the free length of cord between two lesions in mm; negative where they overlap."""
    reach = one.half_axes[0] + other.half_axes[0]
    return abs(one.centre[0] - other.centre[0]) - reach


def _make_lesion(person: Person, chance: np.random.Generator) -> Lesion:
    """Return a lesion inside the cord, in the dorsal or a lateral column, C3 to C7."""
    s = chance.uniform(person.disc_s[3], person.disc_s[8])
    rl, ap = person.radii_at(s)
    place = ((0.0, -0.5), (0.55, 0.0), (-0.55, 0.0))[int(chance.integers(3))]
    half = (chance.uniform(4, 9), chance.uniform(1.2, 1.7), chance.uniform(1.0, 1.5))
    return Lesion((float(s), place[0] * float(rl), place[1] * float(ap)), half)


def _neck(s: Float, x: Float, y: Float, disc_s: Mapping[int, float]) -> NDArray[np.uint8]:
    """Return the tissues around the canal."""
    labels = np.full(np.shape(s), AIR, np.uint8)
    skin = (x / 60.0) ** 2 + ((y - 8.0) / 62.0) ** 2
    labels[skin <= 1.0] = FAT
    labels[skin <= 0.8] = MUSCLE
    body = (np.abs(x) <= 13.0) & (y >= 6.5) & (y <= 22.0) & ((x / 15.0) ** 2 <= (24.0 - y) / 4.0)
    labels[body] = BONE
    ring = (x / 15.0) ** 2 + ((y + 0.5) / 12.0) ** 2 <= 1
    spinous = (np.abs(x) <= 2.5) & (y <= -8.0) & (y >= -30.0)
    near = np.min([np.abs(s - place) for place in disc_s.values()], axis=0)
    labels[(ring & (near > 3.5) & ~body) | (spinous & (near > 5.0))] = BONE
    labels[body & (near <= 2.5)] = DISC
    labels[((np.abs(x) - 19.0) ** 2 + (y - 9.0) ** 2) <= 2.2**2] = VESSEL
    labels[(x / 9.0) ** 2 + ((y - 40.0) / 7.0) ** 2 <= 1] = AIR
    return labels


def _butterfly(a: Float, b: Float) -> NDArray[np.bool_]:
    """Return the gray matter in coordinates relative to the cord's half diameters."""
    side = np.abs(a)
    ventral = ((side - 0.28) / 0.17) ** 2 + ((b - 0.22) / 0.38) ** 2 <= 1
    dorsal = (np.abs(side - 0.30 - 0.1 * (-b)) <= 0.085) & (b <= 0.1) & (b >= -0.62)
    bridge = (side <= 0.3) & (np.abs(b) <= 0.1)
    return np.asarray(ventral | dorsal | bridge)


def truth_cord(person: Person, like: Image, fine: int = 3) -> NDArray[np.float32]:
    """Return the share of cord (white and gray matter, lesions) in the voxels of a grid."""
    cord = np.zeros(like.shape, np.float32)
    box = _cord_box(person, like)
    shape = [part.stop - part.start for part in box]
    if min(shape) > 0:
        affine = like.affine.copy()
        affine[:3, 3] = to_world(np.array([float(part.start) for part in box]), like.affine)
        cord[box] = person.labels_on(shape, affine, fine)[[WM, GM, LESION]].sum(axis=0)
    return cord


def _cord_box(person: Person, like: Image) -> tuple[slice, ...]:
    """Return the part of a grid that holds the cord."""
    ijk = to_voxel(person.centerline.points, like.affine)
    reach = np.ceil(CORD_REACH_MM / np.asarray(like.voxel_sizes)) + 1
    size = np.array(like.shape)
    ijk = ijk[np.all((ijk > -reach) & (ijk < size + reach), axis=-1)]
    if not len(ijk):
        return (slice(0, 0),) * 3
    low = np.clip(np.floor(ijk.min(axis=0) - reach), 0, size).astype(int)
    high = np.clip(np.ceil(ijk.max(axis=0) + reach) + 1, 0, size).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
