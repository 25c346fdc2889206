"""Lesions in several images of a person: the best single one, joined probabilities, HeMIS.

``python benchmarks/several_scans.py HEMIS [--choose FIRST N] [--judge FIRST N] [--out DIR]``
renders synthetic subjects no network was taught with: axial T2w, sagittal T2w, T2starw, T1w and MTS
in their usual voxels, each with noise of its own, a lesion contrast of its own and a little off
the others; two in three have three lesions. Thresholds, and which single contrast is the best of
a subset, are chosen on the first (default 172000, 9 people), by the F1 of lesions; the table is of
the others (173000, 15 people). ``--proof`` keeps only lesions that one of the images bears out.

The shipped lesion network looks at every image on its own grid; its probabilities are brought to
the grid of the first image, and averaged, or the highest is taken. HeMIS looks at images that were
brought there.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.defaults import MIN_LESION_MM3
from spinalprep.image import Image, resample_like
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.lesion.instances import SHORTEST_MM, lesion_instances
from spinalprep.networks.cards import find_weights
from spinalprep.networks.predict import lesions
from spinalprep.networks.together import segment_together
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import CSF, GM, LESION, WM, make_person
from spinalprep.phantom.images import INTENSITY, acquire, las_grid
from spinalprep.training.evaluation.metrics import count_lesions

AXIAL, SAGITTAL = "acq-axial_T2w", "acq-sagittal_T2w"
GRIDS = {  # shape, voxels in mm; the first is the reference
    AXIAL: ((80, 80, 36), (0.6, 0.6, 3.0)),
    SAGITTAL: ((15, 60, 135), (3.3, 0.8, 0.8)),
    "T2starw": ((80, 80, 22), (0.6, 0.6, 5.0)),
    "T1w": ((48, 48, 108), (1.0, 1.0, 1.0)),
    "MTS": ((56, 56, 22), (0.9, 0.9, 5.0)),
}
SUBSETS = {
    "axial T2w": (AXIAL,),
    "axial and sagittal T2w": (AXIAL, SAGITTAL),
    "axial T2w and T2starw": (AXIAL, "T2starw"),
    "all five": tuple(GRIDS),
}
METHODS = "single", "average", "highest", "HeMIS"
THRESHOLDS = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
CONTRAST = 0.1, 0.6  # of the step from white matter to fluid, each image its own
NOISE = 0.03, 0.08  # of the fluid's intensity in T2w
APART_MM, APART_DEG = (0.3, 0.3, 0.5), 0.5  # standard deviations
DRAWS = 5000
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scans:
    """Images of a person by contrast, on their own grids and on that of the first."""

    own: Mapping[str, Image]
    aligned: Mapping[str, Image]
    coverage: Mapping[str, Image]
    cord: Image
    line: Centerline
    truth: Mask

    @classmethod
    def of(cls, own: Mapping[str, Image], cord: Image, line: Centerline, truth: Mask) -> "Scans":
        """Bring images to the grid of the cord; their headers say where they lie."""
        full = {
            name: image.with_data(np.ones(image.shape, np.float32)) for name, image in own.items()
        }
        return cls(
            own,
            {name: resample_like(image, cord) for name, image in own.items()},
            {name: resample_like(mask, cord) for name, mask in full.items()},
            cord,
            line,
            truth,
        )


@dataclass(frozen=True)
class Kept:
    """Where rows of a run are kept, and whether an image had to bear out a lesion."""

    path: Path
    proof: bool

    def read(self) -> pd.DataFrame:
        """Return the rows that were kept."""
        if not self.path.is_file():
            return pd.DataFrame({"who": []})
        rows = pd.read_csv(self.path, sep="\t", dtype={"who": str, "contrast": str})
        return rows.fillna({"contrast": ""})


def draw_person(seed: int) -> Scans:
    """Render the images of a synthetic subject."""
    chance = np.random.default_rng(seed)
    person = make_person(seed, lesions=0 if seed % 3 == 2 else 3)
    middle = person.centerline.at(person.centerline.length / 2)
    own, truth, cord = {}, np.zeros(0, bool), None
    for contrast, (size, spacing) in GRIDS.items():
        shape, affine = las_grid(size, spacing, middle)
        moved = np.eye(4)
        if cord is not None:
            turn = Rotation.from_rotvec(np.deg2rad(APART_DEG) * chance.normal(size=3))
            moved[:3, :3] = turn.as_matrix()
            moved[:3, 3] = middle - moved[:3, :3] @ middle + chance.normal(size=3) * APART_MM
        shares = person.labels_on(shape, moved @ affine, fine=2)
        levels = np.array(INTENSITY[contrast.rpartition("_")[2]])
        levels[LESION] = levels[WM] + chance.uniform(*CONTRAST) * (levels[CSF] - levels[WM])
        own[contrast] = acquire(shares, levels, affine, chance, chance.uniform(*NOISE))
        if cord is None:
            cord = own[contrast].with_data(shares[[WM, GM, LESION]].sum(axis=0) >= 0.5)
            truth = shares[LESION] >= 0.5
    assert cord is not None
    return Scans.of(own, cord, centerline_from_mask(cord), truth)


def look(
    scans: Scans, subsets: Mapping[str, Sequence[str]], models: tuple[Model, Model]
) -> dict[tuple[str, str, str], Image]:
    """Return probabilities of a lesion by subset, method and, of single images, contrast."""
    shipped, hemis = models
    alone = {
        name: resample_like(image.with_data(lesions(image, scans.line, shipped)), scans.cord)
        for name, image in scans.own.items()
    }
    found = {}
    for subset, names in subsets.items():
        covered = np.sum([scans.coverage[name].data for name in names], axis=0)
        total = np.sum([alone[name].data * scans.coverage[name].data for name in names], axis=0)
        mean = (total / np.maximum(covered, 1e-6)).astype(np.float32)
        seen = {name: scans.aligned[name] for name in names}
        cover = {name: scans.coverage[name] for name in names}
        together = segment_together(seen, scans.line, hemis, cover)
        found |= {(subset, "single", name): alone[name] for name in names}
        found[subset, "average", ""] = scans.cord.with_data(mean)
        most = np.max([alone[name].data for name in names], axis=0)
        found[subset, "highest", ""] = scans.cord.with_data(most)
        found[subset, "HeMIS", ""] = scans.cord.with_data(together.lesion)
    return found


def call(
    probability: Image, scans: Scans, names: Sequence[str], threshold: float, proof: bool
) -> Mask:
    """Return the lesions at a threshold; with ``proof`` those that one image bears out."""
    if not proof:
        limits = threshold, MIN_LESION_MM3, SHORTEST_MM
        return np.asarray(lesion_instances(probability, scans.cord, *limits) > 0)
    rule, kept = LesionRule(threshold), np.zeros(scans.cord.shape, bool)
    for name in names:
        image = scans.aligned[name]
        kept |= call_lesions(probability, image, scans.cord, scans.line, rule).labels > 0
    return kept


def count(
    who: str,
    scans: Scans,
    found: Mapping[tuple[str, str, str], Image],
    subsets: Mapping[str, Sequence[str]],
    proof: bool,
) -> Iterator[dict[str, object]]:
    """Yield a row per subset, method, contrast and threshold."""
    seen = dict[tuple[int, float], Mask]()
    for (subset, method, contrast), probability in found.items():
        names = (contrast,) if contrast else subsets[subset]
        for threshold in THRESHOLDS:
            key = id(probability), threshold  # one image alone is the same in every subset
            if key not in seen:
                seen[key] = call(probability, scans, names, threshold, proof)
            mask = seen[key]
            n = count_lesions(mask, scans.truth, scans.cord.data > 0)
            both = int(mask.sum()) + int(scans.truth.sum())
            yield {
                "who": who,
                "subset": subset,
                "method": method,
                "contrast": contrast,
                "threshold": threshold,
                "drawn": n.drawn,
                "detected": n.detected,
                "found": n.found,
                "true": n.true,
                "dice": 2 * int((mask & scans.truth).sum()) / both if n.drawn else np.nan,
            }


def choose(rows: pd.DataFrame) -> pd.DataFrame:
    """Return contrast and threshold of every subset and method, of the best F1 of lesions."""
    sums = rows.groupby(["subset", "method", "contrast", "threshold"], as_index=False).sum(
        numeric_only=True
    )
    wrong = sums["found"] - sums["true"]
    sums["f1"] = 2 * sums["detected"] / (sums["detected"] + sums["drawn"] + wrong).clip(lower=1)
    best = sums.sort_values(["f1", "threshold"]).groupby(["subset", "method"]).tail(1)
    return best[["subset", "method", "contrast", "threshold", "f1"]]


def figures(part: pd.DataFrame) -> NDArray[np.float64]:
    """Return sensitivity, false lesions per person and Dice of every draw, the people first."""
    chance = np.random.default_rng(0)
    every = chance.integers(len(part), size=(DRAWS, len(part)))
    every = np.concatenate([np.arange(len(part))[None], every])
    table = part[["drawn", "detected", "found", "true", "dice"]].to_numpy(float)[every]
    drawn, detected, found, true, dice = np.moveaxis(table, -1, 0)
    sensitivity = detected.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
    some = drawn > 0
    mean = np.where(some, dice, 0.0).sum(axis=1) / np.maximum(some.sum(axis=1), 1)
    return np.stack([sensitivity, (found - true).mean(axis=1), mean])


def told(draws: NDArray[np.float64]) -> str:
    """Return the value of the people and its 95 % interval over draws of people."""
    low, high = np.nanpercentile(draws[1:], [2.5, 97.5])
    return f"{draws[0]:.2f} ({low:.2f} to {high:.2f})"


def table(rows: pd.DataFrame, chosen: pd.DataFrame) -> str:
    """Return a line per subset and method, and what HeMIS gains over the others."""
    kept = rows.merge(chosen, on=["subset", "method", "contrast", "threshold"])
    lines = [
        "| images | method | sensitivity | false lesions per person | Dice |",
        "|---" * 5 + "|",
    ]
    for subset in dict.fromkeys(rows["subset"]):
        parts = {
            method: kept[(kept["subset"] == subset) & (kept["method"] == method)].sort_values("who")
            for method in METHODS
        }
        draws = {method: figures(part) for method, part in parts.items()}
        for method, part in parts.items():
            how = f"{part['contrast'].iloc[0]} at {part['threshold'].iloc[0]}".strip()
            values = " | ".join(told(draws[method][n]) for n in range(3))
            lines.append(f"| {subset} | {method} ({how}) | {values} |")
        for other in METHODS[:3]:
            apart = draws["HeMIS"] - draws[other]
            values = " | ".join(told(apart[n]) for n in range(3))
            lines.append(f"| | HeMIS minus {other} | {values} |")
    return "\n".join(lines) + "\n"


def people(first: int, number: int, models: tuple[Model, Model], kept: Kept) -> pd.DataFrame:
    """Return the rows of synthetic subjects; those that are kept already are taken from there."""
    rows = kept.read()
    for seed in range(first, first + number):
        if str(seed) in set(rows["who"]):
            continue
        scans = draw_person(seed)
        own = count(str(seed), scans, look(scans, SUBSETS, models), SUBSETS, kept.proof)
        rows = pd.concat([rows, pd.DataFrame(own)], ignore_index=True)
        rows.to_csv(kept.path, sep="\t", index=False)
    return kept.read()


def main() -> None:
    """Choose on some synthetic subjects, and judge on others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hemis", type=find_weights)
    parser.add_argument("--lesion", type=find_weights, default=find_weights("lesion"))
    parser.add_argument("--choose", nargs=2, type=int, default=(172_000, 9))
    parser.add_argument("--judge", nargs=2, type=int, default=(173_000, 15))
    parser.add_argument("--proof", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("several_scans"))
    given = parser.parse_args()
    models = load_model(given.lesion), load_model(given.hemis)
    given.out.mkdir(parents=True, exist_ok=True)
    first = people(*given.choose, models, Kept(given.out / "choose.tsv", given.proof))
    chosen = choose(first)
    sys.stdout.write(chosen.to_string(index=False) + "\n")
    rows = people(*given.judge, models, Kept(given.out / "judge.tsv", given.proof))
    sys.stdout.write(table(rows, chosen))


if __name__ == "__main__":
    main()
