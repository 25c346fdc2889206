"""The helper that writes outputs under the names and in the layout of the Spinal Cord Toolbox."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from spinalprep.app.log import LOG
from spinalprep.bids.atomic import end_temporary, put_copy, put_made, put_text
from spinalprep.errors import NoInputError, UsageError
from spinalprep.flags import label
from spinalprep.tables import read_table

IMAGE = r"\.nii\.gz$"
CONTRAST = r"(?P<contrast>T2w|T1w|T2starw|MTS)"
STEM = r"^(?P<stem>sub-[^_]+(?:_(?:ses|acq|run)-[^_]+)*)"
TEMPLATE = "{stem}_{contrast}_template"  # what sct_register_to_template and sct_warp_template fill

NAMES = {
    rf"_desc-preproc_{CONTRAST}": "{stem}_{contrast}.nii.gz",
    rf"_space-{CONTRAST}_label-SC_mask": "{stem}_{contrast}_seg.nii.gz",
    rf"_space-{CONTRAST}_label-GM_probseg": "{stem}_{contrast}_gmseg.nii.gz",
    rf"_space-{CONTRAST}_label-lesion_mask": "{stem}_{contrast}_lesion.nii.gz",
    rf"_space-{CONTRAST}_label-centerline_mask": "{stem}_{contrast}_centerline.nii.gz",
    rf"_space-{CONTRAST}_seg-vertebrae_dseg": "{stem}_{contrast}_seg_labeled.nii.gz",
    rf"_space-{CONTRAST}_seg-discs_dseg": "{stem}_{contrast}_seg_labeled_discs.nii.gz",
    rf"_from-PAM50_to-{CONTRAST}_mode-image_xfm": f"{TEMPLATE}/warp_template2anat.nii.gz",
    rf"_from-{CONTRAST}_to-PAM50_mode-image_xfm": f"{TEMPLATE}/warp_anat2template.nii.gz",
    rf"_space-{CONTRAST}_label-SC_desc-template_mask": (
        f"{TEMPLATE}/label/template/PAM50_cord.nii.gz"
    ),
    rf"_space-{CONTRAST}_atlas-PAM50_seg-spinallevels_dseg": (
        f"{TEMPLATE}/label/template/PAM50_spinal_levels.nii.gz"
    ),
}
TRACTS = re.compile(rf"{STEM}_space-{CONTRAST}_atlas-PAM50_seg-tracts_probseg{IMAGE}")
SLICES = re.compile(rf"{STEM}_space-{CONTRAST}_label-SC_desc-perslice_morph\.tsv$")
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
    for ending, name in NAMES.items():
        found = re.search(STEM + ending + IMAGE, path.name)
        if found:
            put_copy(target, folder / name.format(**found.groupdict()), path)
            return 1
    found = TRACTS.search(path.name)
    if found:
        return _split(path, target, folder / TEMPLATE.format(**found.groupdict()) / "label/atlas")
    found = SLICES.search(path.name)
    if found:
        name = "{stem}_{contrast}_csa.csv".format(**found.groupdict())
        put_text(target, folder / name, _sct_table(read_table(path)).to_csv(index=False))
        return 1
    return 0


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
