"""The section on lumbar structures: two sagittal slices in colors, and the tables."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinalprep.image import Image, reorient
from spinalprep.lumbar.structures import CANAL, STRUCTURES, Alignment
from spinalprep.reports.facts import SessionRunFacts
from spinalprep.reports.pictures import to_uri
from spinalprep.reports.tables import Rows, known_rows

COLOURS = dict(
    zip(
        STRUCTURES[1:],
        (
            *("#4da3ff", "#ff9f1c", "#ffd24d", "#2ecc71", "#b8e986", "#e84a5f"),
            *("#ff9ff3", "#a55eea", "#00e5ff", "#c0392b", "#a9745b"),
        ),
        strict=True,
    )
)
STRUCTURE_COLUMNS = {
    "structure": "structure",
    "volume_mm3": "volume (mm3)",
    "fat_percent": "fat in muscle (%)",
}
DISC_COLUMNS = {
    "level": "disc",
    "level_probability": "probability of the level",
    "disc_height_mm": "height (mm)",
    "volume_mm3": "volume (mm3)",
    "disc_signal_ratio": "T2w signal / canal",
    "canal_area_mm2": "canal area (mm2)",
}
WARNING = (
    "Research use only. The network was trained on synthetic subjects and was never tried on a "
    "patient's labels. Volumes and levels are no findings: look at the overlay first."
)
ALIGNMENT_NOTES = {
    Alignment.REGISTERED: "T1w was registered to T2w around the spinal canal.",
    Alignment.HEADERS: "T1w was placed on T2w by the headers of the two: registration around the "
    "spinal canal did not improve their alignment.",
    Alignment.REFUSED: "From T2w alone: T1w could not be registered to T2w around the spinal "
    "canal.",
}
DARK, BESIDE_MM, OPAQUE = "#101418", 15.0, 0.45
BEHIND_MM, BEFORE_MM = 60.0, 70.0  # of the canal, that are shown
PANEL_INCHES, TITLE_INCHES = 3.5, 0.3


def lumbar_section(
    run: SessionRunFacts, image: Image | None, structures: Image | None, table: pd.DataFrame | None
) -> dict[str, Any] | None:
    """Return what the section on lumbar structures shows; None where none were looked for."""
    if not run.lumbar_sought:
        return None
    rows, discs = lumbar_rows(table)
    overlay = None
    if image is not None and structures is not None:
        overlay = lumbar_overlay(image, structures)
    return {
        "warning": WARNING,
        "notes": lumbar_notes(run),
        "refused": run.lumbar_refused,
        "rows": rows,
        "discs": discs,
        "legend": COLOURS,
        "overlay": overlay,
    }


def lumbar_rows(table: pd.DataFrame | None) -> tuple[Rows, Rows]:
    """Return the structures that were found, and the discs from above."""
    if table is None:
        return [], []
    discs = table["disc_height_mm"].notna()
    whole = known_rows(table[~discs & (table["volume_mm3"] > 0)], STRUCTURE_COLUMNS)
    return whole, known_rows(table[discs].iloc[::-1], DISC_COLUMNS)


def lumbar_notes(run: SessionRunFacts) -> list[str]:
    """Return what a reader has to know of the images in which structures were looked for."""
    seen = {"T2w": run.lumbar_t2w, "T1w": run.lumbar_t1w}
    there = [name for name, source in seen.items() if source is not None]
    if not there:
        return ["No T2w and no T1w image: nothing was looked for."]
    if len(there) == 2 and run.lumbar_alignment is not None:
        return [ALIGNMENT_NOTES[Alignment(run.lumbar_alignment)]]
    return [f"From {there[0]} alone: borders that the other contrast shows are less sure."]


def lumbar_overlay(image: Image, structures: Image) -> str | None:
    """Draw the sagittal slice through the middle of the canal, and one beside it.

    Parameters
    ----------
    image, structures : Image
        On one grid, any voxel order.

    Returns
    -------
    picture : str or None
        A ``data:`` address; None where there is no canal.
    """
    shown, told = reorient(image, "RAS"), reorient(structures, "RAS")
    canal = np.flatnonzero((told.data == CANAL).sum(axis=(1, 2)))
    if not len(canal):
        return None
    sizes = shown.voxel_sizes
    middle = int(np.median(canal))
    beside, aside = _slice_beside(told.data > 0, middle, float(sizes[0]))
    near = _near_canal(told.data == CANAL, float(sizes[1]))
    aspect = float(sizes[2] / sizes[1])
    height = PANEL_INCHES * aspect * shown.shape[2] / (near.stop - near.start)
    figure = Figure(figsize=(4 * PANEL_INCHES, height + TITLE_INCHES), facecolor=DARK)
    axes = figure.subplots(1, 4)
    top = float(np.percentile(shown.data[middle], 99))
    for n, (i, name) in enumerate(((middle, "middle"), (beside, aside))):
        grey = np.clip(shown.data[i, near].T / max(top, 1e-6), 0, 1)
        for axis, picture in (
            (axes[2 * n], np.repeat(grey[..., None], 3, axis=2)),
            (axes[2 * n + 1], _coloured(grey, told.data[i, near].T)),
        ):
            # radiological habit: the front at the left
            axis.imshow(picture[:, ::-1], origin="lower", aspect=aspect)
            axis.set_title(name, color="white", fontsize=9)
            axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, height / (height + TITLE_INCHES), 0.03)
    return to_uri(figure)


def _near_canal(canal: NDArray[np.bool_], pixel_mm: float) -> slice:
    """Return the columns (posterior to anterior) with the spine and the muscles behind it."""
    columns = np.flatnonzero(canal.any(axis=(0, 2)))
    low = columns[0] - round(BEHIND_MM / pixel_mm)
    high = columns[-1] + round(BEFORE_MM / pixel_mm)
    return slice(max(int(low), 0), min(int(high), canal.shape[1]))


def _slice_beside(
    structures: NDArray[np.bool_], middle: int, thickness_mm: float
) -> tuple[int, str]:
    """Return the slice about 15 mm to the right of the middle, or to the left, and its name.

    The side on which slices with structures reach further; the outermost of them at most.
    """
    filled = np.flatnonzero(structures.any(axis=(1, 2)))
    side = 1 if filled[-1] - middle >= middle - filled[0] else -1
    steps = min(round(BESIDE_MM / thickness_mm), max(filled[-1] - middle, middle - filled[0]))
    name = f"{steps * thickness_mm:.0f} mm {'right' if side > 0 else 'left'}"
    return int(middle + side * steps), name


def _coloured(grey: NDArray[np.float64], told: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a slice in gray with the structures in colors over it."""
    table = np.array([(0.0, 0.0, 0.0), *map(to_rgb, COLOURS.values())])
    there = (told > 0)[..., None] * OPAQUE
    return np.asarray(grey[..., None] * (1 - there) + table[told.astype(int)] * there)
