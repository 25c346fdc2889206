"""The pictures of the paper, of our trainings."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spinalprep.training.protocol.rows import CYCLICAL, FIXED, ROWS

MATCHED, MISMATCHED = (0.0, 0.8, 0.2), (0.9, 0.1, 0.1)
BINS = np.linspace(0, 1, 21)


def draw_pictures(results: pd.DataFrame, out_dir: Path) -> None:
    """Draw ``histograms.png``, ``epochs.png`` and ``overlays.png`` of what was run.

    Parameters
    ----------
    results : DataFrame
        See `table.read_results`.
    out_dir : Path
        Folder of the protocol; gets the pictures.
    """
    if results.empty:
        return
    draw_histograms(results, out_dir / "histograms.png")
    draw_epochs(out_dir)
    draw_overlays(out_dir)


def draw_histograms(results: pd.DataFrame, path: Path) -> None:
    """Draw how slice-wise Dice is distributed in every row; empty where it was not run."""
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    for axes, row in zip(figure.subplots(3, 3, sharex=True).flat, ROWS, strict=True):
        own = results[(results["row"] == row.name) & (results["site"] == "own")]
        axes.hist(own["dice"].fillna(0.0), bins=BINS, color="#1f4e79")
        axes.set_title(row.name if len(own) else f"{row.name}: not run", fontsize=9)
    figure.supxlabel("Dice of a slice")
    figure.supylabel("slices")
    figure.savefig(path, dpi=100)


def draw_epochs(out_dir: Path) -> None:
    """Draw validation Dice over epochs of the RA-U-Net, cyclical and fixed learning rate."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for row, colour, words in ((CYCLICAL, "#1f4e79", "cyclical"), (FIXED, "#c0504d", "fixed")):
        for n, path in enumerate(sorted((out_dir / "rows").glob(f"{row.name}_seed-*/loss.csv"))):
            dice = pd.read_csv(path, na_values="n/a")["dice"].fillna(0.0)
            label = words if n == 0 else None  # one entry of the legend
            axes.plot(np.arange(1, len(dice) + 1), dice, color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="Dice of the validation slices", ylim=(0, 1))
    if axes.lines:
        axes.legend(frameon=False, title="learning rate")
    figure.savefig(out_dir / "epochs.png", dpi=100)


def draw_overlays(out_dir: Path) -> None:
    """Draw worst, median and best slice of every row: matched area green, mismatched red."""
    files = [
        (row.name, sorted((out_dir / "rows").glob(f"{row.name}_seed-*/examples.npz"))[:1])
        for row in ROWS
    ]
    shown = [(name, np.load(found[0])) for name, found in files if found]
    if not shown:
        return
    figure = Figure(figsize=(6, 2 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 3, squeeze=False)
    for line, (name, kept) in zip(grid, shown, strict=True):
        for n, axes in enumerate(line):
            picture = overlay(kept["image"][n], kept["cord"][n], kept["found"][n])
            axes.imshow(picture[_near(kept["cord"][n])].transpose(1, 0, 2), origin="lower")
            axes.set_title(f"{name}, Dice {kept['dice'][n]:.2f}", fontsize=6)
            axes.set_axis_off()
    figure.savefig(out_dir / "overlays.png", dpi=110)


def overlay(
    image: NDArray[np.float32], cord: NDArray[np.bool_], found: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return a slice (H, W) in colors (H, W, 3): green where both agree, red where one is alone.

    Examples
    --------
    >>> both, one = np.array([[True, False]]), np.array([[True, True]])
    >>> overlay(np.zeros((1, 2), np.float32), both, one).round(2).tolist()
    [[[0.0, 0.48, 0.12], [0.54, 0.06, 0.06]]]
    """
    picture = np.repeat(np.asarray(image, float)[..., None], 3, axis=2)
    for where, colour in ((cord & found, MATCHED), (cord ^ found, MISMATCHED)):
        picture[where] = 0.4 * picture[where] + 0.6 * np.array(colour)
    return picture


def _near(cord: NDArray[np.bool_], reach: int = 32) -> tuple[slice, slice]:
    """Return the part of a slice around the cord."""
    middle = np.argwhere(cord).mean(axis=0).round().astype(int)
    i, j = (slice(max(m - reach, 0), m + reach) for m in middle.tolist())
    return i, j
