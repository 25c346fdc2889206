"""From an image to the cord."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.cord import (
    BinariseCord,
    CenterlineFromCord,
    FindHeat,
    RasteriseCenterline,
    SegmentCord,
    TraceCenterline,
)
from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(
    outputs=["cord", "probability", "gm", "lesion", "uncertainty", "centerline", "confidence"]
)
def AutomaticCord(
    image: NiftiGz, finder: File, finder_card: File, segmenter: File, segmenter_card: File
) -> tuple[NiftiGz, NiftiGz, NiftiGz, NiftiGz, NiftiGz, File, float]:
    """Find the centerline, then cord, grey matter and lesions along it."""
    heat = workflow.add(FindHeat(image=image, weights=finder, card=finder_card))
    trace = workflow.add(TraceCenterline(heat=heat.heat))
    maps = workflow.add(
        SegmentCord(
            image=image, centerline=trace.centerline, weights=segmenter, card=segmenter_card
        )
    )
    mask = workflow.add(BinariseCord(cord=maps.cord, centerline=trace.centerline))
    return (
        mask.cord,
        maps.cord,
        maps.gm,
        maps.lesion,
        maps.uncertainty,
        trace.centerline,
        trace.confidence,
    )


@workflow.define(outputs=["cord", "probability", "centerline"])
def ManualCord(image: NiftiGz, label: File) -> tuple[NiftiGz, NiftiGz, File]:
    """Take the cord that a person drew, and the centerline through it."""
    cord = workflow.add(ConformLabel(label=label, image=image))
    line = workflow.add(CenterlineFromCord(cord=cord.label))
    return cord.label, cord.label, line.centerline


@workflow.define(outputs=["mask"])
def CenterlineMask(centerline: File, like: NiftiGz) -> NiftiGz:
    """Draw the centerline on the grid of an image."""
    return workflow.add(RasteriseCenterline(centerline=centerline, like=like)).mask
