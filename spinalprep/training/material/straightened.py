"""Labeled cords, straightened: material in three dimensions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import InputError
from spinalprep.image import Image, sample
from spinalprep.training.material.people import Material, Owner
from spinalprep.training.material.volume import LabelledVolume

Volume = NDArray[np.float32]
LEAST_SECTIONS = 8  # of a cord that teaches something


@dataclass(frozen=True)
class StraightVolume:
    """A straightened cord, float32, shape (H, W, S) each; the cord runs along the last axis.

    Attributes
    ----------
    owner : Owner
        Whose it is.
    image : ndarray
        Intensities, 0 to 1 between the percentiles 0.5 and 99.5; 0 where there is no image.
    cord, gm : ndarray
        Share of the voxel.
    has_gm : bool
        Whether anybody drew gray matter.
    lesion_free : bool
        Whether it is known that there is no lesion.
    """

    owner: Owner
    image: Volume
    cord: Volume
    gm: Volume
    has_gm: bool
    lesion_free: bool


@dataclass(frozen=True)
class StraightVolumes(Material):
    """Straightened cords to be taught."""

    volumes: tuple[StraightVolume, ...]

    def owners(self) -> list[Owner]:
        """Return whose each cord is."""
        return [volume.owner for volume in self.volumes]

    def take(self, kept: NDArray[np.intp]) -> "StraightVolumes":
        """Return these cords alone, in this order."""
        return StraightVolumes(tuple(self.volumes[n] for n in kept))


def straighten_volumes(
    volumes: Iterable[LabelledVolume], spacing_mm: float, width_mm: float
) -> StraightVolumes:
    """Straighten every volume whose cord was drawn along the middle of what was drawn.

    Parameters
    ----------
    volumes : iterable of LabelledVolume
        Those without a drawn cord are passed over.
    spacing_mm : float
        Of the voxels, along the cord too.
    width_mm : float
        Edge of the sections.

    Raises
    ------
    InputError
        If no cord is left.
    """
    straight = tuple(_straightened(volumes, spacing_mm, width_mm))
    if not straight:
        raise InputError("no volume has a manual cord mask of several slices to train on")
    return StraightVolumes(straight)


def _straightened(
    volumes: Iterable[LabelledVolume], spacing_mm: float, width_mm: float
) -> Iterator[StraightVolume]:
    for volume in volumes:
        cord, gm = volume.cord, volume.gm
        if cord is None or (cord.data >= 0.5).any(axis=(0, 1)).sum() < 3:
            continue
        line = centerline_from_mask(cord.with_data(cord.data >= 0.5))
        s = np.arange(0.0, line.length, spacing_mm)
        if len(s) < LEAST_SECTIONS:
            continue
        points = StraightSpace(line).sections(s, width_mm / 2, spacing_mm)
        drawn = _along(cord, points)
        yield StraightVolume(
            volume.owner,
            _scaled(_along(volume.image, points)),
            drawn,
            _along(gm, points) if gm is not None else np.zeros_like(drawn),
            gm is not None,
            volume.lesion_free,
        )


def _along(image: Image, points: NDArray[np.float64]) -> Volume:
    """Sample at points (S, H, W, 3); the cord runs along the last axis of the result."""
    values: Volume = np.moveaxis(sample(image, points), 0, -1).astype(np.float32)
    return np.ascontiguousarray(values)


def _scaled(values: Volume) -> Volume:
    low, high = np.percentile(values, [0.5, 99.5])
    scaled: Volume = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.2)
    return scaled.astype(np.float32)
