"""Parts of real necks: how often levels are known, and whether they are ever wrong and sure.

``python benchmarks/levels_cuts.py SHARED CACHE [--cuts 2] [--seed 0] [-o TABLE.tsv]`` cuts the five
T2w necks of SHARED/data/bids-neck to 60 to 150 mm at random heights, shows every cut as it is, in
sagittal slices of 3 mm, with T1-like contrast (fluid dark, cord bright), and both, and lets the
program find cord and levels in each from nothing else. The truth is where people saw the discs, and
where nobody marked one, the disc that the whole image shows (right at every mark of these necks).
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from predictions import Prediction, predict

import spinalprep as sp
from spinalprep.errors import SpinalprepError
from spinalprep.image import Image, load, reorient
from spinalprep.levels.discs import level_name, level_number

SHORTEST_MM, LONGEST_MM = 60.0, 150.0
WRONG_MM = 9.0  # half a vertebra, along the scanner's axis
COARSE = 3  # voxels of 1 mm to a sagittal slice
ABOVE_MM = 20.0  # of the body of C2 above C2/C3, from which on a cut shows C2/C3
LOOKS = ("as it is", "3 mm slices", "T1-like", "both")


def cuts(path: Path, count: int, seed: int) -> Iterator[tuple[int, Image]]:
    """Yield parts of an image at random heights, voxel order LAS."""
    image = reorient(load(path))
    edge = float(image.voxel_sizes[2])
    number = int("".join(c for c in path.parents[1].name if c.isdigit()))
    for n in range(count):
        chance = np.random.default_rng([seed, number, n])
        thick = round(chance.uniform(SHORTEST_MM, LONGEST_MM) / edge)
        low = int(chance.integers(0, image.data.shape[2] - thick + 1))
        affine = image.affine.copy()
        affine[:3, 3] += affine[:3, 2] * low
        yield n, Image(image.data[:, :, low : low + thick], affine)


def shown(image: Image, look: str, cord_grey: float) -> Image:
    """Return a cut in another look.

    Parameters
    ----------
    image : Image, shape (I, J, K)
    look : str
        One of `LOOKS`.
    cord_grey : float
        Intensity of the cord: what is brighter becomes darker in T1-like contrast.
    """
    data, affine = image.data.astype(np.float32), image.affine
    if look in ("T1-like", "both"):
        bright = (data - cord_grey) / (np.percentile(data, 99.5) - cord_grey)
        data = np.where(data > cord_grey, cord_grey * (1 - 0.85 * np.clip(bright, 0, 1)), data)
    if look in ("3 mm slices", "both"):
        blocks = data.shape[0] // COARSE
        data = data[: blocks * COARSE].reshape(blocks, COARSE, *data.shape[1:]).mean(axis=1)
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 0] * (COARSE - 1) / 2
        affine[:3, 0] *= COARSE
    return Image(np.ascontiguousarray(data, np.float32), affine)


def true_heights(path: Path, whole: Prediction) -> dict[int, float]:
    """Return z (RAS+ mm) of the discs of a neck."""
    marks = pd.read_csv(path.parents[2] / "derivatives" / "labels" / "discs-by-eye.tsv", sep="\t")
    own = marks[marks["participant_id"] == path.parents[1].name]
    eye = {
        level_number(name.rpartition("/")[2]): float(z)
        for name, z in zip(own["disc"], own["z_mm"], strict=True)
    }
    return {n: float(point[2]) for n, point in whole.discs.items()} | eye


def judge(image: Image, truth: Mapping[int, float], template: Path) -> dict[str, object]:
    """Let the program look at a cut, and compare its levels with the truth."""
    ends = image.affine[2, 3] + image.affine[2, 2] * np.array([0, image.data.shape[2] - 1])
    inside = {n: z for n, z in truth.items() if ends[0] + 2 < z < ends[1] - 2}
    row: dict[str, object] = {
        "top_mm": round(float(ends[1])),
        "length_mm": round(float(np.ptp(ends))),
        "discs": " ".join(level_name(n) for n in (min(inside), max(inside))) if inside else "",
        "shows_c2c3": 3 in inside and ends[1] - truth[3] >= ABOVE_MM,
        "sure": False,
        "wrong": False,
        "off_mm": np.nan,
    }
    volume = nib.nifti1.Nifti1Image(image.data, image.affine)
    try:
        found = sp.segment(volume, lesions=False, grey_matter=False, views=1)
        levels = sp.label_levels(volume, found, template=template)
    except SpinalprepError as error:
        return row | {"note": str(error)}
    if not levels.known:
        return row
    line = found.centerline
    said = {n: float(line.at(s)[2]) for n, s in levels.levels.disc_s.items()}
    apart = [abs(said[n] - z) for n, z in inside.items() if n in said]
    missing = [n for n in inside if n not in said and n >= 3]
    worst = max(apart, default=np.inf)
    return row | {
        "sure": True,
        "wrong": worst > WRONG_MM,
        "off_mm": float(np.median(apart)) if apart else np.nan,
        "probability": levels.confidence,
        "note": f"not placed: {' '.join(map(level_name, missing))}" if missing else "",
    }


def main() -> None:
    """Print a row per cut and look, and the shares."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    data = given.shared / "data"
    rows: list[dict[str, object]] = []
    for path in sorted((data / "bids-neck").glob("sub-*/anat/*_T2w.nii.gz")):
        whole = predict(path, given.cache, template=data / "PAM50")
        grey: NDArray[np.float32] = reorient(load(path)).data[whole.cord.data > 0]
        truth = true_heights(path, whole)
        for n, cut in cuts(path, given.cuts, given.seed):
            for look in LOOKS:
                changed = shown(cut, look, float(np.median(grey)))
                found = judge(changed, truth, data / "PAM50")
                rows.append({"person": path.parents[1].name, "cut": n, "look": look, **found})
                sys.stderr.write(f"{rows[-1]}\n")
    table = pd.DataFrame(rows)
    sys.stdout.write(table.to_string(index=False, float_format="%.3f") + "\n")
    if given.out is not None:
        table.to_csv(given.out, sep="\t", index=False)
    for look, own in [*table.groupby("look"), ("all", table)]:
        seen = own[own["shows_c2c3"].astype(bool)]
        sys.stdout.write(
            f"{look}: wrong and sure {int(own['wrong'].sum())} of {len(own)}; sure "
            f"{int(own['sure'].sum())}, of those that show C2/C3 {int(seen['sure'].sum())} of "
            f"{len(seen)}; median off {own['off_mm'].median():.1f} mm\n"
        )


if __name__ == "__main__":
    main()
