"""Figures of the group's report: vector graphics, colors that everybody can tell apart."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinalprep.group.design import EVERYBODY
from spinalprep.image import Image
from spinalprep.levels.discs import level_name

COHORT_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe, Ito
GREY = "#555555"
MARKERS, LINES = ("o", "s", "^", "D", "v", "P"), ("-", "--", ":", "-.")  # not by color alone
PROBABILITY = "viridis"
PEOPLE_SHARE = "participants with a lesion /\nparticipants covering"
UNKNOWN = "#d9d9d9"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "spinalprep",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # names of cohorts and people may hold a dollar sign
}
FEW = 10  # covered by fewer: hatched, since one person is worth 10 percentage points or more
MARGIN = 2  # voxels around the cord in a tile
TILES_ACROSS = 10


@dataclass(frozen=True)
class Anatomy:
    """The template behind the maps: cord, levels and gray matter on one grid."""

    cord: Image
    levels: Image
    gm: Image | None

    def level_slices(self) -> dict[int, NDArray[np.intp]]:
        """Return the axial slices of every vertebral level, superior first."""
        inside = np.where(self.cord.data > 0.5, self.levels.data, 0)
        found: dict[int, list[int]] = {}
        for k in np.flatnonzero(inside.any(axis=(0, 1)))[::-1]:
            counts = np.bincount(inside[:, :, k].astype(int).ravel())
            counts[0] = 0
            found.setdefault(int(counts.argmax()), []).append(int(k))
        return {level: np.array(slices) for level, slices in sorted(found.items())}

    def window(self) -> tuple[slice, slice]:
        """Return the in-plane window around the cord."""
        ij = np.argwhere((self.cord.data > 0.5).any(axis=2))
        low = np.maximum(ij.min(axis=0) - MARGIN, 0)
        high = np.minimum(ij.max(axis=0) + MARGIN + 1, self.cord.shape[:2])
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG for a page: the same figure, the same bytes."""
    buffer = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def level_tiles(
    anatomy: Anatomy,
    rows: Mapping[str, tuple[Image, Image]],
    people: Mapping[str, int],
    top: float | None = None,
) -> Figure | None:
    """Draw the mean map of every vertebral level, one row per cohort.

    Parameters
    ----------
    anatomy : Anatomy
    rows : mapping of str to (Image, Image)
        Lesion probability (NaN unknown) and coverage of each cohort.
    people : mapping of str to int
        Size of each cohort; the number under a tile is how many cover it.
    top : float, optional
        Upper end of the colors; the highest tile of all otherwise.
    """
    window = anatomy.window()
    slices = {n: k for n, k in anatomy.level_slices().items() if n > 0}
    known = np.any([np.isfinite(m.data).any(axis=(0, 1)) for m, _ in rows.values()], axis=0)
    covered = np.any([(c.data > 0).any(axis=(0, 1)) for _, c in rows.values()], axis=0)
    which = known if known.any() else covered
    shown = [n for n, k in slices.items() if which[k].any()]
    if not shown:
        return None
    means = {
        name: {n: _level_mean(m.data[(*window, slices[n])]) for n in shown}
        for name, (m, _) in rows.items()
    }
    peak = max((np.nanmax(t) for r in means.values() for t in r.values() if _known(t)), default=0.0)
    scale = Normalize(0.0, top or max(float(peak), 0.01))
    places = tile_places(len(shown))
    blocks, across = (1 + max(own) for own in zip(*places, strict=True))
    figure = Figure(figsize=(1.1 * across + 2.0, 1.2 * len(rows) * blocks + 0.6))
    axes = figure.subplots(len(rows) * blocks, across, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for row, (name, (_, coverage)) in enumerate(rows.items()):
        for (block, column), n in zip(places, shown, strict=True):
            axis = axes[block * len(rows) + row][column]
            axis.set_axis_on()
            draw_tile(axis, means[name][n], anatomy, slices[n], scale)
            counts = coverage.data[:, :, slices[n]] * people[name]
            hatch_few(axis, counts[window].max(axis=2), np.isfinite(means[name][n]))
            axis.set_xlabel(people_text(counts.max(axis=(0, 1))), fontsize=8, labelpad=2)
            if row == 0:
                axis.set_title(level_name(n), fontsize=9, pad=3)
            if column == 0:
                axis.set_ylabel(f"{name}\n(n = {people[name]})")
    side_letters(axes[0][0], anatomy)
    figure.subplots_adjust(0.07, 0.05, 1 - 1.3 / figure.get_figwidth(), 0.95, 0.06, 0.3)
    if known.any():
        colour_bar(figure, scale, PEOPLE_SHARE)
    return figure


def tile_places(count: int) -> list[tuple[int, int]]:
    """Return block and column of every tile, in blocks of equal width.

    Examples
    --------
    >>> tile_places(3)
    [(0, 0), (0, 1), (0, 2)]
    >>> tile_places(12)[5:7]
    [(0, 5), (1, 0)]
    """
    across = -(-count // -(-count // TILES_ACROSS))
    return [divmod(n, across) for n in range(count)]


def projections(
    anatomy: Anatomy,
    rows: Mapping[str, tuple[Image, Image]],
    people: Mapping[str, int],
    shades: Mapping[str, str],
) -> Figure:
    """Draw sagittal and coronal maxima of the probability, and the coverage along the cord.

    Levels of which no map shows anything are cut off.
    """
    rows_of = _shown_slices(anatomy, rows)
    window = anatomy.window()
    width = 2.7 * len(rows) + 4.2
    figure = Figure(figsize=(width, 7.2))
    axes = figure.subplots(1, 2 * len(rows) + 1, width_ratios=[1] * (2 * len(rows)) + [2.2])
    peak = max(float(np.nanmax(m.data)) if _known(m.data) else 0.0 for m, _ in rows.values())
    scale = Normalize(0.0, max(peak, 0.01))
    z = np.arange(rows_of.start, rows_of.stop)
    for n, (name, (probability, coverage)) in enumerate(rows.items()):
        block = probability.data[(*window, rows_of)]
        counts = coverage.data[(*window, rows_of)] * people[name]
        for axis, across, title in zip(
            axes[2 * n : 2 * n + 2], (0, 1), ("sagittal", "coronal"), strict=True
        ):
            plane = _maximum(block, across)
            extent = (-0.5, plane.shape[0] - 0.5, z[0], z[-1])
            axis.set_facecolor(UNKNOWN)
            axis.imshow(
                plane.T,
                origin="lower",
                extent=extent,
                aspect="auto",
                cmap=PROBABILITY,
                norm=scale,
                interpolation="nearest",
            )
            hatch_few(axis, counts.max(axis=across), np.isfinite(plane), extent)
            axis.set_title(f"{name} (n = {people[name]})\n{title}, maximum", fontsize=8)
            axis.set_xticks([])
            if across == 1:
                side_letters(axis, anatomy)
            else:
                front_letters(axis, anatomy)
            _level_borders(axis, anatomy, n == 0 and across == 0)
    _coverage_curve(axes[-1], anatomy, rows, people, shades)
    for axis in axes:
        axis.set_ylim(z[0], z[-1])
    figure.subplots_adjust(0.06, 0.08, 1 - 1.3 / width, 0.92, 0.25)
    if any(_known(m.data) for m, _ in rows.values()):
        colour_bar(figure, scale, PEOPLE_SHARE)
    return figure


def _shown_slices(anatomy: Anatomy, rows: Mapping[str, tuple[Image, Image]]) -> slice:
    """Return the axial slices of all levels that a map shows, and what it shows above them."""
    known = np.any([np.isfinite(m.data).any(axis=(0, 1)) for m, _ in rows.values()], axis=0)
    covered = np.any([(c.data > 0).any(axis=(0, 1)) for _, c in rows.values()], axis=0)
    cord = (anatomy.cord.data > 0.5).any(axis=(0, 1))
    which = cord & (known if known.any() else covered)
    levels = [k for n, k in anatomy.level_slices().items() if n > 0 and which[k].any()]
    seen = np.concatenate([*levels, np.flatnonzero(which if which.any() else cord)])
    return slice(int(seen.min()), int(seen.max()) + 1)


def _coverage_curve(
    axis: Any,
    anatomy: Anatomy,
    rows: Mapping[str, tuple[Image, Image]],
    people: Mapping[str, int],
    shades: Mapping[str, str],
) -> None:
    """Draw how many people cover every slice of the template's cord."""
    z = np.flatnonzero((anatomy.cord.data > 0.5).any(axis=(0, 1)))
    for name, (_, coverage) in rows.items():
        seen = coverage.data[:, :, z].max(axis=(0, 1)) * people[name]
        label = f"{name} (n = {people[name]})"
        axis.plot(seen, z, line_of(name, shades), color=shades[name], label=label)
    axis.set_xlabel("participants who cover the slice")
    axis.set_xlim(left=0)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    _level_borders(axis, anatomy, False)


def palette(cohorts: Iterable[str]) -> dict[str, str]:
    """Return the color of every cohort, the same in all figures; everybody together is gray."""
    names = sorted(set(cohorts) - {EVERYBODY})
    shades = {n: COHORT_COLOURS[i % len(COHORT_COLOURS)] for i, n in enumerate(names)}
    return {EVERYBODY: GREY, **shades}


def marker_of(name: str, shades: Mapping[str, str]) -> str:
    """Return the marker of a cohort, the same in all figures."""
    return MARKERS[_place(name, shades) % len(MARKERS)]


def line_of(name: str, shades: Mapping[str, str]) -> str:
    """Return the line style of a cohort, the same in all figures."""
    return LINES[_place(name, shades) % len(LINES)]


def _place(name: str, shades: Mapping[str, str]) -> int:
    names = [known for known in shades if known != EVERYBODY]
    return names.index(name) if name in names else 0


def _known(values: NDArray[np.floating]) -> bool:
    return bool(np.isfinite(values).any())


def _level_mean(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over slices, NaN where nothing is known."""
    known = np.isfinite(block)
    total = np.where(known, block, 0).sum(axis=2)
    count = known.sum(axis=2)
    mean: NDArray[np.float32] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _maximum(block: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the maximum along an axis, NaN where nothing is known."""
    highest = np.where(np.isfinite(block), block, -np.inf).max(axis=axis)
    plane: NDArray[np.float32] = np.where(np.isfinite(highest), highest, np.nan)
    return plane


def draw_tile(
    axis: Any,
    mean: NDArray[np.float32],
    anatomy: Anatomy,
    slices: NDArray[np.intp],
    scale: Normalize,
    colours: str = PROBABILITY,
) -> None:
    """Draw one level: the map, and the outlines of cord and gray matter."""
    window, middle = anatomy.window(), int(slices[len(slices) // 2])
    axis.set_facecolor(UNKNOWN)
    axis.imshow(mean.T, origin="lower", cmap=colours, norm=scale, interpolation="nearest")
    inner = "#ffffff" if _known(mean) and colours == PROBABILITY else GREY
    for image, shade in ((anatomy.cord, "#000000"), (anatomy.gm, inner)):
        plane = image.data[(*window, middle)] if image is not None else None
        if plane is not None and plane.max() > 0.5:
            axis.contour(plane.T, [0.5], colors=shade, linewidths=0.7)
    axis.set_xticks([])
    axis.set_yticks([])
    if anatomy.cord.affine[0, 0] > 0:
        axis.invert_xaxis()  # left is on the right of the picture, as radiologists look


def side_letters(axis: Any, anatomy: Anatomy) -> None:
    """Say which side is which: R at the picture's left."""
    if anatomy.cord.affine[0, 0] > 0 and not axis.xaxis_inverted():
        axis.invert_xaxis()
    for x, letter, side in ((0.03, "R", "left"), (0.97, "L", "right")):
        axis.text(x, 0.97, letter, transform=axis.transAxes, ha=side, va="top", fontsize=7)


def front_letters(axis: Any, anatomy: Anatomy) -> None:
    """Put anterior to the picture's left, and say so."""
    if anatomy.cord.affine[1, 1] > 0 and not axis.xaxis_inverted():
        axis.invert_xaxis()
    for x, letter, side in ((0.03, "A", "left"), (0.97, "P", "right")):
        axis.text(x, 0.97, letter, transform=axis.transAxes, ha=side, va="top", fontsize=7)


def hatch_few(
    axis: Any,
    counts: NDArray[np.floating],
    known: NDArray[np.bool_],
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """Hatch where fewer than `FEW` people stand behind a map.

    Parameters
    ----------
    axis : Axes
        Shows the map, first axis to the right.
    counts, known : ndarray, shape (width, height)
        How many people cover a pixel, and whether the map has a value there.
    extent : tuple of float, optional
        Of the map on the axis; its voxels otherwise.
    """
    few = (known & (np.round(counts) < FEW)).astype(float)
    if not few.any():
        return
    few = np.pad(few, 1)
    left, right, low, high = extent or (-0.5, few.shape[0] - 2.5, -0.5, few.shape[1] - 2.5)
    step_x, step_y = (right - left) / (few.shape[0] - 2), (high - low) / (few.shape[1] - 2)
    x = left + step_x * (np.arange(few.shape[0]) - 0.5)
    y = low + step_y * (np.arange(few.shape[1]) - 0.5)
    inside = (axis.get_xlim(), axis.get_ylim())
    drawn = axis.contourf(x, y, few.T, [0.5, 1.5], colors="none", hatches=["//////"])
    drawn.set(edgecolor="white", linewidth=0.0)
    axis.set(xlim=inside[0], ylim=inside[1])


def people_text(counts: Any) -> str:
    """Return ``n = 5-12``, or ``n = 5`` where all counts agree."""
    low, high = round(float(np.min(counts))), round(float(np.max(counts)))
    return f"n = {low}" if low == high else f"n = {low}-{high}"


def _level_borders(axis: Any, anatomy: Anatomy, named: bool) -> None:
    """Draw a line below every vertebral level."""
    ticks, names = [], []
    for level, slices in anatomy.level_slices().items():
        if level > 0:
            axis.axhline(slices.min(), color="white" if named else GREY, linewidth=0.6, alpha=0.7)
            ticks.append(float(slices.mean()))
            names.append(level_name(level))
    axis.set_yticks(ticks if named else [], names if named else [], fontsize=7)


def colour_bar(
    figure: Figure, scale: Normalize, text: str, colours: str = PROBABILITY, room: float = 1.1
) -> None:
    """Draw the scale at the right, where there are so many inches of ``room``."""
    width = figure.get_figwidth()
    place = figure.add_axes((1 - room / width, 0.22, 0.15 / width, 0.56))
    bar = figure.colorbar(mpl.cm.ScalarMappable(scale, colours), cax=place)
    bar.set_label(text, fontsize=7)
    bar.ax.tick_params(labelsize=7)
