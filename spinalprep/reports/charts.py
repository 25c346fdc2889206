"""Line charts of a report as vectors: drawn in milliseconds, sharp at any size, no library.

A chart is a list of panels with axes of their own. Values that are NaN interrupt lines and bands.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

INK, PALE = "#1c2430", "#d5dae0"
SIZE, SMALL = 13.0, 11.0  # of letters, in pixels of the chart
TICKS = 7  # at most, on an axis
HATCH = 8.0  # pixels between the lines of a hatch
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Values = NDArray[np.float64]
Ends = tuple[float, float]


@dataclass
class Panel:
    """Axes with what is drawn in them.

    Attributes
    ----------
    box : tuple of float
        Left, top, width and height between the axes, in pixels of the chart.
    across, up : tuple of float
        Values at the left and right end, and at the lower and upper end.
    """

    box: tuple[float, float, float, float]
    across: Ends
    up: Ends
    drawn: list[Markup] = field(default_factory=list)

    def x(self, values: ArrayLike) -> Values:
        """Return pixels of values along the lower axis."""
        low, high = self.across
        place = (np.asarray(values, np.float64) - low) / ((high - low) or 1.0)
        return np.asarray(self.box[0] + self.box[2] * place)

    def y(self, values: ArrayLike) -> Values:
        """Return pixels of values along the left axis."""
        low, high = self.up
        place = (np.asarray(values, np.float64) - low) / ((high - low) or 1.0)
        return np.asarray(self.box[1] + self.box[3] * (1.0 - place))

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str, width: float = 1.6, dots: bool = False
    ) -> None:
        """Draw a line through points, with a dot at each if asked for."""
        across, up = self.x(x), self.y(y)
        path = "".join(
            f"M{_pairs(across[run], up[run])}" for run in _runs(np.isfinite(across + up))
        )
        style = f'fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round"'
        self.drawn.append(Markup(f'<path d="{path}" {style}/>'))
        if dots:
            known = np.isfinite(across + up)
            marks = "".join(
                f"M{a:.1f} {b:.1f}h0" for a, b in zip(across[known], up[known], strict=True)
            )
            style = f'stroke="{colour}" stroke-width="4.5" stroke-linecap="round"'
            self.drawn.append(Markup(f'<path d="{marks}" {style}/>'))

    def band(
        self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, opacity: float
    ) -> None:
        """Fill between two lines."""
        across, down, top = self.x(x), self.y(low), self.y(high)
        path = "".join(
            f"M{_pairs(across[run], down[run])}L{_pairs(across[run][::-1], top[run][::-1])}Z"
            for run in _runs(np.isfinite(across + down + top))
        )
        self.drawn.append(Markup(f'<path d="{path}" fill="{colour}" fill-opacity="{opacity:g}"/>'))

    def span(self, ends: Ends, colour: str, opacity: float) -> None:
        """Fill a stretch of the lower axis over the whole height."""
        left, right = np.sort(np.clip(self.x(ends), self.box[0], self.box[0] + self.box[2]))
        self.drawn.append(
            Markup(
                f'<rect x="{left:.1f}" y="{self.box[1]:.1f}" width="{right - left:.1f}" '
                f'height="{self.box[3]:.1f}" fill="{colour}" fill-opacity="{opacity:g}"/>'
            )
        )

    def hatch(self, ends: Ends, colour: str) -> None:
        """Hatch a stretch of the lower axis over the whole height."""
        left, right = np.sort(np.clip(self.x(ends), self.box[0], self.box[0] + self.box[2]))
        top, height = self.box[1], self.box[3]
        path = ""
        for start in np.arange(left - height, right, HATCH):
            first, last = max(start, left), min(start + height, right)
            if last > first:
                y = [top + height - (at - start) for at in (first, last)]
                path += f"M{first:.1f} {y[0]:.1f}L{last:.1f} {y[1]:.1f}"
        self.drawn.append(Markup(f'<path d="{path}" stroke="{colour}" stroke-opacity="0.6"/>'))

    def rule(self, at: float) -> None:
        """Draw a thin line over the whole height."""
        x = float(self.x(at))
        self.drawn.append(
            Markup(f'<path d="M{x:.1f} {self.box[1]:.1f}v{self.box[3]:.1f}" stroke="{PALE}"/>')
        )

    def name(self, at: float, text: str) -> None:
        """Write a name just above the lower axis."""
        below = self.box[1] + self.box[3] - 4
        self.drawn.append(words(float(self.x(at)), below, text, size=SMALL))

    def axes(self, label: str, grid: bool = False, numbers: bool = True) -> None:
        """Draw both axes with their numbers, and the name of the left one."""
        left, top, width, height = self.box
        base = top + height
        ticks = f"M{left:.1f} {top:.1f}V{base:.1f}H{left + width:.1f}"
        lines = ""
        for value in nice(*self.up):
            y = float(self.y(value))
            ticks += f"M{left:.1f} {y:.1f}h-4"
            lines += f"M{left:.1f} {y:.1f}h{width:.1f}"
            self.drawn.append(words(left - 7, y + 4, f"{value:g}", anchor="end"))
        for value in nice(*sorted(self.across)) if numbers else ():
            x = float(self.x(value))
            ticks += f"M{x:.1f} {base:.1f}v4"
            lines += f"M{x:.1f} {top:.1f}v{height:.1f}"
            self.drawn.append(words(x, base + 18, f"{value:g}"))
        if grid:
            self.drawn.insert(0, Markup(f'<path d="{lines}" stroke="{PALE}" stroke-width="0.7"/>'))
        self.drawn.append(Markup(f'<path d="{ticks}" stroke="{INK}" fill="none"/>'))
        turned = f'transform="rotate(-90 {left - 44:.1f} {top + height / 2:.1f})"'
        self.drawn.append(words(left - 44, top + height / 2, label, more=turned))


def words(
    x: float, y: float, text: str, *, anchor: str = "middle", size: float = SIZE, more: str = ""
) -> Markup:
    """Return a text at its baseline; ``more`` are further attributes."""
    return Markup('<text x="{}" y="{}" font-size="{}" text-anchor="{}" {}>{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", f"{size:g}", anchor, Markup(more), escape(text)
    )


def chart(width: float, height: float, panels: Sequence[Panel], beside: Sequence[Markup]) -> str:
    """Return panels, and what stands beside them, as one SVG picture (a ``data:`` address)."""
    inner = Markup().join([*(piece for panel in panels for piece in panel.drawn), *beside])
    text = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        'font-family="sans-serif" fill="{}"><rect width="{w}" height="{h}" fill="#fff"/>{}</svg>'
    ).format(INK, inner, w=f"{width:g}", h=f"{height:g}")
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode("ascii")


def nice(low: float, high: float) -> list[float]:
    """Return round numbers in a range, at most `TICKS` of them.

    Examples
    --------
    >>> nice(0.0, 92.0)
    [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    if not high > low:
        return [low]
    power = 10.0 ** np.floor(np.log10((high - low) / TICKS))
    step = next(s * power for s in STEPS if (high - low) / (s * power) < TICKS)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") + 0.0 for number in np.arange(first, last + 1)]


def top_of(*series: ArrayLike) -> float:
    """Return the largest known value of all series; 1 where there is none."""
    values = np.concatenate([np.asarray(one, np.float64).ravel() for one in series])
    return float(np.nanmax(values, initial=0.0)) or 1.0


def _runs(known: NDArray[np.bool_]) -> list[slice]:
    """Return the stretches of what is known."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _pairs(x: Values, y: Values) -> str:
    """Return points as the text of a path."""
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
