"""Synthetic people to train the table of a paper on, where nobody's own labels are at hand.

``python benchmarks/protocol_people.py OUT_DIR [COUNT] [FIRST]`` writes a BIDS dataset of COUNT
people (24) from reserved seed FIRST (190000). Each has an axial T2w and an axial T2starw of 0.6 to
1 mm pixels, 60 to 120 mm wide, with slices of 3 to 5 mm, noise that grows from head to foot and,
in every second person, three lesions. The mask of the cord is the true one.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from lesion_fusion import STEPS, draw, grid_around

from spinalprep.image import save
from spinalprep.phantom.anatomy import make_person, truth_cord

WIDTHS_MM, PIXELS_MM, SLICES_MM = (60.0, 120.0), (0.6, 1.0), (3.0, 5.0)
SLICES = 12
CONTRASTS = "T2w", "T2starw"


def write_person(out_dir: Path, seed: int) -> None:
    """Write images and masks of a person."""
    chance = np.random.default_rng([seed, 11])
    person, name = make_person(seed, lesions=3 * (seed % 2)), f"sub-{seed}"
    for contrast in CONTRASTS:
        pixel, thick = chance.uniform(*PIXELS_MM), chance.uniform(*SLICES_MM)
        across = round(chance.uniform(*WIDTHS_MM) / pixel)
        grid = grid_around(person, (across, across, SLICES), (pixel, pixel, thick))
        image = draw(person, contrast, grid, seed, chance.uniform(*STEPS))
        anat = out_dir / name / "anat"
        labels = out_dir / "derivatives" / "labels" / name / "anat"
        for folder in (anat, labels):
            folder.mkdir(parents=True, exist_ok=True)
        save(image, anat / f"{name}_{contrast}.nii.gz")
        cord = (truth_cord(person, image) >= 0.5).astype(np.uint8)
        save(image.with_data(cord), labels / f"{name}_{contrast}_seg-manual.nii.gz")


def main() -> None:
    """Write the dataset."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("count", nargs="?", type=int, default=24)
    parser.add_argument("first", nargs="?", type=int, default=190_000)
    given = parser.parse_args()
    for seed in range(given.first, given.first + given.count):
        write_person(given.out_dir, seed)
    about = {"Name": "synthetic people", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    (given.out_dir / "dataset_description.json").write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
