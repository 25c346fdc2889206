"""Figures of the group's report: vector graphics, colours that everybody can tell apart."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinalprep.image import Image
from spinalprep.levels.discs import level_name

COHORT_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe, Ito
GREY = "#555555"
ALL = "all"
PROBABILITY = "viridis"
SETTINGS: dict[Any, Any] = {"svg.hashsalt": "spinalprep", "svg.fonttype": "none", "font.size": 9.0}
HALF_WINDOW = 17  # voxels of the template's tiles, 8.5 mm on PAM50
MOST_LEVELS = 12


@dataclass(frozen=True)
class Anatomy:
    """The template behind the maps: cord, levels and grey matter on one grid."""

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
        middle = ((ij.min(axis=0) + ij.max(axis=0)) / 2).round().astype(int)
        low = np.maximum(middle - HALF_WINDOW, 0)
        high = np.minimum(middle + HALF_WINDOW + 1, self.cord.shape[:2])
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
        Upper end of the colours; the highest tile of all otherwise.
    """
    window = anatomy.window()
    slices = {n: k for n, k in anatomy.level_slices().items() if n > 0}
    covered = np.nanmax([c.data.max(axis=(0, 1)) for _, c in rows.values()], axis=0)
    shown = [n for n, k in slices.items() if covered[k].max() > 0][:MOST_LEVELS]
    if not shown:
        return None
    means = {
        name: {n: _level_mean(m.data[(*window, slices[n])]) for n in shown}
        for name, (m, _) in rows.items()
    }
    peak = max((np.nanmax(t) for r in means.values() for t in r.values() if _known(t)), default=0.0)
    scale = Normalize(0.0, top or max(float(peak), 0.01))
    figure = Figure(figsize=(1.15 * len(shown) + 1.6, 1.5 * len(rows) + 0.7))
    axes = figure.subplots(len(rows), len(shown), squeeze=False)
    for row, (name, (_, coverage)) in zip(axes, rows.items(), strict=True):
        for axis, n in zip(row, shown, strict=True):
            _tile(axis, means[name][n], anatomy, (window, slices[n]), scale)
            seen = coverage.data[:, :, slices[n]].max(axis=(0, 1)) * people[name]
            axis.set_xlabel(f"n {seen.min():.0f}-{seen.max():.0f}", fontsize=7)
        row[0].set_ylabel(f"{name}\n(n = {people[name]})")
    for axis, n in zip(axes[0], shown, strict=True):
        axis.set_title(level_name(n), fontsize=9)
    figure.subplots_adjust(0.09, 0.1, 0.88, 0.88, 0.06, 0.2)
    _colour_bar(figure, scale, "people with a lesion /\npeople covering")
    return figure


def projections(
    anatomy: Anatomy, rows: Mapping[str, tuple[Image, Image]], people: Mapping[str, int]
) -> Figure:
    """Draw sagittal and coronal maxima of the probability, and the coverage along the cord."""
    slices = np.flatnonzero((anatomy.cord.data > 0.5).any(axis=(0, 1)))
    rows_of = slice(int(slices[0]), int(slices[-1]) + 1)
    window = anatomy.window()
    figure = Figure(figsize=(2.7 * len(rows) + 3.2, 7.2))
    axes = figure.subplots(1, 2 * len(rows) + 1, width_ratios=[1] * (2 * len(rows)) + [2.2])
    peak = max(float(np.nanmax(m.data)) if _known(m.data) else 0.0 for m, _ in rows.values())
    scale = Normalize(0.0, max(peak, 0.01))
    z = np.arange(rows_of.start, rows_of.stop)
    for n, (name, (probability, _)) in enumerate(rows.items()):
        block = probability.data[(*window, rows_of)]
        for axis, across, title in zip(
            axes[2 * n : 2 * n + 2], (0, 1), ("sagittal", "coronal"), strict=True
        ):
            plane = _maximum(block, across)
            extent = (-0.5, plane.shape[0] - 0.5, z[0], z[-1])
            axis.set_facecolor("#d9d9d9")
            axis.imshow(
                plane.T,
                origin="lower",
                extent=extent,
                aspect="auto",
                cmap=PROBABILITY,
                norm=scale,
                interpolation="nearest",
            )
            axis.set_title(f"{name} (n = {people[name]})\n{title}, maximum", fontsize=8)
            axis.set_xticks([])
            _level_borders(axis, anatomy, n == 0 and across == 0)
    curve = axes[-1]
    for (name, (_, coverage)), colour in zip(rows.items(), colours(rows), strict=True):
        seen = coverage.data[:, :, rows_of].max(axis=(0, 1)) * people[name]
        curve.plot(seen, z, color=colour, label=f"{name} (n = {people[name]})")
    curve.set_xlabel("people who cover the slice")
    curve.set_ylim(z[0], z[-1])
    curve.set_xlim(left=0)
    curve.legend(frameon=False, fontsize=8, loc="lower right")
    _level_borders(curve, anatomy, False)
    figure.subplots_adjust(0.06, 0.08, 0.9, 0.92, 0.25)
    _colour_bar(figure, scale, "people with a lesion /\npeople covering")
    return figure


