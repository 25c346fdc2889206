"""Tumor networks on synthetic patients, and on people without a tumor.

python benchmarks/tumors.py {prepare,synthetic} out [--first 111000] [--people 20]
python benchmarks/tumors.py {healthy,patches} out --shared ../shared

``synthetic`` draws patients of test seeds (`spinalprep.phantom.tumors`), in turn of every kind, and
crops their images in four ways: by the network of the first step (the paper's cascade), around the
centerline that the App finds, around the true one, and not at all; ``prepare`` only draws them.
``healthy`` looks for tumors in the real images of healthy people. ``patches`` draws tumors, in the
way of the training, into T2w images of people who were held out (``--held-out``; a Gd-T1w image is
made up), with automatic cords. Tables go to the folder ``out``.
"""

import argparse
import pickle
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.defaults import EDEMA_THRESHOLD
from spinalprep.errors import NoCordError
from spinalprep.image import Image, load, reorient
from spinalprep.lesion.tumors import TumorRule, call_tumors
from spinalprep.networks.cascade import Networks, find_cord
from spinalprep.networks.tumor import Contrasts, find_tube, map_tumors, tube_around
from spinalprep.networks.tumor_maps import STRUCTURES, Structures
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.tumors import (
    OTHER_KINDS,
    TUMOR_KINDS,
    Patient,
    Scanned,
    make_patient,
    scan_patient,
)
from spinalprep.training.evaluation.tumors import score_tumors, summarise_tumors
from spinalprep.training.material.dataset import LabelledDataset, Participant
from spinalprep.training.material.labelled import automatic_volumes
from spinalprep.training.material.necks import labelled_necks
from spinalprep.training.recipes import find_recipe
from spinalprep.training.synthesis.tumors import make_tumors
from spinalprep.training.tasks.tumors import TumorRecipe
from spinalprep.training.train import NEVER_TRAINED

CROPS = ("cascade", "centerline", "true centerline", "none")
KINDS = (*TUMOR_KINDS, *TUMOR_KINDS, *OTHER_KINDS)
PATCHES = 60  # of a person
PATCH_MM3 = 2.0  # voxels of 1 x 1 x 2 mm
SHAPE, SPACING = (15, 84, 216), (3.3, 0.9, 0.9)


def say(words: object) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> None:
    """Run what the words say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("prepare", "synthetic", "healthy", "patches"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=111_000, help="110000 to 110999: choosing")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--tumor", default="tumor")
    parser.add_argument("--tumor-cord", default="tumor_cord")
    parser.add_argument("--held-out", nargs="+", default=["neck03", "neck05"])
    parser.add_argument("--edema-threshold", type=float, nargs="+", default=[EDEMA_THRESHOLD])
    parser.add_argument("--crops", nargs="+", default=list(CROPS), choices=CROPS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what == "prepare":
        for n in range(given.people):
            prepared(given.first + n, KINDS[n % len(KINDS)], given.out)
        return
    rules = [TumorRule(edema_threshold=least) for least in given.edema_threshold]
    if given.what == "patches":
        patches(given.shared, given.held_out, load_model(given.tumor), rules[0])
        return
    crops = list(given.crops)
    models = load_model(given.tumor_cord) if "cascade" in crops else None, load_model(given.tumor)
    if given.what == "healthy":
        healthy(given.shared, given.out, models, crops, rules)
    else:
        synthetic(range(given.first, given.first + given.people), given.out, models, crops, rules)


def networks() -> Networks[Model]:
    """Return the App's networks of the cord."""
    return Networks(centerline=load_model("centerline"), cord=load_model("cord"))


@dataclass(frozen=True)
class Case:
    """A synthetic patient, the images, and the centerline that the App finds; None: no cord."""

    patient: Patient
    scanned: Scanned
    line: Centerline | None


def prepared(seed: int, kind: str, folder: Path) -> Case:
    """Return a synthetic patient, sagittal slices of 3.3 mm; kept in a folder for the next run."""
    kept = folder / f"{seed}_{kind}.pkl"
    if kept.is_file():
        case: Case = pickle.loads(kept.read_bytes())
        return case
    patient = make_patient(seed, kind)
    affine = np.diag([*SPACING, 1.0])
    middle = patient.centerline.points.mean(axis=0)
    affine[:3, 3] = middle - (np.array(SHAPE) - 1) / 2 * SPACING
    scanned = scan_patient(patient, SHAPE, affine, seed)
    try:
        line = find_cord(scanned.t2w, networks(), views=1).centerline
    except NoCordError:
        line = None
    case = Case(patient, scanned, line)
    kept.write_bytes(pickle.dumps(case))
    return case


