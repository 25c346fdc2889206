"""The viewer of one participant: a page that scrolls through the cord in three planes.

The page holds NiiVue and the images themselves: the box around the cord, 8 bit, with its masks.
"""

import base64
import gzip
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import viewer_path
from spinalprep.image import Image, grid_with_spacing, resample
from spinalprep.reports import views
from spinalprep.reports.facts import ReportFacts
from spinalprep.reports.run_outputs import RunOutputs
from spinalprep.reports.scenes import Scene

MOST_BYTES = 8_000_000  # of the whole page
MARGINS_MM = (20.0, 12.0, 6.0)  # around the cord: the widest that fits
COARSEST_MM = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0)  # voxels that are smaller are averaged
SHOWN_PERCENT = (0.1, 99.9)  # of the box: what 8 bits span


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
        part = tuple(slice(a, a + n) for a, n in zip(self.corner, self.size, strict=True))
        affine = image.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ self.corner
        inside = Image(image.data[part].astype(np.float32), affine)
        if not np.allclose(self.spacing, image.voxel_sizes):
            if order:
                width = np.maximum(self.spacing / image.voxel_sizes - 1, 0) / 2
                inside = inside.with_data(ndimage.gaussian_filter(inside.data, width))
            inside = resample(inside, *grid_with_spacing(inside, list(self.spacing)), order)
        flip = np.diag([-1.0, 1.0, 1.0, 1.0])
        flip[0, 3] = inside.shape[0] - 1
        return Image(np.ascontiguousarray(inside.data[::-1]), inside.affine @ flip)