def occupancy_dots(table: pd.DataFrame, kind: str, levels: Sequence[str]) -> Figure | None:
    """Draw mean occupancy with its bootstrap interval per region, cohorts side by side.

    Parameters
    ----------
    table : DataFrame
        ``group_occupancy.tsv``.
    kind : str
        ``cord``, ``column``, ``tissue`` or ``tract``.
    levels : sequence of str
        Which groups of levels.
    """
    own = table[(table["kind"] == kind) & table["levels"].isin(levels)]
    own = own[own["occupancy_mean"].notna()]
    if own.empty:
        return None
    names = own["region"].str.replace(r" \(.*\)", "", regex=True)
    own = own.assign(where=names if len(levels) == 1 else names + ", " + own["levels"])
    places = list(dict.fromkeys(own["where"]))
    cohorts = _cohorts(own["cohort"])
    figure = Figure(figsize=(10, 0.26 * len(places) * max(len(cohorts), 1) ** 0.5 + 1.1))
    axis = figure.subplots()
    for n, (cohort, colour) in enumerate(zip(cohorts, colours(cohorts), strict=True)):
        part = own[own["cohort"] == cohort].set_index("where").reindex(places)
        y = np.arange(len(places)) + (n - (len(cohorts) - 1) / 2) * 0.7 / max(len(cohorts), 1)
        middle = 100 * part["occupancy_mean"].to_numpy(float)
        low = 100 * part["occupancy_lower"].to_numpy(float)
        high = 100 * part["occupancy_upper"].to_numpy(float)
        counts = part["n"].dropna()
        label = f"{cohort} (n = {counts.min():.0f}-{counts.max():.0f})"
        axis.hlines(y, low, high, color=colour, linewidth=1.4)
        axis.plot(middle, y, "o", color=colour, markersize=4, label=label)
    axis.set_yticks(np.arange(len(places)), places)
    axis.invert_yaxis()
    axis.set_xlabel("% of the covered region that is lesion: mean, 95 % bootstrap interval")
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return figure


