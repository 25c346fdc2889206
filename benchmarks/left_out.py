"""People left out, three seeds: the shipped recipes, judged on people that no network has seen.

``python benchmarks/left_out.py SHARED OUT [SEED ...]`` trains what is not there yet (a killed run
goes on), evaluates, and prints a line per person and a table over seeds. The centerline network
sees none of the five labelled people; cord and grey matter are trained twice, without the people of
either fold. Hours on four cores: start several, with different seeds.
"""

import csv
import subprocess
import sys
from pathlib import Path
from statistics import mean, median

FOLDS = {
    "a": {"9604": ("9604",), "t2": ("t2",), "t2s": ("t2s",), "unf01": ("unf01",)},
    "b": {"10062": ("10062Ses1", "10062Ses2"), "9709": ("9709Ses1", "9709Ses2")},
}
WITH_GM = ("9604", "t2s", "10062", "9709")
WITH_CORD = ("9604", "t2", "unf01", "10062", "9709")
Figures = dict[tuple[str, str, str], float]  # person, structure, measure


def tool(*words: str | Path) -> None:
    """Run a command of spinalprep-tools."""
    subprocess.run(["spinalprep-tools", *map(str, words)], check=True)


def train(name: str, out: Path, shared: Path, seed: int, people: tuple[str, ...]) -> Path:
    """Train a recipe without these people, unless it was done; return its weights."""
    weights = out / f"{name}.safetensors"
    if not weights.is_file():
        without = ("--leave-out", ",".join(people), "--seed", str(seed), "--threads", "1")
        tool("train", name, "--shared", shared, "-o", out, *without)
    return weights


def judge_fold(fold: str, shared: Path, out: Path, seed: int) -> Figures:
    """Return means over the images of every person of a fold, by networks that saw none of them."""
    people, place = FOLDS[fold], out / f"seed-{seed}"
    finder = train("centerline", place / "centerline", shared, seed, WITH_CORD)
    cord = train("cord", place / f"cord-{fold}", shared, seed, tuple(people))
    labelled = tuple(name for name in people if name in WITH_GM)
    grey = train("gm", place / f"gm-{fold}", shared, seed, labelled)
    labels = [label for images in people.values() for label in images]
    same = [f"{label}={name}" for name, images in people.items() for label in images]
    judged = place / f"judged-{fold}"
    choice = ("--participant-label", *labels, "--same-person", *same, "-o", judged)
    tool("evaluate", shared / "data" / "bids-dev", "--weights", finder, cord, grey, *choice)
    return read_figures(judged / "evaluation.tsv")


def read_figures(path: Path) -> Figures:
    """Average the rows of a person."""
    values: dict[tuple[str, str, str], list[float]] = {}
    with path.open() as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            for measure in ("dice", "relative_volume_difference", "centerline_mm", "localisation"):
                if row[measure] != "n/a":
                    key = row["person_id"], row["structure"], measure
                    values.setdefault(key, []).append(float(row[measure]))
    return {key: mean(found) for key, found in values.items()}


def tell(structure: str, measure: str, people: tuple[str, ...], seeds: list[Figures]) -> None:
    """Print a line per person, every seed, and the median and the worst over people."""
    rows = [[seed[name, structure, measure] for seed in seeds] for name in people]
    worst = max if measure in ("centerline_mm", "relative_volume_difference") else min
    over = [[pick(column) for pick in (median, worst)] for column in zip(*rows, strict=True)]
    lines = [(name, [*row, mean(row)]) for name, row in zip(people, rows, strict=True)]
    lines += [("median of people", [pair[0] for pair in over])]
    lines += [("worst person", [pair[1] for pair in over])]
    for name, numbers in lines:
        said = "  ".join(f"{n:.3f}" for n in numbers)
        sys.stdout.write(f"{structure:5s} {measure:26s} {name:17s} {said}\n")


def main() -> None:
    """Train, evaluate and print."""
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    numbers = [int(word) for word in sys.argv[3:]] or [0, 1, 2]
    seeds = [
        {**judge_fold("a", shared, out, n), **judge_fold("b", shared, out, n)} for n in numbers
    ]
    sys.stdout.write(f"seeds {numbers}; in lines of people their mean comes last\n")
    for measure in ("dice", "relative_volume_difference", "centerline_mm", "localisation"):
        tell("cord", measure, WITH_CORD, seeds)
    tell("gm", "dice", WITH_GM, seeds)


if __name__ == "__main__":
    main()
