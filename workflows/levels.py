"""From an image, discs or a hint to vertebral levels."""

from collections.abc import Mapping
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.levels import (
    ChooseSource,
    DetectElsewhere,
    DetectLevels,
    DiscNetworks,
    JoinSources,
    LabelLevels,
    LevelsFromDiscs,
    LevelsFromHint,
)
from spinalprep.interfaces.preprocess import ConformLabel
from spinalprep.workflows.coregister import Contrast
from spinalprep.workflows.stage import add_stage


@define_workflow(outputs=["sources"])
def OwnDiscs(
    image: NiftiGz, centerline: File, template_z: dict[int, float], weights: File, card: File
) -> File:
    """Look for discs in the reference."""
    task = DetectLevels(
        image=image, centerline=centerline, template_z=template_z, weights=weights, card=card
    )
    return workflow.add(task).sources


@can_do_without("image", "own", "to_reference")
@define_workflow(outputs=["sources", "warnings"])
def OtherDiscs(
    contrast: str,
    networks: DiscNetworks,
    reference_line: File,
    template_z: dict[int, float],
    own: File | None = None,
    image: NiftiGz | None = None,
    to_reference: File | None = None,
) -> tuple[File, list[str]]:
    """Look for discs in another contrast, where the reference is not sure."""
    task = DetectElsewhere(
        image=image,
        contrast=contrast,
        networks=networks,
        reference_line=reference_line,
        own=own,
        to_reference=to_reference,
        template_z=template_z,
    )
    found = workflow.add(task)
    return found.sources, found.warnings


@can_do_without("before", "found")
@define_workflow(outputs=["sources"])
def JoinedSources(before: File | None = None, found: File | None = None) -> File:
    """Put sources together; a search that failed costs only its own."""
    return workflow.add(JoinSources(before=before, found=found)).sources


def add_other_discs(
    contrasts: Mapping[str, Contrast],
    networks: DiscNetworks,
    own: Path,
    cord: stages.Cord,
    template_z: dict[int, float],
) -> Path | None:
    """Add the search for discs in the other contrasts of a session to the graph.

    Each search is a stage of its own, and none waits for another.

    Parameters
    ----------
    contrasts : mapping of str to Contrast
        By name.
    networks : DiscNetworks
    own : Path
        Sources of the reference itself.
    cord : Cord
        Of the reference.
    template_z : dict of int to float
        Disc to height in the template, mm.

    Returns
    -------
    sources : Path or None
        What all of them are sure of; None without another contrast.
    """
    sources: Path | None = None
    for name, contrast in contrasts.items():
        task = OtherDiscs(
            image=contrast.image,
            contrast=name,
            networks=networks,
            reference_line=cord.centerline,
            own=own,
            to_reference=contrast.fit.inverse if contrast.fit is not None else None,
            template_z=template_z,
        )
        found = add_stage(stages.DISCS, task, name).sources
        joined = JoinedSources(before=sources, found=found)
        sources = add_stage(stages.SOURCES, joined, name).sources if sources else found
    return sources


@define_workflow(outputs=["levels", "vertebrae", "discs", "source", "warnings"])
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
    """Take the discs that a person labeled; else number those of the image by a hint."""
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


@can_do_without("own", "elsewhere")
@define_workflow(outputs=["levels", "vertebrae", "discs", "source", "warnings"])
def SeenLevels(
    cord: NiftiGz, centerline: File, own: File | None = None, elsewhere: File | None = None
) -> tuple[File | None, NiftiGz | None, NiftiGz | None, str, list[str]]:
    """Take the levels that the reference shows, else those that other images of the session show.

    Without a sure sign of a level all files are None: levels stay unknown.
    """
    found = workflow.add(ChooseSource(own=own, elsewhere=elsewhere, centerline=centerline))
    drawn = workflow.add(LabelLevels(cord=cord, centerline=centerline, levels=found.levels))
    return found.levels, drawn.vertebrae, drawn.discs, drawn.source, found.warnings
