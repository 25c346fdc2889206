"""Discs along the centerline: from labels or a hint to vertebral levels, or to "unknown".

Disc n lies above vertebra n (disc 3 between C2 and C3); C1 to C7 are 1 to 7, T1 to T12 8 to 19,
L1 to L5 20 to 24.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError, UsageError
from spinalprep.image import Float, Image, to_world

LAST_DISC = 25
DETECTED = "detected"
OTHER_MARKS = (49, 50, 60)  # pontomedullary groove and junction, conus: no vertebral level
REGIONS = (("C", 1, 7), ("T", 8, 19), ("L", 20, 24), ("S", 25, 29))
HINT = re.compile(r"([CTLS]\d{1,2})(?:/([CTLS]\d{1,2}))?@z=([+-]?\d+(?:\.\d*)?)")
FARTHEST_MM = 60.0  # a disc label this far from the cord belongs to something else
ONE_VERTEBRA_MM = 40.0
ONE_PLACE_MM = 3.0  # spots of one disc this close along the cord are one drawing of it


@dataclass(frozen=True)
class Levels:
    """Where the discs are along a centerline.

    Attributes
    ----------
    disc_s : mapping of int to float
        Arc length of each disc in mm from the superior end; empty where nothing is known.
    source : str
        ``manual``, ``hint``, ``hint+detected``, ``detected``, ``detected in T2w`` (in another
        image of the session) or ``unknown``.
    placed : tuple of int
        Discs that were placed by the template's spacings, not seen.
    probability : float
        That the numbers of detected discs are right, by the detector.
    residual_mm : float or None
        Distance along the cord between what a person said and the discs in the image; None where
        either is missing.
    """

    disc_s: Mapping[int, float]
    source: str = "unknown"
    placed: tuple[int, ...] = ()
    probability: float = 0.0
    residual_mm: float | None = None

    @property
    def known(self) -> bool:
        """Whether a disc is known; without, the height in the template's space is arbitrary."""
        return bool(self.disc_s)

    @property
    def confidence(self) -> float:
        """1 where a person said where the levels are, 0 where they are not known."""
        if self.source.startswith(DETECTED):
            return self.probability
        return 0.0 if self.source == "unknown" else 1.0

    def level_at(self, s: Float | float) -> NDArray[np.float64]:
        """Return the level at arc lengths: n at disc n, n + 0.5 in mid-body; NaN if unknown."""
        if len(self.disc_s) < 2:
            return np.full(np.shape(s), np.nan)
        discs = sorted(self.disc_s)
        heights = [self.disc_s[n] for n in discs]
        return np.asarray(np.interp(s, heights, discs, left=np.nan, right=np.nan))

    def number_at(self, s: Float | float) -> NDArray[np.int16]:
        """Return the vertebra at arc lengths, C1 = 1; 0 if unknown.

        What lies exactly at a disc belongs to the vertebra above it, as in PAM50.

        Examples
        --------
        >>> Levels({3: 0.0, 4: 20.0, 5: 30.0}).number_at([-1.0, 10.0, 20.0, 20.1, 31.0])
        array([0, 3, 3, 4, 0], dtype=int16)
        """
        level = self.level_at(s)
        number = np.maximum(np.ceil(np.round(level, 6)) - 1, min(self.disc_s, default=0))
        return np.where(np.isnan(level), 0, number).astype(np.int16)


def level_name(number: int) -> str:
    """Return the name of a vertebra; ``n/a`` where there is none.

    Examples
    --------
    >>> level_name(3), level_name(8), level_name(20), level_name(0)
    ('C3', 'T1', 'L1', 'n/a')
    """
    for letter, first, last in REGIONS:
        if first <= number <= last:
            return f"{letter}{number - first + 1}"
    return "n/a"


def level_number(name: str) -> int:
    """Return the number of a vertebra.

    Raises
    ------
    UsageError
        If there is no such vertebra.
    """
    for letter, first, last in REGIONS:
        if name[:1] == letter and name[1:].isdigit():
            number = first + int(name[1:]) - 1
            if first <= number <= last:
                return number
    raise UsageError(
        f"unknown vertebra {name!r}; expected C1 to C7, T1 to T12, L1 to L5 or S1 to S5"
    )


