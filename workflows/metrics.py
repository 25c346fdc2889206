"""From maps to values by region."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep import stages
from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.metrics import MakeMtRatio, MeasureMetric
from spinalprep.interfaces.preprocess import Conform
from spinalprep.workflows.stage import Regions, add_stage


@dataclass(frozen=True)
class Maps:
    """Maps that are measured by region.

    Attributes
    ----------
    files : dict of str to File
        By name.
    frames : dict of str to str
        The contrast on whose grid a map lies, by the name of its stages; the others share the
        world of the reference.
    mt_pair : tuple of (on, off) or None
        The images of which the MT ratio is made, by the names of their stages; the reference's is
        empty.
    """

    files: dict[str, File] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    mt_pair: tuple[str, str] | None = None


@define_workflow(outputs=["map", "warnings"])
def MtRatio(
    on: File,
    off: File,
    cord: NiftiGz,
    to_on: File | None = None,
    to_off: File | None = None,
) -> tuple[NiftiGz, list[str]]:
    """Compare two raw images: a correction of the bias field would differ between them."""
    with_pulse = workflow.add(Conform(image=on), name="conform_on")
    without = workflow.add(Conform(image=off), name="conform_off")
    node = MakeMtRatio(
        on=with_pulse.image,
        off=without.image,
        cord=cord,
        to_on=to_on,
        to_off=to_off,
    )
    return workflow.add(node).map, without.warnings


@can_do_without("gm")
@define_workflow(outputs=["table"])
def RegionalMetric(
    image: File,
    cord: NiftiGz,
    names: list[str],
    combined: dict[str, list[int]],
    transform: File | None = None,
    vertebrae: NiftiGz | None = None,
    levels: File | None = None,
    gm: NiftiGz | None = None,
    shares: File | None = None,
    doubtful: list[int] | None = None,
) -> File:
    """Measure one map; by tract where the atlas is known, by level where levels are."""
    node = MeasureMetric(
        image=image,
        cord=cord,
        transform=transform,
        vertebrae=vertebrae,
        levels=levels,
        gm=gm,
        shares=shares,
        names=names,
        combined=combined,
        doubtful=doubtful if doubtful is not None else [],
    )
    return workflow.add(node).table


def add_metrics(
    maps: Maps,
    scans: Mapping[str, File],
    forward: Mapping[str, Path],
    regions: Regions,
    gm: Path | None,
) -> None:
    """Add a stage for every map to the graph that is being built, the MT ratio before its own.

    ``scans`` are the raw images by the names of their stages, ``forward`` the transforms that
    bring them to the reference, where there are any.
    """
    images: dict[str, File | Path] = dict(maps.files)
    if maps.mt_pair is not None:
        on, off = maps.mt_pair
        ratio = MtRatio(
            on=scans[on],
            off=scans[off],
            cord=regions.cord,
            to_on=forward.get(on),
            to_off=forward.get(off),
        )
        images["MTR"] = add_stage(stages.MTR, ratio).map
    for name, image in images.items():
        frame = forward.get(maps.frames.get(name, ""))
        task = RegionalMetric(image=image, transform=frame, gm=gm, **vars(regions))
        add_stage(stages.METRIC, task, name)
