"""Labeled sections in several contrasts, on one grid."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.networks.hemis import CONTRASTS
from spinalprep.training.material.people import Material, Owner
from spinalprep.training.material.slices import Slices, Usual, gather_slices
from spinalprep.training.material.volume import LabelledVolume

Aligned = Mapping[str, LabelledVolume]  # by contrast


@dataclass(frozen=True)
class ContrastSlices(Material):
    """Slices of people of whom one contrast is there, or several that are aligned.

    Attributes
    ----------
    slices : Slices
        What is drawn, and the first contrast that is there.
    image, usual : ndarray of float16, shape (n, contrasts, H, W)
        As in `Slices`, by contrast; zero where a contrast is not there.
    shown : ndarray of bool, shape (n, contrasts)
        Whether a contrast is there.
    """

    slices: Slices
    image: NDArray[np.float16]
    usual: NDArray[np.float16]
    shown: NDArray[np.bool_]

    def owners(self) -> list[Owner]:
        """Return whose each slice is."""
        return self.slices.owners()

    def take(self, kept: NDArray[np.intp]) -> "ContrastSlices":
        """Return these slices alone, in this order."""
        return ContrastSlices(
            self.slices.take(kept), self.image[kept], self.usual[kept], self.shown[kept]
        )


def gather_contrasts(
    people: Iterable[Aligned], spacing_mm: float, size: int, usual_mm: float
) -> ContrastSlices:
    """Cut people's aligned contrasts into slices; those without a cord drawn are passed over.

    Parameters
    ----------
    people : iterable of mapping
        Volumes by contrast, LAS, on one grid and with one mask; contrasts that are none of
        `hemis.CONTRASTS` are passed over.
    spacing_mm, size, usual_mm
        See `gather_slices`.

    Raises
    ------
    InputError
        If nothing is left.
    """
    parts = list(_parts(people, spacing_mm, size, usual_mm))
    if not parts:
        raise InputError(f"no image of {', '.join(CONTRASTS)} has a mask of the cord")
    slices = Slices(
        *(
            np.concatenate([getattr(part.slices, field.name) for part in parts])
            for field in fields(Slices)
        )
    )
    image, usual, shown = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("image", "usual", "shown")
    )
    return ContrastSlices(slices, image, usual, shown)


def _parts(
    people: Iterable[Aligned], spacing_mm: float, size: int, usual_mm: float
) -> Iterator[ContrastSlices]:
    for volumes in people:
        there = [n for n, name in enumerate(CONTRASTS) if name in volumes]
        if not there or any(volume.cord is None for volume in volumes.values()):
            continue
        cut = [
            gather_slices([volumes[CONTRASTS[n]]], spacing_mm, size, True, Usual(usual_mm))
            for n in there
        ]
        shape = (len(cut[0].image), len(CONTRASTS), size, size)
        image, usual = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
        shown = np.zeros(shape[:2], bool)
        for n, own in zip(there, cut, strict=True):
            image[:, n], usual[:, n], shown[:, n] = own.image, own.usual, True
        yield ContrastSlices(cut[0], image, usual, shown)