def curve_figure(table: pd.DataFrame, measure: str, label: str) -> Figure | None:
    """Draw mean and band of a measure along the cord, per cohort.

    Parameters
    ----------
    table : DataFrame
        ``group_curves.tsv``.
    measure, label : str
        Which, and what the axis says.
    """
    own = table[(table["measure"] == measure) & table["mean"].notna()]
    if own.empty:
        return None
    figure = Figure(figsize=(10, 3.6))
    axis = figure.subplots()
    cohorts = _cohorts(own["cohort"])
    for cohort, colour in zip(cohorts, colours(cohorts), strict=True):
        part = own[own["cohort"] == cohort].sort_values("template_slice", ascending=False)
        k = part["template_slice"].to_numpy(float)
        counts = part["n"]
        text = f"{cohort} (n = {counts.min():.0f}-{counts.max():.0f})"
        axis.plot(k, part["mean"], color=colour, label=text)
        axis.fill_between(k, part["lower"], part["upper"], color=colour, alpha=0.2, linewidth=0)
    axis.invert_xaxis()
    axis.set_ylabel(label)
    axis.set_xlabel("slice of the template, head to the left; band: 95 % interval of the mean")
    named = own.dropna(subset=["vertebral_level"]).groupby("vertebral_level")["template_slice"]
    top = axis.get_ylim()[1]
    for n, (level, slices) in enumerate(sorted(named, key=lambda item: -item[1].mean())):
        if n % 2:
            axis.axvspan(slices.min(), slices.max(), color="black", alpha=0.05, linewidth=0)
        axis.text(slices.mean(), top, str(level), ha="center", va="bottom", fontsize=8)
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def strips(table: pd.DataFrame, value: str, group: str, unit: str) -> Figure | None:
    """Draw one dot per person and row of a table; each links to the person's page.

    Parameters
    ----------
    table : DataFrame
        ``participant_id``, ``cohort``, the value and the column that names the strip.
    value, group : str
        Columns.
    unit : str
        What the axis says.
    """
    own = table[pd.to_numeric(table[value], errors="coerce").notna()]
    own = own.assign(number=pd.to_numeric(own[value]))
    names = list(dict.fromkeys(own[group].dropna().astype(str)))
    if not names:
        return None
    cohorts = _cohorts(own["cohort"].fillna("n/a"))
    shades = dict(zip(cohorts, colours(cohorts), strict=True))
    figure = Figure(figsize=(8.5, 0.62 * len(names) + 0.7))
    axes = figure.subplots(len(names), 1, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=True):
        part = own[own[group].astype(str) == name]
        jitter = ((np.arange(len(part)) * 0.6180339887) % 1.0) - 0.5  # golden ratio: no chance
        dots = axis.scatter(
            part["number"],
            jitter,
            s=16,
            c=[shades[c] for c in part["cohort"].fillna("n/a")],
            alpha=0.75,
            linewidths=0,
        )
        dots.set_urls([f"{person}.html" for person in part["participant_id"]])
        axis.set_ylim(-0.8, 0.8)
        axis.set_yticks([0], [f"{name}\n(n = {part['participant_id'].nunique()})"], fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel(unit)
    figure.tight_layout(h_pad=0.2)
    return figure


def colours(names: Sequence[Any] | Mapping[Any, Any]) -> list[str]:
    """Return a colour for every cohort; everybody together is grey."""
    own = [name for name in names if name != ALL]
    shades = {n: COHORT_COLOURS[i % len(COHORT_COLOURS)] for i, n in enumerate(own)}
    return [shades.get(name, GREY) for name in names]


def _cohorts(values: pd.Series) -> list[str]:
    """Return the cohorts of a table; everybody together only where there is no other."""
    names = list(dict.fromkeys(values.astype(str)))
    others = [name for name in names if name not in (ALL, "n/a")]
    return others or names[:1]


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


def _tile(
    axis: Any,
    mean: NDArray[np.float32],
    anatomy: Anatomy,
    where: tuple[tuple[slice, slice], NDArray[np.intp]],
    scale: Normalize,
) -> None:
    """Draw one level: the map, and the outlines of cord and grey matter."""
    window, slices = where
    middle = int(slices[len(slices) // 2])
    axis.set_facecolor("#d9d9d9")  # unknown
    axis.imshow(mean.T, origin="lower", cmap=PROBABILITY, norm=scale, interpolation="nearest")
    for image, shade in ((anatomy.cord, "#000000"), (anatomy.gm, "#ffffff")):
        plane = image.data[(*window, middle)] if image is not None else None
        if plane is not None and plane.max() > 0.5:
            axis.contour(plane.T, [0.5], colors=shade, linewidths=0.7)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.invert_xaxis()  # LAS: left is on the right of the picture, as radiologists look


def _level_borders(axis: Any, anatomy: Anatomy, named: bool) -> None:
    """Draw a line below every vertebral level."""
    ticks, names = [], []
    for level, slices in anatomy.level_slices().items():
        if level > 0:
            axis.axhline(slices.min(), color="white" if named else GREY, linewidth=0.3, alpha=0.6)
            ticks.append(float(slices.mean()))
            names.append(level_name(level))
    axis.set_yticks(ticks if named else [], names if named else [], fontsize=7)


def _colour_bar(figure: Figure, scale: Normalize, text: str) -> None:
    place = figure.add_axes((0.92, 0.25, 0.015, 0.5))
    bar = figure.colorbar(mpl.cm.ScalarMappable(scale, PROBABILITY), cax=place)
    bar.set_label(text, fontsize=7)
    bar.ax.tick_params(labelsize=7)
