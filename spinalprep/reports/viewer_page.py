"""What every viewer shares: one page with NiiVue and the images themselves, 8 bit, cropped."""

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import nibabel as nib
import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, grid_with_spacing, resample
from spinalprep.reports import views
from spinalprep.reports.policy import content_policy

MOST_BYTES = 8_000_000  # of the whole page
MARGINS_MM = (20.0, 12.0, 6.0)  # around the cord: the widest that fits
COARSEST_MM = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0)  # voxels that are smaller are averaged


@dataclass(frozen=True)
class Box:
    """A part of an image's grid, with coarser voxels where it would be too large.

    Attributes
    ----------
    corner : ndarray of int, shape (3,)
        First voxel.
    size : ndarray of int, shape (3,)
    spacing : ndarray of float, shape (3,)
        Voxel sizes in mm, at least those of the image.
    """

    corner: NDArray[np.intp]
    size: NDArray[np.intp]
    spacing: NDArray[np.float64]

    @classmethod
    def around(cls, cord: Image, margin_mm: float, coarsest_mm: float) -> "Box":
        """Return the box of a mask with a margin, as far as the image goes."""
        ijk = np.argwhere(cord.data > 0.5)
        margin = np.ceil(margin_mm / np.asarray(cord.voxel_sizes)).astype(int)
        low = np.maximum(ijk.min(axis=0) - margin, 0)
        high = np.minimum(ijk.max(axis=0) + margin + 1, cord.shape)
        return cls(low, high - low, np.maximum(cord.voxel_sizes, coarsest_mm))

    def cut(self, image: Image, order: int = 1) -> Image:
        """Return the part of an image in the voxel order LAS, in the order RAS."""
        inside = self.crop(image)
        if not np.allclose(self.spacing, image.voxel_sizes):
            if order:
                width = np.maximum(self.spacing / image.voxel_sizes - 1, 0) / 2
                inside = inside.with_data(ndimage.gaussian_filter(inside.data, width))
            inside = resample(inside, *grid_with_spacing(inside, list(self.spacing)), order)
        flip = np.diag([-1.0, 1.0, 1.0, 1.0])
        flip[0, 3] = inside.shape[0] - 1
        return Image(np.ascontiguousarray(inside.data[::-1]), inside.affine @ flip)

    def crop(self, image: Image) -> Image:
        """Return the part of an image with its own voxels, in their order."""
        affine = image.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ self.corner
        return Image(self.part(image).astype(np.float32), affine)

    def part(self, image: Image) -> NDArray[Any]:
        """Return the values of an image inside, with its own voxels."""
        inside = tuple(slice(a, a + n) for a, n in zip(self.corner, self.size, strict=True))
        return image.data[inside]

    def note(self, image: Image) -> str:
        """Return what the page shows in place of the image's own voxels."""
        sizes = " x ".join(f"{size:.2g}" for size in self.spacing)
        if np.allclose(self.spacing, image.voxel_sizes):
            return f"voxels of {sizes} mm"
        return f"shown with coarser voxels of {sizes} mm to keep the file small"


def encode(image: Image, kind: type[np.unsignedinteger[Any]] = np.uint8) -> str:
    """Return an image of whole numbers as base64 of compressed NIfTI."""
    made = nib.Nifti1Image(image.data.astype(kind), image.affine)
    return base64.b64encode(gzip.compress(made.to_bytes(), 9, mtime=0)).decode("ascii")


def middle(mask: NDArray[np.bool_]) -> list[int]:
    """Return the voxel of a mask that is nearest to its center."""
    ijk = np.argwhere(mask)
    nearest = np.linalg.norm(ijk - ijk.mean(axis=0), axis=1).argmin()
    return [int(i) for i in ijk[nearest]]


def start_of(cord: NDArray[np.bool_]) -> list[int]:
    """Return the middle of the cord in the slice halfway along it."""
    slices = np.flatnonzero(cord.any(axis=(0, 1)))
    k = int(slices[len(slices) // 2])
    return [*middle(cord[:, :, k]), k]


@dataclass(frozen=True)
class Page:
    """A viewer without its images.

    Attributes
    ----------
    title : str
        Of the page.
    report : str
        Name of the file to go back to.
    version : str
        Of spinalprep.
    """

    title: str
    report: str
    version: str

    def render(
        self, runs: Sequence[Mapping[str, Any]], shared: Mapping[str, Any] | None = None
    ) -> str:
        """Return the page.

        Parameters
        ----------
        runs : sequence of mapping
            One per image or map that can be chosen, as ``viewer.js`` reads them.
        shared : mapping, optional
            What all have in common.
        """
        room, library = files("spinalprep.reports"), files("spinalprep") / "data" / "niivue"
        script = (room / "viewer.js").read_text(encoding="utf-8")
        niivue = (library / "niivue.js").read_text(encoding="utf-8")
        template = Environment(autoescape=True).from_string(
            (room / "viewer.html.jinja").read_text(encoding="utf-8")
        )
        return template.render(
            page=self,
            runs=runs,
            shared=shared or {},
            colours=views.COLOURS,
            style=(room / "viewer.css").read_text(encoding="utf-8"),
            script=script,
            niivue=niivue,
            licence=(library / "LICENSE.txt").read_text(encoding="utf-8"),
            policy=content_policy(niivue, script),
        )

    @property
    def bytes_left(self) -> int:
        """How many bytes images may take."""
        return MOST_BYTES - len(self.render([]).encode("utf-8"))
