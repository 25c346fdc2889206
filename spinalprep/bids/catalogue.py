"""Every file that is written for a participant: its name and what it is, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinalprep.bids.names import Entities, derivative_path, frame_name
from spinalprep.bids.session import Scan
from spinalprep.errors import DefectError

NATIVE, REFERENCE, TEMPLATE = "native", "reference", "template"
TABLE = ".tsv"


@dataclass(frozen=True)
class Output:
    """One kind of output.

    Attributes
    ----------
    description : str
        What the sidecar's ``Description`` says.
    suffix : str
        Last part of the name; empty stands for the contrast of the image.
    space : str
        ``native`` (no ``space-``), ``reference`` or ``template``.
    label, desc, seg : str or None
        Entities of the name.
    atlas : bool
        Whether ``atlas-<template>`` is in the name.
    extension : str
        ``.nii.gz`` or ``.tsv``.
    mask : bool
        Whether the sidecar says ``Type: ROI``.
    """

    description: str
    suffix: str = ""
    space: str = REFERENCE
    label: str | None = None
    desc: str | None = None
    seg: str | None = None
    atlas: bool = False
    extension: str = ".nii.gz"
    mask: bool = False


OUTPUTS: Mapping[str, Output] = {
    "preproc": Output(
        "image, oriented and corrected for the bias field", "", NATIVE, None, "preproc"
    ),
    "preproc_reference": Output("image on the grid of the reference image", desc="preproc"),
    "preproc_template": Output("image in the space of the template", "", TEMPLATE, None, "preproc"),
    "cord": Output("spinal cord", "mask", label="SC", mask=True),
    "cord_probability": Output("spinal cord, soft", "probseg", label="SC"),
    "cord_uncertainty": Output(
        "standard deviation of the spinal cord's probability",
        "probseg",
        REFERENCE,
        "SC",
        "uncertainty",
    ),
    "template_cord": Output(
        "spinal cord of the template on the grid of the reference image",
        *("mask", REFERENCE, "SC", "template"),
        mask=True,
    ),
    "gm_probability": Output("grey matter, soft", "probseg", label="GM"),
    "centerline": Output("centerline of the spinal cord", "mask", label="centerline", mask=True),
    "lesion": Output("lesions in the spinal cord", "mask", label="lesion", mask=True),
    "lesion_probability": Output("lesions in the spinal cord, soft", "probseg", label="lesion"),
    "lesions": Output("lesions, numbered by size", "dseg", seg="lesions"),
    "vertebrae": Output("vertebral levels of the spinal cord, C1 = 1", "dseg", seg="vertebrae"),
    "discs": Output(
        "intervertebral discs at the cord, one voxel each, disc n above vertebra n",
        "dseg",
        seg="discs",
    ),
    "spinal_levels": Output(
        "spinal levels of the template", "dseg", seg="spinallevels", atlas=True
    ),
    "tracts": Output(
        "grey and white matter regions of the template's atlas, soft",
        "probseg",
        seg="tracts",
        atlas=True,
    ),
    "cord_template": Output(
        "spinal cord in the space of the template", "mask", TEMPLATE, "SC", mask=True
    ),
    "lesion_template": Output(
        "lesions in the space of the template", "mask", TEMPLATE, "lesion", mask=True
    ),
    "lesion_probability_template": Output(
        "lesions in the space of the template, soft", "probseg", TEMPLATE, "lesion"
    ),
    "coverage_template": Output(
        "what of the template the image covers, in slices in which the cord was found",
        *("mask", TEMPLATE, None, "coverage"),
        mask=True,
    ),
    "template_slices": Output(
        "shape of the cord at the slices of the template",
        *("morph", TEMPLATE, "SC", "perslice"),
        extension=TABLE,
    ),
    "lesions_lookup": Output("names of the lesions", "dseg", seg="lesions", extension=TABLE),
    "perslice": Output(
        "shape of the cord per slice", "morph", REFERENCE, "SC", "perslice", extension=TABLE
    ),
    "perlevel": Output(
        "shape of the cord per vertebral level",
        "morph",
        REFERENCE,
        "SC",
        "perlevel",
        extension=TABLE,
    ),
    "shape_total": Output(
        "shape of the whole cord that the image shows",
        *("morph", REFERENCE, "SC", "total"),
        extension=TABLE,
    ),
    "centerline_table": Output(
        "centerline of the spinal cord with its frame", "morph", label="centerline", extension=TABLE
    ),
    "lesion_table": Output("measures of every lesion", "morph", label="lesion", extension=TABLE),
    "mtr": Output(
        "magnetization transfer ratio in the spinal cord in percent, 100 (off - on) / off; NaN "
        "where there is no signal",
        "MTRmap",
    ),
    "lesion_regions": Output(
        "lesions by vertebral level and region",
        *("morph", REFERENCE, "lesion", "perregion"),
        extension=TABLE,
    ),
    "lesion_totals": Output(
        "all lesions of the cord together",
        *("morph", REFERENCE, "lesion", "total"),
        extension=TABLE,
    ),
    "qc": Output("quality gates", "qc", NATIVE, desc="auto", extension=TABLE),
}
LEVEL_OUTPUTS = ("vertebrae", "discs", "spinal_levels")


def output_path(
    out_dir: Path,
    key: str,
    scan: Scan,
    reference: Scan,
    *,
    template: str = "PAM50",
    auto: bool = False,
) -> Path:
    """Return where an output of the catalogue is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    key : str
        A key of `OUTPUTS`.
    scan : Scan
        The image that the output was made of; the reference for everything but images.
    reference : Scan
        The reference image, whose contrast ``space-`` names.
    template : str
        What ``space-`` and ``atlas-`` call the template.
    auto : bool
        The automatic result that is kept beside a manual one (``desc-auto``).
    """
    if key not in OUTPUTS:
        raise DefectError(f"there is no output {key!r}; expected one of {', '.join(OUTPUTS)}")
    output = OUTPUTS[key]
    entities = Entities(label=output.label, seg=output.seg, desc=output.desc)
    if auto:
        entities["desc"] = "auto" if output.desc in (None, "auto") else f"auto{output.desc}"
    if output.space != NATIVE:
        entities["space"] = template if output.space == TEMPLATE else reference.contrast
    if output.atlas:
        entities["atlas"] = template
    suffix = output.suffix or scan.contrast
    return derivative_path(out_dir, scan, suffix=suffix, extension=output.extension, **entities)


def transform_path(
    out_dir: Path,
    moving: Scan,
    fixed: Scan | str,
    extension: str,
    *,
    inverse: bool = False,
) -> Path:
    """Return where a transform is written.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    moving : Scan
        The image that the forward transform resamples.
    fixed : Scan or str
        The image, or the name of the template, whose grid it is resampled on.
    extension : str
        ``.txt``, ``.mat``, ``.nii.gz`` or ``.h5``.
    inverse : bool
        Return the path of the way back.
    """
    if isinstance(fixed, str):
        ends = (frame_name(moving, moving), fixed)
    else:
        ends = (frame_name(moving, fixed), frame_name(fixed, fixed))
    here, there = reversed(ends) if inverse else ends
    return derivative_path(out_dir, moving, suffix="xfm", extension=extension, from_=here, to=there)
