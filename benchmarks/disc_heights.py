"""Heights of lumbar discs against those of the true label map, and what becomes of their names.

``python benchmarks/disc_heights.py FIRST COUNT`` scans COUNT synthetic subjects from seed FIRST,
each once with five and once with four or six free lumbar vertebrae, T2w and T1w, by a protocol of
its own. Heights are measured by `spinalprep.lumbar.heights` in the map of the network and in the
true one on the same grid; discs are matched by their middles. Flat discs are those of which the
true map shows less than 6 mm. With ``--true`` there is no image and no network: printed is the
height of the lowest disc over the median of the others in true maps of 4 x 0.9 x 0.9 mm. Seeds
126050 to 126069 were for choosing, 126070 on for the figures.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
from lumbar import segment

from spinalprep.image import Image
from spinalprep.lumbar.spine import FLAT, Disc, find_discs, name_discs
from spinalprep.networks.weights import load_model
from spinalprep.phantom.lumbar import TESTING_RANGES, LumbarPerson, make_lumbar
from spinalprep.phantom.lumbar_scans import draw_protocol, draw_tissues, scan
from spinalprep.phantom.lumbar_tissues import to_structures

SAME_MM = 10.0
FLAT_MM = 6.0
KINDS = {"five": 0.0, "four or six": 1.0}  # share of transitional vertebrae


def main() -> None:
    """Go through the subjects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--true", action="store_true")
    given = parser.parse_args()
    if given.true:
        flatness(range(given.first, given.first + given.count))
        return
    model = load_model("lumbar")
    rows: list[tuple[float, float]] = []
    outcomes: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for seed in range(given.first, given.first + given.count):
        for kind, share in KINDS.items():
            person = make_lumbar(seed, replace(TESTING_RANGES, transitional=share))
            scanned = scan(person, draw_protocol(seed))
            found = segment(scanned.t2w, scanned.t1w, model)
            discs, true = find_discs(found), find_discs(scanned.structures)
            pairs = matched(true, discs)
            rows += pairs
            outcome = names(person, found, discs)
            outcomes[kind].append(outcome)
            told = ", ".join(f"{a:.1f} as {b:.1f}" for a, b in pairs)
            sys.stdout.write(f"{seed} {kind}: {told}; {outcome}\n")
            sys.stdout.flush()
    summarise(np.array(rows), outcomes)


def flatness(seeds: range) -> None:
    """Print how flat lowest discs are in true maps, and how many make levels unknown."""
    x, y, z = np.arange(-16.0, 17.0, 4.0), np.arange(-75.0, 60.0, 0.9), np.arange(-45.0, 120.0, 0.9)
    affine = np.diag([4.0, 0.9, 0.9, 1.0])
    affine[:3, 3] = x[0], y[0], z[0]
    for kind, share in KINDS.items():
        shares = []
        for seed in seeds:
            person = make_lumbar(seed, replace(TESTING_RANGES, transitional=share))
            truth = Image(to_structures(draw_tissues(person, x, y, z)), affine)
            heights = [disc.height_mm for disc in find_discs(truth)]
            shares.append(heights[0] / float(np.median(heights[1:])))
        told = " ".join(f"{share:.2f}" for share in shares)
        under = sum(share < FLAT for share in shares)
        sys.stdout.write(f"{kind}: {told}; {under} of {len(shares)} under {FLAT}\n")


def matched(true: list[Disc], found: list[Disc]) -> list[tuple[float, float]]:
    """Return the heights of discs that lie at the same place, true and found."""
    pairs = []
    for disc in true:
        apart = [float(np.linalg.norm(other.centre - disc.centre)) for other in found]
        if apart and min(apart) < SAME_MM:
            pairs.append((disc.height_mm, found[int(np.argmin(apart))].height_mm))
    return pairs


def names(person: LumbarPerson, structures: Image, discs: list[Disc]) -> str:
    """Say whether the names of the discs of a subject are right, wrong or unknown."""
    wrong = right = 0
    there = person.discs()
    for disc in name_discs(structures, discs):
        if disc.name is not None:
            nearest = min(there, key=lambda name: np.linalg.norm(disc.centre - there[name]))
            right, wrong = right + (nearest == disc.name), wrong + (nearest != disc.name)
    return "wrong" if wrong else "right" if right else "unknown"


def summarise(rows: np.ndarray, outcomes: dict[str, list[str]]) -> None:
    """Print mean errors with intervals, and counts of names."""
    for name, these in (("flat", rows[:, 0] < FLAT_MM), ("others", rows[:, 0] >= FLAT_MM)):
        off = rows[these, 1] - rows[these, 0]
        half = 1.96 * off.std(ddof=1) / np.sqrt(len(off))
        sys.stdout.write(
            f"{name}: n {len(off)}, true {rows[these, 0].mean():.1f}, error {off.mean():+.2f} mm "
            f"({off.mean() - half:+.2f} to {off.mean() + half:+.2f}), SD {off.std(ddof=1):.2f}\n"
        )
    for kind, each in outcomes.items():
        counts = {word: each.count(word) for word in ("right", "unknown", "wrong")}
        sys.stdout.write(f"names, {kind}: {counts}\n")


if __name__ == "__main__":
    main()
