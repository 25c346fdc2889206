"""Outlines of the cord where the image hides them, or where the cord changes its shape.

``python benchmarks/outlines.py [CORD.safetensors ...] [--seed 115000] [--people 6] [--kinds ...]``
draws the faults of `phantom.faults` into images of synthetic subjects (half T2w of 1 mm, half
T2starw of 0.6 x 0.6 x 5 mm) and prints, for the packaged cord network and every other one, with and
without the joint fit of `cord.carried`: Dice in the slices of the fault and in the worst tenth of
them, the error of the area (mean, and mean of its size), and how often the interval of the area
holds the true one. The true centerline leads, astray by up to a millimeter, as a found one is.
Seeds 114000 to 114999 are for choosing, those from 115000 for figures.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from faults import make_subjects

from spinalprep.cord.carried import carry_outline
from spinalprep.cord.centerline import Centerline
from spinalprep.cord.intervals import INTERVALS
from spinalprep.cord.shape import measure_slices
from spinalprep.image import Image, to_voxel
from spinalprep.networks.predict import Prediction, segment
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.faults import FAULTS, Drawn

LOWER, UPPER = INTERVALS["area_mm2"]
ASTRAY_MM = 1.0
SAME_GRID = ("plain", "equalfluid", "wall", "faded", "blurredends", "lesionend")
REPORTED = ("dice", "off", "size_off", "held")


@dataclass(frozen=True)
class Case:
    """A drawn fault, whose centerline leads, and the true share of voxels that the cord has."""

    kind: str
    contrast: str
    line: Centerline
    drawn: Drawn
    share: np.ndarray


def drawn_cases(seed: int, people: int, kinds: list[str]) -> Iterator[Case]:
    """Yield every kind of fault in every subject."""
    for subject in make_subjects(seed, people):
        for kind in kinds:
            drawn = subject.draw(kind)
            if drawn is None:
                continue
            line = astray(subject.person.centerline, drawn.image)
            true = subject.share if kind in SAME_GRID else drawn.cord.data.astype(np.float64)
            yield Case(kind, subject.contrast, line, drawn, true)


def astray(line: Centerline, image: Image) -> Centerline:
    """Return the part of a centerline in an image, off by a smooth wave."""
    k = to_voxel(line.points, image.affine)[:, 2]
    points = line.points[(k >= -0.5) & (k <= image.shape[2] - 0.5)].copy()
    phase = np.random.default_rng(len(points)).uniform(0.0, 2 * np.pi, 2)
    z = points[:, 2].copy()
    points[:, 0] += ASTRAY_MM * np.sin(z / 25.0 + phase[0])
    points[:, 1] += ASTRAY_MM * np.sin(z / 30.0 + phase[1])
    return Centerline(points)


def judge(case: Case, found: Prediction) -> Iterator[tuple[bool, float, float, bool]]:
    """Yield by slice: in the fault, Dice, error of the area, whether its interval holds."""
    image, true = case.drawn.image, case.drawn.cord.data > 0
    cord, spread = image.with_data(found.cord), image.with_data(found.sd)
    table = measure_slices(cord, case.line, spread=spread).set_index("slice")
    pixel = float(np.prod(image.voxel_sizes[:2]))
    for k in np.flatnonzero(true.any(axis=(0, 1))):
        ours = found.cord[:, :, k] >= 0.5
        both = int((ours & true[:, :, k]).sum())
        dice = 2 * both / (int(ours.sum()) + int(true[:, :, k].sum()))
        row = table.loc[k] if k in table.index else None
        if row is None:
            yield case.drawn.first <= k <= case.drawn.last, dice, -1.0, False
            continue
        area = case.share[:, :, k].sum() * pixel * np.cos(np.radians(row["tilt_deg"]))
        held = row[LOWER] <= area <= row[UPPER]
        inside = case.drawn.first <= k <= case.drawn.last
        yield inside, dice, float(row["area_mm2"] / area - 1), bool(held)


def rows_of(name: str, model: Model, cases: list[Case]) -> Iterator[dict[str, object]]:
    """Yield a row per slice, with and without the joint fit."""
    for case in cases:
        alone = segment(case.drawn.image, case.line, model)
        carried = carry_outline(case.drawn.image, alone.cord, case.line)
        cord, sd = carried.cord(alone.cord), carried.spread(alone.sd)
        for how, found in (("alone", alone), ("fit", replace(alone, cord=cord, sd=sd))):
            for inside, dice, off, held in judge(case, found):
                place = case.kind if inside else "other slices"
                yield {
                    "kind": place,
                    "contrast": case.contrast,
                    "network": f"{name} {how}",
                    "dice": dice,
                    "off": off,
                    "size_off": abs(off),
                    "held": held,
                }


def tenth(values: "pd.Series[float]") -> float:
    """Return the value that a tenth is below."""
    return float(np.percentile(values, 10))


def main() -> None:
    """Print one table per measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=115_000)
    parser.add_argument("--people", type=int, default=6)
    kinds = ["plain", *(kind for kind in FAULTS if kind != "cut")]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    given = parser.parse_args()
    cases = list(drawn_cases(given.seed, given.people, given.kinds))
    models = {"packaged": load_model("cord")}
    models |= {path.parent.name: load_model(path) for path in given.weights}
    rows = [row for name, model in models.items() for row in rows_of(name, model, cases)]
    table = pd.DataFrame(rows)
    pd.set_option("display.width", 200, "display.max_columns", 20)
    for measure in REPORTED:
        sys.stdout.write(f"\n{measure}\n{shown(table, measure, 'mean')}\n")
    sys.stdout.write(f"\ndice, worst tenth\n{shown(table, 'dice', tenth)}\n")


def shown(table: pd.DataFrame, measure: str, how: object) -> str:
    """Return a measure by kind of fault and contrast, a column per network."""
    cells = table.pivot_table(
        measure, ["kind", "contrast"], "network", aggfunc=how, sort=False, dropna=True
    )
    return cells.round(3).to_string()


if __name__ == "__main__":
    main()
