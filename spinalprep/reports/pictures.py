"""Plots of a report, one PNG each."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spinalprep.tables import is_true

DOUBT = "#ff9f1c"

HATCHED: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": DOUBT,
    "hatch": "///",
    "linewidth": 0.0,
    "alpha": 0.5,
}

Span = tuple[float, float]  # lower and upper end, mm


def to_uri(figure: Figure, dpi: int = 80) -> str:
    """Return a figure as a ``data:`` address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


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
        ("diameter_ap_mm", "anteroposterior", "#b9770e"),
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


def _bands(axis, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    """Shade every second vertebral level and name all."""
    known = table.dropna(subset=["vertebral_level"])
    for n, (level, rows) in enumerate(known.groupby("vertebral_level", sort=False)):
        low, high = rows["z_mm"].min(), rows["z_mm"].max()
        if n % 2:
            axis.axvspan(low, high, color="#000000", alpha=0.05, linewidth=0)
        axis.text((low + high) / 2, 0.5, str(level), ha="center", va="bottom", fontsize=8)
