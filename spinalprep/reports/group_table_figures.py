"""Figures of what the group's tables say: occupancy by region, measures along the cord."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spinalprep.group.design import EVERYBODY
from spinalprep.reports.group_figures import GREY, line_of, marker_of, people_text

THIN = 0.5  # width of a line, in points


def occupancy_dots(
    table: pd.DataFrame, kind: str, levels: Sequence[str], shades: Mapping[str, str]
) -> Figure | None:
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
    if kind == "cord":
        names = own["levels"].replace("all", "all levels")
    elif len(levels) > 1:
        names = names + ", " + own["levels"].replace("all", "all levels")
    own = own.assign(where=names)
    places = list(dict.fromkeys(own["where"]))
    cohorts = _cohorts(own["cohort"])
    figure = Figure(figsize=(12.5, 0.24 * len(places) * max(len(cohorts), 1) ** 0.5 + 1.1))
    axis = figure.subplots()
    for n, cohort in enumerate(cohorts):
        part = own[own["cohort"] == cohort].set_index("where").reindex(places)
        shift = (n - (len(cohorts) - 1) / 2) * 0.7 / max(len(cohorts), 1)
        look = (cohort, shades.get(cohort, GREY), marker_of(cohort, shades))
        _intervals(axis, part, np.arange(len(places)) + shift, look)
    axis.set_yticks(np.arange(len(places)), places)
    axis.set_ylim(len(places) - 0.4, -0.6)
    axis.set_xlabel("% of the covered region that is lesion: mean, 95 % bootstrap interval")
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    beside(axis, *axis.get_legend_handles_labels())
    figure.tight_layout()
    return figure


def curve_figure(
    table: pd.DataFrame,
    measure: str,
    label: str,
    shades: Mapping[str, str],
    marks: Sequence[tuple[str, int, int]] = (),
) -> Figure | None:
    """Draw mean and band of a measure along the cord, per cohort.

    The line is thin where not the same people are measured in one slice and the next: a step there
    may be a difference between people, not along the cord.

    Parameters
    ----------
    table : DataFrame
        ``group_curves.tsv``.
    measure, label : str
        Which, and what the axis says.
    shades : mapping of str to str
        Color of every cohort.
    marks : sequence of (str, int, int)
        Question, and first and last slice where its answer is significant: a bar at the bottom.
    """
    own = table[(table["measure"] == measure) & table["mean"].notna()]
    if own.empty:
        return None
    figure = Figure(figsize=(12.5, 3.6))
    axis = figure.subplots()
    cohorts = _cohorts(own["cohort"])
    for cohort in cohorts:
        colour = shades.get(cohort, GREY)
        part = own[own["cohort"] == cohort].sort_values("template_slice", ascending=False)
        k = part["template_slice"].to_numpy(float)
        counts = part["n"]
        text = f"{cohort} ({people_text(counts)})"
        axis.plot(k, part["mean"], "-", color=colour, linewidth=THIN)
        changes = np.flatnonzero(part["changed"].to_numpy()[1:]) + 1
        whole = np.insert(part["mean"].to_numpy(float), changes, np.nan)
        axis.plot(
            np.insert(k, changes, k[changes]),
            whole,
            line_of(cohort, shades),
            color=colour,
            label=text,
        )
        axis.fill_between(k, part["lower"], part["upper"], color=colour, alpha=0.2, linewidth=0)
    _mark(axis, marks)
    axis.invert_xaxis()
    axis.set_ylabel(label)
    axis.set_xlabel(
        "slice of the template, superior to the left; band: 95 % interval of the mean; thin line: "
        "other people than in the slice before"
    )
    _shade_levels(axis, own)
    handles, labels = axis.get_legend_handles_labels()
    single = dict(zip(labels, handles, strict=True))
    beside(axis, list(single.values()), list(single))
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _intervals(axis: Any, part: pd.DataFrame, y: Any, look: tuple[str, str, str]) -> None:
    """Draw the means and intervals of one cohort; ``look`` is its name, color and marker."""
    cohort, colour, marker = look
    middle, low, high = (
        100 * part[f"occupancy_{key}"].to_numpy(float) for key in ("mean", "lower", "upper")
    )
    label = f"{cohort} ({people_text(part['n'].dropna())})"
    axis.hlines(y, low, high, color=colour, linewidth=1.4, clip_on=False)
    axis.plot(middle, y, marker, color=colour, markersize=4, label=label, clip_on=False)


def _mark(axis: Any, marks: Sequence[tuple[str, int, int]]) -> None:
    """Draw bars where something is significant, a line of them per question."""
    questions = list(dict.fromkeys(question for question, *_ in marks))
    for question, first, last in marks:
        row = questions.index(question)
        axis.plot(
            [first + 0.5, last - 0.5],
            [0.015 + 0.03 * row] * 2,
            transform=axis.get_xaxis_transform(),
            color="black",
            linewidth=3,
            solid_capstyle="butt",
            linestyle=("-", ":", "--")[row % 3],
            label=f"{question}: p <= 0.05",
        )


def _shade_levels(axis: Any, own: pd.DataFrame) -> None:
    """Shade every second vertebral level and name all."""
    named = own.dropna(subset=["vertebral_level"]).groupby("vertebral_level")["template_slice"]
    top = axis.get_ylim()[1]
    for n, (level, slices) in enumerate(sorted(named, key=lambda item: -item[1].mean())):
        if n % 2:
            axis.axvspan(slices.min(), slices.max(), color="black", alpha=0.05, linewidth=0)
        axis.text(slices.mean(), top, str(level), ha="center", va="bottom", fontsize=8)


def beside(axis: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put the legend at the right of the axis."""
    axis.legend(
        handles, labels, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )


def _cohorts(values: pd.Series) -> list[str]:
    """Return the cohorts of a table; everybody together only where there is no other."""
    names = list(dict.fromkeys(values.astype(str)))
    others = [name for name in names if name not in (EVERYBODY, "n/a")]
    return others or names[:1]
