"""What grows in a cord, and what is mistaken for it: shapes along the cord, drawn at random.

Sizes follow Lemay et al. (2021), NeuroImage: Clinical 31:102766, doi:10.1016/j.nicl.2021.102766
(table 2: means of 3 to 8 cm3 of tumor, 6 to 17 of edema; two thirds have a cavity, half edema), as
far as a neck of 19 cm holds them; kinds follow the same paper: astrocytomas are eccentric and ill
defined and enhance in parts or not at all, ependymomas are central, well defined and enhance, with
cysts at their poles, hemangioblastomas are small, off the middle and enhance strongly.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

RADII_MM = 6.1, 3.9  # half diameters of an average cord: right-left, anterior-posterior
SHARES = {"astrocytoma": 101, "ependymoma": 122, "hemangioblastoma": 120}  # of the paper's people
WITH_CAVITY, WITH_EDEMA = 0.67, 0.51


@dataclass(frozen=True)
class Section:
    """Where the voxels of a patch lie in the cord.

    Attributes
    ----------
    s : Tensor, shape (I, J, K)
        Arc length in mm.
    u, v : Tensor, shape (I, J, K)
        Offset to the left and to the front in half diameters of an average cord.
    """

    s: Tensor
    u: Tensor
    v: Tensor

    def narrowed(self, widening: Tensor) -> "Section":
        """Return where they lie in a cord that was widened."""
        return Section(self.s, self.u / widening, self.v / widening)


@dataclass(frozen=True)
class Growth:
    """What was drawn, soft shares of the cord, shape (I, J, K) each.

    Attributes
    ----------
    tumor, edema, cavity : Tensor
        What a network is taught to find.
    lesion : Tensor
        What it must leave alone: lesions of multiple sclerosis, compressed cord.
    widening : Tensor
        Factor on the cord's diameters.
    enhancement : Tensor
        Of the tumor with gadolinium, 0 none, 1 as bright as fat.
    rim : Tensor
        Dark in T2w: old blood at the poles.
    """

    tumor: Tensor
    edema: Tensor
    cavity: Tensor
    lesion: Tensor
    widening: Tensor
    enhancement: Tensor
    rim: Tensor


class Chance:
    """Numbers from one generator."""

    def __init__(self, draw: torch.Generator) -> None:
        self.draw = draw

    def between(self, low: float, high: float) -> float:
        """Return a number between two bounds."""
        return low + (high - low) * float(torch.rand(1, generator=self.draw))

    def happens(self, share: float) -> bool:
        """Tell whether something of this probability happens."""
        return float(torch.rand(1, generator=self.draw)) < share

    def one_of(self, shares: dict[str, int]) -> str:
        """Return a key by its share."""
        weights = torch.tensor([float(share) for share in shares.values()])
        return list(shares)[int(torch.multinomial(weights, 1, generator=self.draw))]

    def noise(self, like: Tensor, knots_mm: float) -> Tensor:
        """Return a smooth field of about unit variance; a knot every so many voxels."""
        knots = [max(round(n / knots_mm), 2) for n in like.shape]
        coarse = torch.randn((1, 1, *knots), generator=self.draw)
        field = functional.interpolate(coarse, like.shape, mode="trilinear", align_corners=True)
        return field[0, 0] * 1.4


def draw_tumor(where: Section, s: float, draw: torch.Generator) -> Growth:
    """Draw a tumor at about an arc length, maybe with edema, cysts and a widened cord."""
    chance = Chance(draw)
    kind = chance.one_of(SHARES)
    small, wide = kind == "hemangioblastoma", kind == "ependymoma"
    half = chance.between(3.5, 15.0) if small else chance.between(7.0, 30.0)
    cysts = _cysts(chance, s, half)
    bulge = 1 + chance.between(0.05, 0.6) * (0.6 if small else 1.0) * _bump(where.s, s, half)
    for middle, length, _ in cysts:
        bulge = bulge * (1 + chance.between(0.0, 0.25) * _bump(where.s, middle, length))
    where = where.narrowed(bulge)
    off = chance.between(0.3, 0.8) if small else chance.between(0.0, 0.15 if wide else 0.5)
    across = chance.between(0.4, 0.8) if small else chance.between(0.55, 1.05)
    infiltrates = kind == "astrocytoma"
    edge = chance.between(1.0, 2.5) if infiltrates else chance.between(2.5, 6.0)
    ragged = chance.between(0.1, 0.3) if infiltrates else chance.between(0.0, 0.15)
    tumor = _blob(where, chance, (s, half), off, across, edge, ragged)
    cavity = torch.zeros_like(tumor)
    for middle, length, width in cysts:
        found = _blob(where, chance, (middle, length), 0.1, width, chance.between(2.5, 6.0), 0.08)
        cavity = torch.maximum(cavity, found)
    tumor = tumor * (1 - cavity)
    edema = torch.zeros_like(tumor)
    if chance.happens(WITH_EDEMA):
        edema = _edema(where, chance, (s - half, s + half)) * (1 - tumor - cavity)
    rim = torch.zeros_like(tumor)
    if wide and chance.happens(0.35):
        rim = _rim(where, chance, s, half) * (1 - cavity)
    glow = _enhancement(kind, tumor, chance)
    return Growth(tumor, edema, cavity, torch.zeros_like(tumor), bulge, glow, rim)


def draw_other(where: Section, s: float, draw: torch.Generator) -> Growth:
    """Draw what is no tumor: nothing, lesions of multiple sclerosis, a syrinx, a compression."""
    chance = Chance(draw)
    kind = chance.one_of({"nothing": 40, "lesions": 25, "syrinx": 18, "compression": 17})
    nothing = torch.zeros_like(where.s)
    cavity, lesion, bulge = nothing, nothing, nothing + 1
    if kind == "lesions":
        for _ in range(1 + int(chance.between(0, 3))):
            at = s + chance.between(-35.0, 35.0), chance.between(2.5, 12.0)
            off, across = chance.between(0.2, 0.8), chance.between(0.2, 0.55)
            edge = chance.between(1.5, 5.0)
            lesion = torch.maximum(lesion, _blob(where, chance, at, off, across, edge, 0.15))
    elif kind == "syrinx":
        half = chance.between(4.0, 45.0)
        across = chance.between(0.2, 0.75)
        bulge = 1 + chance.between(0.0, 0.3) * _bump(where.s, s, half)
        where = where.narrowed(bulge)
        cavity = _blob(where, chance, (s, half), 0.1, across, chance.between(2.5, 6.0), 0.05)
    elif kind == "compression":
        half = chance.between(2.0, 8.0)
        bulge = 1 - chance.between(0.12, 0.4) * _bump(where.s, s, half)
        if chance.happens(0.6):
            along = (s, half * chance.between(0.8, 2.0))
            across = chance.between(0.3, 0.9)
            lesion = _blob(where.narrowed(bulge), chance, along, 0.1, across, 1.5, 0.2)
    return Growth(nothing, nothing, cavity, lesion, bulge, nothing, nothing)


def _blob(
    where: Section,
    chance: Chance,
    along: tuple[float, float],
    off: float,
    across: float,
    edge: float,
    ragged: float,
) -> Tensor:
    """Return a ragged ellipsoid, 1 inside, a half at its border.

    ``along`` is its middle and half length in mm, ``off`` its distance from the middle of the
    section, ``across`` its half width there, ``edge`` how sharp it is.
    """
    angle = torch.tensor(chance.between(0.0, 6.283))
    u, v = where.u - off * torch.cos(angle), where.v - off * torch.sin(angle)
    stretch = chance.between(0.8, 1.25)
    wide = (u / (across * stretch)).square() + (v * stretch / across).square()
    long = ((where.s - along[0]) / along[1]).square()
    if chance.happens(0.5):  # blunt ends, as a cylinder has
        far = (wide.square() + long.square()).sqrt().sqrt()
    else:
        far = (wide + long).sqrt()
    far = far * (1 + ragged * chance.noise(far, 6.0)).clamp(min=0.3)
    return ((1 - far) * edge + 0.5).clamp(0, 1)


def _cysts(chance: Chance, s: float, half: float) -> list[tuple[float, float, float]]:
    """Return middle, half length and width of cysts at the poles of a tumor or within it."""
    cysts: list[tuple[float, float, float]] = []
    if not chance.happens(WITH_CAVITY):
        return cysts
    poles = chance.happens(0.75)
    for side in (-1.0, 1.0):
        if poles and chance.happens(0.7):
            length = chance.between(3.0, 35.0)
            middle = s + side * (half * chance.between(0.8, 1.0) + length)
            cysts.append((middle, length, chance.between(0.35, 0.95)))
    if not poles or chance.happens(0.25):
        middle = s + half * chance.between(-0.4, 0.4)
        cysts.append((middle, half * chance.between(0.25, 0.7), chance.between(0.25, 0.6)))
    return cysts


def _edema(where: Section, chance: Chance, ends: tuple[float, float]) -> Tensor:
    """Return swelling above and below a tumor, soft and ragged."""
    low = ends[0] - chance.between(2.0, 40.0)
    high = ends[1] + chance.between(2.0, 40.0)
    along = (low + high) / 2, (high - low) / 2
    across = chance.between(0.5, 1.1)
    return _blob(where, chance, along, 0.15, across, chance.between(1.5, 4.0), 0.3)


def _bump(s: Tensor, middle: float, half: float) -> Tensor:
    """Return 1 along a stretch of cord, falling to 0 within about a centimeter of its ends."""
    return torch.sigmoid((half - (s - middle).abs()) / 3.0)


def _enhancement(kind: str, tumor: Tensor, chance: Chance) -> Tensor:
    """Return how much of the contrast agent each part of a tumor takes up."""
    if kind == "astrocytoma":
        if chance.happens(0.35):
            return torch.zeros_like(tumor)
        patches = torch.sigmoid(3 * chance.noise(tumor, 5.0) + chance.between(-2.0, 2.0))
        return chance.between(0.2, 0.8) * patches
    strong = kind == "hemangioblastoma"
    level = chance.between(0.6, 1.3) if strong else chance.between(0.25, 1.0)
    return level * (1 + 0.15 * chance.noise(tumor, 4.0)).clamp(min=0)


def _rim(where: Section, chance: Chance, s: float, half: float) -> Tensor:
    """Return caps of old blood at the poles of a tumor."""
    caps = [torch.exp(-(((where.s - s - side * half) / 1.8) ** 2)) for side in (-1.0, 1.0)]
    across = torch.exp(-(((where.u**2 + where.v**2) / 0.5) ** 2))
    return torch.maximum(*caps) * across * chance.between(0.4, 1.0)
