"""Pictures of the best, the median and the worst case."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, load, reorient
from spinalprep.training.evaluation.metrics import overlap_measures
from spinalprep.training.evaluation.predictions import Predictions
from spinalprep.training.material.cases import Case

HALF_MM = 20.0


@dataclass(frozen=True)
class Panel:
    """A slice of a case; ``aspect`` is the height of a pixel over its width."""

    title: str
    grey: NDArray[np.float32]
    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]
    aspect: float


def draw_cases(
    table: pd.DataFrame,
    cases: Mapping[str, Case],
    predict: Callable[[Path], Predictions],
    out_dir: Path,
) -> list[Path]:
    """Draw three cases of every structure, each at its median and at its worst slice.

    Parameters
    ----------
    table : DataFrame
        One row per image and structure with ``dice``.
    cases : mapping
        By the path of the image.
    predict : callable
        Path of an image to what was found in it.
    out_dir : Path
        Gets ``evaluation_<structure>.png``; what a person drew is green, what was found red.
    """
    paths = []
    for structure, rows in table[table["dice"].notna()].groupby("structure"):
        ordered = rows.sort_values("dice", ascending=False, kind="stable").reset_index(drop=True)
        picked = [(0, "best"), (len(ordered) // 2, "median"), (len(ordered) - 1, "worst")]
        panels = []
        for place, name in picked[-len(ordered) :] if len(ordered) < 3 else picked:
            image = Path(ordered["image"][place])
            case = cases[str(image)]
            title = f"{name}: {image.name.split('.')[0]}, Dice {ordered['dice'][place]:.3f}"
            panels.append((title, _panels(case, predict(image), str(structure))))
        paths.append(draw_panels(panels, out_dir / f"evaluation_{structure}.png"))
    return paths


def _panels(case: Case, predictions: Predictions, structure: str) -> list[Panel]:
    """Return the median and the worst slice."""
    volume = reorient(load(case.image))
    truth = case.read(structure, volume).data >= 0.5
    found = np.asarray(predictions.masks[structure].data, bool)
    drawn = np.flatnonzero(truth.any(axis=(0, 1)))
    dice = np.array([overlap_measures(found[..., k], truth[..., k])["dice"] for k in drawn])
    order = np.argsort(dice, kind="stable")
    panels = []
    for name, n in (("median", order[len(order) // 2]), ("worst", order[0])):
        k = int(drawn[n])
        panels.append(panel_of(f"{name} slice {k}, Dice {dice[n]:.2f}", volume, (truth, found), k))
    return panels


def panel_of(
    title: str, image: Image, masks: tuple[NDArray[np.bool_], NDArray[np.bool_]], k: int
) -> Panel:
    """Return 40 mm of slice ``k`` around what was drawn; ``masks`` are the truth and the found."""
    truth, found = masks
    centre = np.array(ndimage.center_of_mass(truth[:, :, k]))
    reach = HALF_MM / image.voxel_sizes[:2]
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.ceil(centre + reach).astype(int) + 1
    box = (slice(low[0], high[0]), slice(low[1], high[1]), k)
    aspect = float(image.voxel_sizes[1] / image.voxel_sizes[0])
    return Panel(title, image.data[box], truth[box], found[box], aspect)


def draw_panels(cases: list[tuple[str, list[Panel]]], path: Path) -> Path:
    """Draw the cases below each other; anterior is up, the left of the person on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4 * len(cases)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(cases), 2, squeeze=False)
    for row, (title, panels) in zip(axes, cases, strict=True):
        for axis, panel in zip(row, panels, strict=True):
            low, high = np.percentile(panel.grey, [1, 99])
            axis.imshow(
                panel.grey.T, cmap="gray", origin="lower", vmin=low, vmax=high, aspect=panel.aspect
            )
            for mask, colour in ((panel.truth, "lime"), (panel.found, "red")):
                if mask.any() and not mask.all():
                    axis.contour(mask.T, [0.5], colors=colour, linewidths=1)
            axis.set_title(panel.title, fontsize=7)
            axis.set_axis_off()
        row[0].set_title(f"{title}\n{panels[0].title}", fontsize=7)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path
