"""Several sessions of one participant side by side: area by level and lesions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spinalprep.errors import UsageError
from spinalprep.levels.discs import level_number
from spinalprep.reports.facts import SessionRunFacts
from spinalprep.reports.pictures import to_uri
from spinalprep.reports.tables import Rows, short

ALL = "all"
STYLES = (  # color (Okabe, Ito) and mark, so that they are told apart without color
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
)
NOT_SEARCHED = "not searched"


@dataclass(frozen=True)
class Visit:
    """What one reference image of a session says.

    Attributes
    ----------
    name : str
        Its name without the participant: ``ses-1_run-2``.
    contrast : str
    areas : mapping of str to (float, float, float)
        Mean area with the ends of its interval by vertebral level and ``all``, mm2.
    searched : bool
        Whether lesions were looked for, or drawn.
    lesions : mapping of str to (int, float)
        Number and volume (mm3) by vertebral level and ``all``.
    """

    name: str
    contrast: str
    areas: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    searched: bool = True
    lesions: Mapping[str, tuple[int, float]] = field(default_factory=dict)


def visit_of(
    run: SessionRunFacts,
    levels: pd.DataFrame | None,
    total: pd.DataFrame | None,
    lesions: pd.DataFrame | None,
) -> Visit:
    """Return what a reference image says.

    Parameters
    ----------
    run : SessionRunFacts
    levels, total : DataFrame or None
        ``perlevel_morph`` and ``total_morph``.
    lesions : DataFrame or None
        ``label-lesion_morph``.
    """
    name = run.prefix.partition("_")[2]
    drawn = any(label.kind == "lesion" and label.used for label in run.labels)
    searched = run.lesions_sought or drawn
    found = _lesions(lesions) if searched else {}
    return Visit(name, run.space, _areas(levels) | _areas(total, ALL), searched, found)


def _areas(table: pd.DataFrame | None, only: str = "") -> dict[str, tuple[float, float, float]]:
    """Return mean area and interval by level; the mean itself where there is no interval."""
    if table is None or "area_mm2" not in table:
        return {}
    found = {}
    for row in table.to_dict("records"):
        level, area = row["vertebral_level"], row["area_mm2"]
        if pd.isna(level) or pd.isna(area) or (only and level != only):
            continue
        ends = (row.get("area_mm2_lower", np.nan), row.get("area_mm2_upper", np.nan))
        low, high = (float(area if pd.isna(end) else end) for end in ends)
        found[str(level)] = (float(area), low, high)
    return found


def _lesions(table: pd.DataFrame | None) -> dict[str, tuple[int, float]]:
    """Return number and volume of lesions by the level of their center."""
    if table is None:
        return {ALL: (0, 0.0)}
    found = {ALL: (len(table), float(table["volume_mm3"].sum()))}
    for level, rows in table.dropna(subset=["vertebral_level"]).groupby("vertebral_level"):
        found[str(level)] = (len(rows), float(rows["volume_mm3"].sum()))
    return found


def are_several(visits: Sequence[Visit], sessions: Sequence[str | None]) -> bool:
    """Tell whether there is something to compare: two sessions with an area of the cord."""
    seen = {who for visit, who in zip(visits, sessions, strict=True) if who and visit.areas}
    return len(seen) > 1


def visit_rows(visits: Sequence[Visit]) -> Rows:
    """Return a row per vertebral level, superior first, and one for the whole image.

    The change is that of the last visit against the first; it is given where both are of one
    contrast, and named where the intervals of the two areas overlap.
    """
    same = visits[0].contrast == visits[-1].contrast
    rows: Rows = []
    for level in [*_levels(visits), ALL]:
        row = {"level": "whole image" if level == ALL else level}
        for visit in visits:
            row[f"{visit.name} area (mm²)"] = _area_text(visit, level)
        if same:
            row["change (%)"] = _change(visits[0], visits[-1], level)
        for visit in visits:
            row[f"{visit.name} lesions"] = _lesion_text(visit, level)
        rows.append(row)
    return rows


def _levels(visits: Sequence[Visit]) -> list[str]:
    """Return the levels that some visit has, superior first."""
    names = {name for visit in visits for name in (*visit.areas, *visit.lesions)} - {ALL}
    return sorted(names, key=_place)


def _place(name: str) -> tuple[float, str]:
    """Return where a level stands in the order; what is no vertebra comes last."""
    try:
        return level_number(name), name
    except UsageError:
        return np.inf, name


def _area_text(visit: Visit, level: str) -> str:
    if level not in visit.areas:
        return "n/a"
    area, low, high = visit.areas[level]
    return short(area) + (f" [{short(low)}, {short(high)}]" if low < high else "")


def _change(first: Visit, last: Visit, level: str) -> str:
    if level == ALL or level not in first.areas or level not in last.areas:
        return "n/a"  # images cover different stretches of the cord
    before, low, high = first.areas[level]
    after, low_after, high_after = last.areas[level]
    apart = high < low_after or high_after < low
    words = "" if apart else " (intervals overlap)"
    return f"{100 * (after / before - 1):+.1f}{words}"


def _lesion_text(visit: Visit, level: str) -> str:
    if not visit.searched:
        return NOT_SEARCHED
    number, volume = visit.lesions.get(level, (0, 0.0))
    return f"{number}, {short(volume)} mm³" if number else "0"


def visit_plot(visits: Sequence[Visit]) -> str | None:
    """Draw area by level with its interval, and volume of lesions by level, one mark per visit.

    Returns
    -------
    picture : str or None
        ``data:`` address; None where no level is known.
    """
    levels = _levels(visits)
    if not levels:
        return None
    figure = Figure(figsize=(12, 0.34 * len(levels) * max(1.0, len(visits) / 2) + 1.3))
    area, lesion = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for n, visit in enumerate(visits):
        place = (n - (len(visits) - 1) / 2) * 0.6 / len(visits)
        _draw(area, lesion, visit, {name: k + place for k, name in enumerate(levels)}, n)
    area.set_yticks(range(len(levels)), levels)
    area.set_ylim(len(levels) - 0.5, -0.5)
    area.set_xlabel("cord area (mm$^2$), mean of the level and its interval")
    lesion.set_xlabel("volume of lesions (mm$^3$) centered in the level; beside: their number")
    lesion.set_xlim(left=0)
    for axis in (area, lesion):
        axis.grid(axis="x", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        for k in range(1, len(levels), 2):
            axis.axhspan(k - 0.5, k + 0.5, color="#000000", alpha=0.04, linewidth=0)
    handles, labels = area.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=6, loc="upper left", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
    return to_uri(figure, dpi=90)


def _draw(area: Any, lesion: Any, visit: Visit, places: Mapping[str, float], n: int) -> None:
    """Draw one visit at its heights."""
    colour, mark = STYLES[n % len(STYLES)]
    found = [(places[name], *visit.areas[name]) for name in places if name in visit.areas]
    y, middle, low, high = np.array(found, float).reshape(-1, 4).T
    area.hlines(y, low, high, color=colour, linewidth=1.2, alpha=0.7)
    label = f"{visit.name} ({visit.contrast})"
    if not visit.searched:
        label += f", lesions {NOT_SEARCHED}"
    area.plot(middle, y, mark, color=colour, markersize=5, label=label)
    for name, place in places.items():
        number, volume = visit.lesions.get(name, (0, 0.0))
        if number:
            lesion.plot([0, volume], [place, place], "-", color=colour, linewidth=1.6)
            lesion.plot([volume], [place], mark, color=colour, markersize=5)
            lesion.annotate(
                str(number), (volume, place), (6, 0), textcoords="offset points", va="center"
            )
