"""How much tissue a lesion spares between itself and the edge of the cord."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Section = NDArray[np.float32]
Array = NDArray[np.float64]

EDGE = 0.5  # of a mask that was interpolated


def measure_bridges(
    cord: Section, lesion: Section, axes: tuple[Array, Array], step_mm: float
) -> dict[str, float]:
    """Measure the narrowest tissue bridges of a lesion.

    Parameters
    ----------
    cord, lesion : ndarray of float32, shape (S, U, V)
        Sections across the cord, from `cut_sections`.
    axes : tuple of ndarray of float64
        Offsets to the right, shape (U,), and to the front, shape (V,), in mm, 0 in the middle.
    step_mm : float
        Distance of the sections.

    Returns
    -------
    measures : dict of str to float
        ``bridge_ventral_mm`` and ``bridge_dorsal_mm``: the narrowest spared tissue between the
        lesion and the front (back) edge of the cord in the midsagittal plane;
        ``bridge_total_mm``, their sum, and ``bridge_ventral_percent`` and
        ``bridge_dorsal_percent``, their shares of it, NaN where it is 0, as in [3]_;
        ``midsagittal_spared_percent``, the least share of a line through the cord, front to
        back, that is spared; ``midsagittal_length_mm`` and ``midsagittal_width_mm``, the lesion's
        extents in the plane.
        ``bridge_left_mm`` and ``bridge_right_mm``: the same to the sides, on the line through the
        middle of the lesion in every section. NaN where the lesion misses the plane.

    Notes
    -----
    Tissue bridges are those of [1]_ and [2]_, which read them off the midsagittal slice; here
    the plane goes through the middle of the cord in every section and turns with the cord, and
    edges are where the interpolated mask is one half.

    References
    ----------
    .. [1] Huber et al. (2017), "Are midsagittal tissue bridges predictive of outcome after
       cervical spinal cord injury?", Annals of Neurology 81:740-748, doi:10.1002/ana.24932.
    .. [2] Pfyffer et al. (2019), "Tissue bridges predict recovery after traumatic and ischemic
       thoracic spinal cord injury", Neurology 93:e1550-e1560, doi:10.1212/WNL.0000000000008318.
    .. [3] De Leener et al. (2017), "SCT: Spinal Cord Toolbox", NeuroImage 145:24-43,
       doi:10.1016/j.neuroimage.2016.10.009: ``sct_analyze_lesion``.
    """
    u, v = axes
    middle = len(u) // 2
    line = _spared(cord[:, middle], lesion[:, middle], v)
    weight = lesion.sum(axis=1)
    total = weight.sum(axis=1)
    row = np.rint((weight @ np.arange(len(v))) / np.maximum(total, 1e-6)).astype(int)
    pick = row[:, None, None]
    across = _spared(
        np.take_along_axis(cord, pick, axis=2)[..., 0],
        np.take_along_axis(lesion, pick, axis=2)[..., 0],
        u,
    )
    return {
        **_midsagittal(line, step_mm),
        "bridge_left_mm": _best(across[:, 0], np.min),
        "bridge_right_mm": _best(across[:, 1], np.min),
    }


def _midsagittal(line: Array, step_mm: float) -> dict[str, float]:
    """Return extents and bridges in the midsagittal plane from `_spared`; NaN where it misses."""
    hit = np.flatnonzero(np.isfinite(line[:, 2]))
    dorsal, ventral = (_best(line[:, n], np.min) for n in (0, 1))
    total = dorsal + ventral
    whole = total if total > 0 else np.nan
    spared = (line[:, 0] + line[:, 1]) / np.maximum(line[:, 3], 1e-6)
    return {
        "midsagittal_length_mm": float(np.ptp(hit) + 1) * step_mm if len(hit) else np.nan,
        "midsagittal_width_mm": _best(line[:, 2], np.max),
        "midsagittal_spared_percent": 100.0 * _best(spared, np.min),
        "bridge_ventral_mm": ventral,
        "bridge_dorsal_mm": dorsal,
        "bridge_total_mm": total,
        "bridge_ventral_percent": 100.0 * ventral / whole,
        "bridge_dorsal_percent": 100.0 * dorsal / whole,
    }


def _spared(cord: Section, lesion: Section, along: Array) -> Array:
    """Return what lines meet, shape (S, 4): cord before and after the lesion, lesion, all cord."""
    (cord_low, cord_high), (low, high) = _ends(cord, along), _ends(lesion, along)
    before, after = np.maximum(low - cord_low, 0.0), np.maximum(cord_high - high, 0.0)
    return np.stack([before, after, high - low, cord_high - cord_low], axis=-1)


def _ends(lines: Section, along: Array) -> tuple[Array, Array]:
    """Return where lines, shape (S, N), rise over one half first and fall below it last; NaN."""
    over = lines >= EDGE
    some = over.any(axis=1)
    first, last = over.argmax(axis=1), lines.shape[1] - 1 - over[:, ::-1].argmax(axis=1)
    low, high = _crossing(lines, along, first, -1), _crossing(lines, along, last, 1)
    return np.where(some, low, np.nan), np.where(some, high, np.nan)


def _crossing(lines: Section, along: Array, at: NDArray[np.intp], way: int) -> Array:
    """Return where lines cross one half between ``at`` and the next place on the way out."""
    rows = np.arange(len(lines))
    beyond = np.clip(at + way, 0, lines.shape[1] - 1)
    inner, outer = lines[rows, at].astype(float), lines[rows, beyond].astype(float)
    drop = inner - outer
    share = np.where(drop > 0, (inner - EDGE) / np.where(drop > 0, drop, 1.0), 0.0)
    return np.asarray(along[at] + share * (along[beyond] - along[at]))


def _best(values: Array, choose: Callable[[Array], np.float64]) -> float:
    """Return the smallest or largest known value; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(choose(known)) if len(known) else float("nan")