def tubes(case: Case, cord_model: Model | None) -> Iterator[tuple[str, object, float]]:
    """Yield the ways to crop, a tube, None for none, or a NoCordError, and the seconds it took.

    The App has a centerline whether or not a tumor is looked for: only the tube's time counts.
    """
    image = case.scanned.t2w
    tube: object
    if cord_model is not None:
        began = time.perf_counter()
        try:
            tube = find_tube(image, cord_model)
        except NoCordError as error:
            tube = error
        yield "cascade", tube, time.perf_counter() - began
    began = time.perf_counter()
    lost = NoCordError("the App finds no cord")
    tube = tube_around(case.line, image) if case.line is not None else lost
    yield "centerline", tube, time.perf_counter() - began
    yield "true centerline", tube_around(case.patient.centerline, image), 0.0
    yield "none", None, 0.0


def synthetic(
    seeds: Sequence[int],
    out: Path,
    models: tuple[Model | None, Model],
    crops: list[str],
    rules: Sequence[TumorRule],
) -> None:
    """Judge the networks on synthetic patients and write tables, by every rule."""
    tables = []
    for n, seed in enumerate(seeds):
        kind = KINDS[n % len(KINDS)]
        case = prepared(seed, kind, out)
        scanned = case.scanned
        truth = Structures(*(scanned.structures[name].data >= 0.5 for name in STRUCTURES))
        for crop, tube, before in tubes(case, models[0]):
            if crop not in crops:
                continue
            for seen in ("both", "T2w", "Gd-T1w") if crop == "centerline" else ("both",):
                table, seconds = judged(scanned, tube, models[1], truth, seen, rules)
                inside, on_cord = contained(tube, scanned), localised(tube, case)
                told = {"seed": seed, "kind": kind, "crop": crop, "seen": seen}
                told |= {"seconds": before + seconds, "inside": inside, "localised": on_cord}
                tables.append(table.assign(**told))
        row = tables[-1]
        dice, cm3 = (row[name][:4].round(1).tolist() for name in ("dice", "truth_cm3"))
        say(f"{seed} {kind}: Dice {dice} of {cm3} cm3")
    summarised(pd.concat(tables, ignore_index=True), out)


def summarised(everybody: pd.DataFrame, out: Path) -> None:
    """Write the tables of all subjects and of all with a tumor, and say them."""
    everybody.to_csv(out / "people.tsv", sep="\t", index=False)
    summary = []
    groups = ["crop", "seen", "edema_threshold"]
    for (crop, seen, least), part in everybody.groupby(groups, sort=False):
        ill = part[part["kind"].isin(TUMOR_KINDS)]
        own = [rows for _, rows in ill.groupby("seed")]
        told = {"crop": crop, "seen": seen, "edema_threshold": least}
        summary.append(summarise_tumors(own).assign(**told))
    whole = pd.concat(summary, ignore_index=True)
    whole.to_csv(out / "summary.tsv", sep="\t", index=False)
    say(whole.round(1).to_string())
    shown = ["seconds", "inside", "localised"]
    say(everybody.groupby(["crop", "seen"])[shown].agg(["mean", "min"]).round(3).to_string())
    false = everybody[~everybody["kind"].isin(TUMOR_KINDS)]
    cm3 = false.groupby([*groups, "kind", "structure"])["found_cm3"].agg(["mean", "max"])
    say(cm3.round(2).to_string())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"peak memory of this process {peak:.0f} MiB")


def patches(shared: Path, held_out: Sequence[str], model: Model, rule: TumorRule) -> None:
    """Judge a network on patches of held-out people into which something was drawn."""
    recipe = find_recipe("tumor")
    assert isinstance(recipe, TumorRecipe)
    known = {name: Participant(automatic_cord=True) for name in held_out}
    dataset = LabelledDataset(shared / "data" / "bids-neck", participants=known)
    rows, false = [], []
    for neck in labelled_necks(automatic_volumes(dataset), recipe.room):
        for n in range(PATCHES):
            draw = torch.Generator().manual_seed(NEVER_TRAINED + n)
            batch = make_tumors([neck], recipe.ranges, draw)
            with torch.inference_mode():
                soft = torch.sigmoid(model.network(batch.image))[0].numpy()
            masks = call_tumors(Structures(*soft), PATCH_MM3, rule)
            truth = Structures(*(batch.truth[0].numpy() >= 0.5))
            table = score_tumors(masks, truth, PATCH_MM3)
            (rows if truth.tumor.any() else false).append(table.assign(owner=neck.owner.person))
    say(summarise_tumors(rows).round(1).to_string())
    say(f"{len(rows)} patches with a tumor; found in {len(false)} without one, cm3:")
    say(pd.concat(false).groupby(["owner", "structure"])["found_cm3"].describe().round(2))