def discs_from_labels(labels: Image, centerline: Centerline) -> Levels:
    """Project disc labels on the centerline.

    Parameters
    ----------
    labels : Image of int, shape (I, J, K)
        Value n at disc n, one or more voxels each: at the cord's center, at the posterior edge
        of the disc, or in the disc. 49, 50 and 60 (pontomedullary groove and junction, conus)
        are passed over.
    centerline : Centerline
        RAS+ mm.

    Raises
    ------
    InputError
        If no disc is labeled, a value is no disc, a disc is labeled in two places or is far
        from the cord, or the order along the cord is wrong.
    """
    disc_s: dict[int, float] = {}
    marked = np.argwhere(labels.data)
    values = np.rint(labels.data[tuple(marked.T)])
    for value in _disc_values(labels):
        ijk = marked[values == value]
        along = centerline.project(to_world(_spots(ijk), labels.affine))[:, 0]
        if np.ptp(along) > ONE_PLACE_MM:
            raise InputError(
                f"disc label {value} occurs in {len(along)} places, {np.ptp(along):.0f} mm "
                "apart along the cord; expected one: correct the labels"
            )
        s, x, y = centerline.project(to_world(ijk.mean(axis=0), labels.affine))
        if np.hypot(x, y) > FARTHEST_MM:
            raise InputError(
                f"disc label {value} is {np.hypot(x, y):.0f} mm from the cord; expected at most "
                f"{FARTHEST_MM:.0f} mm: correct the labels"
            )
        disc_s[value] = float(s)
    _check_order(disc_s)
    return Levels(disc_s, "manual")


def parse_hint(text: str) -> dict[float, float]:
    """Read ``C3@z=12.5`` (mid-body) and ``C2/C3@z=20`` (disc), several separated by commas.

    Returns
    -------
    hint : dict of float to float
        Continuous level (3.5 mid-body of C3, 3.0 disc C2/C3) to RAS+ z in mm.

    Raises
    ------
    UsageError
        If the text is not of that form.

    Examples
    --------
    >>> parse_hint("C3@z=12.5,C4/C5@z=-20")
    {3.5: 12.5, 5.0: -20.0}
    """
    hint: dict[float, float] = {}
    for part in text.split(","):
        match = HINT.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"--level-hint {part.strip()!r}: expected C3@z=12.5 or C2/C3@z=20")
        upper, lower, z = match.groups()
        level = level_number(upper) + 0.5
        if lower is not None:
            if level_number(lower) != level_number(upper) + 1:
                raise UsageError(f"--level-hint {part!r}: {upper} and {lower} are not neighbors")
            level = float(level_number(lower))
        hint[level] = float(z)
    return hint


def levels_from_hint(
    hint: Mapping[float, float], centerline: Centerline, template_z: Mapping[int, float]
) -> Levels:
    """Place the discs by the template's spacings, so that they meet the hint.

    One landmark shifts the template's discs; several also stretch them, as `extend` does.

    Parameters
    ----------
    hint : mapping of float to float
        From `parse_hint`.
    centerline : Centerline
        RAS+ mm.
    template_z : mapping of int to float
        Disc to height in the template, mm.

    Raises
    ------
    InputError
        If the cord does not reach a hinted height, or the landmarks are out of order.
    """
    landmarks = {level: _arc_at_height(centerline, z) for level, z in sorted(hint.items())}
    if (np.diff(list(landmarks.values())) <= 0).any():
        raise InputError(
            "--level-hint is out of order along the cord; expected a smaller z for a lower level"
        )
    placed = place_discs(landmarks, template_z)
    return Levels(placed, "hint", tuple(placed))


def place_discs(
    landmarks: Mapping[float, float], template_z: Mapping[int, float]
) -> dict[int, float]:
    """Carry the template's discs to the cord, so that they meet landmarks.

    Parameters
    ----------
    landmarks : mapping of float to float
        Continuous level (3.0 disc C2/C3, 3.5 mid-body of C3) to arc length in mm.
    template_z : mapping of int to float
        Disc to height in the template, mm.
    """
    levels, discs = sorted(landmarks), sorted(template_z)
    depths = np.array([-_template_height(level, template_z) for level in levels])
    places = np.array([landmarks[level] for level in levels])
    placed = _carry(np.array([-template_z[n] for n in discs]), depths, places)
    return dict(zip(discs, placed.tolist(), strict=True))


