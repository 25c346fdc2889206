"""How true areas are, and what their intervals hold.

``python benchmarks/shape.py BIDS_DEV [PEOPLE [WEIGHTS ...]]``: SCT's mask measured by us against
what SCT says of it; areas against a second scan; against the truth of PEOPLE digital persons
(default 6) that no network was taught with; and against raters, by the WEIGHTS of
``spinalprep-tools train cord --leave-out ...``, each in the people that its card says it never saw.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spinalprep.cord.centerline import centerline_from_mask, fit_centerline
from spinalprep.cord.ends import cord_extent
from spinalprep.cord.mask import binarise
from spinalprep.cord.shape import NORMAL_95, measure_slices
from spinalprep.cord.trace import trace_centerline
from spinalprep.image import Image, load, reorient
from spinalprep.networks.cards import read_card
from spinalprep.networks.predict import find_heat, segment
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render

RESCANNED = ("10062Ses1", "10062Ses2", "9604", "9709Ses1", "9709Ses2")
FIRST_SEED = 100_500
GRIDS = {
    "T2w": ((56, 80, 112), (1.0, 1.0, 1.0)),
    "T1w": ((56, 80, 112), (1.0, 1.0, 1.0)),
    "T2starw": ((96, 112, 12), (0.6, 0.6, 5.0)),
}
SCT = {  # tests/cli of the Spinal Cord Toolbox, slice 10 of this mask
    "area_mm2": 77.900,
    "diameter_ap_mm": 7.710,
    "diameter_rl_mm": 12.538,
    "eccentricity": 0.7679,
    "orientation_deg": 5.436,
    "solidity": 0.9691,
}


def networks_areas(image: Image, weights: Path | str = "cord") -> pd.DataFrame:
    """Return the table of an image, as the participant level makes it without N4."""
    trace = trace_centerline(find_heat(image, load_model("centerline")))
    line = fit_centerline(trace.points, weights=trace.confidence)
    found = segment(image, line, load_model(weights))
    first, last = cord_extent(image.with_data(found.cord))
    cord = found.cord.copy()
    cord[:, :, :first] = cord[:, :, last + 1 :] = 0
    mask = binarise(image.with_data(cord), line).astype(np.float32)
    line = centerline_from_mask(image.with_data(mask))
    table = measure_slices(image.with_data(cord), line, spread=image.with_data(found.sd))
    points = line.at(table["s_mm"].to_numpy())
    table[["x_mm", "y_mm", "w_mm"]] = points
    table["sd"] = (table["area_mm2_upper"] - table["area_mm2"]) / NORMAL_95
    return table.set_index("slice")


def against_sct(root: Path) -> None:
    """Measure SCT's own mask."""
    folder = root / "derivatives" / "labels" / "sub-t2" / "anat"
    mask = reorient(load(folder / "sub-t2_T2w_seg-manual.nii.gz"))
    line = centerline_from_mask(mask)
    started = time.perf_counter()
    table = measure_slices(mask, line).set_index("slice")
    spent = time.perf_counter() - started
    say(f"sub-t2: {len(table)} slices in {spent:.3f} s; mean area {table['area_mm2'].mean():.2f}")
    for name, value in SCT.items():
        own = abs(table.loc[10, name])
        say(f"  slice 10, {name}: {own:.4g}, SCT {value:.4g} ({100 * (own / value - 1):+.1f} %)")


def against_a_second_scan(root: Path) -> None:
    """Hold areas of two scans of one session against each other."""
    for name in RESCANNED:
        anat = root / f"sub-{name}" / "anat"
        paths = [anat / f"sub-{name}_run-{run}_T2starw.nii.gz" for run in (1, 2)]
        one, two = (networks_areas(reorient(load(path))) for path in paths)
        inner = one.index.intersection(two.index)[1:-1]
        apart = one["area_mm2"][inner] - two["area_mm2"][inner]
        held = apart.abs() <= NORMAL_95 * np.hypot(one["sd"][inner], two["sd"][inner])
        say(
            f"{name}: {len(inner)} slices of {one['area_mm2'][inner].mean():.1f} mm2, own SD "
            f"{one['sd'][inner].mean():.2f}; rescan {apart.mean():+.2f} (SD {apart.std():.2f}), "
            f"held {held.mean():.2f}"
        )


def against_raters(root: Path, weights: Path) -> None:
    """Hold areas against masks that people drew, of people whom the weights never saw."""
    unseen = read_card(weights)["data"]["left_out"]
    for path in sorted((root / "derivatives" / "labels").rglob("*_seg-manual.nii.gz")):
        stem = path.name.removesuffix("_seg-manual.nii.gz")
        name = stem.split("_")[0].removeprefix("sub-")
        if name.split("Ses")[0] not in unseen:
            continue
        image = reorient(load(root / f"sub-{name}" / "anat" / f"{stem}.nii.gz"))
        found = networks_areas(image, weights)
        mask = reorient(load(path))
        rater = measure_slices(mask, centerline_from_mask(mask)).set_index("slice")["area_mm2"]
        both = rater.index.intersection(found.index)
        off = found["area_mm2"][both] - rater[both]
        near = off.abs() <= NORMAL_95 * found["sd"][both]
        own = (found["sd"] / found["area_mm2"]).mean()
        say(
            f"{stem}, left out: {len(both)} of {len(rater)} slices, {rater[both].mean():.1f} mm2, "
            f"{off.sum() / rater[both].sum():+.1%} (SD between slices "
            f"{(off / rater[both]).std():.1%}), own SD {own:.1%}, held {near.mean():.2f}"
        )


def against_phantoms(people: int) -> None:
    """Hold areas against the truth of digital persons."""
    parts = []
    for seed in range(FIRST_SEED, FIRST_SEED + people):
        person = make_person(seed)
        for contrast, (shape, spacing) in GRIDS.items():
            affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
            affine[:3, 3] = np.array([0, 4, 0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
            table = networks_areas(render(person, contrast, (shape, affine), seed))
            inner = table.iloc[2:-2]
            s = person.centerline.project(inner[["x_mm", "y_mm", "w_mm"]].to_numpy())[:, 0]
            parts.append(inner.assign(truth=person.area_at(s), contrast=contrast))
    for contrast, rows in pd.concat(parts).groupby("contrast"):
        error = rows["area_mm2"] - rows["truth"]
        share = error / rows["truth"]
        rest = error - error.mean()
        say(
            f"{contrast}: {len(rows)} slices of {people} digital persons, area {share.mean():+.1%} "
            f"(SD {share.std():.1%}), own SD {rows['sd'].mean():.2f} mm2, held "
            f"{(error.abs() <= NORMAL_95 * rows['sd']).mean():.2f}, "
            f"without the common offset {(rest.abs() <= NORMAL_95 * rows['sd']).mean():.2f}"
        )


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run all."""
    torch.set_num_threads(1)
    root = Path(sys.argv[1])
    against_sct(root)
    for weights in sys.argv[3:]:
        against_raters(root, Path(weights))
    against_a_second_scan(root)
    against_phantoms(int(sys.argv[2]) if len(sys.argv) > 2 else 6)


if __name__ == "__main__":
    main()