def judged(
    scanned: Scanned,
    tube: object,
    model: Model,
    truth: Structures,
    seen: str,
    rules: Sequence[TumorRule],
) -> tuple[pd.DataFrame, float]:
    """Return the scores of one image by every rule, and the seconds of the network and the first.

    Nothing is called where there is no crop.
    """
    began, like = time.perf_counter(), scanned.t2w
    if isinstance(tube, NoCordError):
        nothing = np.zeros(like.shape, np.float32)
        soft = Structures(*(nothing for _ in STRUCTURES))
    else:
        t2w = scanned.t2w if seen != "Gd-T1w" else None
        gd_t1w = scanned.gd_t1w if seen != "T2w" else None
        assert tube is None or isinstance(tube, Image)
        soft = map_tumors(Contrasts(t2w, gd_t1w), model, tube)
    tables, spent = [], 0.0
    for rule in rules:
        masks = call_tumors(soft, like.voxel_volume, rule)
        spent = spent or time.perf_counter() - began
        table = score_tumors(masks, truth, like.voxel_volume)
        tables.append(table.assign(edema_threshold=rule.edema_threshold))
    return pd.concat(tables, ignore_index=True), spent


def contained(tube: object, scanned: Scanned) -> float:
    """Return the share of what grows that lies within a tube's box; 1 without a tube."""
    if not isinstance(tube, Image):
        return 0.0 if isinstance(tube, NoCordError) else 1.0
    from spinalprep.image import resample_like

    there = resample_like(tube.with_data(tube.data.astype(np.float32)), scanned.t2w).data >= 0.5
    box = ndimage.find_objects(there.astype(int))[0]
    grown = scanned.structures["abnormality"].data >= 0.5
    return float(grown[box].sum() / grown.sum()) if grown.any() else 1.0


def localised(tube: object, case: Case) -> float:
    """Return the Dice of a tube and that around the true centerline; NaN without a tube."""
    if not isinstance(tube, Image):
        return 0.0 if isinstance(tube, NoCordError) else float("nan")
    true = tube_around(case.patient.centerline, case.scanned.t2w)
    ours, theirs = tube.data > 0, true.data > 0
    return 2 * float((ours & theirs).sum()) / float(ours.sum() + theirs.sum())


def healthy(
    shared: Path,
    out: Path,
    models: tuple[Model | None, Model],
    crops: list[str],
    rules: Sequence[TumorRule],
) -> None:
    """Look for tumors in healthy people's images, cropped in the App's two ways; T1w as Gd-T1w."""
    rows = []
    for path in sorted(shared.glob("data/bids-*/sub-*/anat/*.nii.gz")):
        image = reorient(load(path))
        is_t1w = path.name.endswith("_T1w.nii.gz")
        seen = Contrasts(None, image) if is_t1w else Contrasts(image, None)
        for crop in (name for name in ("cascade", "centerline") if name in crops):
            try:
                tube = (
                    find_tube(image, models[0])
                    if crop == "cascade" and models[0] is not None
                    else tube_around(find_cord(image, networks(), views=1).centerline, image)
                )
                soft = map_tumors(seen, models[1], tube)
            except NoCordError as error:
                rows.append({"image": path.name, "crop": crop, "note": str(error)[:40]})
                continue
            for rule in rules:
                masks = call_tumors(soft, image.voxel_volume, rule)
                cm3 = {n: float(m.sum()) * image.voxel_volume / 1000 for n, m in masks.items()}
                told = {"image": path.name, "crop": crop, "edema_threshold": rule.edema_threshold}
                rows.append({**told, **cm3})
                say(rows[-1])
    table = pd.DataFrame(rows)
    table.to_csv(out / "healthy.tsv", sep="\t", index=False)
    say(table.round(2).to_string())


if __name__ == "__main__":
    main()
