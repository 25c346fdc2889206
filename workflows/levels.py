"""From an image, discs or a hint to vertebral levels."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.engine.graph import can_do_without
from spinalprep.interfaces.levels import (
    ChooseSource,
    DetectElsewhere,
    DetectLevels,
    DiscNetworks,
    LabelLevels,
    LevelsFromDiscs,
    LevelsFromHint,
)
from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(outputs=["sources"])
def OwnDiscs(
    image: NiftiGz, centerline: File, template_z: dict[int, float], weights: File, card: File
) -> File:
    """Look for discs in the reference."""
    task = DetectLevels(
        image=image, centerline=centerline, template_z=template_z, weights=weights, card=card
    )
    return workflow.add(task).sources


@can_do_without("image", "before", "to_reference")
@workflow.define(outputs=["sources", "warnings"])
def OtherDiscs(
    contrast: str,
    networks: DiscNetworks,
    reference_line: File,
    own: File,
    template_z: dict[int, float],
    image: NiftiGz | None = None,
    before: File | None = None,
    to_reference: File | None = None,
) -> tuple[File, list[str]]:
    """Look for discs in another contrast, where the reference is not sure.

    A contrast that could not be preprocessed or registered does not cost the sources before it.
    """
    task = DetectElsewhere(
        image=image,
        contrast=contrast,
        networks=networks,
        reference_line=reference_line,
        own=own,
        before=before,
        to_reference=to_reference,
        template_z=template_z,
    )
    found = workflow.add(task)
    return found.sources, found.warnings


@workflow.define(outputs=["levels", "vertebrae", "discs", "source", "warnings"])
def GivenLevels(
    image: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    template_z: dict[int, float],
    weights: File,
    card: File,
    label: File | None = None,
    hint: str | None = None,
) -> tuple[File, NiftiGz, NiftiGz, str, list[str]]:
    """Take the discs that a person labelled; else number those of the image by a hint."""
    warnings: list[str] = []
    told = {"image": image, "centerline": centerline, "template_z": template_z}
    told |= {"weights": weights, "card": card}
    if label is not None:
        drawn = workflow.add(ConformLabel(label=label, image=cord, role="discs")).label
        levels = workflow.add(LevelsFromDiscs(discs=drawn, **told)).levels
    else:
        found = workflow.add(LevelsFromHint(hint=hint, **told))
        levels, warnings = found.levels, found.warnings
    drawn = workflow.add(LabelLevels(cord=cord, centerline=centerline, levels=levels))
    return levels, drawn.vertebrae, drawn.discs, drawn.source, warnings


@can_do_without("elsewhere")
@workflow.define(outputs=["levels", "vertebrae", "discs", "source", "warnings"])
def SeenLevels(
    cord: NiftiGz, centerline: File, own: File, elsewhere: File | None = None
) -> tuple[File | None, NiftiGz | None, NiftiGz | None, str, list[str]]:
    """Take the levels that the reference shows, else those that other images of the session show.

    Without a sure sign of a level all files are None: levels stay unknown.
    """
    found = workflow.add(ChooseSource(own=own, elsewhere=elsewhere, centerline=centerline))
    drawn = workflow.add(LabelLevels(cord=cord, centerline=centerline, levels=found.levels))
    return found.levels, drawn.vertebrae, drawn.discs, drawn.source, found.warnings
