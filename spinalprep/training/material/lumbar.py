"""Sagittal slices of lumbar synthetic subjects, as maps of tissues."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.phantom.lumbar import make_lumbar
from spinalprep.phantom.lumbar_scans import draw_tissues
from spinalprep.training.material.people import Kind, Material, Owner

LOW_MM, HIGH_MM = (-100.0, -100.0), (120.0, 190.0)  # of every slice, (y, z)
SPACING_MM = 1.0
HALF_MM = 30.0  # slices lie so far from the middle at most


@dataclass(frozen=True)
class LumbarSlices(Material):
    """Slices of tissues.

    Attributes
    ----------
    tissues : ndarray of uint8, shape (N, 2, Z, A)
        Of the middle of a slice and of a place nearer to its side, in pixels of 1 mm: from inferior
        to superior, then to anterior; numbers as in `phantom.lumbar_tissues`.
    seeds : tuple of int
        Of the subject of each slice.
    """

    tissues: NDArray[np.uint8]
    seeds: tuple[int, ...]

    def owners(self) -> list[Owner]:
        """Return whose each slice is."""
        return [Owner(str(seed), Kind.DIGITAL) for seed in self.seeds]

    def take(self, kept: NDArray[np.intp]) -> "LumbarSlices":
        """Return some slices alone."""
        return LumbarSlices(self.tissues[kept], tuple(self.seeds[n] for n in kept))

    @property
    def people_in_folds(self) -> tuple[str, ...]:
        """Those whom folds share out: there is nobody else."""
        return tuple(sorted({str(seed) for seed in self.seeds}))


def draw_lumbar_slices(seeds: Sequence[int], count: int) -> LumbarSlices:
    """Draw slices of subjects, one in each of ``count`` strips from left to right.

    Parameters
    ----------
    seeds : sequence of int
        Of the subjects.
    count : int
        Slices of a subject.
    """
    y, z = (np.arange(LOW_MM[n], HIGH_MM[n], SPACING_MM) for n in (0, 1))
    found = []
    for seed in seeds:
        chance = np.random.default_rng([seed, 20])
        edges = np.linspace(-HALF_MM, HALF_MM, count + 1)
        middle = chance.uniform(edges[:-1], edges[1:])
        beside = middle + chance.uniform(1.0, 3.0, count) * chance.choice([-1, 1], count)
        tissues = draw_tissues(make_lumbar(seed), np.stack([middle, beside], 1).ravel(), y, z)
        found.append(tissues.reshape(count, 2, len(y), len(z)).transpose(0, 1, 3, 2))
    owners = tuple(seed for seed in seeds for _ in range(count))
    return LumbarSlices(np.ascontiguousarray(np.concatenate(found)), owners)
