"""The paper's table, its own figures beside ours."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from spinalprep.training.fitting.scores import Confusion
from spinalprep.training.protocol.rows import ROWS, Figures, Row
from spinalprep.training.protocol.run import Protocol

LEAST_SEEDS = 3  # from which on an interval over seeds is given
NOT_RUN = "not run"
COLUMNS = {
    "row": "name of the configuration, for --rows",
    "model": "network",
    "loss": "loss",
    "learning_rate": "as published, fixed or cyclical; multiplied by rate_factor in the training",
    "paper, private data": "mean Dice ± SD; MCC; P25 / P50 / P75 over the slices of 25 patients",
    "ours": "the same over the slices of held-out people, of all seeds and folds together; MCC of "
    "all their voxels together",
    "ours, other site": "the same over the slices of another site",
    "people": "held-out people",
    "slices": "their slices, each counted once",
    "seeds": "trainings with other initial weights; with one no order of rows can be claimed",
    "interval over seeds": "95 % t interval of the mean Dice; n/a with fewer than three seeds",
}


def read_results(out_dir: Path) -> pd.DataFrame:
    """Return the tested slices of all rows that were run; no row of a table without any."""
    parts = []
    for row in ROWS:
        for path in sorted((out_dir / "rows").glob(f"{row.name}_seed-*_fold-*/slices.tsv")):
            _, seed, fold = path.parent.name.split("_")
            told = {"row": row.name, "seed": int(seed[5:]), "fold": int(fold[5:])}
            parts.append(pd.read_csv(path, sep="\t", na_values="n/a").assign(**told))
    columns = ["row", "seed", "fold", "site", "person_id", "image", "slice", "dice"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def make_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return the table, a line per configuration in the order of the paper.

    Parameters
    ----------
    results : DataFrame
        See `read_results`.
    """
    lines = [_line(row, results[results["row"] == row.name]) for row in ROWS]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _line(row: Row, results: pd.DataFrame) -> dict[str, object]:
    own, other = (results[results["site"] == site] for site in ("own", "other"))
    rate = f"{row.rate:g}" if row.lowest is None else f"cyclical, {row.lowest:g} to {row.rate:g}"
    line: dict[str, object] = {
        "row": row.name,
        "model": row.model,
        "loss": row.loss,
        "learning_rate": rate,
        "paper, private data": str(row.paper),
        "ours": NOT_RUN if own.empty else str(figures_of(own)),
        "ours, other site": NOT_RUN if other.empty else str(figures_of(other)),
        "people": own["person_id"].nunique(),
        "slices": len(own[["image", "slice"]].drop_duplicates()),
        "seeds": own["seed"].nunique(),
        "interval over seeds": _interval(own),
    }
    return line


def figures_of(slices: pd.DataFrame) -> Figures:
    """Return mean, spread and quartiles of slice-wise Dice, and the MCC of all voxels."""
    dice = slices["dice"].fillna(0.0).to_numpy()
    counts = Confusion(*(float(slices[name].sum()) for name in Confusion.__match_args__))
    quartiles = (float(value) for value in np.percentile(dice, [25, 50, 75]))
    return Figures(float(dice.mean()), float(dice.std()), counts.matthews, *quartiles)


def _interval(own: pd.DataFrame) -> str:
    """Return the interval of the mean over seeds, where there are enough."""
    means = own.groupby("seed")["dice"].mean().to_numpy()
    if len(means) < LEAST_SEEDS:
        return "n/a"
    half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return f"{means.mean() - half:.3f} to {means.mean() + half:.3f}"


def as_markdown(table: pd.DataFrame, protocol: Protocol, people: tuple[str, ...]) -> str:
    """Return the table in Markdown under the protocol that all rows share."""
    lines = [
        f"All rows: {len(people)} labeled people in {protocol.folds} folds, {protocol.filters} "
        f"filters in the first level, slices of {protocol.size} x {protocol.size}, at most "
        f"{protocol.slices} of an image, batches of {protocol.batch}, at most {protocol.epochs} "
        f"epochs of {protocol.passes} pass(es) over the slices, learning rates times "
        f"{protocol.rate_factor:g}. In the paper: 121 patients, filters not stated, slices of "
        "256 x 256, batches of 15, 30 epochs.",
        "Dice: mean ± SD; MCC; P25 / P50 / P75. The method is that of the paper, the data are not.",
        "",
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * len(table.columns),
    ]
    lines += ["| " + " | ".join(map(str, line)) + " |" for line in table.itertuples(index=False)]
    if int(table["seeds"].max()) < LEAST_SEEDS:
        lines += ["", f"Fewer than {LEAST_SEEDS} seeds: no order of rows is claimed."]
    return "\n".join(lines) + "\n"
