"""The paper's table of lumbar structures, its own figures beside ours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.training.evaluation.structures import overlap_percent
from spinalprep.training.protocol.lumbar_rows import BASELINE, LUMBAR_ROWS, LumbarRow
from spinalprep.training.protocol.lumbar_run import LumbarStudy
from spinalprep.training.protocol.table import LEAST_SEEDS, NOT_RUN

WITHOUT, WITH = "IoU without background", "IoU with background"
LINES = (*STRUCTURES, WITHOUT, WITH)
DRAWS = 2000  # of the people who are tested, for an interval
COLUMNS = {
    "structure": "one of the twelve, or their mean",
    "network": "name of the configuration, for --rows",
    "paper, private data": "intersection over union in percent, of 15 patients",
    "ours, synthetic": "the same of the networks of the folds, mean over the trainings",
    "low": "95 % t interval of that mean over the trainings; n/a with fewer than three",
    "high": "its upper end",
    "trainings": "folds and seeds that were run",
    "ensemble, synthetic": "the same of the folds' mean probability; mean over seeds",
    "ensemble low": "95 % bootstrap interval of the ensemble over the people tested",
    "ensemble high": "its upper end",
    "ensemble less U1": "the ensemble's figure less that of U1, of the same people",
    "less U1 low": "95 % bootstrap interval of the difference over the people tested",
    "less U1 high": "its upper end",
}


@dataclass(frozen=True)
class RowCounts:
    """Voxels by what they are and what they are called; see `structures.count_pairs`.

    Attributes
    ----------
    folds : ndarray of int, shape (trainings, people, 12, 12)
    ensembles : ndarray of int, shape (seeds, people, 12, 12)
        Either may be empty.
    """

    folds: NDArray[np.int64]
    ensembles: NDArray[np.int64]


def read_counts(out_dir: Path) -> dict[str, RowCounts]:
    """Return what was counted of every row."""

    def read(pattern: str) -> NDArray[np.int64]:
        paths = sorted((out_dir / "rows").glob(f"{pattern}/voxels.npz"))
        if not paths:
            return np.zeros((0, 0, len(STRUCTURES), len(STRUCTURES)), np.int64)
        return np.stack([np.load(path)["counts"] for path in paths])

    return {
        row.name: RowCounts(read(f"{row.name}_seed-*_fold-*"), read(f"{row.name}_seed-*_ensemble"))
        for row in LUMBAR_ROWS
    }


def figures_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the figures of ``LINES`` in percent, (..., 14), of counts (..., 12, 12)."""
    each = overlap_percent(counts)
    means = each[..., 1:].mean(axis=-1), each.mean(axis=-1)
    return np.concatenate([each, np.stack(means, axis=-1)], axis=-1)


def make_lumbar_table(counts: dict[str, RowCounts]) -> pd.DataFrame:
    """Return the table, a line per structure and configuration.

    Parameters
    ----------
    counts : dict
        See `read_counts`.
    """
    parts = [_of_row(row, counts) for row in LUMBAR_ROWS]
    table = pd.concat(parts, ignore_index=True)
    table["order"] = table["structure"].map(LINES.index)
    table = table.sort_values("order", kind="stable").drop(columns="order")
    return table[list(COLUMNS)].reset_index(drop=True)


