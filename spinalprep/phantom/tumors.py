"""Digital tumors with known truth, and what must not be called one: drawn for tests alone.

Another way of drawing than that of training (`training.synthesis.growths`), so that a network which
learned the one is judged on the other: bodies here have wavy outlines around the cord's axis and
tapered ends; there they are ragged ellipsoids in noise. Kinds and sizes follow Lemay et al. (2021),
NeuroImage: Clinical 31:102766, doi:10.1016/j.nicl.2021.102766, as far as a neck of 19 cm holds
them.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Float, Image
from spinalprep.phantom.anatomy import (
    CSF,
    FIRST_TEST_SEED,
    GM,
    LESION,
    TISSUES,
    WM,
    Person,
    make_person,
)
from spinalprep.phantom.images import INTENSITY, acquire

STRUCTURES = ("tumor", "edema", "cavity")
TUMOR, EDEMA, CAVITY = range(len(TISSUES), len(TISSUES) + 3)
TUMOR_KINDS = ("astrocytoma", "ependymoma", "hemangioblastoma")
OTHER_KINDS = ("healthy", "lesions", "syrinx", "compression")
TAPER_MM = 6.0  # over which a widened cord becomes narrow again


@dataclass(frozen=True)
class Body:
    """One body in the cord, in its own section: what it is, and where.

    Attributes
    ----------
    structure : str
        One of `STRUCTURES`.
    middle_mm, half_mm : float
        Arc length of its middle, and half its length.
    centre, across : tuple of float
        Middle and half diameters in half diameters of the cord: right, front.
    waves : int
        Bulges around it.
    height : float
        Of the bulges, as a share of its half diameters.
    phase : float
        Of the bulges, in radians.
    blunt : float
        Power of its taper: 1 is a spindle, large is a cylinder.
    """

    structure: str
    middle_mm: float
    half_mm: float
    centre: tuple[float, float]
    across: tuple[float, float]
    waves: int = 0
    height: float = 0.0
    phase: float = 0.0
    blunt: float = 2.0

    def holds(self, s: Float, a: Float, b: Float) -> NDArray[np.bool_]:
        """Tell which points lie in it; ``a`` and ``b`` in half diameters of the cord."""
        along = np.abs((s - self.middle_mm) / self.half_mm)
        width = np.sqrt(np.clip(1 - along ** (2 * self.blunt), 0, 1))
        right, front = (
            (p - c) / w for p, c, w in zip((a, b), self.centre, self.across, strict=True)
        )
        angle = np.arctan2(front, right)
        edge = width * (1 + self.height * np.sin(self.waves * angle + self.phase + 2 * along))
        return np.asarray((np.hypot(right, front) < edge) & (along < 1))


@dataclass(frozen=True)
class Growth:
    """All that grows in one cord.

    Attributes
    ----------
    kind : str
        One of `TUMOR_KINDS` or `OTHER_KINDS`.
    bodies : tuple of Body
        What comes later is drawn over what comes first.
    bulges : tuple of (from, to, share)
        Where, in mm of arc, the diameters grow by a share; below zero the cord is compressed.
    wet : tuple of float
        T2w intensities of tumor, edema and cavity: 0 the cord's, 1 the fluid's.
    enhancement : float
        Of the tumor in Gd-T1w: 0 none, 1 as bright as fat.
    """

    kind: str
    bodies: tuple[Body, ...] = ()
    bulges: tuple[tuple[float, float, float], ...] = ()
    wet: tuple[float, float, float] = (0.4, 0.3, 1.0)
    enhancement: float = 0.0

    def widening(self, s: Float | float) -> NDArray[np.float64]:
        """Return the factor on the cord's diameters at arc lengths in mm."""
        s = np.asarray(s, float)
        factor = np.ones(s.shape)
        for low, high, share in self.bulges:
            rise = np.clip((s - low) / TAPER_MM + 0.5, 0, 1) * np.clip(
                (high - s) / TAPER_MM + 0.5, 0, 1
            )
            factor = factor * (1 + share * np.sin(0.5 * np.pi * rise))
        return np.asarray(factor)

    def structure(self, s: Float, a: Float, b: Float) -> NDArray[np.uint8]:
        """Return 0, or the place in `STRUCTURES` plus 1, of points inside the cord."""
        found = np.zeros(np.shape(s), np.uint8)
        for body in self.bodies:
            found[body.holds(s, a, b)] = STRUCTURES.index(body.structure) + 1
        return found


