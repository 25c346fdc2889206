"""From the other images of a session to their lesions on the reference's grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.lesion import (
    CallElsewhere,
    CollectLesions,
    LesionNetworks,
    SegmentElsewhere,
)
from spinalprep.registration.measures import CoregistrationMeasures
from spinalprep.workflows.cord import Weights
from spinalprep.workflows.coregister import Contrast
from spinalprep.workflows.stage import add_stage


@dataclass(frozen=True)
class OtherLesions:
    """In which other images lesions are looked for.

    Attributes
    ----------
    names : tuple of str
        By the names of their stages.
    own : str
        What the reference is called.
    fusion : str
        How their lesions are joined, see `lesion.fusion.join_lesions`.
    """

    names: tuple[str, ...]
    own: str
    fusion: str


@dataclass(frozen=True)
class Criteria:
    """Threshold of the probability, and the smallest volume, of a lesion."""

    threshold: float
    min_mm3: float


@define_workflow(outputs=["lesions", "warnings"])
def LesionsElsewhere(
    name: str,
    image: NiftiGz,
    networks: LesionNetworks,
    reference_cord: NiftiGz,
    reference_line: File,
    to_image: File,
    to_reference: File,
    measures: CoregistrationMeasures,
    criteria: Criteria,
) -> tuple[File, list[str]]:
    """Look for lesions in another image as in the reference, and bring them there."""
    found = workflow.add(
        SegmentElsewhere(image=image, name=name, networks=networks, measures=measures)
    )
    task = CallElsewhere(
        name=name,
        image=image,
        lesion=found.lesion,
        cord=found.cord,
        centerline=found.centerline,
        reference_cord=reference_cord,
        reference_line=reference_line,
        to_image=to_image,
        to_reference=to_reference,
        threshold=criteria.threshold,
        min_mm3=criteria.min_mm3,
        why=found.warnings,
    )
    called = workflow.add(task)
    return called.lesions, called.warnings


@can_do_without("before", "found")
@define_workflow(outputs=["lesions"])
def CollectedLesions(before: File | None = None, found: File | None = None) -> File:
    """Put images together; a search that failed costs only its own."""
    return workflow.add(CollectLesions(before=before, found=found)).lesions


def add_other_lesions(
    wanted: OtherLesions | None,
    contrasts: Mapping[str, Contrast],
    weights: Weights,
    cord: stages.Cord,
    criteria: Criteria,
) -> Path | None:
    """Add the search for lesions in other images of the session to the graph.

    Parameters
    ----------
    wanted : OtherLesions or None
        None where the reference is searched alone.
    contrasts : mapping of str to Contrast
        The other images, by name.
    weights : Weights
    cord : Cord
        Of the reference.
    criteria : Criteria

    Returns
    -------
    lesions : Path or None
        What all of them show; None where no image can be searched.
    """
    lesions: Path | None = None
    networks = LesionNetworks(
        *(weights.centerline.weights, weights.centerline.card),
        *(weights.cord.weights, weights.cord.card),
        *(weights.lesion.weights, weights.lesion.card),
    )
    for name in wanted.names if wanted is not None else ():
        contrast = contrasts.get(name)
        if contrast is None or contrast.fit is None:
            continue
        task = LesionsElsewhere(
            name=name,
            image=contrast.image,
            networks=networks,
            reference_cord=cord.cord,
            reference_line=cord.centerline,
            to_image=contrast.fit.forward,
            to_reference=contrast.fit.inverse,
            measures=contrast.fit.measures,
            criteria=criteria,
        )
        found = add_stage(stages.OTHER_LESIONS, task, name).lesions
        joined = CollectedLesions(before=lesions, found=found)
        lesions = add_stage(stages.JOINED_LESIONS, joined, name).lesions if lesions else found
    return lesions
