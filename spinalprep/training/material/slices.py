"""Labeled axial slices on one grid."""

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
        Share of the pixel that is cord, gray matter, lesion.
    has_gm, has_cord, has_lesion : ndarray of bool, shape (n,)
        Whether anybody drew it, or it is known that there is none; where the cord was not drawn,
        ``center`` is all that is known.
    centre : ndarray of float32, shape (n, 2)
        Pixel of the cord's center.
    person, kind : ndarray of str, shape (n,)
        Whose it is, see `Owner`.
    loose_masks : ndarray of bool, shape (n,)
        Whether the masks lie inside the edge that the image shows.
    usual : ndarray of float32
        What the cord usually looks like around the slice, see `usual_sections`; shape (n, 0, 0)
        where nobody asked.
    usual_clusters, usual_cord, usual_gm : ndarray
        The same of the others, where the usual section is shown as it is.
    volume : ndarray of int, shape (n,)
        Slices of one image have the same number.
    height_mm : ndarray of float32, shape (n,)
        Where in it they lie.
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
    usual_clusters: NDArray[np.uint8]
    usual_cord: NDArray[np.float32]
    usual_gm: NDArray[np.float32]
    volume: NDArray[np.intp]
    height_mm: NDArray[np.float32]

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

    def beside(self, index: NDArray[np.intp], away_mm: float) -> NDArray[np.intp]:
        """Return the slices of the same images that lie nearest to this far from given ones."""
        found = index.copy()
        for n, own in enumerate(index):
            same = np.flatnonzero(self.volume == self.volume[own])
            apart = np.abs(self.height_mm[same] - self.height_mm[own] - away_mm)
            found[n] = same[int(apart.argmin())]
        return found

    def with_gm(self) -> "Slices":
        """Return the slices in which gray matter is known."""
        return self.take(np.flatnonzero(self.has_gm))


@dataclass(frozen=True)
class Usual:
    """What of the usual section is gathered.

    Attributes
    ----------
    reach_mm : float
        See `usual_sections`; 0 for none.
    labelled : bool
        Clusters and masks, too.
    """

    reach_mm: float = 0.0
    labelled: bool = False


def gather_slices(
    volumes: Iterable[LabelledVolume],
    spacing_mm: float,
    size: int,
    centred: bool,
    usual: Usual | None = None,
) -> Slices:
    """Cut labeled volumes into slices on one grid.

    Parameters
    ----------
    volumes : iterable of LabelledVolume
        LAS.
    spacing_mm : float
        Edge of a pixel.
    size : int
        Height and width in pixels.
    centred : bool
        Center the windows on the cord; otherwise on the image.
    usual : Usual, optional
        What of the usual sections is put beside them; by default nothing.

    Raises
    ------
    InputError
        If no slice has a label.
    """
    rows: list[dict[str, object]] = []
    for number, volume in enumerate(volumes):
        own = list(_rows(volume, (spacing_mm, size, centred)))
        numbered = [row | {"volume": np.intp(number)} for row in own]
        rows += _with_usual(numbered, usual or Usual())
    if not rows:
        raise InputError("no slice has a label; expected masks of the cord or of gray matter")
    columns = (np.stack([np.asarray(row[field.name]) for row in rows]) for field in fields(Slices))
    return Slices(*columns)


def _rows(volume: LabelledVolume, grid: tuple[float, int, bool]) -> Iterator[dict[str, object]]:
    """Yield one record per labeled slice."""
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
            "height_mm": np.float32(k * fine.voxel_sizes[2]),
        }


def _with_usual(rows: list[dict[str, object]], wanted: Usual) -> list[dict[str, object]]:
    """Add the usual section to the records of one volume."""
    names = ("image", "cord", "gm")
    given = names[: 0 if wanted.reach_mm <= 0 else 3 if wanted.labelled else 1]
    planes = {name: np.zeros((len(rows), 0, 0), np.float32) for name in names}
    heights = np.array([row["height_mm"] for row in rows], float)
    for name in given if rows else ():
        windows = np.stack([np.asarray(row[name], np.float32) for row in rows])
        planes[name] = usual_sections(windows, heights, wanted.reach_mm)
    empty = np.zeros((0, 0), np.uint8)
    return [
        row
        | {
            "usual": planes["image"][n],
            "usual_cord": planes["cord"][n],
            "usual_gm": planes["gm"][n],
            "usual_clusters": _clusters_of_slice(row, planes["image"][n])
            if wanted.labelled
            else empty,
        }
        for n, row in enumerate(rows)
    ]


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
    return _nearest(plane, inside, np.sort(centres[:, 0]))


def _clusters_of_slice(row: dict[str, object], usual: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Share a usual section out among the clusters of its slice."""
    plane, own = np.asarray(row["image"]).ravel(), np.asarray(row["clusters"]).ravel()
    count = np.bincount(own, minlength=CLUSTERS + 1)[1:]
    centres = np.bincount(own, plane, CLUSTERS + 1)[1:] / np.maximum(count, 1)
    return _nearest(usual, usual > 0, np.maximum.accumulate(centres))


def _nearest(
    plane: NDArray[np.float32], inside: NDArray[np.bool_], centres: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the nearest of ten rising grays, 1 to 10; 0 where there is no image."""
    place = np.searchsorted((centres[1:] + centres[:-1]) / 2, plane) + 1
    return np.where(inside, place, 0).astype(np.uint8)
