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
        lesion and the front (back) edge of the cord in the midsagittal plane, with
        ``midsagittal_length_mm`` and ``midsagittal_width_mm``, the lesion's extents in it.
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
    hit = np.isfinite(line[:, 2])
    return {
        "midsagittal_length_mm": float(np.ptp(np.flatnonzero(hit)) + 1) * step_mm
        if hit.any()
        else np.nan,
        "midsagittal_width_mm": _best(line[:, 2], np.max),
        "bridge_ventral_mm": _best(line[:, 1], np.min),
        "bridge_dorsal_mm": _best(line[:, 0], np.min),
        "bridge_left_mm": _best(across[:, 0], np.min),
        "bridge_right_mm": _best(across[:, 1], np.min),
    }


def _spared(cord: Section, lesion: Section, along: Array) -> Array:
    """Return cord before and after the lesion on lines, and the lesion's width, shape (S, 3)."""
    (cord_low, cord_high), (low, high) = _ends(cord, along), _ends(lesion, along)
    before, after = np.maximum(low - cord_low, 0.0), np.maximum(cord_high - high, 0.0)
    return np.stack([before, after, high - low], axis=-1)


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
