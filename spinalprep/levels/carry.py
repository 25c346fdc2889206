"""Levels that another image of the session shows, carried to the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from spinalprep.cord.centerline import SPACING_MM, Centerline
from spinalprep.levels.discs import ONE_VERTEBRA_MM, Levels
from spinalprep.registration.transform import Transform

LEAST_SHARED_MM = 10.0  # of cord that both images show
ASIDE_MM = 5.0  # two courses of one cord; farther apart, the person has moved
ONE_MM = 1.0
HALF_A_VERTEBRA = 0.5  # levels


@dataclass(frozen=True)
class Source:
    """An image that is sure of its levels.

    Attributes
    ----------
    levels : Levels
        Along the reference's centerline; their source names the image.
    coverage_mm : float
        What the image shows of the body from superior to inferior.
    """

    levels: Levels
    coverage_mm: float


def carry_levels(
    found: Levels, line: Centerline, to_reference: Transform, reference: Centerline
) -> Levels:
    """Carry discs from the centerline of one image to that of another.

    Parameters
    ----------
    found : Levels
        Along ``line``.
    line : Centerline
        Of the image that shows the discs, RAS+ mm.
    to_reference : Transform
        Points of that image to points of the reference, RAS+ mm.
    reference : Centerline
        RAS+ mm; straight on beyond its ends.

    Returns
    -------
    levels : Levels
        Along ``reference``, of the discs beside it and up to one vertebra beyond its ends.
        Unknown where none is near, or where they don't go down the reference in their order.
    """
    discs = sorted(found.disc_s)
    places = to_reference.apply(line.at(np.array([found.disc_s[n] for n in discs])))
    along = reference.project(places)[:, 0]
    near = (along >= -ONE_VERTEBRA_MM) & (along <= reference.length + ONE_VERTEBRA_MM)
    disc_s = {n: float(s) for n, s, there in zip(discs, along, near, strict=True) if there}
    ordered = all(above < below for above, below in pairwise(disc_s.values()))
    return replace(found, disc_s=disc_s) if disc_s and ordered else Levels({})


def aside_mm(line: Centerline, to_reference: Transform, reference: Centerline) -> float:
    """Return how far apart two courses of one cord are, across the reference.

    Parameters
    ----------
    line, to_reference, reference
        As for `carry_levels`.

    Returns
    -------
    distance : float
        Median in mm over the points of ``line`` beside the reference; NaN where less than 10 mm
        of cord are in both.
    """
    s, x, y = np.moveaxis(reference.project(to_reference.apply(line.points)), -1, 0)
    shared = (s >= 0) & (s <= reference.length)
    if shared.sum() * SPACING_MM < LEAST_SHARED_MM:
        return float("nan")
    return float(np.median(np.hypot(x, y)[shared]))


def choose_source(sources: Sequence[Source], length: float) -> tuple[Levels, list[str]]:
    """Return the levels of the image that shows most; unknown where two images disagree.

    Parameters
    ----------
    sources : sequence of Source
        Images that are sure.
    length : float
        Of the reference's centerline in mm.

    Returns
    -------
    levels : Levels
    warnings : list of str
        Which two disagree by more than half a vertebra, anywhere along the reference.
    """
    if not sources:
        return Levels({}), []
    first, *others = sorted(sources, key=lambda one: (-one.coverage_mm, one.levels.source))
    for other in others:
        if _levels_apart(first.levels, other.levels, length) > HALF_A_VERTEBRA:
            return Levels({}), [
                f"vertebral levels {first.levels.source} and {other.levels.source} disagree by "
                "more than half a vertebra: levels stay unknown; label a disc, or give "
                "--level-hint"
            ]
    return first.levels, []


def _levels_apart(one: Levels, other: Levels, length: float) -> float:
    """Return the largest difference along the reference, infinite where none can be told."""
    s = np.arange(0.0, length + ONE_MM, ONE_MM)
    apart = np.abs(one.level_at(s) - other.level_at(s))
    known = apart[np.isfinite(apart)]
    return float(known.max()) if len(known) else float("inf")
