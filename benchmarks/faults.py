"""What the gates say about faults simulated in images of synthetic subjects, and about plain ones.

``python benchmarks/faults.py [--seed 106000] [--people 6]`` looks for the cord with the packaged
networks and prints, per kind of fault, the Dice of the cord in the whole image and in the slices
of the fault, and which gates warn; then, over all masks, which share of the wrong ones is warned of
and which share of the right ones. Levels are taken as unknown. Limits were chosen on the people of
seeds 107000 on; 106000 on are for the figures.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.edge import edge_shares, worst_stretch
from spinalprep.cord.jumps import steepest_change
from spinalprep.cord.mask import count_components
from spinalprep.cord.shape import is_averaged, measure_slices
from spinalprep.defaults import FAULT_SEED
from spinalprep.errors import NoCordError
from spinalprep.image import Image, reorient
from spinalprep.networks.cascade import Found, Networks, find_cord
from spinalprep.networks.weights import Model, load_model
from spinalprep.normative.calibration import load_calibration
from spinalprep.normative.plausible import furthest_areas
from spinalprep.normative.table import load_norms
from spinalprep.phantom.anatomy import Person, make_person, truth_cord
from spinalprep.phantom.faults import FAULTS, Drawn, draw_fault
from spinalprep.phantom.images import las_grid, render
from spinalprep.reports.gates import load_gates

RIGHT = 0.95  # Dice from which a mask counts as right
GRIDS = {  # contrast: shape and voxels in mm
    "T2w": ((44, 52, 80), (1.0, 1.0, 1.0)),
    "T2starw": ((72, 80, 14), (0.6, 0.6, 5.0)),
}
Found3 = Found[Image, Centerline]


@dataclass(frozen=True)
class Judged:
    """A drawn fault, how good the cord is that was found, and what the gates measure.

    ``said``: the log warns of the ends of the cord, or that there is none.
    """

    kind: str
    dice: float
    dice_fault: float
    gates: dict[str, float | None]
    said: bool

    @property
    def warned(self) -> list[str]:
        """The gates that warn."""
        limits = load_gates()
        return [g.metric for g in limits if g.result(self.gates.get(g.metric)) in ("WARN", "FAIL")]


@dataclass(frozen=True)
class Subject:
    """A synthetic subject and their image; ``share`` of every voxel is cord.

    Every second one has thick axial slices, which can't be averaged further.
    """

    seed: int
    contrast: str
    person: Person
    image: Image
    share: np.ndarray

    def draw(self, kind: str) -> Drawn | None:
        """Return the image with a fault, or as it is (``plain``); None for thicker thick slices."""
        cord = self.image.with_data((self.share >= 0.5).astype(np.uint8))
        if kind == "plain":
            return Drawn(self.image, cord, None, 0, self.image.shape[2] - 1)
        if kind == "thick" and self.contrast != "T2w":
            return None
        return draw_fault(kind, self.image, cord, self.seed)


def make_subjects(seed: int, people: int) -> Iterator[Subject]:
    """Yield subjects of consecutive seeds, T2w and T2starw in turn."""
    for n in range(people):
        contrast = list(GRIDS)[n % 2]
        shape, spacing = GRIDS[contrast]
        person = make_person(seed + n)
        image = render(person, contrast, las_grid(shape, spacing, (0.0, 4.0, 0.0)), seed + n)
        yield Subject(seed + n, contrast, person, image, truth_cord(person, image))


def drawn_cases(seed: int, people: int) -> Iterator[tuple[str, Drawn]]:
    """Yield a name and an image: each person as they are, and with every fault."""
    for n, subject in enumerate(make_subjects(seed, people)):
        for kind in ("plain", *FAULTS):
            drawn = subject.draw(kind)
            if drawn is not None:
                yield f"{kind} {n}", drawn


def judge(name: str, drawn: Drawn, found: Found3 | None) -> Judged:
    """Hold what was found against the truth; None where no cord was found."""
    kind = name.split(maxsplit=1)[0]
    if found is None:
        return Judged(kind, 0.0, 0.0, {}, True)
    true, ours = drawn.cord.data > 0, found.cord.data > 0
    part = slice(drawn.first, drawn.last + 1)
    within = dice(ours[:, :, part], true[:, :, part])
    return Judged(kind, dice(ours, true), within, measure(drawn.image, found), bool(found.warnings))


def look(image: Image, networks: Networks[Model]) -> Found3 | None:
    """Return the cord, None where the networks see none."""
    try:
        return find_cord(reorient(image), networks)
    except NoCordError:
        return None


def measure(image: Image, found: Found3) -> dict[str, float | None]:
    """Return what the gates on the cord look at."""
    table = measure_slices(found.probability, found.centerline, doubtful=found.doubtful)
    table["vertebral_level"] = np.nan
    inner = table[is_averaged(table)].sort_values("slice").iloc[1:-1]
    slices = table["slice"]
    shares = edge_shares(image, found.probability)
    sure = [k for k in sorted(shares) if k not in found.doubtful][1:-1]
    return {
        "area_jump": steepest_change(inner),
        "area_norm": furthest_areas(inner, load_norms(), load_calibration()).above,
        "edge": worst_stretch({k: shares[k] for k in sure}, float(image.voxel_sizes[2])),
        "coverage": len(table) / float(slices.max() - slices.min() + 1 + found.unseen),
        "doubtful_mm": float(table["length_mm"][table["doubtful"]].sum()),
        "components": float(count_components(found.cord.data > 0)),
    }


def dice(ours: np.ndarray, true: np.ndarray) -> float:
    """Return the overlap of two masks; 1 where both are empty."""
    total = int(ours.sum()) + int(true.sum())
    return 2 * int((ours & true).sum()) / total if total else 1.0


def summarise(judged: list[Judged]) -> list[str]:
    """Return the lines of the result."""
    table = pd.DataFrame({"kind": [one.kind for one in judged], "one": judged})
    lines = []
    for kind, rows in table.groupby("kind", sort=False)["one"]:
        warned = sorted({name for one in rows for name in one.warned})
        counts = [f"{name} {sum(name in one.warned for one in rows)}" for name in warned]
        values = np.array([(one.dice, one.dice_fault) for one in rows])
        lines.append(
            f"{kind:12s} n {len(rows)}  Dice median {np.median(values[:, 0]):.3f} least "
            f"{values[:, 0].min():.3f}, in the fault {np.median(values[:, 1]):.3f} / "
            f"{values[:, 1].min():.3f}; a gate warns {sum(bool(one.warned) for one in rows)} "
            f"({', '.join(counts) or 'none'}), the log {sum(one.said for one in rows)}"
        )
    right = [one for one in judged if one.dice >= RIGHT]
    for name, chosen in (
        (f"wrong masks (Dice < {RIGHT})", [one for one in judged if one.dice < RIGHT]),
        ("right masks", right),
        ("right masks of unaltered images", [one for one in right if one.kind == "plain"]),
    ):
        gates, log = (
            sum(map(bool, found))
            for found in ((o.warned for o in chosen), (o.warned or o.said for o in chosen))
        )
        lines.append(f"{name}: a gate warns of {gates}, gate or log of {log} of {len(chosen)}")
    return lines


def main() -> None:
    """Print a line per image, then the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=FAULT_SEED)
    parser.add_argument("--people", type=int, default=6)
    given = parser.parse_args()
    networks = Networks(centerline=load_model("centerline"), cord=load_model("cord"))
    judged = []
    for name, drawn in drawn_cases(given.seed, given.people):
        one = judge(name, drawn, look(drawn.image, networks))
        judged.append(one)
        values = {key: f"{value:.2f}" for key, value in one.gates.items() if value is not None}
        words = " ".join(f"{key} {value}" for key, value in values.items())
        words += "  said" if one.said else ""
        sys.stdout.write(f"{name:14s} Dice {one.dice:.3f} fault {one.dice_fault:.3f}  {words}\n")
        sys.stdout.flush()
    sys.stdout.write("\n".join(summarise(judged)) + "\n")


if __name__ == "__main__":
    main()
