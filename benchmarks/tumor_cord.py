"""The cord and its levels with and without a tumor: synthetic subjects before and after.

python benchmarks/tumor_cord.py out.tsv [--first 112000] [--people 6]

Each subject is imaged twice (T2w, sagittal slices of 3.3 mm): as a patient, and without what grows
in the cord. The cord is found by the App's networks; the truth includes what grows in it. Levels
are detected; their error is the distance of the discs from the true ones along the true centerline.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spinalprep.errors import NoCordError
from spinalprep.levels.detect import find_discs, weigh_signs
from spinalprep.levels.discs import Levels
from spinalprep.levels.number import levels_from_signs
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import load_model
from spinalprep.phantom.tumors import (
    TUMOR_KINDS,
    Growth,
    Patient,
    Scanned,
    make_patient,
    scan_patient,
)
from spinalprep.template.files import resolve_template
from spinalprep.template.levels import disc_heights

SHAPE, SPACING = (19, 104, 234), (3.3, 0.9, 0.9)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=112_000)
    parser.add_argument("--people", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for n in range(given.people):
        patient = make_patient(given.first + n, TUMOR_KINDS[n % len(TUMOR_KINDS)])
        healthy = Patient(**{**vars(patient), "growth": Growth("healthy")})
        for who, state in ((healthy, "without"), (patient, "with")):
            row = {"seed": given.first + n, "kind": patient.growth.kind, "tumor": state}
            rows.append({**row, **measure(who, given.first + n)})
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    table = pd.DataFrame(rows)
    table.to_csv(given.out, sep="\t", index=False)
    columns = ["dice", "covered", "discs", "level_error_mm"]
    sys.stdout.write(f"{table.groupby('tumor')[columns].mean()}\n")


def measure(patient: Patient, seed: int) -> dict[str, float]:
    """Return Dice of the cord, the share of its slices that are found, discs and their error."""
    affine = np.diag([*SPACING, 1.0])
    middle = patient.centerline.points.mean(axis=0)
    affine[:3, 3] = middle - (np.array(SHAPE) - 1) / 2 * SPACING
    scanned = scan_patient(patient, SHAPE, affine, seed)
    networks = Networks(centerline=load_model("centerline"), cord=load_model("cord"))
    try:
        found = find_cord(scanned.t2w, networks, views=1)
    except NoCordError:
        return {"dice": 0.0, "covered": 0.0, "discs": 0}
    mask, truth = found.cord.data > 0, scanned.cord.data >= 0.5
    seen = truth.any(axis=(0, 1))
    told = {
        "dice": 2 * float((mask & truth).sum()) / float(mask.sum() + truth.sum()),
        "covered": float((mask.any(axis=(0, 1)) & seen).sum() / seen.sum()),
    }
    return {**told, **levels(patient, scanned, found.centerline)}


def levels(patient: Patient, scanned: Scanned, line) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Return how many discs were detected and numbered, and their mean error in mm."""
    model = load_model("discs")
    evidence = weigh_signs(*find_discs(scanned.t2w, line, model), model.card["scale"])
    heights = disc_heights(resolve_template("Generic"))
    told: Levels = levels_from_signs(evidence, heights, line.length)
    common = [n for n in told.disc_s if n in patient.disc_s and n not in told.placed]
    if not common:
        return {"discs": 0, "level_error_mm": float("nan")}
    points = line.at(np.array([told.disc_s[n] for n in common]))
    apart = patient.centerline.project(points)[:, 0] - [patient.disc_s[n] for n in common]
    return {"discs": len(common), "level_error_mm": float(np.abs(apart).mean())}


if __name__ == "__main__":
    main()
