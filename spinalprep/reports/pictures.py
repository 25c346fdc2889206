"""Pictures of a report: images in grey, outlines in colour, one PNG each."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from spinalprep.image import Image, sample, to_world
from spinalprep.tables import is_true

COLOURS = {
    "cord": "#ff4d4d",
    "automatic": "#4dc3ff",
    "template": "#ffd24d",
    "gm": "#7dff7d",
    "lesion": "#ff4dff",
}
HALF_MM, PIXEL_MM = 20.0, 0.35
COLUMNS, MOST_TILES = 8, 32
DARK = "#101418"
DOUBT = "#ff9f1c"


HATCHED: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": DOUBT,
    "hatch": "///",
    "linewidth": 0.0,
    "alpha": 0.5,
}

Span = tuple[float, float]  # lower and upper end, mm


@dataclass(frozen=True)
class Path3D:
    """The centerline as the axial slices see it: slice index and RAS+ point in mm."""

    slices: NDArray[np.intp]
    xyz: NDArray[np.float64]

    @classmethod
    def from_mask(cls, centerline: Image) -> "Path3D":
        """Return the path of a mask with at most one voxel per axial slice."""
        ijk = np.argwhere(centerline.data > 0)
        ijk = ijk[np.argsort(ijk[:, 2])]
        return cls(ijk[:, 2], to_world(ijk.astype(float), centerline.affine))


def to_uri(figure: Figure, dpi: int = 80) -> str:
    """Return a figure as a ``data:`` address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def cord_mosaic(
    image: Image,
    path: Path3D,
    outlines: Mapping[str, Image],
    names: Mapping[int, str] | None = None,
    doubtful: Collection[int] = (),
) -> str:
    """Draw axial windows of 40 mm around the cord, top to bottom, with outlines.

    Parameters
    ----------
    image : Image
        Reference image, LAS.
    path : Path3D
        Where the cord is.
    outlines : mapping of str to Image
        Masks or probabilities (outline at 0.5), by the names of `COLOURS`.
    names : mapping of int to str, optional
        Vertebral level of a slice.
    doubtful : collection of int
        Slices to mark, as the outline is doubtful there.
    """
    count = min(len(path.slices), MOST_TILES)
    chosen = np.unique(np.linspace(0, len(path.slices) - 1, count).round().astype(int))[::-1]
    rows = -(-len(chosen) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 1.9, rows * 1.98), facecolor=DARK)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, n in zip(axes, chosen, strict=False):
        k = int(path.slices[n])
        points = _window(image, path.xyz[n])
        _show(axis, sample(image, points))
        for name, mask in outlines.items():
            values = sample(mask, points)
            if values.max() > 0.5:
                axis.contour(values.T, [0.5], colors=COLOURS[name], linewidths=1.0)
        level = (names or {}).get(k, "")
        unsure = k in doubtful
        words = f"{k}  {level}  doubtful" if unsure else f"{k}  {level}"
        colour = DOUBT if unsure else "white"
        if unsure:
            axis.add_patch(_frame(axis))
        told = axis.text(2, 2, words, color=colour, fontsize=7, va="bottom")
        told.set_path_effects([withStroke(linewidth=2, foreground="black")])  # on fat, too
    figure.subplots_adjust(0, 0, 1, 1, 0.02, 0.02)
    return to_uri(figure)


def sagittal_view(
    image: Image,
    path: Path3D,
    outlines: Mapping[str, Image],
    discs: Mapping[str, float],
    doubtful: Sequence[Span] = (),
) -> str:
    """Draw the sagittal and the coronal plane that follow the cord.

    Parameters
    ----------
    image, path, outlines
        As for `cord_mosaic`.
    discs : mapping of str to float
        Name and z in mm (RAS+) of every disc to mark.
    doubtful : sequence of (low, high)
        z in mm (RAS+) to hatch: where the outline is doubtful.
    """
    z = path.xyz[:, 2]
    order = np.argsort(z)
    offsets = np.arange(-45.0, 45.0, 0.6)
    fine = np.arange(z.min(), z.max() + 0.3, 0.6)
    centre = np.stack([np.interp(fine, z[order], path.xyz[order, n]) for n in (0, 1)], axis=-1)
    height = max(2.2, min(7.5, 0.055 * np.ptp(fine) + 0.8))
    figure = Figure(figsize=(12, height), facecolor=DARK)
    for axis, across, title in zip(
        figure.subplots(1, 2), (1, 0), ("sagittal, anterior to the right", "coronal"), strict=True
    ):
        points = np.empty((len(offsets), len(fine), 3))
        points[..., :2] = centre[None]
        points[..., across] += offsets[:, None]
        points[..., 2] = fine[None]
        extent = (offsets[0], offsets[-1], fine[0], fine[-1])
        _show(axis, sample(image, points), extent)
        for name, mask in outlines.items():
            values = sample(mask, points)
            if values.max() > 0.5:
                axis.contour(values.T, [0.5], colors=COLOURS[name], linewidths=1.0, extent=extent)
        for name, at in discs.items():
            if fine[0] <= at <= fine[-1]:
                axis.axhline(at, color="#ffd24d", linewidth=0.7, alpha=0.8)
                axis.text(offsets[0] + 1, at, name, color="#ffd24d", fontsize=8, va="bottom")
        for low, high in doubtful:
            axis.axhspan(max(low, fine[0]), min(high, fine[-1]), **HATCHED)
        axis.set_title(title, color="white", fontsize=9)
        axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.93, 0.03)
    return to_uri(figure)


