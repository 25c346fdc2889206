"""People left out, three seeds: the shipped recipes, judged on people that no network has seen.

``python benchmarks/left_out.py SHARED OUT [SEED ...]`` trains what is not there yet (a killed run
goes on), evaluates, and prints a line per person, a table over seeds, and a table of both datasets
by site and contrast. The centerline network sees none of the five labeled people; cord, gray
matter and lesions are trained twice, without the people of either fold. The necks of bids-neck, a
site that no training saw, are judged by the networks of the first fold, which leaves out sub-t2
(the same person as neck05). Hours on four cores: start several, with different seeds.

``python benchmarks/left_out.py SHARED OUT --packaged`` trains nothing: the table of whatever the
packaged networks have not seen, by their cards.
"""

import csv
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean, median

import pandas as pd
from judged import Figure, judge_image
from predictions import NETWORKS, labelled_images, predict

from spinalprep.networks.cards import packaged_weights, read_card

FOLDS = {
    "a": {"9604": ("9604",), "t2": ("t2",), "t2s": ("t2s",), "unf01": ("unf01",)},
    "b": {"10062": ("10062Ses1", "10062Ses2"), "9709": ("9709Ses1", "9709Ses2")},
}
SAME = {"neck05": "t2", "10062Ses1": "10062", "10062Ses2": "10062"}
SAME |= {"9709Ses1": "9709", "9709Ses2": "9709"}
NETWORK_OF = {"cord": "cord", "gm": "gm", "false": "lesion", "levels": "centerline"}
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


def networks_of(fold: str, shared: Path, out: Path, seed: int) -> dict[str, Path]:
    """Return the networks that saw nobody of a fold, trained where they are not there yet."""
    people, place = FOLDS[fold], out / f"seed-{seed}"
    without = {
        "cord": tuple(people),
        "gm": tuple(name for name in people if name in WITH_GM),
        "lesion": tuple(people),
    }
    found = {"centerline": train("centerline", place / "centerline", shared, seed, WITH_CORD)}
    for name, left in without.items():
        found[name] = train(name, place / f"{name}-{fold}", shared, seed, left)
    return found


def judge_fold(fold: str, shared: Path, out: Path, seed: int) -> Figures:
    """Return means over the images of every person of a fold, by networks that saw none of them."""
    people, place = FOLDS[fold], out / f"seed-{seed}"
    networks = networks_of(fold, shared, out, seed)
    finder, cord, grey = (networks[name] for name in ("centerline", "cord", "gm"))
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
    lines += [("median of subjects", [pair[0] for pair in over])]
    lines += [("worst subject", [pair[1] for pair in over])]
    for name, numbers in lines:
        said = "  ".join(f"{n:.3f}" for n in numbers)
        sys.stdout.write(f"{structure:5s} {measure:26s} {name:17s} {said}\n")


def judge_both(shared: Path, out: Path, seed: int) -> list[Figure]:
    """Return all figures of both datasets, by networks that saw none of the people."""
    figures: list[Figure] = []
    template, cache = shared / "data" / "PAM50", out / "predictions"
    for fold, people in FOLDS.items():
        weights = networks_of(fold, shared, out, seed)
        labels = {label for images in people.values() for label in images}
        images = labelled_images(shared / "data" / "bids-dev")
        images = [p for p in images if p.parents[1].name.removeprefix("sub-") in labels]
        if fold == "a":
            images += labelled_images(shared / "data" / "bids-neck")
        for path in images:
            figures += judge_image(path, predict(path, cache, weights, template), SAME)
    return figures


def judge_packaged(shared: Path, out: Path) -> list[Figure]:
    """Return what the packaged networks find in people that their cards do not name."""
    cards = {name: read_card(packaged_weights(name)) for name in NETWORKS}
    seen = {name: set(card["data"].get("people", ())) for name, card in cards.items()}
    figures: list[Figure] = []
    for path in labelled_images(shared / "data" / "bids-neck"):
        found = predict(path, out, template=shared / "data" / "PAM50")
        for figure in judge_image(path, found, SAME):
            network = NETWORK_OF.get(figure.measure.split()[0], "centerline")
            label = path.parents[1].name.removeprefix("sub-")
            if not seen[network] & {figure.person, label}:
                figures.append(figure)
    return figures


def tell_table(seeds: Mapping[str, Iterable[Figure]]) -> None:
    """Print median and extremes over people by dataset, site, contrast and measure, per seed."""
    rows = pd.concat(
        [pd.DataFrame(figures).assign(seed=seed) for seed, figures in seeds.items()],
        ignore_index=True,
    )
    places = ["dataset", "site", "contrast", "measure"]
    sys.stdout.write(
        f"\n{' | '.join(places)} | people | images | median of people [range], by seed\n"
    )
    for key, own in rows.groupby(places, sort=True):
        cells = []
        for _, figures in own.groupby("seed"):
            people = figures.groupby("person")["value"].mean()
            cells.append(f"{people.median():.3f} [{people.min():.3f}, {people.max():.3f}]")
        counts = own["person"].nunique(), own["image"].nunique()
        sys.stdout.write(f"{' | '.join([*key, *map(str, counts), '; '.join(cells)])}\n")


def main() -> None:
    """Train, evaluate and print."""
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    if "--packaged" in sys.argv:
        tell_table({"packaged": judge_packaged(shared, out)})
        return
    numbers = [int(word) for word in sys.argv[3:]] or [0, 1, 2]
    seeds = [
        {**judge_fold("a", shared, out, n), **judge_fold("b", shared, out, n)} for n in numbers
    ]
    sys.stdout.write(f"seeds {numbers}; in lines of people their mean comes last\n")
    for measure in ("dice", "relative_volume_difference", "centerline_mm", "localisation"):
        tell("cord", measure, WITH_CORD, seeds)
    tell("gm", "dice", WITH_GM, seeds)
    tell_table({str(n): judge_both(shared, out, n) for n in numbers})


if __name__ == "__main__":
    main()
