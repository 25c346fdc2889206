"""Strips of dots, one per person, each a link to the person's page."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spinalprep.reports.group_figures import marker_of

GOLDEN = 0.6180339887  # steps of the golden ratio spread dots evenly, without chance
_LINK = re.compile(r'<a xlink:href="([^"]*)" target="_blank">')


def strips(
    table: pd.DataFrame,
    value: str,
    group: str,
    unit: str,
    shades: Mapping[str, str],
    shared: bool = False,
    limits: Mapping[str, Sequence[float]] | None = None,
) -> tuple[Figure, list[str]] | None:
    """Draw one dot per person and row of a table; each links to the person's page.

    Parameters
    ----------
    table : DataFrame
        ``participant_id``, ``person_id``, ``cohort``, the value and the column that names the
        strip.
    value, group : str
        Columns.
    unit : str
        What the axis says.
    shades : mapping of str to str
        Color of every cohort.
    shared : bool
        Whether all strips have one unit and one scale.
    limits : mapping of str to sequence of float, optional
        Thresholds, drawn as dashed lines.

    Returns
    -------
    figure : Figure
    titles : list of str
        What the pointer reads over each dot, in the order of drawing (`with_titles`).
    """
    own = table.assign(number=pd.to_numeric(table[value], errors="coerce"))
    own = own[own["number"].notna()]
    names = list(dict.fromkeys(own[group].dropna().astype(str)))
    if not names:
        return None
    figure = Figure(figsize=(12.5, (0.42 if shared else 0.62) * len(names) + 1.0))
    axes = figure.subplots(len(names), 1, squeeze=False, sharex=shared).ravel()
    titles = []
    for axis, name in zip(axes, names, strict=True):
        part = own[own[group].astype(str) == name]
        titles += _dots(axis, part, name, shades)
        for limit in (limits or {}).get(name, ()):
            axis.axvline(limit, color="#888888", linestyle="--", linewidth=0.8)
        axis.tick_params(labelsize=7)
        if shared:
            axis.grid(axis="x", alpha=0.25)
            last = axis is axes[-1]
            axis.tick_params(axis="x", length=3 if last else 0)
            axis.spines["bottom"].set_visible(last)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel(unit)
    seen = [c for c in shades if (own["cohort"] == c).any()]
    marks = [
        Line2D([], [], marker=marker_of(c, shades), linestyle="", color=shades[c], label=c)
        for c in seen
    ]
    if marks:
        figure.legend(handles=marks, frameon=False, fontsize=8, ncols=6, loc="upper left")
    figure.tight_layout(h_pad=0.2, rect=(0, 0, 1, 1 - 0.25 / figure.get_figheight()))
    return figure, titles


def _dots(axis, part: pd.DataFrame, name: str, shades: Mapping[str, str]) -> list[str]:  # type: ignore[no-untyped-def]
    """Draw one strip and return what its dots are called."""
    part = part.assign(jitter=((np.arange(len(part)) * GOLDEN) % 1.0) - 0.5)
    who = "person_id" if "person_id" in part else "participant_id"
    said = []
    for cohort, own in part.groupby(part["cohort"].astype(str), sort=False):
        dots = axis.scatter(
            own["number"],
            own["jitter"],
            s=16,
            c=shades.get(cohort, "#555555"),
            marker=marker_of(cohort, shades),
            alpha=0.75,
            linewidths=0,
            clip_on=False,
        )
        dots.set_urls([f"{quote(str(person))}.html" for person in own["participant_id"]])
        said += [
            f"{name}: {number:.4g}" for name, number in zip(own[who], own["number"], strict=True)
        ]
    axis.set_ylim(-0.8, 0.8)
    axis.set_yticks([0], [f"{name} (n = {part[who].nunique()})"], fontsize=8)
    return said


def with_titles(svg: str, titles: Sequence[str], root: str = "") -> str:
    """Return an SVG whose links say on hover what they stand for.

    Parameters
    ----------
    svg : str
        As matplotlib writes it.
    titles : sequence of str
        One per link, in order; they are escaped.
    root : str
        What goes before each address, ``../`` for a file that lies one folder deeper.
    """
    found = chain(titles)

    def entitled(match: re.Match[str]) -> str:
        return f'<a xlink:href="{root}{match[1]}"><title>{escape(next(found))}</title>'

    return re.sub(r"\n +", "\n", _LINK.sub(entitled, svg))
