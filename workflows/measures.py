"""From masks to tables."""

from dataclasses import dataclass

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.lesion import CallLesions, JoinLesions, MeasureLesions
from spinalprep.interfaces.preprocess import ConformLabel
from spinalprep.interfaces.shape import (
    MeasureLevels,
    MeasureSlices,
    MeasureTotal,
    ScoreSlices,
    ShapeOnTemplate,
)
from spinalprep.workflows.lesions import OtherLesions


@dataclass(frozen=True)
class Healthy:
    """Table of healthy people, and who is held against it; None where it is not known.

    ``calibration`` is that of the masks; without one there are no z-scores.
    """

    norms: File
    age: float | None = None
    sex: str | None = None
    calibration: File | None = None


@can_do_without("gm")
@define_workflow(outputs=["perslice", "perlevel", "total"])
def Shape(
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None = None,
    gm: NiftiGz | None = None,
    spread: NiftiGz | None = None,
    levels: File | None = None,
    healthy: Healthy | None = None,
    gm_found: bool = False,
    doubtful: list[int] | None = None,
) -> tuple[File, File, File]:
    """Measure the cord per slice, level and as a whole; z-scores where levels are known.

    ``spread`` goes with a cord that a network found, ``gm_found`` with such gray matter;
    its ``doubtful`` slices are excluded from all means.
    """
    slices = MeasureSlices(
        cord=cord,
        centerline=centerline,
        vertebrae=vertebrae,
        gm=gm,
        spread=spread,
        gm_found=gm_found,
        doubtful=doubtful if doubtful is not None else [],
    )
    perslice = workflow.add(slices).table
    node = MeasureLevels(
        perslice=perslice,
        levels=levels,
        norms=healthy.norms if healthy is not None else None,
        calibration=healthy.calibration if healthy is not None else None,
        age=healthy.age if healthy is not None else None,
        sex=healthy.sex if healthy is not None else None,
    )
    perlevel = workflow.add(node).table
    total = workflow.add(MeasureTotal(perslice=perslice)).table
    return perslice, perlevel, total


@define_workflow(outputs=["table"])
def TemplateSlices(
    perslice: File,
    centerline: File,
    forward: NiftiGz,
    template_cord: NiftiGz,
    template_levels: NiftiGz,
    levels: File | None = None,
    healthy: Healthy | None = None,
) -> File | None:
    """Bring the shape of the cord to the slices of the template; z-scores on those of PAM50.

    Nothing where levels are not known: the height in the template is arbitrary there.
    """
    if levels is None:
        return (None,)  # pydra wants a tuple
    node = ShapeOnTemplate(
        perslice=perslice,
        centerline=centerline,
        forward=forward,
        template_cord=template_cord,
        template_levels=template_levels,
        levels=levels,
    )
    table = workflow.add(node).table
    if healthy is None:
        return table
    scores = ScoreSlices(table=table, **vars(healthy))
    return workflow.add(scores).table


@can_do_without("others")
@define_workflow(
    outputs=[
        *("mask", "instances", "soft", "evidence"),
        *("volumes", "refused", "outside", "searched"),
    ]
)
def Lesions(
    lesion: NiftiGz | None,
    image: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    threshold: float,
    min_mm3: float,
    label: File | None = None,
    value: int | None = None,
    joining: OtherLesions | None = None,
    others: File | None = None,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, list[float], list[float], float, list[str]]:
    """Take the lesions that a person drew, or call those that the network proposes.

    Those of ``others`` are joined with them, if it is said how.
    """
    if label is not None:
        drawn = ConformLabel(label=label, image=cord, role="lesion", value=value)
        lesion = workflow.add(drawn).label
    task = CallLesions(
        lesion=lesion,
        image=image,
        cord=cord,
        centerline=centerline,
        threshold=threshold,
        min_mm3=min_mm3,
        drawn=label is not None,
    )
    parts = workflow.add(task)
    joined, searched = parts, []
    if joining is not None:
        join = JoinLesions(
            own=joining.own,
            instances=parts.instances,
            soft=parts.soft,
            evidence=parts.evidence,
            cord=cord,
            others=others,
            threshold=threshold,
            min_mm3=min_mm3,
            fusion=joining.fusion,
        )
        joined = workflow.add(join)
        searched = joined.searched
    return (
        *(joined.mask, joined.instances, joined.soft, joined.evidence),
        *(joined.volumes, parts.refused, parts.outside, searched),
    )


@define_workflow(outputs=["table", "regions", "totals"])
def LesionTables(
    instances: NiftiGz,
    evidence: File,
    refused: list[float],
    cord: NiftiGz,
    centerline: File,
    template_z: dict[int, float],
    names: list[str],
    combined: dict[str, list[int]],
    vertebrae: NiftiGz | None = None,
    levels: File | None = None,
    shares: File | None = None,
    doubtful: list[int] | None = None,
) -> tuple[File, File, File]:
    """Measure lesions; by level where levels are known, by region where the atlas is."""
    node = MeasureLesions(
        instances=instances,
        evidence=evidence,
        refused=refused,
        cord=cord,
        centerline=centerline,
        vertebrae=vertebrae,
        levels=levels,
        template_z=template_z,
        shares=shares,
        names=names,
        combined=combined,
        doubtful=doubtful if doubtful is not None else [],
    )
    tables = workflow.add(node)
    return tables.table, tables.regions, tables.totals