def write_viewer(out_dir: Path, participant: str, facts: ReportFacts) -> Path | None:
    """Write ``out_dir/sub-<participant>_viewer.html`` from what lies in the output folder.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    participant : str
        Label without ``sub-``.
    facts : ReportFacts
        What the folder does not tell.

    Returns
    -------
    path : Path or None
        The page, at most `MOST_BYTES` large; None where no image has a cord, and a page of an
        earlier run is removed.
    """
    path = viewer_path(out_dir, participant)
    found = [(run, RunOutputs(out_dir, run)) for run in facts.runs]
    scenes = [(run.prefix, out, out.scene) for run, out in found if out.scene is not None]
    if not scenes:
        path.unlink(missing_ok=True)
        return None
    room, library = files("spinalprep.reports"), files("spinalprep") / "data" / "niivue"
    page = {
        "participant": f"sub-{participant}",
        "version": facts.version,
        "style": (room / "viewer.css").read_text(encoding="utf-8"),
        "script": (room / "viewer.js").read_text(encoding="utf-8"),
        "niivue": (library / "niivue.js").read_text(encoding="utf-8"),
        "licence": (library / "LICENSE.txt").read_text(encoding="utf-8"),
        "colours": views.COLOURS,
    }
    template = Environment(autoescape=True).from_string(
        (room / "viewer.html.jinja").read_text(encoding="utf-8")
    )
    left = MOST_BYTES - len(template.render(page, runs=[]).encode("utf-8"))
    runs = [
        _fitting(prefix, out, scene, left // len(scenes))
        for prefix, out, scene in scenes
        if scene is not None
    ]
    put_text(out_dir, path, template.render(page, runs=runs))
    return path


def _fitting(prefix: str, outputs: RunOutputs, scene: Scene, most: int) -> dict[str, Any]:
    """Return an image with its masks, as large and as fine as ``most`` bytes allow."""
    assert outputs.cord is not None
    for coarsest_mm, margin_mm in itertools.product(COARSEST_MM, MARGINS_MM):
        box = Box.around(outputs.cord, margin_mm, coarsest_mm)
        volumes = _volumes(box, outputs, scene)
        if sum(map(len, volumes.values())) < 0.97 * most:  # the rest is names and levels
            break
    return {
        "name": prefix,
        "volumes": volumes,
        "window": _window(box, scene),
        "first": int(box.corner[2]),
        "thick": float(box.spacing[2] / scene.image.voxel_sizes[2]),
        "levels": _levels(scene),
        "doubtful": sorted(int(k) for k in scene.doubtful),
        "lesions": _lesions(box, outputs.image("lesions")),
        "start": _start(box.cut(outputs.cord).data > 0.5),
        "note": _note(box, scene),
    }


def _volumes(box: Box, outputs: RunOutputs, scene: Scene) -> dict[str, str]:
    """Return image, masks and numbered lesions as base64 of compressed NIfTI, by name."""
    low, high = _span(box, scene)
    image = box.cut(scene.image)
    grey = np.round(255 * np.clip((image.data - low) / (high - low), 0, 1))
    volumes = {"image": _encode(image.with_data(grey))}
    for name, mask in scene.masks.items():
        part = box.cut(mask.with_data(mask.data.astype(np.float32)))
        smooth = ndimage.gaussian_filter(part.data, (views.SMOOTH, views.SMOOTH, 0))
        volumes[name] = _encode(part.with_data(np.round(255 * np.clip(smooth, 0, 1))))
    lesions = outputs.image("lesions")
    if lesions is not None:
        volumes["numbers"] = _encode(box.cut(lesions, order=0))
    return volumes


def _encode(image: Image) -> str:
    """Return an image of whole numbers from 0 to 255 as base64 of compressed NIfTI."""
    made = nib.Nifti1Image(image.data.astype(np.uint8), image.affine)
    return base64.b64encode(gzip.compress(made.to_bytes(), 9, mtime=0)).decode("ascii")


def _span(box: Box, scene: Scene) -> tuple[float, float]:
    """Return the values of the image that become 0 and 255."""
    part = [slice(a, a + n) for a, n in zip(box.corner, box.size, strict=True)]
    low, high = np.nanpercentile(scene.image.data[tuple(part)], SHOWN_PERCENT)
    low, high = min(low, scene.window.low), max(high, scene.window.high)
    return float(low), float(max(high, low + 1e-6))


def _window(box: Box, scene: Scene) -> list[float]:
    """Return what is shown as black and as white, of 0 to 255."""
    low, high = _span(box, scene)
    ends = (scene.window.low, scene.window.high)
    return [round(255 * (end - low) / (high - low), 1) for end in ends]


def _levels(scene: Scene) -> list[dict[str, Any]]:
    """Return the name of every vertebral level with its first and last slice, of the image."""
    slices: dict[str, list[int]] = {}
    for k, level in scene.levels.items():
        slices.setdefault(level, []).append(k)
    return [{"name": name, "low": min(ks), "high": max(ks)} for name, ks in slices.items()]


def _lesions(box: Box, lesions: Image | None) -> Sequence[Mapping[str, Any]]:
    """Return number and a voxel in the middle of every lesion, on the grid of the page."""
    if lesions is None:
        return []
    labels = np.round(box.cut(lesions, order=0).data).astype(int)
    numbers = np.unique(labels[labels > 0])
    return [{"number": int(n), "voxel": _middle(labels == n)} for n in numbers]


def _start(cord: NDArray[np.bool_]) -> list[int]:
    """Return the middle of the cord in the slice halfway along it."""
    slices = np.flatnonzero(cord.any(axis=(0, 1)))
    k = int(slices[len(slices) // 2])
    return [*_middle(cord[:, :, k]), k]


def _middle(mask: NDArray[np.bool_]) -> list[int]:
    """Return the voxel of a mask that is nearest to its centre."""
    ijk = np.argwhere(mask)
    nearest = np.linalg.norm(ijk - ijk.mean(axis=0), axis=1).argmin()
    return [int(i) for i in ijk[nearest]]


def _note(box: Box, scene: Scene) -> str:
    """Return what the page shows in place of the image's own voxels."""
    sizes = " x ".join(f"{size:.2g}" for size in box.spacing)
    if np.allclose(box.spacing, scene.image.voxel_sizes):
        return f"voxels of {sizes} mm"
    return f"shown with coarser voxels of {sizes} mm to keep the file small"
