"""The command that joins the masks of several raters."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spinalprep.app.log import LOG
from spinalprep.errors import InputError, UsageError
from spinalprep.tools.training_tools import add_label_values

if TYPE_CHECKING:
    from spinalprep.image import Image
    from spinalprep.training.evaluation.consensus import Consensus
    from spinalprep.training.evaluation.metrics import Mask

COLUMNS = {
    "rater": "file of the rater's mask",
    "method": "majority or staple: what the rater is compared with",
    "sensitivity": "share of the consensus that the rater drew",
    "specificity": "share of the rest of the region that the rater left out",
    "dice": "overlap of the rater's mask and the consensus over their mean size",
    "volume_mm3": "volume of the rater's mask",
    "consensus_mm3": "volume of the consensus",
}


def add_consensus_commands(command: Callable[[str, object, str], ArgumentParser]) -> None:
    """Add ``consensus`` by ``command``."""
    text = "join the masks of several raters or models, and rate the raters"
    sub = command("consensus", _consensus, text)
    sub.add_argument("masks", type=Path, nargs="+", metavar="MASK", help="NIfTI, on one grid")
    add_label_values(sub)
    sub.add_argument("-o", "--out-dir", type=Path, required=True, help="output folder")
    sub.add_argument(
        "--method",
        choices=("majority", "staple", "both"),
        default="both",
        help="majority: more than half of the raters; staple: expectation maximization over truth "
        "and quality of the raters (default: both)",
    )


def _consensus(given: Namespace) -> None:
    """Write masks, probability and the table of raters."""
    import numpy as np
    import pandas as pd

    from spinalprep.image import save
    from spinalprep.training.evaluation.consensus import majority, staple

    volumes = _read(given.masks, dict(given.label_values))
    grid, masks = volumes[0], [volume.data >= 0.5 for volume in volumes]
    if not np.any(masks):
        raise InputError("all masks are empty: there is nothing to agree on")
    given.out_dir.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for method in ("majority", "staple") if given.method == "both" else (given.method,):
        found = (majority if method == "majority" else staple)(masks)
        save(grid.with_data(found.mask), given.out_dir / f"{method}.nii.gz", dtype=np.uint8)
        if method == "staple":
            path = given.out_dir / "staple_probability.nii.gz"
            save(grid.with_data(found.probability), path)
        rows += _rate(given.masks, masks, found, grid.voxel_volume, method)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for line in table.to_string(index=False, na_rep="n/a", float_format="%.4f").splitlines():
        LOG.info("%s", line)
    path = given.out_dir / "raters.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.6f")
    told = {column: {"Description": text} for column, text in COLUMNS.items()}
    path.with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")


def _read(paths: list[Path], given: dict[str, int]) -> "list[Image]":
    """Read masks of one grid, in one voxel order, of the structure that the first one's name says.

    Where the name says none it is the cord.
    """
    from spinalprep.bids.labels import check_same_grid, role_of
    from spinalprep.bids.lookups import label_value
    from spinalprep.image import load, reorient
    from spinalprep.image.drawn import read_drawn

    if len(paths) < 2:
        raise UsageError("consensus: expected two masks or more")
    wrong = [text for path in paths if (text := check_same_grid(path, paths[0]))]
    if wrong:
        raise InputError(wrong[0])
    grid, role = reorient(load(paths[0])), role_of(paths[0]) or "cord"
    return [read_drawn(path, grid, role, label_value(path, role, given)) for path in paths]


def _rate(
    paths: list[Path], masks: "list[Mask]", found: "Consensus", voxel_mm3: float, method: str
) -> "Iterator[dict[str, object]]":
    """Yield a record per rater."""
    from spinalprep.training.evaluation.metrics import overlap_measures

    for n, (path, mask) in enumerate(zip(paths, masks, strict=True)):
        yield {
            "rater": str(path),
            "method": method,
            "sensitivity": float(found.sensitivity[n]),
            "specificity": float(found.specificity[n]),
            "dice": overlap_measures(mask, found.mask)["dice"],
            "volume_mm3": float(mask.sum() * voxel_mm3),
            "consensus_mm3": float(found.mask.sum() * voxel_mm3),
        }
