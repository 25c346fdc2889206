"""From labels that people drew."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.preprocess import ConformLabel


@define_workflow(outputs=["probability"])
def GreyMatter(image: NiftiGz, label: File, value: int | None = None) -> NiftiGz:
    """Take the gray matter that a person drew; ``value`` is its class, if there are several."""
    conform = ConformLabel(label=label, image=image, role="gm", value=value)
    return workflow.add(conform).label
