"""What more people would bring: networks taught by one, two, ... people, judged on another.

``python benchmarks/learning_curve.py cord OUT_DIR (--shared DIR | --bids DIR) [--steps N]``. Every
person who drew the cord (or gray matter, for ``gm``) is left out once; from the others one, two
and so on are drawn by the seed, and a network is trained by each set with ``spinalprep-tools
train``'s own function. ``learning_curve.tsv`` keeps every Dice, so that a run that was ended goes
on; at the end a power law says what 10, 20 and 50 people would give, with its interval over the
held out. Template and synthetic subjects always train; the centerline network is the packaged
one, which may know the person. N people cost N (N - 1) trainings; ``--left-out`` judges fewer.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spinalprep.networks.weights import Model, load_model
from spinalprep.training.evaluation.evaluate import judge
from spinalprep.training.evaluation.learning import fit_learning_curve, predict_interval
from spinalprep.training.evaluation.predictions import from_networks
from spinalprep.training.material.cases import Case, read_persons
from spinalprep.training.material.dataset import described_dataset, user_dataset
from spinalprep.training.options import RunOptions
from spinalprep.training.recipes import find_recipe
from spinalprep.training.train import train

AHEAD = (10, 20, 50)
COLUMNS = ("person", "people", "seed", "taught_by", "dice")


def plan(people: Sequence[str], seed: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield who is left out, and who teaches: nested sets in an order drawn by the seed."""
    for left in people:
        others = [name for name in people if name != left]
        order = np.random.default_rng([seed, *left.encode()]).permutation(others).tolist()
        for count in range(1, len(order) + 1):
            yield left, tuple(order[:count])


def mean_dice(cases: list[Case], models: tuple[Model, ...], structure: str) -> float:
    """Return the mean Dice over the images of a person."""
    rows = [
        row
        for case in cases
        for row in judge(case, from_networks(case.image, models, lesion_threshold=0.9))
        if row["structure"] == structure
    ]
    return float(np.mean([float(str(row["dice"])) for row in rows]))


def report(table: pd.DataFrame) -> Iterator[str]:
    """Yield the curve, and what it predicts."""
    errors = 1 - table.pivot_table(values="dice", index="people", columns="person")
    errors = errors.dropna()  # numbers of people that everybody left out was judged by
    counts = errors.index.to_numpy(float)
    for count, row in errors.iterrows():
        yield f"{count} people: Dice {1 - row.mean():.3f}, worst {1 - row.max():.3f}"
    curve = fit_learning_curve(counts, errors.mean(axis=1).to_numpy())
    yield f"error {curve.scale:.4f} x people ^ {-curve.rate:.2f}"
    for count in AHEAD:
        low, high = predict_interval(counts, errors.to_numpy(), count)
        error = float(curve.predict(np.array([count]))[0])
        yield f"{count} people would give {1 - error:.3f} ({1 - high:.3f} to {1 - low:.3f})"


class Study:
    """Who is judged, by whom they may be taught, and where the results are kept."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.name, self.out_dir = given.name, given.out_dir
        if given.bids:
            persons = read_persons(given.bids, given.person_column, [])
            self.dataset = user_dataset(given.bids, persons=persons)
        else:
            self.dataset = described_dataset(find_recipe(given.name).dataset, given.shared)
        self.options = RunOptions(seed=given.seed, steps=given.steps)
        cases = self.dataset.cases()
        teaches = {"gm"} if self.name == "gm" else {"cord", "gm"}  # what a recipe's slices show
        self.everybody = {case.person for case in cases if teaches & set(case.truth)}
        self.cases = [case for case in cases if self.name in case.truth]
        self.people = sorted({case.person for case in self.cases})
        self.judged = given.left_out or self.people
        self.path = self.out_dir / "learning_curve.tsv"
        self.out_dir.mkdir(parents=True, exist_ok=True)
        if not self.path.is_file():
            self.path.write_text("\t".join(COLUMNS) + "\n")

    def table(self) -> pd.DataFrame:
        """Return what is known so far."""
        return pd.read_csv(self.path, sep="\t", dtype={"person": str})

    def run(self) -> None:
        """Train and judge what is missing."""
        done = self.table()
        known = set(zip(done["person"], done["people"], done["seed"], strict=True))
        seed = self.options.seed
        for left, taught_by in plan(self.people, seed):
            if left not in self.judged:
                continue
            if (left, len(taught_by), seed) in known:
                continue
            dice = self.judge(left, taught_by)
            with self.path.open("a", newline="") as file:
                row = (left, len(taught_by), seed, ",".join(taught_by), f"{dice:.4f}")
                csv.writer(file, delimiter="\t").writerow(row)

    def judge(self, left: str, taught_by: tuple[str, ...]) -> float:
        """Train by some people and return the mean Dice over the images of another."""
        folder = self.out_dir / f"{left}_{len(taught_by)}_{self.options.seed}"
        out = tuple(sorted(self.everybody - set(taught_by)))
        weights = train(self.name, self.dataset, folder, replace(self.options, leave_out=out))
        cord = [load_model("cord")] if self.name == "gm" else []
        models = (load_model("centerline"), *cord, load_model(weights))
        mine = [case for case in self.cases if case.person == left]
        return mean_dice(mine, models, self.name)


def main() -> None:
    """Train what is missing, and print the curve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=("cord", "gm"))
    parser.add_argument("out_dir", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--shared", type=Path)
    where.add_argument("--bids", type=Path)
    parser.add_argument("--person-column")
    parser.add_argument("--left-out", nargs="+", metavar="PERSON")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    torch.set_num_threads(1)
    study = Study(parser.parse_args())
    study.run()
    for line in report(study.table()):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
