"""How true areas are, and what their intervals hold.

``python benchmarks/shape.py BIDS_DEV [PEOPLE [WEIGHTS ...]]``: SCT's mask measured by us against
what SCT says; areas and diameters against the truth of twice PEOPLE synthetic subjects (default
4) that no network was taught with, with gray matter where the contrast shows it: the first half to
choose how far off an edge is, the second to judge it; and, by the WEIGHTS of ``spinalprep-tools
train cord --leave-out ...``, each in the people that its card says it never saw, areas against
raters and sizes against a second scan, slice by slice. WEIGHTS may be two files with a comma
between them, of the cord and of the gray matter, whose area and share of the cord are measured too.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.cord.intervals import (
    EDGE_ACROSS_PIXELS,
    EDGE_PIXELS,
    FINEST_MM,
    GM_METRICS,
    NORMAL_95,
)
from spinalprep.cord.shape import measure_slices
from spinalprep.image import Image, load, reorient, to_voxel
from spinalprep.networks.cards import read_card
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.weights import load_model
from spinalprep.phantom.anatomy import GM, LESION, WM, Person, make_person
from spinalprep.phantom.images import las_grid, render
from spinalprep.registration.coregister import coregister

RESCANNED = ("10062Ses1", "10062Ses2", "9604", "9709Ses1", "9709Ses2")
REPEATED = ("area_mm2", "diameter_ap_mm", "diameter_rl_mm")
SEEDS = {"choose": 100_600, "judge": 100_500}
EDGES = (0.0, 0.05, 0.1, 0.15, 0.2)  # pixels
GRIDS = (
    ("T2w", (56, 80, 112), (1.0, 1.0, 1.0)),
    ("T1w", (56, 80, 112), (1.0, 1.0, 1.0)),
    ("T2starw", (96, 112, 12), (0.6, 0.6, 5.0)),
    ("T2w", (96, 112, 14), (0.6, 0.6, 4.0)),
    ("T2starw", (64, 76, 14), (0.9, 0.9, 4.0)),
    ("MTS", (72, 84, 12), (0.9, 0.9, 5.0)),
)
SHOWS_GM = ("T2starw", "MTS")
SCT = {  # tests/cli of the Spinal Cord Toolbox, slice 10 of this mask
    "area_mm2": 77.900,
    "diameter_ap_mm": 7.710,
    "diameter_rl_mm": 12.538,
    "eccentricity": 0.7679,
    "orientation_deg": 5.436,
    "solidity": 0.9691,
}


def networks_areas(image: Image, weights: str = "cord") -> tuple[pd.DataFrame, Image]:
    """Return table and mask of an image, as the participant level makes them without N4.

    ``weights`` are those of the cord, and after a comma those of the gray matter.
    """
    models = [load_model(Path(name) if "/" in name else name) for name in weights.split(",")]
    networks = dict(zip(("cord", "gm"), models, strict=False))
    found = find_cord(image, Networks(centerline=load_model("centerline"), **networks))
    cord, spread = found.probability, found.uncertainty
    grey = found.gm if len(models) > 1 else None
    table = measure_slices(cord, found.centerline, grey, spread, gm_found=True)
    if grey is not None:
        plain = measure_slices(cord, found.centerline, grey, spread)
        for name in GM_METRICS:
            table[f"{name}_alone"] = (plain[f"{name}_upper"] - plain[name]) / NORMAL_95
    table[["x_mm", "y_mm", "w_mm"]] = found.centerline.at(table["s_mm"].to_numpy())
    table["sd"] = (table["area_mm2_upper"] - table["area_mm2"]) / NORMAL_95
    return table.set_index("slice"), found.cord


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


def against_a_second_scan(root: Path, weights: str) -> None:
    """Hold areas of two scans of one session against each other, on slices of the same height."""
    for name in RESCANNED:
        if not is_unseen(name, weights):
            continue
        anat = root / f"sub-{name}" / "anat"
        scans = [reorient(load(anat / f"sub-{name}_run-{run}_T2starw.nii.gz")) for run in (1, 2)]
        (one, cord), (two, _) = (networks_areas(scan, weights) for scan in scans)
        fit = coregister(scans[1], scans[0], cord, sloppy=True)
        own = one[["x_mm", "y_mm", "w_mm"]].to_numpy()
        there = fit.forward.apply(own)
        heights = to_voxel(there, scans[1].affine)[:, 2]
        pairs = [
            (k, match)
            for k, match in zip(one.index, np.rint(heights).astype(int), strict=True)
            if match in two.index
        ][1:-1]  # the outermost ones are cut by the field of view, or the network's guess
        first = one.loc[[k for k, _ in pairs]].reset_index()
        second = two.loc[[k for _, k in pairs]].reset_index()
        apart = first["area_mm2"] - second["area_mm2"]
        held = apart.abs() <= NORMAL_95 * np.hypot(first["sd"], second["sd"])
        moved = np.abs(there - own)[:, 2].max()
        say(
            f"{name}, left out: {len(pairs)} slices, moved {moved:.2f} mm up or down, "
            f"held {held.mean():.2f}"
        )
        for measure in (*REPEATED, *(column for column in GM_METRICS if column in first)):
            say(f"  {measure}: {repeated(first[measure], second[measure])}")


def repeated(first: pd.Series, second: pd.Series) -> str:
    """Say how two measurements of the same slices differ."""
    apart, middle = first - second, (first + second) / 2
    spread = np.sqrt((apart**2 / middle**2).mean() / 2)
    return (
        f"{middle.mean():.3g}, difference {apart.mean():+.2g} (SD {apart.std():.2g}), coefficient "
        f"of variation of a slice {spread:.1%}"
    )


def is_unseen(name: str, weights: str) -> bool:
    """Tell whether no network of several (see `networks_areas`) ever saw a person."""
    person = name.split("Ses", maxsplit=1)[0]
    cards = (read_card(Path(path)) for path in weights.split(","))
    return all(person in card["data"]["left_out"] for card in cards)


def against_raters(root: Path, weights: str) -> None:
    """Hold areas against masks that people drew, of people whom the weights never saw."""
    for path in sorted((root / "derivatives" / "labels").rglob("*_seg-manual.nii.gz")):
        stem = path.name.removesuffix("_seg-manual.nii.gz")
        name = stem.split("_")[0].removeprefix("sub-")
        if not is_unseen(name, weights):
            continue
        image = reorient(load(root / f"sub-{name}" / "anat" / f"{stem}.nii.gz"))
        found, _ = networks_areas(image, weights)
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


def grey_matter_against_raters(root: Path, weights: str) -> None:
    """Hold gray matter against masks that people drew, of people whom its weights never saw."""
    for path in sorted((root / "derivatives" / "labels").rglob("*_gmseg-manual.nii.gz")):
        stem = path.name.removesuffix("_gmseg-manual.nii.gz")
        name = stem.split("_")[0].removeprefix("sub-")
        if not is_unseen(name, weights.split(",")[1]):
            continue
        image = reorient(load(root / f"sub-{name}" / "anat" / f"{stem}.nii.gz"))
        found, cord = networks_areas(image, weights)
        drawn = path.with_name(f"{stem}_seg-manual.nii.gz")
        mask = reorient(load(drawn)) if drawn.exists() else cord
        rater = measure_slices(mask, centerline_from_mask(cord), reorient(load(path)))
        rater = rater.set_index("slice").dropna(subset="gm_area_mm2")
        both = rater.index.intersection(found.index)
        for measure in GM_METRICS if drawn.exists() else GM_METRICS[:1]:
            own, theirs = found.loc[both, measure], rater.loc[both, measure]
            reach = found.loc[both, f"{measure}_upper"] - own
            held = ((own - theirs).abs() <= reach).mean()
            say(
                f"{stem}, left out: {measure}, {len(both)} slices, rater {theirs.mean():.3g}, "
                f"{own.sum() / theirs.sum() - 1:+.1%} (SD between slices "
                f"{(own / theirs).std():.1%}), to either side {(reach / own).mean():.0%}, "
                f"held {held:.2f}"
            )


def phantom_sizes(seed: int) -> pd.DataFrame:
    """Return for every slice of one synthetic subject the errors of sizes, and what is known of it.

    ``alone`` is the deviation without the part that is chosen, ``edge`` that part for one pixel.
    """
    person, parts = make_person(seed), []
    grey = grey_share(person)
    for contrast, shape, spacing in GRIDS:
        grid = las_grid(shape, spacing, (0.0, 4.0, 0.0))
        shown = render(person, contrast, grid, seed, pulse=contrast == "MTS")
        table, _ = networks_areas(shown, "cord,gm" if contrast in SHOWS_GM else "cord")
        inner = table.iloc[2:-2]
        s = person.centerline.project(inner[["x_mm", "y_mm", "w_mm"]].to_numpy())[:, 0]
        rl, ap = person.radii_at(s)
        upright = inner["area_mm2"] * np.cos(np.deg2rad(inner["tilt_deg"]))
        pixel = max(spacing[0], FINEST_MM)
        truths = {"area_mm2": person.area_at(s), "diameter_ap_mm": 2 * ap, "diameter_rl_mm": 2 * rl}
        edges = {"area_mm2": 2 * pixel * np.sqrt(np.pi * upright)}
        if contrast in SHOWS_GM:
            truths |= {"gm_area_mm2": grey * person.area_at(s), "gm_ratio": np.full(len(s), grey)}
        for name, truth in truths.items():
            sd = (inner[f"{name}_upper"] - inner[name]) / NORMAL_95
            if name in GM_METRICS:
                alone = inner[f"{name}_alone"]
                edge = np.sqrt(sd**2 - alone**2) / EDGE_PIXELS
            else:
                edge = edges.get(name, 2 * pixel)
                off = EDGE_PIXELS if name in edges else EDGE_ACROSS_PIXELS
                alone = np.sqrt(sd**2 - (off * edge) ** 2)
            grid = f"{contrast} {' x '.join(f'{size:g}' for size in spacing)} mm"
            columns = {"off": inner[name] - truth, "truth": truth, "sd": sd, "edge": edge}
            parts.append(pd.DataFrame(columns).assign(alone=alone, measure=name, grid=grid))
    return pd.concat(parts)


def grey_share(person: Person) -> float:
    """Return the share of the cord that is gray matter, which is the same at every height."""
    across = np.arange(-9.0, 9.0, 0.02)
    x, y = np.meshgrid(across, across, indexing="ij")
    middle = np.full_like(x, person.centerline.length / 2)
    tissue = person.tissue(np.stack([middle, x, y], axis=-1))
    return float((tissue == GM).sum() / np.isin(tissue, (GM, WM, LESION)).sum())


def against_phantoms(people: int) -> None:
    """Hold sizes against the truth of synthetic subjects, for several widths of the edge."""
    for purpose, first in SEEDS.items():
        every = pd.concat([phantom_sizes(seed) for seed in range(first, first + people)])
        for (measure, grid), rows in every.groupby(["measure", "grid"]):
            share = rows["off"] / rows["truth"]
            reach = [NORMAL_95 * np.hypot(rows["alone"], px * rows["edge"]) for px in EDGES]
            held = ", ".join(f"{(rows['off'].abs() <= most).mean():.2f}" for most in reach)
            say(
                f"{purpose}: {measure}, {grid}, {len(rows)} slices of {people} synthetic subjects: "
                f"{share.mean():+.1%} (SD {share.std():.1%}), own SD {rows['sd'].mean():.3g}; held "
                f"with an edge of {EDGES} pixels: {held}"
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
        against_raters(root, weights.split(",")[0])
        against_a_second_scan(root, weights)
        if "," in weights:
            grey_matter_against_raters(root, weights)
    against_phantoms(int(sys.argv[2]) if len(sys.argv) > 2 else 4)


if __name__ == "__main__":
    main()
