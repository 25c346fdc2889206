"""Discs along the centerline: from labels or a hint to vertebral levels, or to "unknown".

Disc n lies above vertebra n (disc 3 between C2 and C3); C1 to C7 are 1 to 7, T1 to T12 8 to 19,
L1 to L5 20 to 24.
"""

import re
from itertools import pairwise
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError, UsageError
from spinalprep.image import Float, Image, to_world

LAST_DISC = 25  # 49, 50 mark the pontomedullary groove and junction, 60 the conus
REGIONS = (("C", 1, 7), ("T", 8, 19), ("L", 20, 24))
HINT = re.compile(r"([CTL]\d{1,2})(?:/([CTL]\d{1,2}))?@z=(-?\d+(?:\.\d+)?)")
FARTHEST_MM = 60.0  # a disc label this far from the cord belongs to something else


@dataclass(frozen=True)
class Levels:
    """Where the discs are along a centerline.

    Attributes
    ----------
    disc_s : mapping of int to float
        Arc length of each disc in mm from the superior end; empty where nothing is known.
    source : str
        ``manual``, ``hint`` or ``unknown``.
    placed : tuple of int
        Discs that were placed by the template's spacings, not seen.
    """

    disc_s: Mapping[int, float]
    source: str = "unknown"
    placed: tuple[int, ...] = ()

    @property
    def confidence(self) -> float:
        """1 where a person said where the levels are, 0 where nobody did."""
        return 0.0 if self.source == "unknown" else 1.0

    def level_at(self, s: Float | float) -> NDArray[np.float64]:
        """Return the level at arc lengths: n at disc n, n + 0.5 in mid-body; NaN if unknown."""
        if len(self.disc_s) < 2:
            return np.full(np.shape(s), np.nan)
        discs = sorted(self.disc_s)
        heights = [self.disc_s[n] for n in discs]
        return np.asarray(np.interp(s, heights, discs, left=np.nan, right=np.nan))


def level_name(number: int) -> str:
    """Return the name of a vertebra.

    Examples
    --------
    >>> level_name(3), level_name(8), level_name(20)
    ('C3', 'T1', 'L1')
    """
    for letter, first, last in REGIONS:
        if first <= number <= last:
            return f"{letter}{number - first + 1}"
    return "S" if number > 24 else "n/a"


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
    raise UsageError(f"there is no vertebra {name!r}; expected C1 to C7, T1 to T12 or L1 to L5")


def discs_from_labels(labels: Image, centerline: Centerline) -> Levels:
    """Project disc labels on the centerline.

    Parameters
    ----------
    labels : Image of int, shape (I, J, K)
        Value n at disc n, one or more voxels each, anywhere at the height of the disc.
    centerline : Centerline
        RAS+ mm.

    Raises
    ------
    InputError
        If no disc is labelled, a disc is labelled in two places, is far from the cord, or the
        order along the cord is wrong.
    """
    ijk = np.argwhere(np.rint(labels.data) > 0)
    values = np.rint(labels.data[tuple(ijk.T)]).astype(int)
    points = to_world(ijk.astype(float), labels.affine)
    disc_s: dict[int, float] = {}
    for value in np.unique(values[values <= LAST_DISC]):
        mine = points[values == value]
        if np.ptp(mine, axis=0).max() > 15.0:
            raise InputError(f"disc label {value} is drawn in two places; expected one")
        s, x, y = centerline.project(mine.mean(axis=0))
        if np.hypot(x, y) > FARTHEST_MM:
            raise InputError(f"disc label {value} is {np.hypot(x, y):.0f} mm from the cord")
        disc_s[int(value)] = float(s)
    if not disc_s:
        raise InputError(f"there is no disc label (values 1 to {LAST_DISC}); expected at least 1")
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
                raise UsageError(f"--level-hint {part!r}: {upper} and {lower} are no neighbours")
            level = float(level_number(lower))
        hint[level] = float(z)
    return hint


def levels_from_hint(
    hint: Mapping[float, float], centerline: Centerline, template_z: Mapping[int, float]
) -> Levels:
    """Place the discs by the template's spacings, shifted to meet the hint.

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
        If the cord does not reach a hinted height.
    """
    shifts = []
    for level, z in hint.items():
        heights = centerline.points[:, 2]
        if not heights.min() - 5 <= z <= heights.max() + 5:
            raise InputError(
                f"--level-hint is at z={z:g} mm; the cord reaches from {heights.min():.0f} "
                f"to {heights.max():.0f} mm"
            )
        s = float(np.interp(-z, -heights, centerline.arc))
        shifts.append(s + _template_height(level, template_z))
    shift = float(np.mean(shifts))
    disc_s = {n: shift - z for n, z in sorted(template_z.items())}
    return Levels(disc_s, "hint", tuple(disc_s))


def extend(levels: Levels, template_z: Mapping[int, float], length: float) -> Levels:
    """Add the discs that nobody labelled, by the template's spacings, along the cord.

    Between known discs the spacings are stretched to fit; beyond the outermost ones they are
    those of the template times the stretch of the known part (1 where one disc is known).
    Discs outside the cord (0 to ``length`` mm) by more than one vertebra are left out.
    """
    known = sorted(set(levels.disc_s) & set(template_z))
    if not known:
        return levels
    heights = np.array([-template_z[n] for n in known])
    places = np.array([levels.disc_s[n] for n in known])
    wide = len(known) > 1
    rate = (places[-1] - places[0]) / (heights[-1] - heights[0]) if wide else 1.0
    disc_s = dict(levels.disc_s)
    for n in sorted(set(template_z) - set(known)):
        height = -template_z[n]
        inside = np.interp(height, heights, places)
        beyond = min(height - heights[0], 0.0) + max(height - heights[-1], 0.0)
        s = float(inside + rate * beyond)
        if -40.0 <= s <= length + 40.0:
            disc_s[n] = s
    ordered = dict(sorted(disc_s.items()))
    return Levels(ordered, levels.source, tuple(n for n in ordered if n not in levels.disc_s))


def _template_height(level: float, template_z: Mapping[int, float]) -> float:
    """Return the template's height of a continuous level in mm."""
    discs = sorted(template_z)
    if not discs[0] <= level <= discs[-1]:
        name = level_name(int(level))
        raise InputError(f"--level-hint names {name}, which the template does not reach")
    return float(np.interp(level, discs, [template_z[n] for n in discs]))


def _check_order(disc_s: Mapping[int, float]) -> None:
    """Refuse discs that don't go down the cord as their numbers go up."""
    numbers = sorted(disc_s)
    for upper, lower in pairwise(numbers):
        if disc_s[lower] <= disc_s[upper]:
            raise InputError(
                f"disc label {lower} lies above disc label {upper}; expected numbers that grow "
                "from head to foot"
            )
