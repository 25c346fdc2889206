"""Training material: labelled axial slices of people and of the template."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, load, reorient, resample, resample_like
from spinalprep.networks.window import axial_at
from spinalprep.training.extra import cauda_equina, digital_volumes

CLUSTERS = 10
Labelled = tuple[str, Image, Image | None, Image | None, Image | None]
PERSONS = {"10062Ses1": "10062", "10062Ses2": "10062", "9709Ses1": "9709", "9709Ses2": "9709"}


@dataclass(frozen=True)
class Slices:
    """Slices on one grid, all float32 or uint8, shape (n, H, W).

    Attributes
    ----------
    image : ndarray
        Intensities, about 0 to 1 in every slice, zero where there is no image.
    clusters : ndarray of uint8
        Intensity clusters 1 to 10; 0 where there is no image.
    cord, gm : ndarray
        Share of the pixel that is cord, grey matter.
    has_gm, has_cord : ndarray of bool, shape (n,)
        Whether anybody drew it; where the cord was not drawn, ``centre`` is all that is known.
    centre : ndarray of float32, shape (n, 2)
        Pixel of the cord's centre.
    person : ndarray of str, shape (n,)
        Who; ``PAM50`` for the template.
    """

    image: NDArray[np.float32]
    clusters: NDArray[np.uint8]
    cord: NDArray[np.float32]
    gm: NDArray[np.float32]
    has_gm: NDArray[np.bool_]
    has_cord: NDArray[np.bool_]
    centre: NDArray[np.float32]
    person: NDArray[np.str_]

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


def read_slices(shared: Path, spacing_mm: float, size: int, centred: bool) -> Slices:
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

    Notes
    -----
    Rescans (``run-2``) are left out: nobody labelled them, and two of the five moved by up to
    0.9 mm. ``sub-t2s`` has grey matter alone and teaches where the centre is. ``phantom`` are
    digital persons; ``lumbar`` is the canal below the conus, where there is no cord.
    """
    if not (shared / "data" / "bids-dev").is_dir():
        raise InputError(f"{shared}/data/bids-dev is missing; give the folder with --shared")
    return gather_slices(_volumes(shared), spacing_mm, size, centred)


def gather_slices(
    volumes: Iterable[Labelled], spacing_mm: float, size: int, centred: bool
) -> Slices:
    """Cut labelled volumes into slices on one grid, as `read_slices` does.

    Parameters
    ----------
    volumes : iterable of Labelled
        Person, image, cord, grey matter, and a mask to centre on in place of them; LAS, None
        where nobody drew it.
    spacing_mm, size, centred
        As for `read_slices`.

    Raises
    ------
    InputError
        If no slice has a label.
    """
    rows: list[dict[str, object]] = []
    for person, image, cord, gm, guide in volumes:
        rows += _rows(person, image, (cord, gm, guide), (spacing_mm, size, centred))
    if not rows:
        raise InputError("no slice has a label; expected masks of the cord or of grey matter")
    columns = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    return Slices(**columns)


def _volumes(shared: Path) -> Iterator[Labelled]:
    """Yield person, image, cord, grey matter, and what to centre on, of every volume, LAS."""
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
        yield PERSONS.get(label, label), image, masks[0], masks[1], None
    for image, share, grey in digital_volumes():
        yield "phantom", image, share, grey, None
    below = cauda_equina(raw)
    if below is not None:
        image, canal = below
        none = image.with_data(np.zeros(image.shape, np.float32))
        yield "lumbar", image, none, none, canal
    yield "PAM50", *_template(shared), None


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


def _rows(
    person: str,
    image: Image,
    drawn: tuple[Image | None, Image | None, Image | None],
    grid: tuple[float, int, bool],
) -> Iterator[dict[str, object]]:
    """Yield one record per labelled slice."""
    cord, gm, guide = drawn
    spacing_mm, size, centred = grid
    fine = axial_at(image, spacing_mm)
    blank = fine.with_data(np.zeros(fine.shape, np.float32))
    cord_there = resample_like(cord, fine) if cord is not None else blank
    gm_there = resample_like(gm, fine) if gm is not None else blank
    middles = cord_there if cord is not None else gm_there
    if guide is not None:
        middles = resample_like(guide, fine)
    for k in np.flatnonzero(middles.data.sum(axis=(0, 1)) > 5):
        centre = np.array(ndimage.center_of_mass(middles.data[:, :, k]))
        middle = np.rint(centre if centred else np.array(fine.shape[:2]) / 2).astype(int)
        planes = [_window(v.data[:, :, k], middle, size) for v in (fine, cord_there, gm_there)]
        inside = _window(np.ones(fine.shape[:2], np.float32), middle, size) > 0
        scaled = _scale(planes[0], inside)
        yield {
            "image": scaled,
            "clusters": _clusters(scaled, inside),
            "cord": planes[1],
            "gm": planes[2],
            "has_gm": np.bool_(gm is not None),
            "has_cord": np.bool_(cord is not None),
            "centre": (centre - middle + size // 2).astype(np.float32),
            "person": np.str_(person),
        }


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
