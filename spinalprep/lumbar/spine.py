"""Discs of a lumbar segmentation: where they are, whether they are lumbar, and which is which."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, to_world
from spinalprep.lumbar.heights import disc_height
from spinalprep.lumbar.structures import CANAL, DISCS, SACRUM, VERTEBRAE

SMALLEST_DISC_MM3 = 700.0
SAME_DISC_MM = 12.0  # pieces whose middles differ less in height are one disc
LEAST_DISCS = 3
LUMBAR_DISC_MM3 = 2500.0  # discs of a neck have 1 to 1.5 cm3, lumbar ones 4 to 15
# Of lumbar discs, from middle to middle, 30 to 42 mm; T10 to T12 about 28, of a neck 14 to 20.
LEAST_SPACING_MM, WIDEST_SPACING_MM = 26.0, 48.0
LEAST_CANAL_MM3 = 2000.0
LEAST_SACRUM_MM3 = 4000.0
TO_SACRUM_MM = 18.0  # from the middle of the lowest disc to the sacrum, at most
ON_TOP_MM = 12.0  # beside the axis of a disc, for the bone on top of it
FIVE_FREE = 0.88  # share of people with five free lumbar vertebrae and no transitional one
# A lowest disc flatter than this share of the others may be a transitional one: in true maps 3
# of 20 synthetic subjects with five free vertebrae, 14 of 20 with four or six; in images none of
# five, all of four (126050 to 126069).
FLAT = 0.55
NAMES = ("L5/S1", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1", "T11/T12", "T10/T11")


@dataclass(frozen=True)
class Disc:
    """One disc.

    Attributes
    ----------
    centre : ndarray, shape (3,)
        RAS+ mm.
    mask : ndarray of bool, shape (I, J, K)
        On the grid of the segmentation.
    height_mm : float
        In its middle, see `heights.disc_height`.
    way : ndarray, shape (3,)
        Unit vector of the spine there, upwards, RAS+.
    name : str or None
        ``L4/L5``; None where it is not known.
    probability : float
        Of the name; 0 where there is none.
    """

    centre: NDArray[np.float64]
    mask: NDArray[np.bool_]
    height_mm: float
    way: NDArray[np.float64]
    name: str | None = None
    probability: float = 0.0


def clean_spine(structures: Image) -> Image:
    """Return a segmentation whose bones, discs and canal are one piece; the rest is background.

    Parameters
    ----------
    structures : Image of int
        See `structures.STRUCTURES`; any voxel order.
    """
    spine = np.isin(structures.data, (VERTEBRAE, SACRUM, DISCS, CANAL))
    pieces, count = ndimage.label(spine)
    if count < 2:  # one piece, or none
        return structures
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return structures.with_data(np.where(spine & (pieces != largest), 0, structures.data))


def find_discs(structures: Image) -> list[Disc]:
    """Return the discs of a segmentation, upwards, unnamed.

    Parameters
    ----------
    structures : Image of int
        See `structures.STRUCTURES`; any voxel order.
    """
    pieces, count = ndimage.label(structures.data == DISCS)
    groups: list[list[int]] = []
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * structures.voxel_volume
    large = [n for n in range(1, count + 1) if sizes[n] >= SMALLEST_DISC_MM3]
    middles = {n: _middle(pieces == n, structures) for n in large}
    for n in sorted(large, key=lambda piece: float(middles[piece][2])):
        if groups and middles[n][2] - middles[groups[-1][-1]][2] < SAME_DISC_MM:
            groups[-1].append(n)
        else:
            groups.append([n])
    masks = [np.isin(pieces, group) for group in groups]
    centres = [_middle(mask, structures) for mask in masks]
    along = _directions(centres)
    return [
        Disc(centre, mask, disc_height(mask, structures, way), way)
        for centre, mask, way in zip(centres, masks, along, strict=True)
    ]


def why_not_lumbar(structures: Image, discs: list[Disc]) -> str:
    """Return why a segmentation shows no lumbar spine; empty where it does.

    Parameters
    ----------
    structures : Image of int
    discs : list of Disc
        Of `find_discs`.
    """
    large = [d for d in discs if d.mask.sum() * structures.voxel_volume >= LUMBAR_DISC_MM3]
    if len(large) < LEAST_DISCS:
        return f"{len(large)} discs of lumbar size in view; expected {LEAST_DISCS} or more"
    apart = [float(np.linalg.norm(b.centre - a.centre)) for a, b in pairwise(discs)]
    usual = float(np.median(apart))
    if not LEAST_SPACING_MM <= usual <= WIDEST_SPACING_MM:
        return (
            f"discs are {usual:.0f} mm apart; expected {LEAST_SPACING_MM:.0f} to "
            f"{WIDEST_SPACING_MM:.0f} mm as in a lumbar spine"
        )
    for value, name, least in ((CANAL, "canal", LEAST_CANAL_MM3), (VERTEBRAE, "vertebrae", 2e4)):
        volume = float((structures.data == value).sum()) * structures.voxel_volume
        if volume < least:
            return f"{volume / 1000:.1f} cm3 of {name} in view; expected {least / 1000:.0f} or more"
    return ""


def name_discs(structures: Image, discs: list[Disc]) -> list[Disc]:
    """Count the discs from the sacrum upwards.

    Parameters
    ----------
    structures : Image of int
    discs : list of Disc
        Upwards.

    Returns
    -------
    discs : list of Disc
        Without names where `why_not_counted` tells why; from a gap upwards without them.
    """
    if why_not_counted(structures, discs):
        return discs
    usual = float(np.median([np.linalg.norm(b.centre - a.centre) for a, b in pairwise(discs)]))
    named, below = [], None
    for disc, name in zip(discs, [*NAMES, *[None] * len(discs)], strict=False):
        gap = below is not None and np.linalg.norm(disc.centre - below) > 1.5 * usual
        if gap or name is None:
            break
        named.append(replace(disc, name=name, probability=FIVE_FREE))
        below = disc.centre
    return [*named, *discs[len(named) :]]


def why_not_counted(structures: Image, discs: list[Disc]) -> str:
    """Return why discs can't be counted from the sacrum; empty where they can.

    Parameters
    ----------
    structures : Image of int
        See `structures.STRUCTURES`; any voxel order.
    discs : list of Disc
        Upwards.
    """
    if not discs or not _sits_on_sacrum(structures, discs[0]):
        return "the sacrum is not in view below the lowest disc"
    if _lies_in_sacrum(structures, discs[0]):
        return "the lowest disc lies within the sacrum, as S1/S2 of a transitional vertebra does"
    others = [disc.height_mm for disc in discs[1:]]
    share = discs[0].height_mm / float(np.median(others)) if others else 1.0
    if share < FLAT:
        return (
            f"the lowest disc has {100 * share:.0f} % of the height of the others: it may be that "
            "of a transitional vertebra"
        )
    return ""


def _lies_in_sacrum(structures: Image, disc: Disc) -> bool:
    """Tell whether what is on top of a disc is called sacrum rather than vertebra."""
    bone = np.isin(structures.data, (VERTEBRAE, SACRUM))
    away = to_world(np.argwhere(bone).astype(float), structures.affine) - disc.centre
    height = away @ disc.way
    beside = np.linalg.norm(away - height[:, None] * disc.way, axis=1)
    above = structures.data[bone][(beside < ON_TOP_MM) & (height > 0) & (height < TO_SACRUM_MM)]
    return bool(2 * (above == SACRUM).sum() > len(above))


def _sits_on_sacrum(structures: Image, lowest: Disc) -> bool:
    """Tell whether the sacrum is in view, just below a disc."""
    pieces, count = ndimage.label(structures.data == SACRUM)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * structures.voxel_volume
    if not len(sizes) or sizes.max() < LEAST_SACRUM_MM3:
        return False
    largest = np.argwhere(pieces == 1 + int(np.argmax(sizes))).astype(float)
    points = to_world(largest, structures.affine)
    near = np.linalg.norm(points - lowest.centre, axis=1).min()
    return bool(near < TO_SACRUM_MM and points[:, 2].mean() < lowest.centre[2])


def _middle(mask: NDArray[np.bool_], like: Image) -> NDArray[np.float64]:
    return to_world(np.argwhere(mask).mean(axis=0), like.affine)


def _directions(centres: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the unit vector of the spine at every disc, from its neighbors."""
    last = len(centres) - 1
    found = []
    for n in range(len(centres)):
        way = centres[min(n + 1, last)] - centres[max(n - 1, 0)]
        length = float(np.linalg.norm(way))
        found.append(way / length if length > 0 else np.array([0.0, 0.0, 1.0]))
    return found
