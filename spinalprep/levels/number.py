"""From signs of discs to vertebral levels, or to "unknown"."""

from collections.abc import Mapping

import numpy as np

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError
from spinalprep.levels.discs import (
    Levels,
    extend,
    level_name,
    levels_from_hint,
    place_discs,
)
from spinalprep.levels.sequence import (
    FIRST,
    HINT_MM,
    HINT_SPREAD,
    LAST,
    Evidence,
    Sequence,
    join_discs,
)

SURE = 0.99  # probability from which on numbers are given; below, levels stay unknown
AGREE_MM = 12.0  # a hint this far from where the same level was detected contradicts it


def is_sure(found: Sequence) -> bool:
    """Tell whether discs have numbers: more than spacings speaks for them, and enough."""
    return found.landmark and found.confidence >= SURE


def levels_from_signs(evidence: Evidence, template_z: Mapping[int, float], length: float) -> Levels:
    """Return the levels that an image shows by itself; unknown unless they are sure.

    Parameters
    ----------
    evidence : Evidence
        Along the cord.
    template_z : mapping of int to float
        Disc to height in the template, mm, for the discs that were not seen.
    length : float
        Of the centerline in mm.
    """
    found = join_discs(evidence)
    if not is_sure(found):
        return Levels({})
    seen = {disc: found.disc_s[disc] for disc in found.seen}
    return extend(Levels(seen, "detected", (), found.confidence), template_z, length)


def levels_from_hint_and_signs(
    hint: Mapping[float, float],
    centerline: Centerline,
    template_z: Mapping[int, float],
    evidence: Evidence,
) -> tuple[Levels, list[str]]:
    """Give discs the numbers that follow from a hint, and the places where the image shows them.

    Parameters
    ----------
    hint : mapping of float to float
        From `parse_hint`.
    centerline : Centerline
        RAS+ mm.
    template_z : mapping of int to float
        Disc to height in the template, mm.
    evidence : Evidence
        Along the cord; where it shows no disc the spacings alone serve.

    Returns
    -------
    levels : Levels
        Of source ``hint+detected`` where discs were seen, else ``hint``.
    warnings : list of str
        Where the image itself says otherwise than the hint.
    """
    plain = levels_from_hint(hint, centerline, template_z)
    marks = {level: _place(plain.disc_s, level) for level in hint}
    found = join_discs(evidence, near_landmarks(marks, plain.disc_s))
    warnings = _contradiction(join_discs(evidence), marks)
    if not is_sure(found):
        return plain, warnings
    seen = {disc: found.disc_s[disc] for disc in found.seen}
    spared = {level: s for level, s in marks.items() if not min(seen) - 1 <= level <= max(seen) + 1}
    try:
        placed = place_discs(
            {n: s for n, s in seen.items() if n in template_z} | spared, template_z
        )
    except (InputError, IndexError):  # the template has none of them
        return plain, warnings
    by_spacing = tuple(disc for disc in placed if disc not in seen)
    disc_s = dict(sorted((placed | seen).items()))
    return Levels(disc_s, "hint+detected", by_spacing, found.confidence), warnings


def _place(disc_s: Mapping[int, float], level: float) -> float:
    """Return the arc length of a continuous level."""
    discs = sorted(disc_s)
    return float(np.interp(level, discs, [disc_s[n] for n in discs]))


def near_landmarks(
    marks: Mapping[float, float], disc_s: Mapping[int, float]
) -> dict[int, tuple[float, float]]:
    """Return where a hint expects the discs on both sides of its landmarks, and how exactly."""
    near: dict[int, tuple[float, float]] = {}
    for level, s in marks.items():
        for disc in {int(np.floor(level)), int(np.ceil(level))}:
            if disc in disc_s and FIRST <= disc <= LAST:
                spread = float(np.hypot(HINT_MM, HINT_SPREAD * (disc_s[disc] - s)))
                near[disc] = (disc_s[disc], spread)
    if not near:  # a landmark above C2/C3
        top = max(FIRST, min(disc_s))
        s = min(marks.values())
        near[top] = (disc_s[top], float(np.hypot(HINT_MM, HINT_SPREAD * (disc_s[top] - s))))
    return near


def _contradiction(found: Sequence, marks: Mapping[float, float]) -> list[str]:
    """Say where the image is sure of another level than a hint."""
    if not is_sure(found):
        return []
    seen = {disc: found.disc_s[disc] for disc in found.seen}
    for level, s in sorted(marks.items()):
        if not min(seen) <= level <= max(seen) or abs(_place(seen, level) - s) <= AGREE_MM:
            continue
        places = sorted(seen)
        there = float(np.interp(s, [seen[n] for n in places], places))
        return [
            f"--level-hint says {level_name(int(level))} where the discs in the image say "
            f"{level_name(int(there))}; the hint is followed: look at the level overlay"
        ]
    return []
