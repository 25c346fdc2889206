"""From a raw image to one fit to work on."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.preprocess import Conform, CorrectBias, Denoise


@define_workflow(outputs=["image", "warnings"])
def Preprocess(image: File, denoise: bool, n4: bool, sloppy: bool) -> tuple[NiftiGz, list[str]]:
    """Check, orient, denoise on demand, correct the bias field."""
    checked = step = workflow.add(Conform(image=image))
    if denoise:
        step = workflow.add(Denoise(image=step.image))
    if n4:
        step = workflow.add(CorrectBias(image=step.image, sloppy=sloppy))
    return step.image, checked.warnings
