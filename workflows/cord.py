"""From an image to the cord."""

from dataclasses import dataclass, fields

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.cord.ends import Trimmed
from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.cord import (
    BinariseCord,
    CenterlineFromCord,
    FillDrawnCord,
    FindHeat,
    RasteriseCenterline,
    SegmentCord,
    SegmentGreyMatter,
    SegmentLesions,
    TraceCenterline,
    TrimEnds,
)
from spinalprep.interfaces.preprocess import ConformLabel
from spinalprep.networks.cascade import Found, Maps, Networks, Steps, run_cascade


@dataclass(frozen=True)
class WeightFile:
    """A weight file and the card beside it."""

    weights: File
    card: File


@dataclass(frozen=True)
class Weights:
    """Every network, by its name in ``--model``; tumors' and lumbar where they are asked for."""

    centerline: WeightFile
    cord: WeightFile
    discs: WeightFile
    gm: WeightFile
    lesion: WeightFile
    tumor_cord: WeightFile | None = None
    tumor: WeightFile | None = None
    lumbar: WeightFile | None = None


@dataclass(frozen=True)
class CordWeights:
    """The fields of `Networks` as files (pydra can't hash a generic class)."""

    centerline: WeightFile
    cord: WeightFile
    gm: WeightFile | None = None
    lesion: WeightFile | None = None


class Graph(Steps[NiftiGz, File, WeightFile]):
    """The steps of the cascade as tasks of the graph that is being built."""

    def find_heat(self, image: NiftiGz, network: WeightFile) -> NiftiGz:
        """Add `FindHeat`."""
        step = FindHeat(image=image, weights=network.weights, card=network.card)
        return workflow.add(step).heat

    def find_centerline(self, heat: NiftiGz) -> tuple[File, float]:
        """Add `TraceCenterline`."""
        trace = workflow.add(TraceCenterline(heat=heat))
        return trace.centerline, trace.confidence

    def segment_cord(
        self, image: NiftiGz, centerline: File, network: WeightFile, *, at_edge: bool
    ) -> Maps[NiftiGz]:
        """Add `SegmentCord`."""
        step = SegmentCord(
            image=image,
            centerline=centerline,
            weights=network.weights,
            card=network.card,
            at_edge=at_edge,
        )
        maps = workflow.add(step)
        return Maps(maps.cord, maps.gm, maps.lesion, maps.uncertainty, maps.plain, maps.moved)

    def segment_gm(
        self, image: NiftiGz, centerline: File, cord: NiftiGz, network: WeightFile
    ) -> NiftiGz:
        """Add `SegmentGreyMatter`."""
        step = SegmentGreyMatter(
            image=image,
            centerline=centerline,
            cord=cord,
            weights=network.weights,
            card=network.card,
        )
        return workflow.add(step).gm

    def segment_lesion(self, image: NiftiGz, centerline: File, network: WeightFile) -> NiftiGz:
        """Add `SegmentLesions`."""
        step = SegmentLesions(
            image=image, centerline=centerline, weights=network.weights, card=network.card
        )
        return workflow.add(step).lesion

    def trim_ends(self, maps: Maps[NiftiGz], centerline: File) -> Trimmed[NiftiGz, File]:
        """Add `TrimEnds`."""
        step = TrimEnds(
            cord=maps.cord,
            gm=maps.gm,
            lesion=maps.lesion,
            plain=maps.plain,
            centerline=centerline,
        )
        kept = workflow.add(step)
        images = kept.cord, kept.gm, kept.lesion
        return Trimmed(*images, kept.centerline, kept.warnings, kept.unseen, kept.doubtful)

    def binarise(self, probability: NiftiGz, centerline: File) -> NiftiGz:
        """Add `BinariseCord`."""
        return workflow.add(BinariseCord(cord=probability, centerline=centerline)).cord

    def centre(self, cord: NiftiGz) -> File:
        """Add `CenterlineFromCord`."""
        return workflow.add(CenterlineFromCord(cord=cord), name="centre").centerline


@define_workflow(outputs=[field.name for field in fields(Found)])
def AutomaticCord(
    image: NiftiGz,
    networks: CordWeights,
    centerline_label: File | None = None,
    at_edge: bool = False,
) -> tuple[
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    NiftiGz,
    File,
    float,
    list[str],
    int,
    list[int],
    MovedOutline | None,
]:
    """Find the cord as `run_cascade` says; a centerline that a person drew leads to it."""
    centerline = None
    if centerline_label is not None:
        line = ConformLabel(label=centerline_label, image=image, role="centerline")
        drawn = workflow.add(line).label
        centerline = workflow.add(CenterlineFromCord(cord=drawn)).centerline
    found = run_cascade(Graph(), image, Networks(**vars(networks)), centerline, at_edge=at_edge)
    return tuple(getattr(found, field.name) for field in fields(found))


@define_workflow(outputs=["cord", "probability", "centerline", "warnings"])
def ManualCord(
    image: NiftiGz, label: File, centerline_label: File | None = None, value: int | None = None
) -> tuple[NiftiGz, NiftiGz, File, list[str]]:
    """Take the cord that a person drew, and the centerline that was drawn or runs through it.

    ``value`` is the class that is the cord, if the label has several.
    """
    conform = ConformLabel(label=label, image=image, role="cord", value=value)
    conformed = workflow.add(conform, name="conform_cord").label
    filled = workflow.add(FillDrawnCord(cord=conformed))
    guide = filled.probability
    if centerline_label is not None:
        drawn = ConformLabel(label=centerline_label, image=image, role="centerline")
        guide = workflow.add(drawn, name="conform_centerline").label
    line = workflow.add(CenterlineFromCord(cord=guide))
    return filled.cord, filled.probability, line.centerline, filled.warnings


@define_workflow(outputs=["mask"])
def CenterlineMask(centerline: File, like: NiftiGz) -> NiftiGz:
    """Draw the centerline on the grid of an image."""
    return workflow.add(RasteriseCenterline(centerline=centerline, like=like)).mask
