"""From another contrast to the reference's grid."""

from dataclasses import dataclass
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.coregister import Coregister
from spinalprep.interfaces.template import ApplyTransform
from spinalprep.registration.measures import CoregistrationMeasures


@dataclass(frozen=True)
class Contrast:
    """Another contrast, preprocessed, and how it came to the reference."""

    image: Path
    fit: stages.Coregistered | None


@define_workflow(outputs=["image", "forward", "inverse", "measures", "warnings"])
def ToReference(
    moving: NiftiGz, reference: NiftiGz, cord: NiftiGz, seed: int, sloppy: bool
) -> tuple[NiftiGz, File, File, CoregistrationMeasures, list[str]]:
    """Register, resample once."""
    fit = workflow.add(
        Coregister(moving=moving, reference=reference, cord=cord, seed=seed, sloppy=sloppy)
    )
    return fit.image, fit.forward, fit.inverse, fit.measures, fit.warnings


@can_do_without("lesion")
@define_workflow(outputs=["cord", "lesion"])
def ToContrast(
    cord: NiftiGz, inverse: File, like: NiftiGz, lesion: NiftiGz | None = None
) -> tuple[NiftiGz, NiftiGz | None]:
    """Bring cord and lesions from the reference to another contrast's own grid."""

    def move(name: str, moving: NiftiGz) -> NiftiGz:
        node = ApplyTransform(moving=moving, field=inverse, like=like, order=1, threshold=0.5)
        return workflow.add(node, name=name).image

    moved = move("move_cord", cord)
    return moved, move("move_lesion", lesion) if lesion is not None else None