def area_plot(table: pd.DataFrame) -> str:
    """Draw area with its interval, and diameters, along the cord; levels as bands.

    Where the outline is doubtful the plot is hatched.
    """
    figure = Figure(figsize=(12, 3.4))
    area, width = figure.subplots(1, 2)
    z = table["z_mm"].to_numpy(float)
    whole = is_true(table["complete"])
    shown = np.where(whole, table["area_mm2"].to_numpy(float), np.nan)
    area.plot(z, shown, ".-", color="#c0392b", linewidth=1.2)
    if "area_mm2_lower" in table:
        ends = (table[f"area_mm2_{end}"].to_numpy(float) for end in ("lower", "upper"))
        low, high = (np.where(whole, end, np.nan) for end in ends)
        area.fill_between(z, low, high, color="#c0392b", alpha=0.15, linewidth=0)
    area.set_ylabel("area (mm$^2$)")
    for name, label, colour in (
        ("diameter_rl_mm", "right-left", "#2874a6"),
        ("diameter_ap_mm", "front-back", "#b9770e"),
    ):
        values = np.where(whole, table[name].to_numpy(float), np.nan)
        width.plot(z, values, ".-", color=colour, label=label, linewidth=1.2)
    width.set_ylabel("diameter (mm)")
    width.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    for axis in (area, width):
        axis.set_xlabel("z (mm), superior to the left")
        axis.invert_xaxis()
        axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
        axis.grid(alpha=0.25)
        _bands(axis, table)
        for span in doubtful_spans(table):
            axis.axvspan(*span, **HATCHED)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return to_uri(figure, dpi=90)


def doubtful_spans(table: pd.DataFrame) -> list[Span]:
    """Return the stretches of a table of slices whose outline is doubtful, z in mm."""
    ordered = table.sort_values("z_mm")
    z, half = ordered["z_mm"].to_numpy(float), ordered["length_mm"].to_numpy(float) / 2
    spans: list[Span] = []
    before = -2
    for n in np.flatnonzero(is_true(ordered["doubtful"])):
        low, high = float(z[n] - half[n]), float(z[n] + half[n])
        if n == before + 1:
            low = spans.pop()[0]
        spans.append((low, high))
        before = n
    return spans


def flicker_pair(first: Image, second: Image, path: Path3D, outline: Image | None) -> list[str]:
    """Draw the same windows of two images on one grid, to be shown in turn."""
    outlines = {} if outline is None else {"cord": outline}
    count = min(len(path.slices), COLUMNS)
    chosen = np.unique(np.linspace(0, len(path.slices) - 1, count).round().astype(int))
    few = Path3D(path.slices[chosen], path.xyz[chosen])
    return [cord_mosaic(image, few, outlines) for image in (first, second)]


def whole_slices(images: Sequence[Image]) -> list[str]:
    """Draw the same three axial slices and the middle sagittal one of images on one grid."""
    pictures = []
    for image in images:
        figure = Figure(figsize=(12, 3.1), facecolor=DARK)
        depth = image.shape[2]
        planes = [image.data[:, :, int(depth * f)] for f in (0.2, 0.5, 0.8)]
        sizes = [(image.voxel_sizes[0], image.voxel_sizes[1])] * 3
        planes.append(image.data[image.shape[0] // 2])
        sizes.append((image.voxel_sizes[1], image.voxel_sizes[2]))
        for axis, plane, size in zip(figure.subplots(1, 4), planes, sizes, strict=True):
            _show(axis, plane, (0, plane.shape[0] * size[0], 0, plane.shape[1] * size[1]))
            axis.axis("off")
        figure.subplots_adjust(0, 0, 1, 1, 0.02)
        pictures.append(to_uri(figure))
    return pictures


def _window(image: Image, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return RAS+ points of a window in the axial slice through a point.

    Right to left, then posterior to anterior.
    """
    offsets = np.arange(-HALF_MM, HALF_MM, PIXEL_MM)
    unit = image.affine[:3, :2] / image.voxel_sizes[:2]
    grid = offsets[:, None, None] * unit[:, 0] + offsets[None, :, None] * unit[:, 1]
    points: NDArray[np.float64] = centre + grid
    return points


def _frame(axis) -> Rectangle:  # type: ignore[no-untyped-def]
    """Return a dashed frame around a picture: a hatch would hide what it shows."""
    place = {"transform": axis.transAxes, "clip_on": False}
    return Rectangle((0.01, 0.01), 0.98, 0.98, fill=False, ec=DOUBT, lw=1.5, ls="--", **place)


def _show(axis, plane, extent=None) -> None:  # type: ignore[no-untyped-def]
    low, high = np.percentile(plane, [1, 99.5])
    axis.imshow(
        plane.T, cmap="gray", origin="lower", vmin=low, vmax=max(high, low + 1e-6), extent=extent
    )


def _bands(axis, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    """Shade every second vertebral level and name all."""
    known = table.dropna(subset=["vertebral_level"])
    for n, (level, rows) in enumerate(known.groupby("vertebral_level", sort=False)):
        low, high = rows["z_mm"].min(), rows["z_mm"].max()
        if n % 2:
            axis.axvspan(low, high, color="#000000", alpha=0.05, linewidth=0)
        axis.text((low + high) / 2, 0.5, str(level), ha="center", va="bottom", fontsize=8)
