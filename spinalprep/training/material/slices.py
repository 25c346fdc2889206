"""Labelled axial slices on one grid."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from spinalprep.errors import InputError
from spinalprep.image import resample_like
from spinalprep.networks.window import axial_at, usual_sections
from spinalprep.training.material.people import Kind, Material, Owner
from spinalprep.training.material.volume import LabelledVolume

CLUSTERS = 10


@dataclass(frozen=True)
class Slices(Material):
    """Slices on one grid, all float32 or uint8, shape (n, H, W).

    Attributes
    ----------
    image : ndarray
        Intensities, about 0 to 1 in every slice, zero where there is no image.
    clusters : ndarray of uint8
        Intensity clusters 1 to 10; 0 where there is no image.
    cord, gm, lesion : ndarray
        Share of the pixel that is cord, grey matter, lesion.
    has_gm, has_cord, has_lesion : ndarray of bool, shape (n,)
        Whether anybody drew it, or it is known that there is none; where the cord was not drawn,
        ``centre`` is all that is known.
    centre : ndarray of float32, shape (n, 2)
        Pixel of the cord's centre.
    person, kind : ndarray of str, shape (n,)
        Whose it is, see `Owner`.
    loose_masks : ndarray of bool, shape (n,)
        Whether the masks lie inside the edge that the image shows.
    usual : ndarray of float32
        What the cord usually looks like around the slice, see `usual_sections`; shape (n, 0, 0)
        where nobody asked.
    """

    image: NDArray[np.float32]
    clusters: NDArray[np.uint8]
    cord: NDArray[np.float32]
    gm: NDArray[np.float32]
    lesion: NDArray[np.float32]
    has_gm: NDArray[np.bool_]
    has_cord: NDArray[np.bool_]
    has_lesion: NDArray[np.bool_]
    centre: NDArray[np.float32]
    person: NDArray[np.str_]
    kind: NDArray[np.str_]
    loose_masks: NDArray[np.bool_]
    usual: NDArray[np.float32]

    def owners(self) -> list[Owner]:
        """Return whose each slice is."""
        kinds = [Kind(kind) for kind in self.kind.tolist()]
        return [Owner(*who) for who in zip(self.person.tolist(), kinds, strict=True)]

    def take(self, kept: NDArray[np.intp]) -> "Slices":
        """Return these slices alone, in this order."""
        return Slices(*(getattr(self, field.name)[kept] for field in fields(self)))

    @property
    def people_in_folds(self) -> tuple[str, ...]:
        """People of whom a slice shows a drawn cord: others always teach."""
        return self.take(np.flatnonzero(self.cord.any(axis=(1, 2)))).people

    def with_gm(self) -> "Slices":
        """Return the slices in which grey matter is known."""
        return self.take(np.flatnonzero(self.has_gm))


def gather_slices(
    volumes: Iterable[LabelledVolume],
    spacing_mm: float,
    size: int,
    centred: bool,
    usual_mm: float = 0.0,
) -> Slices:
    """Cut labelled volumes into slices on one grid.

    Parameters
    ----------
    volumes : iterable of LabelledVolume
        LAS.
    spacing_mm : float
        Edge of a pixel.
    size : int
        Height and width in pixels.
    centred : bool
        Centre the windows on the cord; otherwise on the image.
    usual_mm : float
        Reach of the usual sections beside them; 0 for none.

    Raises
    ------
    InputError
        If no slice has a label.
    """
    rows: list[dict[str, object]] = []
    for volume in volumes:
        own = list(_rows(volume, (spacing_mm, size, centred)))
        rows += _with_usual(own, usual_mm)
    if not rows:
        raise InputError("no slice has a label; expected masks of the cord or of grey matter")
    columns = (np.stack([np.asarray(row[field.name]) for row in rows]) for field in fields(Slices))
    return Slices(*columns)


def _rows(volume: LabelledVolume, grid: tuple[float, int, bool]) -> Iterator[dict[str, object]]:
    """Yield one record per labelled slice."""
    spacing_mm, size, centred = grid
    fine = axial_at(volume.image, spacing_mm)
    blank = fine.with_data(np.zeros(fine.shape, np.float32))
    drawn = [
        resample_like(mask, fine) if mask is not None else blank
        for mask in (volume.cord, volume.gm, volume.lesion)
    ]
    middles = drawn[0] if volume.cord is not None else drawn[1]
    if volume.guide is not None:
        middles = resample_like(volume.guide, fine)
    for k in np.flatnonzero(middles.data.sum(axis=(0, 1)) > 5):
        centre = np.array(ndimage.center_of_mass(middles.data[:, :, k]))
        middle = np.rint(centre if centred else np.array(fine.shape[:2]) / 2).astype(int)
        planes = [_window(v.data[:, :, k], middle, size) for v in (fine, *drawn)]
        inside = _window(np.ones(fine.shape[:2], np.float32), middle, size) > 0
        scaled = _scale(planes[0], inside)
        yield {
            "image": scaled,
            "clusters": _clusters(scaled, inside),
            "cord": planes[1],
            "gm": planes[2],
            "lesion": planes[3],
            "has_gm": np.bool_(volume.gm is not None),
            "has_cord": np.bool_(volume.cord is not None),
            "has_lesion": np.bool_(volume.lesion is not None or volume.lesion_free),
            "centre": (centre - middle + size // 2).astype(np.float32),
            "person": np.str_(volume.person),
            "kind": np.str_(volume.kind),
            "loose_masks": np.bool_(volume.loose_masks),
            "height_mm": float(k * fine.voxel_sizes[2]),
        }


def _with_usual(rows: list[dict[str, object]], reach_mm: float) -> list[dict[str, object]]:
    """Add the usual section to the records of one volume."""
    nothing = np.zeros((0, 0), np.float32)
    if reach_mm <= 0 or not rows:
        return [row | {"usual": nothing} for row in rows]
    windows = np.stack([np.asarray(row["image"], np.float32) for row in rows])
    heights = np.array([row["height_mm"] for row in rows], float)
    usual = usual_sections(windows, heights, reach_mm)
    return [row | {"usual": plane} for row, plane in zip(rows, usual, strict=True)]


def _window(plane: NDArray[np.float32], middle: NDArray[np.intp], size: int) -> NDArray[np.float32]:
    """Cut ``size`` x ``size`` pixels around ``middle``; zero outside."""
    padded = np.pad(plane, size)
    i, j = middle + size - size // 2
    return np.ascontiguousarray(padded[i : i + size, j : j + size], np.float32)


def _scale(plane: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scale to about [0, 1] without clipping the bright end hard."""
    low, high = np.percentile(plane[inside], [0.5, 99.5])
    scaled = np.clip((plane - low) / max(high - low, 1e-6), 0.0, 1.5)
    return np.where(inside, scaled, 0.0).astype(np.float32)


def _clusters(plane: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Cluster intensities by k-means from quantiles: the same numbers every time."""
    values = plane[inside].astype(np.float64)[:, None]
    start = np.quantile(values, (np.arange(CLUSTERS) + 0.5) / CLUSTERS)[:, None]
    start += np.arange(CLUSTERS)[:, None] * 1e-6
    centres, _ = kmeans2(values, start, minit="matrix", missing="warn", iter=8)
    nearest = np.abs(plane[..., None] - np.sort(centres[:, 0])).argmin(axis=-1) + 1
    return np.where(inside, nearest, 0).astype(np.uint8)
