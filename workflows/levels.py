"""From discs or a hint to vertebral levels."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.levels import LabelLevels, LevelsFromDiscs, LevelsFromHint
from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(outputs=["levels", "vertebrae", "discs"])
def VertebralLevels(
    cord: NiftiGz,
    centerline: File,
    template_z: dict[int, float],
    label: File | None = None,
    hint: str | None = None,
) -> tuple[File, NiftiGz, NiftiGz]:
    """Take the discs that a person labelled, else the hint; one of them must be given."""
    if label is not None:
        discs = workflow.add(ConformLabel(label=label, image=cord)).label
        found = workflow.add(
            LevelsFromDiscs(discs=discs, centerline=centerline, template_z=template_z)
        )
    else:
        found = workflow.add(
            LevelsFromHint(hint=hint, centerline=centerline, template_z=template_z)
        )
    drawn = workflow.add(LabelLevels(cord=cord, centerline=centerline, levels=found.levels))
    return found.levels, drawn.vertebrae, drawn.discs
