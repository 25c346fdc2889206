"""From masks to tables."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.lesion import MeasureLesions, SeparateLesions
from spinalprep.interfaces.preprocess import ConformLabel
from spinalprep.interfaces.shape import MeasureLevels, MeasureSlices


@workflow.define(outputs=["perslice", "perlevel"])
def Shape(cord: NiftiGz, centerline: File, vertebrae: NiftiGz | None = None) -> tuple[File, File]:
    """Measure the cord per slice and per vertebral level."""
    perslice = workflow.add(
        MeasureSlices(cord=cord, centerline=centerline, vertebrae=vertebrae)
    ).table
    perlevel = workflow.add(MeasureLevels(perslice=perslice)).table
    return perslice, perlevel


@workflow.define(outputs=["mask", "instances", "table", "outside"])
def Lesions(
    lesion: NiftiGz | None,
    cord: NiftiGz,
    centerline: File,
    threshold: float,
    min_mm3: float,
    vertebrae: NiftiGz | None = None,
    label: File | None = None,
) -> tuple[NiftiGz, NiftiGz, File, float]:
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
    return parts.mask, parts.instances, table, parts.outside