def extend(levels: Levels, template_z: Mapping[int, float], length: float) -> Levels:
    """Add the discs that nobody labeled, by the template's spacings, along the cord.

    Between known discs the spacings are stretched to fit; beyond the outermost ones they are
    those of the template times the stretch of the known part (1 where one disc is known).
    Discs outside the cord (0 to ``length`` mm) by more than one vertebra are left out.
    """
    known = sorted(set(levels.disc_s) & set(template_z))
    if not known:
        return levels
    new = np.array(sorted(set(template_z) - set(levels.disc_s)), int)
    depths = np.array([-template_z[n] for n in known])
    places = np.array([levels.disc_s[n] for n in known])
    placed = _carry(np.array([-template_z[int(n)] for n in new]), depths, places)
    added = {
        int(n): float(s)
        for n, s in zip(new, placed, strict=True)
        if -ONE_VERTEBRA_MM <= s <= length + ONE_VERTEBRA_MM and _fits(int(n), s, levels.disc_s)
    }
    disc_s = dict(sorted((dict(levels.disc_s) | added).items()))
    placed_now = tuple(sorted({*levels.placed, *added}))
    return replace(levels, disc_s=disc_s, placed=placed_now)


def _carry(
    depths: NDArray[np.float64], from_depths: NDArray[np.float64], to_places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Carry depths of the template to the cord: linear between anchors, stretched beyond."""
    rate = 1.0
    if len(to_places) > 1:
        rate = (to_places[-1] - to_places[0]) / (from_depths[-1] - from_depths[0])
    above = np.minimum(depths - from_depths[0], 0.0)
    below = np.maximum(depths - from_depths[-1], 0.0)
    return np.asarray(np.interp(depths, from_depths, to_places) + rate * (above + below))


def _fits(disc: int, s: float, seen: Mapping[int, float]) -> bool:
    """Tell whether a disc placed at ``s`` keeps the order of those seen."""
    return all((s > place) == (disc > other) for other, place in seen.items())


def _arc_at_height(centerline: Centerline, z: float) -> float:
    """Return the arc length where the centerline is at height ``z``, RAS+ mm."""
    heights = centerline.points[:, 2]
    if not heights.min() - 5 <= z <= heights.max() + 5:
        raise InputError(
            f"--level-hint is at z={z:g} mm; the cord reaches from {heights.min():.0f} "
            f"to {heights.max():.0f} mm"
        )
    return float(np.interp(-z, -heights, centerline.arc))


def _disc_values(labels: Image) -> list[int]:
    """Return the disc numbers of a label image."""
    values = np.unique(labels.data[labels.data != 0])
    for value in values:
        whole = round(float(value))
        if abs(value - whole) > 1e-3 or not (1 <= whole <= LAST_DISC or whole in OTHER_MARKS):
            raise InputError(
                f"label value {value:g} is not a disc; expected whole numbers from 1 (above C1) "
                f"to {LAST_DISC}, or 49, 50, 60: correct the labels"
            )
    discs = sorted({round(float(value)) for value in values} - set(OTHER_MARKS))
    if not discs:
        raise InputError(f"no disc label found (values 1 to {LAST_DISC}); expected at least 1")
    return discs


def _template_height(level: float, template_z: Mapping[int, float]) -> float:
    """Return the template's height of a continuous level in mm."""
    discs = sorted(template_z)
    if not discs[0] <= level <= discs[-1]:
        name = level_name(int(level))
        raise InputError(f"--level-hint names {name}, which the template does not cover")
    return float(np.interp(level, discs, [template_z[n] for n in discs]))


def _spots(ijk: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the centers of the connected pieces of a set of voxels, shape (N, 3)."""
    corner = ijk.min(axis=0)
    box = np.zeros(np.ptp(ijk, axis=0) + 1, bool)
    box[tuple((ijk - corner).T)] = True
    pieces, count = ndimage.label(box, structure=np.ones((3, 3, 3)))
    centres = ndimage.center_of_mass(box, pieces, range(1, count + 1))
    placed: NDArray[np.float64] = np.asarray(centres, np.float64) + corner
    return placed


def _check_order(disc_s: Mapping[int, float]) -> None:
    """Refuse discs that don't go down the cord as their numbers go up."""
    for upper, lower in pairwise(sorted(disc_s)):
        if disc_s[lower] <= disc_s[upper]:
            raise InputError(
                f"disc label {lower} lies above disc label {upper} along the cord; expected "
                "numbers that increase from head to foot: correct the labels"
            )
