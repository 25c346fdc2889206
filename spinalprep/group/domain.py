"""The voxels that all group maps live on, and what one person contributes to them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image import Image

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Domain:
    """The template's cord: V voxels, in the C order of its grid.

    Attributes
    ----------
    shape : tuple of int
        Of the template's grid.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices to RAS+ mm.
    flat : ndarray of int64, shape (V,)
        Rising C-order indices of the voxels.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    flat: NDArray[np.int64]

    @classmethod
    def of(cls, cord: Image) -> "Domain":
        """Return the domain of a template's cord mask.

        Raises
        ------
        EmptyMaskError
            If the mask has no voxel.
        """
        flat = np.flatnonzero(cord.data > 0.5)
        if not len(flat):
            raise EmptyMaskError("the template's cord has no voxel")
        return cls(cord.shape, np.asarray(cord.affine, float), flat.astype(np.int64))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return len(self.flat)

    @cached_property
    def ijk(self) -> NDArray[np.int64]:
        """Voxel indices, shape (V, 3)."""
        return np.stack(np.unravel_index(self.flat, self.shape), axis=-1)

    @property
    def slices(self) -> NDArray[np.int64]:
        """Index of the axial slice of every voxel, shape (V,)."""
        slices: NDArray[np.int64] = self.ijk[:, 2]
        return slices

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def take(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Return the values of a volume at the voxels, shape (V,).

        Raises
        ------
        InputError
            If the volume has another shape.
        """
        if volume.shape != self.shape:
            raise InputError(f"shape {volume.shape} is not the template's {self.shape}")
        i, j, k = self.ijk.T
        values: NDArray[Any] = volume[i, j, k]
        return values

    def put(self, values: NDArray[Any], fill: float = np.nan) -> Float32:
        """Return a volume with the values at the voxels and ``fill`` elsewhere."""
        volume = np.full(self.shape, fill, np.float32)
        volume.reshape(-1)[self.flat] = values
        return volume


@dataclass(frozen=True)
class Observation:
    """What one person shows; arrays of shape (V,).

    Attributes
    ----------
    covered : ndarray of bool
        The field of view contains the voxel and the cord was found in its slice.
    lesion : ndarray of bool or None
        Lesion; false where nothing was covered. None where nobody looked for lesions.
    soft : ndarray of float32 or None
        Probability of a lesion.
    outside_mm3 : float
        Lesion volume beyond the domain: it counts in no map.
    """

    covered: Bool
    lesion: Bool | None
    soft: Float32 | None = None
    outside_mm3: float = 0.0

    @property
    def searched(self) -> Bool:
        """Voxels in which a lesion would have been seen: what is covered, if lesions are known."""
        return self.covered if self.lesion is not None else np.zeros_like(self.covered)

    @property
    def lesions_seen(self) -> Bool:
        """Lesion in the voxels that were searched, false elsewhere."""
        return self.lesion & self.covered if self.lesion is not None else self.searched
