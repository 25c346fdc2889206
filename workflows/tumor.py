"""From T2w and Gd-T1w, or one of them, to tumor, edema and cavity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.tumor import (
    CallTumors,
    FindTumorCord,
    MapTumors,
    MeasureTumors,
    TubeAroundCenterline,
)
from spinalprep.lesion.tumors import TumorRule
from spinalprep.workflows.cord import WeightFile
from spinalprep.workflows.stage import add_stage


@dataclass(frozen=True)
class TumorSearch:
    """How a tumor is looked for.

    Attributes
    ----------
    t2w, gd_t1w : str or None
        Which images of the session are these contrasts, by the names of their stages; the
        reference's is empty.
    crop : str
        To what the images are cropped, one of `defaults.TumorCrop` (whose type pydra can't hash).
    rule : TumorRule
        What counts as a structure.
    """

    t2w: str | None
    gd_t1w: str | None
    crop: str = "centerline"
    rule: TumorRule = field(default_factory=TumorRule)


@dataclass(frozen=True)
class TumorWeights:
    """The networks of the two steps as files; the first is needed for the cascade alone."""

    tumor: WeightFile
    tumor_cord: WeightFile | None = None


T2W, GD_T1W = "T2w", "Gd-T1w"


@can_do_without("t2w", "gd_t1w", "levels")
@define_workflow(
    outputs=[
        *("tumor", "edema", "cavity", "abnormality"),
        *("tumor_soft", "edema_soft", "cavity_soft", "abnormality_soft"),
        *("table", "seen", "warnings"),
    ]
)
def Tumor(
    t2w: NiftiGz | None,
    gd_t1w: NiftiGz | None,
    cord: NiftiGz,
    centerline: File,
    levels: File | None,
    networks: TumorWeights,
    search: TumorSearch,
) -> tuple[
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    File,
    list[str],
    list[str],
]:
    """Crop around the cord, map what grows there, call it, measure it.

    ``seen`` are the contrasts that the network saw: one may be missing, or failed on its way to the
    reference, and the other is searched alone.
    """
    given = {T2W: t2w, GD_T1W: gd_t1w}
    seen = [name for name, image in given.items() if image is not None]
    crop, lost = search.crop, _lost(search, seen)
    tube, warnings = _tube(t2w, cord, centerline, networks, crop, lost)
    network = networks.tumor
    step = MapTumors(t2w=t2w, gd_t1w=gd_t1w, tube=tube, weights=network.weights, card=network.card)
    soft = workflow.add(step)
    called = CallTumors(
        tumor=soft.tumor,
        edema=soft.edema,
        cavity=soft.cavity,
        abnormality=soft.abnormality,
        rule=search.rule,
    )
    masks = workflow.add(called)
    measured = MeasureTumors(
        tumor=masks.tumor,
        edema=masks.edema,
        cavity=masks.cavity,
        abnormality=masks.abnormality,
        cord=cord,
        centerline=centerline,
        levels=levels,
        gd_t1w=gd_t1w,
    )
    table = workflow.add(measured).table
    return (
        *(masks.tumor, masks.edema, masks.cavity, masks.abnormality),
        *(soft.tumor, soft.edema, soft.cavity, soft.abnormality),
        *(table, seen, warnings),
    )


def add_tumor(
    search: TumorSearch,
    networks: TumorWeights,
    images: Mapping[str, Path],
    cord: stages.Cord,
    levels: Path | None,
) -> None:
    """Add the stage to the graph, if one of the images that it needs is there.

    Parameters
    ----------
    search : TumorSearch
    networks : TumorWeights
    images : mapping of str to Path
        On the reference's grid, by the names of their stages.
    cord : Cord
    levels : Path or None
        None where they are unknown.
    """
    t2w, gd_t1w = (
        images.get(name) if name is not None else None for name in (search.t2w, search.gd_t1w)
    )
    if t2w is None and gd_t1w is None:
        return
    task = Tumor(
        t2w=t2w,
        gd_t1w=gd_t1w,
        cord=cord.cord,
        centerline=cord.centerline,
        levels=levels,
        networks=networks,
        search=search,
    )
    add_stage(stages.TUMOR, task)


def _lost(search: TumorSearch, seen: list[str]) -> list[str]:
    """Say which image of the session the network could not see."""
    names = {T2W: search.t2w, GD_T1W: search.gd_t1w}
    return [
        f"the {name} image is not on the grid of the reference (its registration failed or was "
        f"skipped); a tumor was searched for in {' and '.join(seen)} alone"
        for name, stage in names.items()
        if stage is not None and name not in seen and seen
    ]


def _tube(
    t2w: NiftiGz | None,
    cord: NiftiGz,
    centerline: File,
    networks: TumorWeights,
    crop: str,
    said: list[str],
) -> tuple[NiftiGz | None, list[str]]:
    """Add what says where the cord is, after what was said; without T2w that is the centerline."""
    if crop == "none":
        return None, said
    network = networks.tumor_cord
    if crop == "cascade" and t2w is not None and network is not None:
        step = FindTumorCord(
            t2w=t2w,
            centerline=centerline,
            weights=network.weights,
            card=network.card,
            said=said,
        )
        found = workflow.add(step)
        return found.tube, found.warnings
    tube = workflow.add(TubeAroundCenterline(like=cord, centerline=centerline)).tube
    return tube, said
