"""The helper that writes outputs under the names and in the layout of the Spinal Cord Toolbox."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary, put_copy, put_made, put_text
from spinalprep.bids.derivative_kinds import IMAGE, TRANSFORM, Kind
from spinalprep.bids.derivative_names import SIDECAR, parse_derivative
from spinalprep.bids.names import CONTRASTS, MTS_ONLY, ImageName, output_prefix, parse_name
from spinalprep.errors import NoInputError, UsageError
from spinalprep.flags import label
from spinalprep.tables import read_table

TEMPLATE = "{stem}_{contrast}_template"  # what sct_register_to_template and sct_warp_template fill
PAM50 = "PAM50"
NAMES: Mapping[Kind, str] = {
    "preproc": "{stem}_{contrast}.nii.gz",
    "cord": "{stem}_{contrast}_seg.nii.gz",
    "gm_probability": "{stem}_{contrast}_gmseg.nii.gz",
    "lesion": "{stem}_{contrast}_lesion.nii.gz",
    "centerline": "{stem}_{contrast}_centerline.nii.gz",
    "vertebrae": "{stem}_{contrast}_seg_labeled.nii.gz",
    "discs": "{stem}_{contrast}_seg_labeled_discs.nii.gz",
    "template_cord": f"{TEMPLATE}/label/template/PAM50_cord.nii.gz",
    "spinal_levels": f"{TEMPLATE}/label/template/PAM50_spinal_levels.nii.gz",
    "tracts": f"{TEMPLATE}/label/atlas",
    "perslice": "{stem}_{contrast}_csa.csv",
}
WARPS = {
    "from": f"{TEMPLATE}/warp_template2anat.nii.gz",
    "to": f"{TEMPLATE}/warp_anat2template.nii.gz",
}
WHOSE_OR_WHERE = ("sub", "ses", "from", "to", "mode")
COLUMNS = {
    "area_mm2": "MEAN(area)",
    "diameter_ap_mm": "MEAN(diameter_AP)",
    "diameter_rl_mm": "MEAN(diameter_RL)",
    "eccentricity": "MEAN(eccentricity)",
    "orientation_deg": "MEAN(orientation)",
    "solidity": "MEAN(solidity)",
    "length_mm": "SUM(length)",
}
LEVEL = re.compile(r"([CTLS])(\d+)")
ABOVE = {"C": 0, "T": 7, "L": 19, "S": 24}  # vertebrae above the first of each kind


def add_export_options(sub: ArgumentParser) -> None:
    """Add the arguments of ``export``."""
    sub.add_argument("out_dir", type=Path, help="output folder of spinalprep")
    sub.add_argument("target", type=Path, help="folder for the exported files")
    sub.add_argument("--to", choices=("sct",), required=True, help="layout")
    sub.add_argument(
        "--participant-label", nargs="+", type=label, default=[], metavar="LABEL", help="only these"
    )


def export(given: Namespace) -> None:
    """Copy all outputs that SCT has a name for.

    Raises
    ------
    UsageError
        If the target lies in the output folder, or is it.
    NoInputError
        If there is nothing to export.
    """
    out_dir, target = given.out_dir.resolve(), given.target.resolve()
    if target == out_dir or out_dir in target.parents:
        raise UsageError(f"{given.target} lies in {given.out_dir}; give another folder")
    wanted = {f"sub-{name}" for name in given.participant_label}
    count = 0
    for folder in sorted(out_dir.glob("sub-*/**/anat")):
        inside = folder.relative_to(out_dir)
        if not wanted or inside.parts[0] in wanted:
            count += sum(_export(path, target, target / inside) for path in folder.iterdir())
    end_temporary(target)
    if not count:
        raise NoInputError(f"{given.out_dir} has nothing to export")
    LOG.info("%d files in %s", count, given.target)


def _export(path: Path, target: Path, folder: Path) -> int:
    """Write what a file becomes; return how many files that are."""
    entities, suffix, _ = parse_name(path.name)
    if suffix == TRANSFORM and path.name.endswith(IMAGE):
        return _export_warp(path, target, folder)
    found = parse_derivative(path)
    if found is None or found.auto or found.kind not in NAMES or path.name.endswith(SIDECAR):
        return 0
    if entities.get("atlas", PAM50) != PAM50 or found.image.contrast not in CONTRASTS:
        return 0
    if set(MTS_ONLY) & set(found.image.entities):  # SCT's names tell one pulse from none nowhere
        return 0
    goal = folder / _named(NAMES[found.kind], found.image)
    if found.kind == "tracts":
        return _split(path, target, goal)
    if found.kind == "perslice":
        put_text(target, goal, _sct_table(read_table(path)).to_csv(index=False))
    else:
        put_copy(target, goal, path)
    return 1


def _export_warp(path: Path, target: Path, folder: Path) -> int:
    """Write a warping field between an image and PAM50; others have no place in SCT's layout."""
    entities, _, _ = parse_name(path.name)
    for end, other in (("from", "to"), ("to", "from")):
        contrast = entities.get(other, "")
        if entities.get(end) == PAM50 and contrast in CONTRASTS:
            own = {k: v for k, v in entities.items() if k not in WHOSE_OR_WHERE}
            image = ImageName(entities["sub"], entities.get("ses"), contrast, own)
            put_copy(target, folder / _named(WARPS[end], image), path)
            return 1
    return 0


def _named(name: str, image: ImageName) -> str:
    """Return a name of SCT's for an image."""
    return name.format(stem=output_prefix(image), contrast=image.contrast)


def _split(path: Path, target: Path, folder: Path) -> int:
    """Write each volume of the tracts as a file of its own, numbered as in PAM50's atlas."""
    tracts: Any = nib.loadsave.load(path)

    def writes(number: int) -> Callable[[Path], None]:
        def write(to: Path) -> None:
            data = np.asarray(tracts.dataobj[..., number], np.float32)
            nib.nifti1.Nifti1Image(data, tracts.affine).to_filename(to)

        return write

    for number in range(tracts.shape[3]):
        put_made(target, folder / f"PAM50_atlas_{number:02d}.nii.gz", writes(number))
    return int(tracts.shape[3])


def _sct_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return areas and shapes by slice with SCT's headings; slices in doubt are left out."""
    sure = table[~table["doubtful"].astype(str).str.lower().eq("true")]
    columns = {"Slice (I->S)": sure["slice"], "VertLevel": sure["vertebral_level"].map(_number)}
    columns |= {name: sure[ours] for ours, name in COLUMNS.items() if ours in sure}
    return pd.DataFrame(columns)


def _number(level: object) -> int | None:
    """Return the number of a vertebra, C1 being 1; None where it is unknown."""
    found = LEVEL.fullmatch(str(level))
    return ABOVE[found[1]] + int(found[2]) if found else None
