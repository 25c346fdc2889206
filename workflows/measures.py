"""From masks to tables."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.lesion import MeasureLesions, SeparateLesions
from spinalprep.interfaces.preprocess import ConformLabel
from spinalprep.interfaces.shape import MeasureLevels, MeasureSlices, ShapeOnTemplate


@workflow.define(outputs=["perslice", "perlevel"])
def Shape(
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None = None,
    gm: NiftiGz | None = None,
    spread: NiftiGz | None = None,
) -> tuple[File, File]:
    """Measure the cord per slice and per vertebral level."""
    perslice = workflow.add(
        MeasureSlices(cord=cord, centerline=centerline, vertebrae=vertebrae, gm=gm, spread=spread)
    ).table
    perlevel = workflow.add(MeasureLevels(perslice=perslice)).table
    return perslice, perlevel


@workflow.define(outputs=["table"])
def TemplateSlices(
    perslice: File,
    centerline: File,
    forward: NiftiGz,
    template_cord: NiftiGz,
    template_levels: NiftiGz,
) -> File:
    """Bring the shape of the cord to the slices of the template."""
    node = ShapeOnTemplate(
        perslice=perslice,
        centerline=centerline,
        forward=forward,
        template_cord=template_cord,
        template_levels=template_levels,
    )
    return workflow.add(node).table


@workflow.define(outputs=["mask", "instances", "soft", "table", "outside"])
def Lesions(
    lesion: NiftiGz | None,
    cord: NiftiGz,
    centerline: File,
    threshold: float,
    min_mm3: float,
    vertebrae: NiftiGz | None = None,
    label: File | None = None,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, float]:
    """Separate and measure the lesions that a person drew, or that the network found."""
    if label is not None:
        lesion = workflow.add(ConformLabel(label=label, image=cord)).label
        threshold, min_mm3 = 0.5, 0.0
    parts = workflow.add(
        SeparateLesions(lesion=lesion, cord=cord, threshold=threshold, min_mm3=min_mm3)
    )
    table = workflow.add(
        MeasureLesions(
            instances=parts.instances, cord=cord, centerline=centerline, vertebrae=vertebrae
        )
    ).table
    return parts.mask, parts.instances, parts.soft, table, parts.outside
