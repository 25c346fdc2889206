"""The section on tumors: what was found, in three planes and a table, and how little it proves."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinalprep.image import Image, sample, to_world
from spinalprep.reports.facts import SessionRunFacts
from spinalprep.reports.pictures import to_uri
from spinalprep.reports.tables import Rows, known_rows

COLOURS = {"tumor": "#ff4d4d", "edema": "#ffd24d", "cavity": "#4dc3ff"}
COLUMNS = {
    "structure": "structure",
    "parts": "parts",
    "volume_mm3": "volume (mm3)",
    "length_mm": "length along the cord (mm)",
    "upper_level": "from level",
    "lower_level": "to level",
    "max_section_mm2": "largest section (mm2)",
    "max_section_percent": "of the cord there (%)",
    "enhancement_ratio": "Gd-T1w against the cord elsewhere",
}
WARNING = (
    "Research use only. The networks were trained on synthetic tumors and were never tried on a "
    "patient. They miss tumors, and they call tumors where there are none. Nothing here is a "
    "finding: a radiologist has to look at the images."
)
DARK = "#101418"
HALF_MM, PIXEL_MM, LONG_MM = 25.0, 0.5, 60.0


def tumor_rows(table: pd.DataFrame | None) -> Rows:
    """Return the measures of every structure that was found."""
    if table is None:
        return []
    return known_rows(table[table["volume_mm3"] > 0], COLUMNS)


def tumor_notes(run: SessionRunFacts) -> list[str]:
    """Return what a reader has to know of the images in which a tumor was looked for."""
    if not run.tumor_sought:
        return []
    if run.tumor_t2w is None and run.tumor_gd_t1w is None:
        return ["No T2w and no Gd-T1w image (ce-gadolinium): nothing was looked for."]
    notes = []
    if run.tumor_t2w is None:
        notes.append("There is no T2w image: edema and cavities are hardly seen without it.")
    if run.tumor_gd_t1w is None:
        notes.append(
            "There is no Gd-T1w image (ce-gadolinium in its name): enhancement was not seen, and "
            "tumor is hard to tell from edema without it."
        )
    elif "Gd-T1w" not in run.tumor_lost:
        fit = next((c for c in run.contrasts if c.source == run.tumor_gd_t1w), None)
        if fit is not None and not fit.accepted and not fit.headers_hold:
            notes.append(
                "The Gd-T1w image could not be registered to the reference; it lies where its "
                "headers say. Check the two on each other before you trust a border."
            )
    notes += [
        f"The {name} image was not used: it is not on the grid of the reference, because its "
        "registration failed or was skipped."
        for name in run.tumor_lost
    ]
    return notes


def three_planes(
    images: Mapping[str, Image], masks: Mapping[str, Image], abnormality: Image
) -> str | None:
    """Draw the axial, sagittal and coronal plane through the largest axial section.

    Parameters
    ----------
    images : mapping of str to Image
        Contrasts by their names, on any grids; a row each.
    masks : mapping of str to Image
        By the names of `COLOURS`.
    abnormality : Image
        Mask, LAS; nothing is drawn where it is empty.

    Returns
    -------
    picture : str or None
        A ``data:`` address.
    """
    areas = abnormality.data.sum(axis=(0, 1))
    if not areas.any():
        return None
    k = int(np.argmax(areas))
    middle = np.append(np.argwhere(abnormality.data[:, :, k] > 0).mean(axis=0), k)
    centre = to_world(middle, abnormality.affine)
    figure = Figure(figsize=(10, 4.2 * len(images)), facecolor=DARK)
    axes = figure.subplots(len(images), 3, squeeze=False)
    for row, (name, image) in zip(axes, images.items(), strict=True):
        for axis, (plane, points) in zip(row, _planes(centre).items(), strict=True):
            shown = sample(image, points)
            low, high = np.percentile(shown, [1, 99.5])
            axis.imshow(shown.T, cmap="gray", origin="lower", vmin=low, vmax=max(high, low + 1e-6))
            for structure, colour in COLOURS.items():
                values = sample(masks[structure], points)
                if values.max() > 0.5 > values.min():
                    axis.contour(values.T, [0.5], colors=colour, linewidths=1.0)
            axis.set_title(f"{name}, {plane}", color="white", fontsize=9)
            axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.03, 0.08)
    return to_uri(figure)


def _planes(centre: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return RAS+ points of three planes through a point, (W, H, 3) each, in body axes."""
    short, long = (np.arange(-half, half, PIXEL_MM) for half in (HALF_MM, LONG_MM))
    ends = {"axial": (0, short, 1, short), "sagittal": (1, short, 2, long)}
    ends["coronal"] = (0, short, 2, long)
    planes = {}
    for name, (first, across, second, up) in ends.items():
        points = np.tile(centre, (len(across), len(up), 1))
        points[..., first] += (-across if first == 0 else across)[:, None]  # the right at the left
        points[..., second] += up[None, :]
        planes[name] = points
    return planes
