"""From an image to the cord."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.cord import (
    BinariseCord,
    CenterlineFromCord,
    FillDrawnCord,
    FindHeat,
    RasteriseCenterline,
    SegmentCord,
    SegmentGreyMatter,
    SegmentLesions,
    TraceCenterline,
    TrimEnds,
)
from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(
    outputs=[
        "cord",
        "probability",
        "gm",
        "lesion",
        "uncertainty",
        "centerline",
        "confidence",
        "warnings",
        "unseen",
    ]
)
def AutomaticCord(
    image: NiftiGz,
    finder: File,
    finder_card: File,
    segmenter: File,
    segmenter_card: File,
    grey: File | None = None,
    grey_card: File | None = None,
    lesions: File | None = None,
    lesions_card: File | None = None,
    centerline_label: File | None = None,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, NiftiGz, NiftiGz, File, float, list[str], int]:
    """Find the centerline, or take a drawn one; then cord, grey matter and lesions along it.

    With weights for ``grey`` the grey matter is found by that network, with weights for
    ``lesions`` the lesions by that one.

    A centerline that was found leads to the cord only: the one that comes out runs through the
    middle of that cord, and a drawn one stays as it is.
    """
    confidence = 1.0
    if centerline_label is not None:
        drawn = workflow.add(ConformLabel(label=centerline_label, image=image)).label
        centerline = workflow.add(CenterlineFromCord(cord=drawn)).centerline
    else:
        heat = workflow.add(FindHeat(image=image, weights=finder, card=finder_card)).heat
        trace = workflow.add(TraceCenterline(heat=heat))
        centerline, confidence = trace.centerline, trace.confidence
    maps = workflow.add(
        SegmentCord(image=image, centerline=centerline, weights=segmenter, card=segmenter_card)
    )
    gm = maps.gm
    if grey is not None:
        step = SegmentGreyMatter(
            image=image, centerline=centerline, cord=maps.cord, weights=grey, card=grey_card
        )
        gm = workflow.add(step).gm
    lesion = maps.lesion
    if lesions is not None:
        step = SegmentLesions(
            image=image, centerline=centerline, weights=lesions, card=lesions_card
        )
        lesion = workflow.add(step).lesion
    whole = TrimEnds(cord=maps.cord, gm=gm, lesion=lesion, plain=maps.plain, centerline=centerline)
    kept = workflow.add(whole)
    mask = workflow.add(BinariseCord(cord=kept.cord, centerline=kept.centerline))
    final = kept.centerline
    if centerline_label is None:
        final = workflow.add(CenterlineFromCord(cord=mask.cord), name="centre").centerline
    return (
        mask.cord,
        kept.cord,
        kept.gm,
        kept.lesion,
        maps.uncertainty,
        final,
        confidence,
        kept.warnings,
        kept.unseen,
    )


@workflow.define(outputs=["cord", "probability", "centerline", "warnings"])
def ManualCord(
    image: NiftiGz, label: File, centerline_label: File | None = None
) -> tuple[NiftiGz, NiftiGz, File, list[str]]:
    """Take the cord that a person drew, and the centerline that was drawn or runs through it."""
    conformed = workflow.add(ConformLabel(label=label, image=image), name="conform_cord").label
    filled = workflow.add(FillDrawnCord(cord=conformed))
    cord = guide = filled.cord
    if centerline_label is not None:
        drawn = ConformLabel(label=centerline_label, image=image)
        guide = workflow.add(drawn, name="conform_centerline").label
    line = workflow.add(CenterlineFromCord(cord=guide))
    return cord, cord, line.centerline, filled.warnings


@workflow.define(outputs=["mask"])
def CenterlineMask(centerline: File, like: NiftiGz) -> NiftiGz:
    """Draw the centerline on the grid of an image."""
    return workflow.add(RasteriseCenterline(centerline=centerline, like=like)).mask
