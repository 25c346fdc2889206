"""Lesions of several images of a session, joined: one lesion seen in two images is one lesion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, upright
from spinalprep.lesion.aligned import AlignedLesions, Labels
from spinalprep.lesion.calling import LesionRule
from spinalprep.lesion.evidence import Evidence, evidence_table
from spinalprep.lesion.instances import EXTENT, lesion_instances

LEAST_COVERED = 0.5  # of a lesion, to say of an image that it covers it
MEAN_SHARE = 0.7  # of the threshold, for a mean: an image that misses a lesion lowers it
SEEN_COLUMNS = ("seen_in", "not_seen_in")
SEPARATOR = ", "

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """A lesion of the joined ones.

    Attributes
    ----------
    evidence : Evidence
        Of the first image that shows it.
    seen_in, not_seen_in : tuple of str
        Images in which it was called, and those that cover it, in which it was not.
    """

    evidence: Evidence
    seen_in: tuple[str, ...]
    not_seen_in: tuple[str, ...]


@dataclass(frozen=True)
class JoinedLesions:
    """Lesions of a session on the grid of the reference.

    Attributes
    ----------
    labels : ndarray of int32, shape (I, J, K)
        Lesions 1 to N, the largest first; 0 outside; LAS voxel order.
    probability : ndarray of float32, shape (I, J, K)
        Of a lesion, from all images that cover a voxel.
    lesions : tuple of Seen
        Of the lesions 1 to N.
    """

    labels: Labels
    probability: Map
    lesions: tuple[Seen, ...]


def highest(probabilities: NDArray[np.float32], covered: Mask) -> Map:
    """Return the highest probability of the images that cover a voxel, (I, J, K)."""
    found: Map = np.where(covered, probabilities, np.float32(0)).max(axis=0)
    return found


def mean(probabilities: NDArray[np.float32], covered: Mask) -> Map:
    """Return the mean probability over the images that cover a voxel, (I, J, K)."""
    total = np.where(covered, probabilities, np.float32(0)).sum(axis=0)
    found: Map = total / np.maximum(covered.sum(axis=0), 1).astype(np.float32)
    return found


# Aligned probabilities and what each image covers, both (images, I, J, K), become one map.
FUSED_MAPS: Mapping[str, Callable[[NDArray[np.float32], Mask], Map]] = {
    "union": highest,
    "mean": mean,
}


def join_lesions(
    images: Sequence[AlignedLesions], cord: Image, rule: LesionRule, fusion: str
) -> JoinedLesions:
    """Join the lesions of the images of a session.

    Parameters
    ----------
    images : sequence of AlignedLesions
        The reference first.
    cord : Image, shape (I, J, K)
        Mask of the reference's cord, any voxel order.
    rule : LesionRule
        What has to be true of a lesion of the mean map.
    fusion : str
        ``union``: every lesion that is called in any image. ``mean``: what is called in the mean
        probability of the images, at 0.7 of the threshold, if one of them shows it, too.

    Returns
    -------
    joined : JoinedLesions

    Notes
    -----
    Two lesions are one where they overlap or touch (26 neighbors), or are no farther apart than
    half of a voxel of the other image, which does not know better where its lesion ends. Lesions
    that are apart in the reference stay apart: one of another image that touches both was seen
    twice. In ``union``, a lesion that one image shows has the extent that it gives it; one that
    several show goes as far as their mean probability reaches `instances.EXTENT`, unless that is
    less than the least volume of a lesion.
    """
    cord = upright(cord)
    stack = np.stack([one.probability for one in images])
    fused = FUSED_MAPS[fusion](stack, np.stack([one.covered for one in images]))
    voxels = cord.voxel_sizes
    if fusion == "union":
        labels = _united(images, voxels)
    else:
        limits = MEAN_SHARE * rule.threshold, rule.min_mm3, rule.min_length_mm
        labels = lesion_instances(cord.with_data(fused), cord, *limits)
    seen = [_matches(labels, one, voxels) for one in images]
    if fusion == "union":
        labels = _shared_extents(labels, images, seen, rule.min_mm3 / float(np.prod(voxels)))
    lesions = {}
    for number in range(1, int(labels.max(initial=0)) + 1):
        own = [matched.get(number) for matched in seen]
        if any(own):
            lesions[number] = _seen(labels == number, images, own)
    order = sorted(lesions, key=lambda n: -int((labels == n).sum()))
    renumbered = np.zeros_like(labels)
    for rank, number in enumerate(order, start=1):
        renumbered[labels == number] = rank
    return JoinedLesions(renumbered, fused, tuple(lesions[n] for n in order))


def seen_table(lesions: Sequence[Seen]) -> pd.DataFrame:
    """Return a row per lesion: its number, its image evidence, and which images show it."""
    table = evidence_table([one.evidence for one in lesions])
    for column in SEEN_COLUMNS:
        words = [SEPARATOR.join(getattr(one, column)) or None for one in lesions]
        table[column] = pd.Series(words, dtype=object)
    return table


def _united(images: Sequence[AlignedLesions], voxels: NDArray[np.float64]) -> Labels:
    """Return the lesions of the first image, and those of the others that are none of them."""
    labels = images[0].labels.copy()
    for one in images[1:]:
        known = {m for found in _matches(labels, one, voxels).values() for m in found}
        new = [m for m in _numbers(one.labels) if m not in known]
        for n, number in enumerate(new, start=int(labels.max(initial=0)) + 1):
            labels[(one.labels == number) & (labels == 0)] = n
    return labels


def _shared_extents(
    labels: Labels,
    images: Sequence[AlignedLesions],
    seen: Sequence[Mapping[int, list[int]]],
    least: float,
) -> Labels:
    """Return lesions that several images show as far as their mean probability has it.

    Where that is less than ``least`` voxels, the images agree that there is a lesion and not on
    where it is; it keeps the extent of the first that shows it.
    """
    found = labels.copy()
    for number in _numbers(labels):
        shown = [(one, own[number]) for one, own in zip(images, seen, strict=True) if number in own]
        if len(shown) < 2:
            continue
        anywhere = np.any([np.isin(one.labels, own) for one, own in shown], axis=0)
        soft = np.stack([one.probability for one, _ in shown])
        likely = mean(soft, np.stack([one.covered for one, _ in shown])) >= EXTENT
        extent = anywhere & likely & np.isin(found, (0, number))
        if extent.sum() >= max(least, 1):
            found[found == number] = 0
            found[extent] = number
    return found


def _matches(
    labels: Labels, image: AlignedLesions, voxels: NDArray[np.float64]
) -> dict[int, list[int]]:
    """Return the lesions of an image that are the same as each of ``labels``."""
    matched: dict[int, list[int]] = {}
    for number in _numbers(image.labels):
        near = _grown(image.labels == number, image.reach_mm, voxels)
        for label in np.unique(labels[near]).tolist():
            if label:
                matched.setdefault(label, []).append(number)
    return matched


def _numbers(labels: Labels) -> list[int]:
    """Return the lesions that have voxels."""
    return [int(n) for n in np.unique(labels) if n > 0]


def _grown(mask: Mask, reach_mm: Sequence[float], voxels: NDArray[np.float64]) -> Mask:
    """Return a lesion and what counts as touching it."""
    steps = np.maximum(np.floor(np.array(reach_mm) / voxels + 1e-6), 1).astype(int)
    grown: Mask = ndimage.maximum_filter(mask, size=tuple(2 * steps + 1), mode="constant")
    return grown


def _seen(lesion: Mask, images: Sequence[AlignedLesions], own: Sequence[list[int] | None]) -> Seen:
    """Return which images show a lesion, given its numbers in each."""
    pairs = list(zip(images, own, strict=True))
    first, numbers = next((one, found) for one, found in pairs if found)
    return Seen(
        first.evidence[min(numbers) - 1],
        tuple(one.name for one, found in pairs if found),
        tuple(
            one.name
            for one, found in pairs
            if not found and one.covered[lesion].mean() >= LEAST_COVERED
        ),
    )
