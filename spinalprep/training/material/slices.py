"""Training material: labelled axial slices of people and of the template."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, load, reorient, resample, resample_like
from spinalprep.networks.window import axial_at, usual_sections
from spinalprep.training.material.synthetic import automatic_volumes, cauda_equina, digital_volumes

CLUSTERS = 10
PERSONS = {"10062Ses1": "10062", "10062Ses2": "10062", "9709Ses1": "9709", "9709Ses2": "9709"}


@dataclass(frozen=True)
class Labelled:
    """A volume and what somebody drew in it, LAS; None where nobody did.

    Attributes
    ----------
    person : str
    image, cord, gm, lesion : Image
        Intensities, and shares of the voxel.
    guide : Image
        A mask to centre on in place of the cord.
    """

    person: str
    image: Image
    cord: Image | None = None
    gm: Image | None = None
    lesion: Image | None = None
    guide: Image | None = None


@dataclass(frozen=True)
class Slices:
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
        Whether anybody drew it (``lesion`` may be empty); where the cord was not drawn, ``centre``
        is all that is known.
    centre : ndarray of float32, shape (n, 2)
        Pixel of the cord's centre.
    person : ndarray of str, shape (n,)
        Who; ``PAM50`` for the template.
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
    usual: NDArray[np.float32]

    def with_gm(self) -> "Slices":
        """Return the slices in which grey matter is known."""
        return Slices(*(getattr(self, name)[self.has_gm] for name in self.__dataclass_fields__))

    def without(self, people: tuple[str, ...]) -> "Slices":
        """Return the slices of everybody else; refuse a name that nobody has."""
        unknown = sorted(set(people) - set(self.person.tolist()))
        if unknown:
            raise UsageError(
                f"nobody here is called {', '.join(unknown)}; "
                f"expected some of {', '.join(sorted(set(self.person.tolist())))}"
            )
        kept = ~np.isin(self.person, people)
        return Slices(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


def read_slices(
    shared: Path, spacing_mm: float, size: int, centred: bool, usual_mm: float = 0.0
) -> Slices:
    """Read every labelled slice of ``shared/data`` on one grid.

    Parameters
    ----------
    shared : Path
        The folder with ``data/bids-dev``, ``data/PAM50`` and ``data/PAM50_small``.
    spacing_mm : float
        Edge of a pixel.
    size : int
        Height and width in pixels.
    centred : bool
        Centre the windows on the cord; otherwise on the image.
    usual_mm : float
        Reach of the usual sections beside them; with one, people whose cord nobody drew come
        along with the mask of the packaged networks.

    Notes
    -----
    Rescans (``run-2``) are left out: nobody labelled them, and two of the five moved by up to
    0.9 mm. ``sub-t2s`` has grey matter alone and teaches where the centre is. ``phantom`` are
    digital persons; ``lumbar`` is the canal below the conus, where there is no cord.
    """
    if not (shared / "data" / "bids-dev").is_dir():
        raise InputError(f"{shared}/data/bids-dev is missing; give the folder with --shared")
    volumes = _volumes(shared)
    if usual_mm > 0:
        volumes = chain(volumes, _automatic(shared))
    return gather_slices(volumes, spacing_mm, size, centred, usual_mm)


def gather_slices(
    volumes: Iterable[Labelled],
    spacing_mm: float,
    size: int,
    centred: bool,
    usual_mm: float = 0.0,
) -> Slices:
    """Cut labelled volumes into slices on one grid, as `read_slices` does.

    Parameters
    ----------
    volumes : iterable of Labelled
        LAS.
    spacing_mm, size, centred, usual_mm
        As for `read_slices`.

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
    names = Slices.__dataclass_fields__
    columns = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in names}
    return Slices(**columns)


def _volumes(shared: Path) -> Iterator[Labelled]:
    """Yield every volume that somebody labelled, the digital persons and the template."""
    raw = shared / "data" / "bids-dev"
    for path in sorted(raw.glob("sub-*/anat/*.nii.gz")):
        stem = path.name.removesuffix(".nii.gz")
        folder = raw / "derivatives" / "labels" / path.parts[-3] / "anat"
        cord, gm = (folder / f"{stem}_{end}.nii.gz" for end in ("seg-manual", "gmseg-manual"))
        if not cord.is_file() and not gm.is_file():
            continue
        label = path.parts[-3].removeprefix("sub-")
        image = reorient(load(path))
        masks = [reorient(load(p)) if p.is_file() else None for p in (cord, gm)]
        yield Labelled(PERSONS.get(label, label), image, *masks)
    for image, share, grey in digital_volumes():
        yield Labelled("phantom", image, share, grey)
    below = cauda_equina(raw)
    if below is not None:
        image, canal = below
        none = image.with_data(np.zeros(image.shape, np.float32))
        yield Labelled("lumbar", image, none, none, guide=canal)
    yield Labelled("PAM50", *_template(shared))


def _automatic(shared: Path) -> Iterator[Labelled]:
    """Yield people whose cord nobody drew with that of the packaged networks."""
    for person, image, cord in automatic_volumes(shared / "data" / "bids-dev"):
        yield Labelled(person, image, cord)


def _template(shared: Path) -> tuple[Image, Image, Image]:
    """Return the template's T2 contrast at 0.5 mm in plane, every fourth slice, with labels."""
    small = reorient(load(shared / "data" / "PAM50_small" / "PAM50_small_t2.nii.gz"))
    full = shared / "data" / "PAM50" / "template"
    cord = load(full / "PAM50_cord.nii.gz")
    gm = load(full / "PAM50_gm.nii.gz")
    slices = slice(2, None, 8)  # of 0.5 mm: one in 4 mm; full voxel = small voxel * (2, 2, 4)
    affine = cord.affine @ np.diag([1, 1, 8, 1.0])
    affine[:3, 3] = (cord.affine @ [0, 0, 2, 1])[:3]
    masks = [Image(image.data[:, :, slices], affine) for image in (cord, gm)]
    to_small = np.diag([0.5, 0.5, 2.0, 1.0])
    to_small[2, 3] = 0.5
    contrast = resample(Image(small.data, np.eye(4)), masks[0].shape, to_small)
    return Image(contrast.data, affine), masks[0], masks[1]


def _rows(volume: Labelled, grid: tuple[float, int, bool]) -> Iterator[dict[str, object]]:
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
            "has_lesion": np.bool_(volume.lesion is not None),
            "centre": (centre - middle + size // 2).astype(np.float32),
            "person": np.str_(volume.person),
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