@dataclass(frozen=True)
class Patient(Person):
    """A digital person in whose cord something grows."""

    growth: Growth = Growth("healthy")

    tissues: ClassVar[tuple[str, ...]] = (*TISSUES, *STRUCTURES)

    @property
    def untouched(self) -> Person:
        """The same person before."""
        return Person(**{f.name: getattr(self, f.name) for f in fields(Person)})

    def radii_at(self, s: Float | float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the half diameters of the widened cord, right-left and anterior-posterior."""
        wider = self.growth.widening(s)
        rl, ap = super().radii_at(s)
        return rl * wider, ap * wider

    def tissue(self, sxy: Float) -> NDArray[np.uint8]:
        """Return the tissue of points of straight space, shape (..., 3).

        The canal does not grow with the cord: its fluid is displaced.
        """
        s, x, y = np.moveaxis(np.asarray(sxy, float), -1, 0)
        labels = self.untouched.tissue(sxy)
        wider = self.growth.widening(s)
        inner = self.untouched.tissue(np.stack([s, x / wider, y / wider], axis=-1))
        was, now = (np.isin(part, (WM, GM, LESION)) for part in (labels, inner))
        labels[was & ~now] = CSF
        labels[now] = inner[now]
        turn = np.deg2rad(self.turn_deg)
        a, b = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        rl, ap = self.radii_at(s)
        grown = self.growth.structure(s, a / rl, b / ap)
        there = now & (grown > 0)
        labels[there] = grown[there] + len(TISSUES) - 1
        return labels


def make_patient(seed: int, kind: str) -> Patient:
    """Return the digital person of a test seed with something in the cord.

    Parameters
    ----------
    seed : int
        From 100000 on; 110000 to 110999 were for choosing, figures come from 111000 on.
    kind : str
        One of `TUMOR_KINDS` or `OTHER_KINDS`.

    Raises
    ------
    ValueError
        For seeds of training, and for unknown kinds.
    """
    if seed < FIRST_TEST_SEED:
        raise ValueError(f"seed {seed}: expected {FIRST_TEST_SEED} or more, these are for tests")
    person = make_person(seed, lesions=2 if kind == "lesions" else 0)
    told = {f.name: getattr(person, f.name) for f in fields(Person)}
    return Patient(**told, growth=make_growth(seed, kind, person.centerline.length))


def make_growth(seed: int, kind: str, length_mm: float) -> Growth:
    """Return what grows in a cord of so many mm; see `make_patient`."""
    if kind not in (*TUMOR_KINDS, *OTHER_KINDS):
        known = ", ".join((*TUMOR_KINDS, *OTHER_KINDS))
        raise ValueError(f"nothing called {kind!r} grows here; expected one of {known}")
    chance = np.random.default_rng([seed, len(kind)])
    middle = float(chance.uniform(0.3, 0.7)) * length_mm
    if kind in TUMOR_KINDS:
        return _tumor(kind, middle, length_mm, chance)
    if kind == "syrinx":
        half = float(chance.uniform(10.0, 40.0))
        body = _body("cavity", middle, half, 0.05, chance.uniform(0.3, 0.8), 0.05, chance)
        return Growth(kind, (body,), ((middle - half, middle + half, chance.uniform(0, 0.25)),))
    if kind == "compression":
        half = float(chance.uniform(2.0, 7.0))
        return Growth(kind, (), ((middle - half, middle + half, -chance.uniform(0.15, 0.4)),))
    return Growth(kind)


def _tumor(kind: str, middle: float, length_mm: float, chance: np.random.Generator) -> Growth:
    """Return a tumor of a kind with what goes with it."""
    small, central = kind == "hemangioblastoma", kind == "ependymoma"
    half = float(chance.uniform(5.0, 13.0) if small else chance.uniform(12.0, 32.0))
    off = chance.uniform(0.35, 0.7) if small else chance.uniform(0.0, 0.1 if central else 0.45)
    across = chance.uniform(0.4, 0.75) if small else chance.uniform(0.6, 0.95)
    height = chance.uniform(0.1, 0.25) if kind == "astrocytoma" else chance.uniform(0.0, 0.1)
    bodies = []
    if chance.random() < (0.7 if small else 0.5):
        far = half + float(chance.uniform(8.0, 40.0))
        at = middle + float(chance.uniform(-5.0, 5.0))
        bodies.append(_body("edema", at, far, 0.1, chance.uniform(0.6, 0.95), 0.15, chance))
    bodies.append(_body("tumor", middle, half, off, across, height, chance))
    low, high = middle - half, middle + half
    if chance.random() < 0.67:
        for side in (-1.0, 1.0)[: 1 + int(chance.integers(2))]:
            long = float(chance.uniform(6.0, 30.0))
            at = middle + side * (half + 0.85 * long)
            bodies.append(_body("cavity", at, long, 0.05, chance.uniform(0.4, 0.85), 0.05, chance))
            low, high = min(low, at - long), max(high, at + long)
    bulges = (
        (middle - half, middle + half, float(chance.uniform(0.15, 0.65)) * (0.6 if small else 1.0)),
        (max(low, 0.0), min(high, length_mm), float(chance.uniform(0.0, 0.2))),
    )
    wet = chance.uniform(0.1, 0.7), chance.uniform(0.2, 0.6), chance.uniform(0.85, 1.05)
    glow = {
        "astrocytoma": 0.0 if chance.random() < 0.3 else chance.uniform(0.15, 0.7),
        "ependymoma": chance.uniform(0.4, 1.0),
        "hemangioblastoma": chance.uniform(0.8, 1.2),
    }[kind]
    told = float(wet[0]), float(wet[1]), float(wet[2])
    return Growth(kind, tuple(bodies), bulges, told, float(glow))


def _body(
    structure: str,
    middle: float,
    half: float,
    off: float,
    across: float,
    height: float,
    chance: np.random.Generator,
) -> Body:
    """Return a body off the middle by ``off`` in any direction."""
    angle = chance.uniform(0, 2 * np.pi)
    long = chance.uniform(0.85, 1.15)
    return Body(
        structure,
        middle,
        half,
        (float(off * np.cos(angle)), float(off * np.sin(angle))),
        (float(across * long), float(across / long)),
        int(chance.integers(2, 6)),
        float(height),
        float(chance.uniform(0, 2 * np.pi)),
        float(chance.uniform(1.0, 3.0)),
    )


@dataclass(frozen=True)
class Scanned:
    """A patient in the scanner: both contrasts and the truth, on one grid.

    Attributes
    ----------
    t2w, gd_t1w : Image
        float32.
    cord : Image of float32
        Share of cord with all that grows in it.
    structures : mapping of str to Image of float32
        Share of tumor, edema, cavity and abnormality, the whole of them.
    """

    t2w: Image
    gd_t1w: Image
    cord: Image
    structures: dict[str, Image]


def scan_patient(
    patient: Patient, shape: tuple[int, int, int], affine: Float, seed: int, noise: float = 0.03
) -> Scanned:
    """Return T2w and T1w with gadolinium of a patient, and the truth.

    Parameters
    ----------
    patient : Patient
    shape, affine
        Voxels to RAS+ mm.
    seed : int
        Of texture, bias field and noise.
    noise : float
        See `images.render`.
    """
    shares = patient.labels_on(shape, affine, fine=2)
    t2w, t1w = (
        acquire(
            shares,
            tumor_levels(patient.growth, contrast),
            affine,
            np.random.default_rng([seed, n, 7]),
            noise,
        )
        for n, contrast in enumerate(("T2w", "T1w"))
    )
    grown = {name: shares[len(TISSUES) + n] for n, name in enumerate(STRUCTURES)}
    whole = np.sum(list(grown.values()), axis=0)
    cord = shares[[WM, GM, LESION]].sum(axis=0) + whole
    told = {**grown, "abnormality": whole}
    structures = {name: t2w.with_data(share) for name, share in told.items()}
    return Scanned(t2w, t1w, t2w.with_data(cord), structures)


def tumor_levels(growth: Growth, contrast: str) -> NDArray[np.float64]:
    """Return the intensities of all tissues, tumor, edema and cavity last."""
    usual = np.array(INTENSITY[contrast])
    cord, fluid, fat = usual[[WM, GM]].mean(), usual[CSF], usual[TISSUES.index("fat")]
    wet = np.array(growth.wet)
    if contrast == "T1w":
        wet = wet * (0.5, 0.5, 1.0)
    grown = cord + wet * (fluid - cord)
    if contrast == "T1w":
        grown[0] += growth.enhancement * (fat - grown[0])
    return np.concatenate([usual, grown])