def _of_row(row: LumbarRow, counts: dict[str, RowCounts]) -> pd.DataFrame:
    own = counts[row.name]
    table = pd.DataFrame({"structure": LINES, "network": row.name})
    table["paper, private data"] = [*row.paper, row.paper_without, row.paper_with]
    table["trainings"] = len(own.folds)
    measured = list(COLUMNS)[3:6] + list(COLUMNS)[7:]
    table[measured] = np.nan
    if len(own.folds):
        folds = figures_of(own.folds.sum(axis=1))
        table["ours, synthetic"] = folds.mean(axis=0)
        if len(folds) >= LEAST_SEEDS:
            reach = stats.t.ppf(0.975, len(folds) - 1) / np.sqrt(len(folds))
            half = reach * folds.std(axis=0, ddof=1)
            table["low"], table["high"] = folds.mean(axis=0) - half, folds.mean(axis=0) + half
    if len(own.ensembles):
        table["ensemble, synthetic"] = figures_of(own.ensembles.sum(axis=1)).mean(axis=0)
        drawn = _drawn(own.ensembles)
        table["ensemble low"], table["ensemble high"] = _interval(drawn)
        baseline = counts[BASELINE.name].ensembles
        if row != BASELINE and baseline.shape == own.ensembles.shape:
            whole = figures_of(baseline.sum(axis=1)).mean(axis=0)
            table["ensemble less U1"] = table["ensemble, synthetic"] - whole
            table["less U1 low"], table["less U1 high"] = _interval(drawn - _drawn(baseline))
    return table


def _drawn(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the figures (DRAWS, 14) of people drawn with replacement, the same for every row."""
    people = counts.shape[1]
    times = np.random.default_rng(0).multinomial(people, np.full(people, 1 / people), DRAWS)
    drawn = figures_of(np.einsum("dp,spij->sdij", times, counts))
    return np.asarray(drawn.mean(axis=0))


def _interval(drawn: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return low, high


def as_lumbar_markdown(table: pd.DataFrame, study: LumbarStudy) -> str:
    """Return the table of the paper in Markdown, and the means with their intervals."""
    names = [row.name for row in LUMBAR_ROWS]
    lines = [
        f"All rows: {study.people} synthetic subjects in {study.folds} folds ({study.slices} "
        f"slices each), patches of {study.size} x {study.size} at 1 mm, batches of {study.batch}, "
        f"{study.steps} steps, published first filters divided by {study.divisor}, published "
        f"learning rates times {study.rate_factor:g}; {study.tested} further subjects are tested "
        "(simulated spin echoes, anatomy from wider ranges). In the paper: 60 patients for "
        "training in five folds, 15 tested, patches of 256 x 256 at about 0.6 mm.",
        "Each cell: paper, private data / ours, synthetic subjects (mean over the folds), in "
        "percent. The method is that of the paper, the data are not.",
        "",
        "| structure | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for line in LINES:
        own = table[table["structure"] == line].set_index("network").loc[names]
        cells = [
            f"{paper:.1f} / {_shown(ours)}"
            for paper, ours in zip(own["paper, private data"], own["ours, synthetic"], strict=True)
        ]
        lines.append(f"| {line} | " + " | ".join(cells) + " |")
    lines += ["", *_mean_lines(table)]
    return "\n".join(lines) + "\n"


def _mean_lines(table: pd.DataFrame) -> list[str]:
    """Return the means without background, with what can be said of their order."""
    lines = [
        f"{WITHOUT}: folds with their 95 % interval over trainings, ensembles of the folds with "
        "their 95 % interval over the people tested.",
        "",
        "| network | paper | trainings | ours, mean of the folds | ensemble of the folds | "
        "ensemble less that of U1 |",
        "|---|---|---|---|---|---|",
    ]
    for own in table[table["structure"] == WITHOUT].to_dict("records"):
        cells = [
            _with_interval(own, *names)
            for names in (
                ("ours, synthetic", "low", "high"),
                ("ensemble, synthetic", "ensemble low", "ensemble high"),
            )
        ]
        less = _with_interval(own, "ensemble less U1", "less U1 low", "less U1 high")
        lines.append(
            f"| {own['network']} | {own['paper, private data']:.1f} | {own['trainings']} | "
            f"{' | '.join(cells)} | {'-' if own['network'] == BASELINE.name else less} |"
        )
    return lines


def _shown(value: float) -> str:
    return NOT_RUN if np.isnan(value) else f"{value:.1f}"


def _with_interval(own: dict[str, float], name: str, low: str, high: str) -> str:
    if np.isnan(own[name]) or np.isnan(own[low]):
        return _shown(own[name])
    return f"{own[name]:.1f} ({own[low]:.1f} to {own[high]:.1f})"
