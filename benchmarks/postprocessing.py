"""Cord and lesions with and without a conditional random field, and with the largest component.

python benchmarks/postprocessing.py FIRST COUNT [--choose]

Synthetic subjects from seed FIRST on, each in two contrasts, networks along the true centerline.
With --choose the cord's Dice is printed for a grid of fields; the figures are of other seeds.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.networks.crf import Field, refine
from spinalprep.networks.postprocess import keep_largest
from spinalprep.networks.predict import lesions, segment
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import TISSUES, make_person
from spinalprep.phantom.images import las_grid, render
from spinalprep.training.evaluation.metrics import (
    bootstrap_interval,
    count_lesions,
    overlap_measures,
)

GRIDS = {
    "T2w": ((44, 44, 24), (0.9, 0.9, 2.0)),
    "T2starw": ((60, 60, 10), (0.6, 0.6, 5.0)),
}
NOISE = 0.05
FIELDS = [
    Field(strength, sd_mm, sd_grey)
    for strength, sd_mm, sd_grey in product((0.5, 1.0, 2.0), (0.7, 1.2), (0.1, 0.2))
]


@dataclass(frozen=True)
class Maps:
    """What the networks say of one image, and what is true."""

    image: Image
    cord: Image
    lesion: Image
    true_cord: NDArray[np.bool_]
    true_lesion: NDArray[np.bool_]


def read(first: int, count: int) -> Iterator[tuple[int, str, Maps]]:
    """Yield seed, contrast and maps of every image."""
    networks = load_model("cord"), load_model("lesion")
    for seed, contrast in product(range(first, first + count), GRIDS):
        shape, spacing = GRIDS[contrast]
        person = make_person(seed, lesions=2)
        middle = np.mean([lesion.centre[0] for lesion in person.lesions])
        grid = las_grid(shape, spacing, person.centerline.at(np.array([middle]))[0])
        image = render(person, contrast, grid, seed, noise=NOISE)
        shares = person.labels_on(*grid, fine=2)
        cord = sum(shares[TISSUES.index(n)] for n in ("white matter", "gray matter", "lesion"))
        lesion = shares[TISSUES.index("lesion")]
        line = centerline_from_mask(image.with_data((cord >= 0.5).astype(np.float32)))
        found = segment(image, line, networks[0], 2).cord
        proposed = lesions(image, line, networks[1])
        maps = [image.with_data(part) for part in (found, proposed)]
        yield seed, contrast, Maps(image, *maps, cord >= 0.5, lesion >= 0.5)


def judge(maps: Maps) -> dict[str, float]:
    """Return Dice of the cord, Dice of the lesions, and lesions counted."""
    cord = maps.cord.with_data((maps.cord.data >= 0.5).astype(np.float32))
    line = centerline_from_mask(maps.cord.with_data(maps.true_cord.astype(np.float32)))
    called = call_lesions(maps.lesion, maps.image, cord, line, LesionRule()).labels > 0
    counts = count_lesions(called, maps.true_lesion, maps.true_cord)
    lesion = overlap_measures(called, maps.true_lesion)["dice"]
    return {
        "cord": overlap_measures(cord.data > 0, maps.true_cord)["dice"],
        "lesion": 0.0 if np.isnan(lesion) else lesion,
        "drawn": counts.drawn,
        "detected": counts.detected,
        "found": counts.found,
        "true": counts.true,
    }


def with_field(maps: Maps, field: Field) -> Maps:
    """Return the maps after a conditional random field."""
    cord, lesion = (
        part.with_data(refine(part, maps.image, field)) for part in (maps.cord, maps.lesion)
    )
    return replace(maps, cord=cord, lesion=lesion)


def with_largest(maps: Maps) -> Maps:
    """Return the maps with the largest component of each."""
    cord, lesion = (part.with_data(keep_largest(part.data)) for part in (maps.cord, maps.lesion))
    return replace(maps, cord=cord, lesion=lesion)


def choose(first: int, count: int) -> None:
    """Print the mean Dice of cord and lesion maps, at one half, without and with every field."""
    rows = []
    for _, _, maps in read(first, count):
        for field in (None, *FIELDS):
            done = maps if field is None else with_field(maps, field)
            rows.append(
                {
                    "field": str(field),
                    "cord": overlap_measures(done.cord.data >= 0.5, maps.true_cord)["dice"],
                    "lesion": overlap_measures(done.lesion.data >= 0.5, maps.true_lesion)["dice"],
                }
            )
    means = pd.DataFrame(rows).groupby("field")[["cord", "lesion"]].mean()
    means["both"] = means.mean(axis=1)
    sys.stdout.write(means.sort_values("both", ascending=False).to_string() + "\n")


def measure(first: int, count: int) -> None:
    """Print what each step changes, paired by subject, with 95 % bootstrap intervals."""
    rows = []
    for seed, contrast, maps in read(first, count):
        for name, done in (
            ("none", maps),
            ("crf", with_field(maps, Field())),
            ("largest", with_largest(maps)),
        ):
            rows.append({"seed": seed, "contrast": contrast, "step": name, **judge(done)})
    table = pd.DataFrame(rows)
    sums = table.groupby(["step", "contrast"])[["drawn", "detected", "found", "true"]].sum()
    means = table.groupby(["step", "contrast"])[["cord", "lesion"]].mean()
    sys.stdout.write(means.join(sums).round(4).to_string() + "\n")
    people = table.groupby(["step", "seed"])[["cord", "lesion"]].mean()
    for name, what in product(("crf", "largest"), ("cord", "lesion")):
        change = (people.loc[name, what] - people.loc["none", what]).to_numpy()
        low, high = bootstrap_interval(change)
        sys.stdout.write(
            f"{name}, Dice of {what}: {change.mean():+.4f} ({low:+.4f} to {high:+.4f}), "
            f"{len(change)} subjects\n"
        )


def main() -> None:
    """Take the first seed and the number of subjects from the command line."""
    (choose if "--choose" in sys.argv else measure)(int(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
