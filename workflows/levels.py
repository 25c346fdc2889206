"""From an image, discs or a hint to vertebral levels."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.levels import DetectLevels, LabelLevels, LevelsFromDiscs
from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(outputs=["levels", "vertebrae", "discs", "warnings"])
def VertebralLevels(
    image: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    template_z: dict[int, float],
    weights: File,
    card: File,
    label: File | None = None,
    hint: str | None = None,
) -> tuple[File | None, NiftiGz | None, NiftiGz | None, list[str]]:
    """Take the discs that a person labelled; else detect them, numbered by a hint if given.

    Without a sure sign of a level all outputs are None: levels stay unknown.
    """
    warnings: list[str] = []
    if label is not None:
        drawn = workflow.add(ConformLabel(label=label, image=cord)).label
        levels = workflow.add(
            LevelsFromDiscs(
                discs=drawn,
                image=image,
                centerline=centerline,
                weights=weights,
                card=card,
                template_z=template_z,
            )
        ).levels
    else:
        found = workflow.add(
            DetectLevels(
                image=image,
                centerline=centerline,
                weights=weights,
                card=card,
                template_z=template_z,
                hint=hint,
            )
        )
        levels, warnings = found.levels, found.warnings
    drawn = workflow.add(LabelLevels(cord=cord, centerline=centerline, levels=levels))
    return levels, drawn.vertebrae, drawn.discs, warnings
