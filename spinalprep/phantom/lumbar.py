"""A lumbar synthetic subject: a spine from T9 to the sacrum, drawn from a seed.

Lengths in mm, RAS+; the origin is the middle of the sacrum's upper end plate. A vertebra has a
frame of its own: ``u`` to the front, ``v`` upwards along its axis, ``w`` from its middle plane.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FIRST_TEST_SEED = 100_000
NAMES = ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8")  # upwards
HEIGHT_MM = (26.0, 27.0, 27.5, 27.0, 26.0, 24.5, 23.0, 22.0, 21.0, 20.0)
DEPTH_MM = (34.5, 34.5, 34.0, 33.0, 31.5, 30.0, 29.0, 28.0, 27.0, 26.5)
WIDTH_MM = (51.0, 48.0, 45.0, 43.0, 41.0, 40.0, 36.0, 34.0, 32.0, 31.0)
DISC_MM = (9.5, 11.0, 10.5, 9.5, 8.5, 7.0, 6.0, 5.0, 4.5, 4.5)  # the disc below each
TILT_DEG = (22.0, 10.0, 1.0, -7.0, -11.0, -12.0, -10.0, -7.0, -4.0, 0.0)
PEDICLE_MM = (14.0, 12.5, 11.5, 11.0, 10.5, 10.0, 9.0, 8.5, 8.0, 8.0)  # inner edge from the middle
SACRAL_TILT_DEG = (40.0, 48.0, 42.0, 24.0, -2.0, -28.0)  # S1 to S5, coccyx
SACRAL_MM = ((29.0, 32.0), (25.0, 22.0), (21.0, 16.0), (17.0, 12.0), (15.0, 10.0), (24.0, 8.0))


@dataclass(frozen=True)
class LumbarRanges:
    """What a lumbar subject is drawn from: lower and upper ends, or shares.

    Attributes
    ----------
    stature, lordosis, thickness : tuple
        Factors on lengths, on the tilt of the vertebrae, and on the fat under the skin.
    lean_deg : tuple
        Lean of the whole spine to the front.
    scoliosis_mm : tuple
        Sideways amplitude.
    degeneration : tuple
        Mean grade of the discs, 0 (bright and high) to 1 (dark and flat).
    muscle_fat : tuple
        Share of fat in the back muscles at the sacrum.
    stenosis, listhesis, transitional, changed : float
        Shares of subjects with a narrow canal, a vertebra that slipped to the front, four or six
        free lumbar vertebrae, and of discs with changed marrow beside.
    slip_mm, narrow : tuple
        How far it slipped, and by which factor the sac is narrower at its narrowest.
    """

    stature: tuple[float, float] = (0.9, 1.1)
    lordosis: tuple[float, float] = (0.6, 1.25)
    thickness: tuple[float, float] = (0.5, 2.2)
    lean_deg: tuple[float, float] = (-6.0, 6.0)
    scoliosis_mm: tuple[float, float] = (0.0, 7.0)
    degeneration: tuple[float, float] = (0.05, 0.75)
    muscle_fat: tuple[float, float] = (0.08, 0.5)
    stenosis: float = 0.3
    listhesis: float = 0.15
    transitional: float = 0.12
    changed: float = 0.25
    slip_mm: tuple[float, float] = (3.0, 8.0)
    narrow: tuple[float, float] = (0.5, 0.85)


TRAINING_RANGES = LumbarRanges()
TESTING_RANGES = LumbarRanges(
    stature=(0.84, 1.18),
    lordosis=(0.4, 1.45),
    thickness=(0.4, 3.0),
    lean_deg=(-10.0, 10.0),
    scoliosis_mm=(0.0, 12.0),
    degeneration=(0.0, 0.9),
    muscle_fat=(0.04, 0.65),
    stenosis=0.4,
    listhesis=0.25,
    transitional=0.15,
    changed=0.35,
    slip_mm=(3.0, 11.0),
    narrow=(0.4, 0.85),
)


@dataclass(frozen=True)
class Disc:
    """The disc below a vertebra.

    Attributes
    ----------
    height, bulge, side_mm : float
        Height at its middle; how far it bulges into the canal, and where most.
    grade : float
        Degeneration, 0 to 1.
    changed : bool
        Whether the marrow beside it is changed (Modic).
    """

    height: float
    bulge: float
    side_mm: float
    grade: float
    changed: bool


@dataclass(frozen=True)
class Vertebra:
    """A vertebra in its own frame; see the module.

    Attributes
    ----------
    name : str
        ``L5`` and so on; of six free lumbar vertebrae the lowest is ``L6``.
    y, z, x : float
        Middle of its body.
    tilt : float
        Of its axis to the front, in radians.
    height, depth, width, pedicle : float
        Of the body, and from the middle plane to the inner edge of a pedicle.
    concavity, spur : float
        Depth of the end plates' hollow, and size of osteophytes.
    disc : Disc
        The one below.
    """

    name: str
    y: float
    z: float
    x: float
    tilt: float
    height: float
    depth: float
    width: float
    pedicle: float
    concavity: float
    spur: float
    disc: Disc

    def end(self, up: float) -> tuple[float, float]:
        """Return (y, z) of the middle of its upper (1) or lower (-1) end plate."""
        half = up * self.height / 2
        return self.y + half * np.sin(self.tilt), self.z + half * np.cos(self.tilt)


@dataclass(frozen=True)
class SacralSegment:
    """A segment of the sacrum: middle of its upper end, tilt, height, depth above and below."""

    y: float
    z: float
    tilt: float
    height: float
    depth: float
    below: float


@dataclass(frozen=True)
class Habitus:
    """What is around the spine.

    Attributes
    ----------
    fat : float
        Factor on the fat under the skin.
    muscle_fat : float
        Share of fat in the back muscles at the sacrum.
    bulge, retroperitoneal, belly : float
        How far the back muscles stand out beside the spinous processes; fat before the spine; and
        from there to the belly's skin.
    canal, sac : float
        Sagittal diameter of the bony canal, and of the dural sac at L3.
    conus : float
        Height of the cord's tip.
    aorta, cava : tuple of float
        Sideways place, distance before the spine, and radius.
    """

    fat: float
    muscle_fat: float
    bulge: float
    retroperitoneal: float
    belly: float
    canal: float
    sac: float
    conus: float
    aorta: tuple[float, float, float]
    cava: tuple[float, float, float]


@dataclass(frozen=True)
class LumbarPerson:
    """One lumbar synthetic subject.

    Attributes
    ----------
    seed : int
        Of its textures too.
    vertebrae : tuple of Vertebra
        Upwards.
    sacrum : tuple of SacralSegment
        Downwards.
    habitus : Habitus
    narrow : mapping of int to float
        Factor on the sac's diameter at the disc below a vertebra, by its place in ``vertebrae``.
    transitional : bool
        Whether it has four or six free lumbar vertebrae.
    """

    seed: int
    vertebrae: tuple[Vertebra, ...]
    sacrum: tuple[SacralSegment, ...]
    habitus: Habitus
    narrow: dict[int, float] = field(default_factory=dict)
    transitional: bool = False

    def discs(self) -> dict[str, tuple[float, float, float]]:
        """Return the middle of every disc (x, y, z), by its name (``L4/L5``)."""
        below = ["S1", *(v.name for v in self.vertebrae)]
        ends = [(0.0, 0.0), *(v.end(1) for v in self.vertebrae)]
        return {
            f"{v.name}/{name}": (
                v.x,
                (v.end(-1)[0] + end[0]) / 2,
                (v.end(-1)[1] + end[1]) / 2,
            )
            for v, name, end in zip(self.vertebrae, below, ends[:-1], strict=False)
        }


def make_lumbar(seed: int, ranges: LumbarRanges | None = None) -> LumbarPerson:
    """Draw a subject.

    Parameters
    ----------
    seed : int
        From 100000 on with wider ranges, for choosing and testing alone.
    ranges : LumbarRanges, optional
        Those of the seed if not given.
    """
    own = TESTING_RANGES if seed >= FIRST_TEST_SEED else TRAINING_RANGES
    told = ranges or own
    chance = np.random.default_rng([seed, 16])
    transitional = bool(chance.random() < told.transitional)
    free = int(chance.choice([4, 6])) if transitional else 5
    vertebrae = _spine(free, told, chance)
    sacrum = _sacrum(vertebrae[0].depth, told, chance)
    narrow: dict[int, float] = {}
    if chance.random() < told.stenosis:
        places = chance.choice(4, size=int(chance.integers(1, 4)), replace=False)
        narrow = {int(n): float(chance.uniform(*told.narrow)) for n in places}
    habitus = _habitus(vertebrae, free, told, chance)
    return LumbarPerson(seed, vertebrae, sacrum, habitus, narrow, transitional)


def _spine(free: int, ranges: LumbarRanges, chance: np.random.Generator) -> tuple[Vertebra, ...]:
    """Draw the vertebrae, upwards from the sacrum."""
    size, lordosis = chance.uniform(*ranges.stature), chance.uniform(*ranges.lordosis)
    lean, sway = np.radians(chance.uniform(*ranges.lean_deg)), chance.uniform(*ranges.scoliosis_mm)
    phase, grade = chance.uniform(0, 2 * np.pi), chance.uniform(*ranges.degeneration)
    slips = int(chance.integers(2)) if chance.random() < ranges.listhesis else -1
    depth = chance.uniform(0.93, 1.07)
    place, below_tilt, found = np.zeros(2), np.radians(38.0) * (0.4 + 0.6 * lordosis), []
    for n in range(len(NAMES)):
        usual = min(max(n - (free - 5), 0), len(NAMES) - 1)  # of the vertebra that it is like
        tilt = np.radians(TILT_DEG[usual] * lordosis + chance.normal(0, 1.5)) + lean
        disc = _disc(n, DISC_MM[usual] * size, grade, ranges, chance)
        if free != 5 and n == 0:
            disc = replace(disc, height=disc.height * chance.uniform(0.3, 0.7))
        middle = (tilt + below_tilt) / 2
        place = place + disc.height * np.array([np.sin(middle), np.cos(middle)])
        if n == slips:
            slip = chance.uniform(*ranges.slip_mm)
            place = place + slip * np.array([np.cos(tilt), -np.sin(tilt)])
        height = HEIGHT_MM[usual] * size * chance.uniform(0.96, 1.04)
        axis = np.array([np.sin(tilt), np.cos(tilt)])
        centre = place + axis * height / 2
        found.append(
            Vertebra(
                name=_name(n, free),
                y=float(centre[0]),
                z=float(centre[1]),
                x=float(sway * np.sin(phase + 0.55 * n)),
                tilt=float(tilt),
                height=float(height),
                depth=DEPTH_MM[usual] * size * depth,
                width=WIDTH_MM[usual] * size,
                pedicle=PEDICLE_MM[usual] * size,
                concavity=float(chance.uniform(0.8, 2.8)),
                spur=float(max(chance.normal(4.0 * disc.grade - 1.0, 1.2), 0.0)),
                disc=disc,
            )
        )
        place, below_tilt = centre + axis * height / 2, tilt
    return tuple(found)


def _name(n: int, free: int) -> str:
    """Return the name of the n-th vertebra upwards."""
    return f"L{free - n}" if n < free else f"T{12 - (n - free)}"


def _disc(
    n: int, height: float, grade: float, ranges: LumbarRanges, chance: np.random.Generator
) -> Disc:
    """Draw a disc; the lowest three degenerate most."""
    usual = grade + (0.15 if n < 3 else -0.12)
    own = float(np.clip(chance.normal(usual, 0.2), 0.0, 1.0))
    return Disc(
        height=float(height * (1 - 0.55 * own**1.5) * chance.uniform(0.92, 1.08)),
        bulge=float(max(chance.normal(3.5 * own - 0.6, 1.0), 0.0)),
        side_mm=float(chance.normal(0, 5.0)),
        grade=own,
        changed=bool(own > 0.45 and chance.random() < ranges.changed),
    )


def _sacrum(
    depth: float, ranges: LumbarRanges, chance: np.random.Generator
) -> tuple[SacralSegment, ...]:
    """Draw the sacrum and the coccyx, downwards."""
    factor, turn = depth / DEPTH_MM[0], np.radians(chance.uniform(-9, 9))
    place, found = np.zeros(2), []
    depths = [own for _, own in SACRAL_MM] + [5.0]
    for n, (height, _) in enumerate(SACRAL_MM):
        tilt = np.radians(SACRAL_TILT_DEG[n]) + turn * (1 - 0.15 * n)
        tall = height * factor * chance.uniform(0.94, 1.06)
        found.append(
            SacralSegment(
                float(place[0]),
                float(place[1]),
                float(tilt),
                float(tall),
                depths[n] * factor,
                depths[n + 1] * factor,
            )
        )
        place = place - tall * np.array([np.sin(tilt), np.cos(tilt)])
    return tuple(found)


def _habitus(
    vertebrae: tuple[Vertebra, ...], free: int, ranges: LumbarRanges, chance: np.random.Generator
) -> Habitus:
    """Draw what is around the spine."""
    canal = float(chance.uniform(15.0, 20.0))
    at = int(chance.choice([free - 2, free - 1, free - 1, free]))  # conus at L2, L1 or T12
    low, high = vertebrae[at].end(-1)[1], vertebrae[at].end(1)[1]
    return Habitus(
        fat=float(chance.uniform(*ranges.thickness)),
        muscle_fat=float(chance.uniform(*ranges.muscle_fat)),
        bulge=float(chance.uniform(6.0, 18.0)),
        retroperitoneal=float(chance.uniform(3.0, 14.0)),
        belly=float(chance.uniform(70.0, 150.0)),
        canal=canal,
        sac=float(min(chance.uniform(11.0, 17.0), canal - 1.5)),
        conus=float(chance.uniform(low, high)),
        aorta=(
            float(chance.uniform(-16, -3)),
            float(chance.uniform(8, 13)),
            float(chance.uniform(7, 11)),
        ),
        cava=(
            float(chance.uniform(8, 20)),
            float(chance.uniform(6, 10)),
            float(chance.uniform(7, 11)),
        ),
    )


def profile(
    person: LumbarPerson, behind: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return height, y of the posterior wall, and tilt along the spine, sorted by height.

    Parameters
    ----------
    person : LumbarPerson
    behind : float
        How far behind the posterior wall, across the axis.

    Returns
    -------
    z, y, tilt : ndarray, shape (n,)
        Radians.
    """
    knots = [(s.y, s.z, s.tilt, s.depth) for s in reversed(person.sacrum)]
    for v in person.vertebrae:
        knots += [(*v.end(-1), v.tilt, v.depth), (v.y, v.z, v.tilt, v.depth)]
    last = person.vertebrae[-1]
    knots.append((*last.end(1), last.tilt, last.depth))
    y, z, tilt, depth = np.array(knots, float).T
    away = depth / 2 + behind
    order = np.argsort(z + away * np.sin(tilt))
    return (z + away * np.sin(tilt))[order], (y - away * np.cos(tilt))[order], tilt[order]
