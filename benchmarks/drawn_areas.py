"""Areas of automatic masks over those of manual masks, by vertebral level.

``python benchmarks/drawn_areas.py SHARED CACHE [edge | CORD.safetensors ...]`` goes through the T2w
necks of SHARED/data/bids-neck that have a manual mask, with the packaged cord network, with the
same and its outline moved to the visible edge (``edge``), and with every other one that is given,
and prints the ratio of mean areas per level, for each subject and on
average. The manual masks are ragged (their README says so): areas are averaged over a level, and
the first and last five drawn slices are left out. For judging only: nothing is to be tuned on it.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from predictions import predict

from spinalprep.cord.shape import is_averaged
from spinalprep.image.sanity import conform_label
from spinalprep.levels.discs import level_name

ENDS = 5  # drawn slices at either end that are left out
LEAST_SLICES = 5  # of a level
EDGE = Path("edge")


def ratios(path: Path, cache: Path, template: Path, cord: Path | None) -> "pd.Series[float]":
    """Return mean automatic area over mean manual area by level number, for one image."""
    moved = cord == EDGE
    weights = {"cord": cord} if cord is not None and not moved else None
    found = predict(path, cache, weights, template, ("edge",) if moved else ())
    drawn = conform_label(label_of(path), found.cord)
    pixels = (drawn.data > 0.5).sum(axis=(0, 1))
    slices = np.flatnonzero(pixels)
    inner = slices[ENDS:-ENDS]
    sections = found.sections[is_averaged(found.sections)].set_index("slice")
    sections = sections[sections.index.isin(inner) & sections["level_at"].notna()]
    in_plane = float(np.prod(drawn.voxel_sizes[:2]))
    manual = pixels[sections.index] * in_plane * np.cos(np.radians(sections["tilt_deg"]))
    level = np.floor(sections["level_at"]).astype(int)
    groups = pd.DataFrame({"ours": sections["area_mm2"], "theirs": manual}).groupby(level)
    means = groups.mean()[groups.size() >= LEAST_SLICES]
    return means["ours"] / means["theirs"]


def label_of(path: Path) -> Path:
    """Return where the manual cord mask of an image of bids-neck is."""
    folder = path.parents[2] / "derivatives" / "labels" / path.parents[1].name / "anat"
    return folder / path.name.replace(".nii.gz", "_label-SC_seg.nii.gz")


def main() -> None:
    """Print one table per network."""
    shared, cache, *others = (Path(word) for word in sys.argv[1:])
    images = sorted((shared / "data" / "bids-neck").glob("sub-*/anat/*_T2w.nii.gz"))
    images = [path for path in images if label_of(path).is_file()]
    for cord in (None, *others):
        found = {
            path.parents[1].name: ratios(path, cache, shared / "data" / "PAM50", cord)
            for path in images
        }
        table = pd.DataFrame(found).sort_index()
        names = "  ".join(f"{name[4:]:>7s}" for name in table.columns)
        sys.stdout.write(f"\n{cord or 'packaged cord network'}\n       {names}     mean\n")
        for level, row in table.iterrows():
            cells = "  ".join(f"{value:7.3f}" for value in row)
            sys.stdout.write(f"  {level_name(int(level)):4s} {cells}  {row.mean():7.3f}\n")
        for name, span in (("C1 to T1", (1, 8)), ("T2 to T6", (9, 13))):
            rows = table.loc[span[0] : span[1]]
            off = (rows.mean(axis=1) - 1.0).abs()
            sys.stdout.write(
                f"  {name}: mean {np.nanmean(rows):.3f}, "
                f"{int((off <= 0.03).sum())} of {len(off)} levels within 3 %\n"
            )


if __name__ == "__main__":
    main()
