"""From signs of discs to vertebral levels, or to "unknown"."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError
from spinalprep.levels.discs import (
    DETECTED,
    Levels,
    extend,
    level_name,
    levels_from_hint,
    place_discs,
)
from spinalprep.levels.sequence import (
    FEWEST,
    FIRST,
    HINT_MM,
    HINT_SPREAD,
    LAST,
    Evidence,
    Sequence,
    join_discs,
    spacing_mm,
)

SURE = 0.99  # probability from which on numbers are given; below, levels stay unknown
REACH = 2.0  # levels from a landmark over which a disc without a sign may be passed over
AGREE_MM = 12.0  # a hint this far from where the same level was detected contradicts it


def trusted_discs(found: Sequence, landmarks: Iterable[float] = (FIRST,)) -> tuple[int, ...]:
    """Return the discs whose numbers are known from landmarks on.

    From every landmark upwards and downwards, as far as the numbers are sure: a disc further than
    two levels away counts only if its neighbor on the way does, because behind a gap false
    signs may have moved the numbers by one. Discs that the end of the field of view may cut
    count, but are not returned.

    Parameters
    ----------
    found : Sequence
        Discs.
    landmarks : iterable of float
        Continuous levels that a person named, or the disc C2/C3.
    """
    sure = {disc for disc, p in found.probability.items() if p >= SURE}
    trusted: set[int] = set()
    for level in landmarks if found.landmark else ():
        trusted |= {disc for disc in sure if abs(disc - level) <= REACH}
        for step in (-1, 1):
            edge = int(np.floor(level + REACH) if step > 0 else np.ceil(level - REACH))
            while edge in trusted and edge + step in sure:
                edge += step
                trusted.add(edge)
    return tuple(sorted(trusted.difference(found.cut))) if len(trusted) >= FEWEST else ()


def is_sure(found: Sequence, landmarks: Iterable[float] = (FIRST,)) -> bool:
    """Tell whether discs have numbers: more than spacings speaks for them, and enough."""
    return bool(trusted_discs(found, landmarks))


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
    trusted = trusted_discs(found)
    if not trusted:
        return Levels({})
    seen = {disc: found.disc_s[disc] for disc in trusted}
    probability = min(found.probability[disc] for disc in trusted)
    return extend(Levels(seen, DETECTED, (), probability), template_z, length)


def levels_from_labels_and_signs(
    labelled: Levels, template_z: Mapping[int, float], length: float, evidence: Evidence
) -> Levels:
    """Add discs that nobody labeled, and hold those that are against the discs in the image.

    Parameters
    ----------
    labelled : Levels
        From `discs_from_labels`.
    template_z : mapping of int to float
        Disc to height in the template, mm.
    length : float
        Of the centerline in mm.
    evidence : Evidence
        Along the cord; changes no level.
    """
    residual = disc_residual({float(n): s for n, s in labelled.disc_s.items()}, evidence)
    return replace(extend(labelled, template_z, length), residual_mm=residual)


def disc_residual(marks: Mapping[float, float], evidence: Evidence) -> float | None:
    """Return how far levels that a person gave are from the discs that an image shows.

    Parameters
    ----------
    marks : mapping of float to float
        Continuous level (3.0 disc C2/C3, 3.5 mid-body of C3) to arc length in mm.
    evidence : Evidence
        Along the cord.

    Returns
    -------
    residual : float or None
        Median over marks of the distance along the cord in mm. Where the image is sure of its
        levels by itself these count, so that labels one level off are a vertebra away; else the
        discs next to the marks. None where no discs are sure, or none near a mark.
    """
    found = join_discs(evidence)
    trusted = trusted_discs(found)
    if not trusted:
        nearest = {disc: (s, HINT_MM) for disc, s in _marked_discs(marks).items()}
        found = join_discs(evidence, nearest) if nearest else found
        trusted = trusted_discs(found, marks)
    if len(trusted) < FEWEST:
        return None
    discs = np.array(trusted, float)
    places = np.array([found.disc_s[disc] for disc in trusted])
    pace = np.diff(places) / np.diff(discs)  # mm per level; the outermost go on for one vertebra
    discs = np.concatenate([[discs[0] - 1], discs, [discs[-1] + 1]])
    places = np.concatenate([[places[0] - pace[0]], places, [places[-1] + pace[-1]]])
    apart = [
        abs(np.interp(s, places, discs) - level) * np.median(pace)
        for level, s in marks.items()
        if places[0] <= s <= places[-1]
    ]
    return float(np.median(apart)) if apart else None


def _marked_discs(marks: Mapping[float, float]) -> dict[int, float]:
    """Return the places of discs among and next to marks; mid-bodies by the mean spacings."""
    near: dict[int, float] = {}
    for level, s in marks.items():
        for disc in {int(np.floor(level)), int(np.ceil(level))}:
            if FIRST <= disc <= LAST:
                height = spacing_mm(min(max(int(level), FIRST), LAST - 1))[0]
                near[disc] = s + (disc - level) * height
    return near


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
    plain = replace(plain, residual_mm=disc_residual(marks, evidence))
    found = join_discs(evidence, near_landmarks(marks, plain.disc_s))
    warnings = _contradiction(join_discs(evidence), marks)
    trusted = trusted_discs(found, marks)
    if not trusted:
        return plain, warnings
    seen = {disc: found.disc_s[disc] for disc in trusted}
    spared = {level: s for level, s in marks.items() if not min(seen) - 1 <= level <= max(seen) + 1}
    try:
        placed = place_discs(
            {n: s for n, s in seen.items() if n in template_z} | spared, template_z
        )
    except (InputError, IndexError):  # the template has none of them
        return plain, warnings
    by_spacing = tuple(disc for disc in placed if disc not in seen)
    disc_s = dict(sorted((placed | seen).items()))
    probability = min(found.probability[disc] for disc in trusted)
    return Levels(disc_s, "hint+detected", by_spacing, probability, plain.residual_mm), warnings


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
    seen = {disc: found.disc_s[disc] for disc in trusted_discs(found)}
    if not seen:
        return []
    for level, s in sorted(marks.items()):
        if not min(seen) <= level <= max(seen) or abs(_place(seen, level) - s) <= AGREE_MM:
            continue
        places = sorted(seen)
        there = float(np.interp(s, [seen[n] for n in places], places))
        return [
            f"--level-hint says {level_name(int(level))} but the discs in the image say "
            f"{level_name(int(there))}; the hint is used: check the level overlay"
        ]
    return []
