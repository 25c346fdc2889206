"""Seconds and peak memory of registration and measures of one 1 mm neck, on two cores.

``python benchmarks/measures.py PAM50_DIR [--cores 2] [--native]`` makes 2 synthetic subjects (T2w,
60 x 200 x 150 voxels of 1 mm, discs and lesions drawn), runs the participant level on both, one
after the other, the first so that the atlas is packed, and prints the tasks of the second from the
run's own records: those from the cord's masks on (registration, atlas, areas, lesions), then all
others. ``--native`` leaves out the files on the template's own grid.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.image import Image, save, to_voxel
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, LESION, Person, make_person
from spinalprep.phantom.images import render

SHAPE = (60, 200, 150)
BEFORE = ("preprocess", "automatic")  # stages that lead to the masks


def write_person(root: Path, label: str, seed: int) -> None:
    """Write a T2w of a synthetic subject with its discs and lesions, as a rater would draw them."""
    person = make_person(seed, lesions=2)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = person.centerline.at(person.centerline.length / 2)
    affine[:3, 3] -= affine[:3, :3] @ (np.array(SHAPE) / 2)
    stem = f"{label}_T2w"
    anat, drawn = (root / f / label / "anat" for f in (".", "derivatives/labels"))
    save(render(person, "T2w", (SHAPE, affine), seed), anat / f"{stem}.nii.gz", np.int16)
    like = Image(np.zeros(SHAPE, np.float32), affine)
    lesion = person.labels_on(SHAPE, affine, fine=2)[LESION] >= 0.5
    save(like.with_data(lesion), drawn / f"{stem}_lesion-manual.nii.gz", np.uint8)
    save(like.with_data(discs(person, like)), drawn / f"{stem}_labels-disc-manual.nii.gz", np.uint8)


def discs(person: Person, like: Image) -> np.ndarray:
    """Mark each disc in view by a voxel in the middle of the cord."""
    marks = np.zeros(like.shape, np.uint8)
    for disc, s in person.disc_s.items():
        ijk = np.rint(to_voxel(person.centerline.at(s), like.affine)).astype(int)
        if np.all((ijk >= 0) & (ijk < like.shape)):
            marks[tuple(ijk)] = disc
    return marks


def run(folder: Path, label: str, options: list[str]) -> tuple[float, pd.DataFrame]:
    """Return the seconds of the whole command and its tasks."""
    words = [str(folder / "in"), str(folder / "out"), "participant", "-w", str(folder / "work")]
    words += ["--participant-label", label, *options]
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "spinalprep", *words], check=True)
    took = time.monotonic() - began
    path = next(folder.glob(f"out/sub-{label}/log/*/resources.tsv"))
    return took, pd.read_csv(path, sep="\t", keep_default_na=False)


def main() -> None:
    """Make the persons, run both, print the second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("template", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--native", action="store_true")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.cores :])
    options = ["--template", str(given.template.resolve()), "--nprocs", str(given.cores)]
    options += ["--output-spaces", "reference"] if given.native else []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for n, label in enumerate(("01", "02")):
            for part in ("in", "in/derivatives/labels"):
                (folder / part / f"sub-{label}" / "anat").mkdir(parents=True, exist_ok=True)
            write_person(folder / "in", f"sub-{label}", FIRST_TEST_SEED + n)
        about = '{"Name": "synthetic subjects", "BIDSVersion": "1.10.0"}\n'
        (folder / "in" / "dataset_description.json").write_text(about)
        run(folder, "01", options)
        took, table = run(folder, "02", options)
    before = table["stage"].isin(BEFORE)
    for name, part in (("registration and measures", table[~before]), ("before", table[before])):
        rows = part.drop(columns="unit").sort_values("wall_s", ascending=False)
        sys.stdout.write(f"{rows.to_string(index=False)}\n{name}: {part['wall_s'].sum():.1f} s ")
        sys.stdout.write(f"of tasks, largest task {part['peak_mib'].max():.0f} MiB\n\n")
    sys.stdout.write(f"the whole command {took:.1f} s on {given.cores} cores\n")


if __name__ == "__main__":
    main()
