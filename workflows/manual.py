"""From labels that people drew."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.preprocess import ConformLabel


@workflow.define(outputs=["probability"])
def GreyMatter(image: NiftiGz, label: File) -> NiftiGz:
    """Take the grey matter that a person drew."""
    return workflow.add(ConformLabel(label=label, image=image)).label
