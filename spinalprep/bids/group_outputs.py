"""Names and sidecars of what the group level writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinalprep import __version__
from spinalprep.bids.derivatives import write_image
from spinalprep.image import Image

MAPS: Mapping[str, tuple[str, str]] = {
    "probability": (
        "label-lesion_probseg",
        "share of the people covering the voxel who have a lesion there; NaN where fewer than "
        "MinimumCoverage people cover it, 0 is an observed zero",
    ),
    "lower": ("label-lesion_desc-lower_probseg", "lower end of the 95 % Wilson interval"),
    "upper": ("label-lesion_desc-upper_probseg", "upper end of the 95 % Wilson interval"),
    "soft": (
        "label-lesion_desc-soft_probseg",
        "mean probability of a lesion over the people covering the voxel",
    ),
    "coverage": (
        "label-SC_desc-coverage_probseg",
        "share of all people who cover the voxel: inside the field of view, in a slice in which "
        "the cord was found",
    ),
}
STATISTICS = {
    "t": "Student's t",
    "p": "p, two-sided, corrected for the family of voxels by permutation",
    "effect": "difference of lesion probability, or slope per unit of the covariate",
}


def group_path(out_dir: Path, template: str, name: str, cohort: str | None = None) -> Path:
    """Return the path of a map.

    Parameters
    ----------
    out_dir : Path
    template : str
    name : str
        What follows the template and the cohort: ``label-lesion_probseg``.
    cohort : str, optional
        Letters and digits.

    Examples
    --------
    >>> group_path(Path("o"), "PAM50", "label-lesion_probseg", "MS").as_posix()
    'o/tpl-PAM50/cohort-MS/anat/tpl-PAM50_cohort-MS_label-lesion_probseg.nii.gz'
    """
    root, stem = out_dir / f"tpl-{template}", f"tpl-{template}"
    if cohort is not None:
        root, stem = root / f"cohort-{cohort}", f"{stem}_cohort-{cohort}"
    return root / "anat" / f"{stem}_{name}.nii.gz"


def map_sidecar(
    description: str,
    people: Sequence[str],
    spatial_reference: str,
    more: Mapping[str, object],
) -> dict[str, Any]:
    """Return the JSON beside a map.

    Parameters
    ----------
    description : str
    people : sequence of str
        Names of the images that it stands on.
    spatial_reference : str
        Of the template.
    more : mapping
        ``MinimumCoverage``, ``Threshold``, ``Parameters``, ``Warnings``...
    """
    return {
        "Description": description,
        "SampleSize": len(people),
        "Subjects": list(people),
        "SpatialReference": spatial_reference,
        "GeneratedBy": [{"Name": "spinalprep", "Version": __version__}],
        **more,
    }


def write_map(
    out_dir: Path, path: Path, volume: np.ndarray, affine: np.ndarray, sidecar: Mapping[str, Any]
) -> bool:
    """Write a float32 map (NaN allowed) with its sidecar; tell whether it changed."""
    return write_image(out_dir, path, Image(volume, affine), sidecar)
