"""Every kind of output of a participant: what its name says and what it is, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spinalprep.bids.names import Entities
from spinalprep.errors import DefectError

NATIVE, REFERENCE, TEMPLATE = "native", "reference", "template"
IMAGE, TABLE = ".nii.gz", ".tsv"
TRANSFORM = "xfm"
NOT_IN_BIDS = (TRANSFORM, "morph", "metric", "qc", "statmap")  # suffixes that its schema lacks

SYNTHETIC = "; by networks trained on synthetic tumors only, for research use"

LUMBAR = "; by a network trained on synthetic subjects only, for research use"

Kind = Literal[
    "preproc",
    "preproc_reference",
    "preproc_template",
    "cord",
    "cord_probability",
    "cord_uncertainty",
    "template_cord",
    "gm_probability",
    "centerline",
    "lesion",
    "lesion_probability",
    "lesions",
    "tumor",
    "edema",
    "cavity",
    "abnormality",
    "tumor_probability",
    "edema_probability",
    "cavity_probability",
    "abnormality_probability",
    "tumor_table",
    "lumbar",
    "lumbar_lookup",
    "lumbar_probability",
    "lumbar_table",
    "vertebrae",
    "discs",
    "spinal_levels",
    "tracts",
    "cord_template",
    "lesion_template",
    "lesion_probability_template",
    "coverage_template",
    "template_slices",
    "lesions_lookup",
    "perslice",
    "perlevel",
    "shape_total",
    "centerline_table",
    "lesion_table",
    "mtr",
    "lesion_regions",
    "lesion_totals",
    "qc",
    "metric",
]


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
    named : bool
        Whether ``desc-`` is a name of the user's instead.
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
    named: bool = False
    atlas: bool = False
    extension: str = IMAGE
    mask: bool = False

    def __post_init__(self) -> None:
        if self.suffix == "dseg" and self.label is not None:
            raise DefectError(f"a dseg takes no label- in its name; got label-{self.label}")

    def entities(self, auto: bool = False) -> Entities:
        """Return what the name says whatever image it was made of."""
        desc = self.desc
        if auto:
            desc = "auto" if desc in (None, "auto") else f"auto{desc}"
        return Entities(label=self.label, seg=self.seg, desc=desc)


OUTPUTS: Mapping[Kind, Output] = {
    "preproc": Output("image, reoriented and bias-corrected", space=NATIVE, desc="preproc"),
    "preproc_reference": Output("image on the grid of the reference image", desc="preproc"),
    "preproc_template": Output("image in template space", space=TEMPLATE, desc="preproc"),
    "cord": Output("spinal cord", "mask", label="SC", mask=True),
    "cord_probability": Output("spinal cord, soft", "probseg", label="SC"),
    "cord_uncertainty": Output(
        "standard deviation of the spinal cord's probability",
        "probseg",
        label="SC",
        desc="uncertainty",
    ),
    "template_cord": Output(
        "spinal cord of the template on the grid of the reference image",
        "mask",
        label="SC",
        desc="template",
        mask=True,
    ),
    "gm_probability": Output("gray matter, soft", "probseg", label="GM"),
    "centerline": Output("centerline of the spinal cord", "mask", label="centerline", mask=True),
    "lesion": Output("lesions in the spinal cord", "mask", label="lesion", mask=True),
    "lesion_probability": Output("lesions in the spinal cord, soft", "probseg", label="lesion"),
    "lesions": Output("lesions, numbered by size", "dseg", seg="lesions"),
    "tumor": Output(f"tumor in the spinal cord{SYNTHETIC}", "mask", label="tumor", mask=True),
    "edema": Output(f"edema around it{SYNTHETIC}", "mask", label="edema", mask=True),
    "cavity": Output(
        f"liquid-filled cavities in the spinal cord{SYNTHETIC}", "mask", label="cavity", mask=True
    ),
    "abnormality": Output(
        f"tumor, edema and cavities together{SYNTHETIC}", "mask", label="abnormality", mask=True
    ),
    "tumor_probability": Output(f"tumor, soft{SYNTHETIC}", "probseg", label="tumor"),
    "edema_probability": Output(f"edema, soft{SYNTHETIC}", "probseg", label="edema"),
    "cavity_probability": Output(f"cavities, soft{SYNTHETIC}", "probseg", label="cavity"),
    "abnormality_probability": Output(
        f"tumor, edema and cavities together, soft{SYNTHETIC}", "probseg", label="abnormality"
    ),
    "tumor_table": Output(
        f"measures of tumor, edema and cavities{SYNTHETIC}",
        "morph",
        label="abnormality",
        extension=TABLE,
    ),
    "lumbar": Output(f"structures of a lumbar spine{LUMBAR}", "dseg", seg="lumbar"),
    "lumbar_lookup": Output(
        "names of the lumbar structures", "dseg", seg="lumbar", extension=TABLE
    ),
    "lumbar_probability": Output(
        f"structures of a lumbar spine, soft{LUMBAR}", "probseg", seg="lumbar"
    ),
    "lumbar_table": Output(
        f"measures of lumbar structures and discs{LUMBAR}", "morph", seg="lumbar", extension=TABLE
    ),
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
        "gray and white matter regions of the template's atlas, soft",
        "probseg",
        seg="tracts",
        atlas=True,
    ),
    "cord_template": Output(
        "spinal cord in template space", "mask", space=TEMPLATE, label="SC", mask=True
    ),
    "lesion_template": Output(
        "lesions in template space", "mask", space=TEMPLATE, label="lesion", mask=True
    ),
    "lesion_probability_template": Output(
        "lesions in template space, soft", "probseg", space=TEMPLATE, label="lesion"
    ),
    "coverage_template": Output(
        "part of the template that the image covers, in slices in which the cord was found",
        "mask",
        space=TEMPLATE,
        desc="coverage",
        mask=True,
    ),
    "template_slices": Output(
        "morphometry of the cord at the slices of the template",
        "morph",
        space=TEMPLATE,
        label="SC",
        desc="perslice",
        extension=TABLE,
    ),
    "lesions_lookup": Output("names of the lesions", "dseg", seg="lesions", extension=TABLE),
    "perslice": Output(
        "morphometry of the cord per slice", "morph", label="SC", desc="perslice", extension=TABLE
    ),
    "perlevel": Output(
        "morphometry of the cord per vertebral level",
        "morph",
        label="SC",
        desc="perlevel",
        extension=TABLE,
    ),
    "shape_total": Output(
        "morphometry of the whole cord in view",
        "morph",
        label="SC",
        desc="total",
        extension=TABLE,
    ),
    "centerline_table": Output(
        "centerline of the spinal cord with its frame", "morph", label="centerline", extension=TABLE
    ),
    "lesion_table": Output("measures of every lesion", "morph", label="lesion", extension=TABLE),
    "mtr": Output(
        "magnetization transfer ratio in the spinal cord in percent, 100 (off - on) / off; NaN "
        "without signal",
        "MTRmap",
    ),
    "lesion_regions": Output(
        "lesions by vertebral level and region",
        "morph",
        label="lesion",
        desc="perregion",
        extension=TABLE,
    ),
    "lesion_totals": Output(
        "all lesions of the cord", "morph", label="lesion", desc="total", extension=TABLE
    ),
    "qc": Output("quality gates", "qc", space=NATIVE, desc="auto", extension=TABLE),
    "metric": Output("a map, measured by region", "metric", named=True, extension=TABLE),
}
LEVEL_OUTPUTS = ("vertebrae", "discs", "spinal_levels")
