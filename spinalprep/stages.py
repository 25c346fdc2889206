"""The stages of a session run: their names, and what each of them leaves.

The graph (`workflows.participant`) adds them under these names, which users read in ``status.tsv``
and in the log; the writers (`derivatives`) and the quality gates take what they leave. A stage is
known by its constant alone, so that a wrong one is an error of types.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.errors import DefectError
from spinalprep.registration.measures import CoregistrationMeasures, TemplateMeasures


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a stage leaves: files of the cache; promises of them while the graph is built.

    ``warnings`` are lines for the user.
    """

    warnings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Preprocessed(Result):
    """An image in the voxel order of PAM50, corrected for the bias field."""

    image: Path


@dataclass(frozen=True, kw_only=True)
class SegmentedCord(Result):
    """What the networks found.

    ``cord`` is a mask, the other maps are probabilities; ``confidence`` is that of the centerline,
    ``unseen`` the number of slices in which it goes on without a cord, ``doubtful`` the slices of
    the cord in which its outline is, ``moved`` how far that was moved to the visible edge.
    """

    cord: Path
    probability: Path
    gm: Path
    lesion: Path
    uncertainty: Path
    centerline: Path
    confidence: float
    unseen: int
    doubtful: list[int]
    moved: MovedOutline | None


@dataclass(frozen=True, kw_only=True)
class DrawnCord(Result):
    """The cord that a person drew."""

    cord: Path
    probability: Path
    centerline: Path


Cord = SegmentedCord | DrawnCord


@dataclass(frozen=True, kw_only=True)
class DrawnGreyMatter(Result):
    """The gray matter that a person drew."""

    probability: Path


@dataclass(frozen=True, kw_only=True)
class CenterlineImage(Result):
    """The centerline as an image: one voxel per axial slice."""

    mask: Path


@dataclass(frozen=True, kw_only=True)
class Coregistered(Result):
    """Another contrast on the reference's grid; ``forward`` brings it there."""

    image: Path
    forward: Path
    inverse: Path
    measures: CoregistrationMeasures


@dataclass(frozen=True, kw_only=True)
class MasksOnContrast(Result):
    """Cord and lesions on another contrast's own grid."""

    cord: Path
    lesion: Path | None


@dataclass(frozen=True, kw_only=True)
class SureSources(Result):
    """Images that are sure of their levels: a file of `levels.files.read_sources`."""

    sources: Path


@dataclass(frozen=True, kw_only=True)
class LabelledLevels(Result):
    """Vertebral levels and what they follow from (`levels.discs.Levels`); None where unknown."""

    levels: Path | None
    vertebrae: Path | None
    discs: Path | None
    source: str


@dataclass(frozen=True, kw_only=True)
class CordShape(Result):
    """Tables of the cord's shape."""

    perslice: Path
    perlevel: Path
    total: Path


@dataclass(frozen=True, kw_only=True)
class TemplateFit(Result):
    """The cord registered to the template; ``forward`` resamples on the template's grid.

    ``image``, ``cord`` and ``coverage`` are on the template's grid, where they are wanted; the
    others on the reference's, ``shares`` holding the regions of the cord's voxels alone.
    """

    forward: Path
    inverse: Path
    measures: TemplateMeasures
    image: Path | None
    cord: Path | None
    coverage: Path | None
    template_cord: Path
    spinal_levels: Path | None
    tracts: Path | None
    shares: Path | None


@dataclass(frozen=True, kw_only=True)
class ShapeOnTemplate(Result):
    """The cord's shape at the slices of the template; None where levels are unknown."""

    table: Path | None


@dataclass(frozen=True, kw_only=True)
class LesionsOfImages(Result):
    """Lesions of other images on the reference's grid: a file of `lesion.files.read_aligned`."""

    lesions: Path


@dataclass(frozen=True, kw_only=True)
class SeparatedLesions(Result):
    """Lesions inside the cord, and the table of what the image shows of each.

    ``volumes`` of the lesions and of what was ``refused`` in mm3, ``outside`` the share of voxels
    beyond the cord. ``searched`` are the images whose lesions were joined, the reference first;
    empty where it was searched alone.
    """

    mask: Path
    instances: Path
    soft: Path
    evidence: Path
    volumes: Sequence[float]
    refused: Sequence[float]
    outside: float
    searched: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class MeasuredLesions(Result):
    """Tables of each lesion, by region, and of all together."""

    table: Path
    regions: Path
    totals: Path


@dataclass(frozen=True, kw_only=True)
class LesionsOnTemplate(Result):
    """Lesions on the template's grid, mask and probability."""

    mask: Path
    soft: Path


@dataclass(frozen=True, kw_only=True)
class FoundTumor(Result):
    """Tumor, edema, cavity and the whole of them: masks, probabilities (``soft``) and measures.

    ``seen`` are the contrasts in which they were looked for: T2w, Gd-T1w or both.
    """

    tumor: Path
    edema: Path
    cavity: Path
    abnormality: Path
    tumor_soft: Path
    edema_soft: Path
    cavity_soft: Path
    abnormality_soft: Path
    table: Path
    seen: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FoundLumbar(Result):
    """Lumbar structures: one a voxel, probabilities (4D), measures; None without lumbar spine.

    ``alignment`` says how T1w came to T2w, ``registered``, ``by headers`` or ``refused``; None
    where there is only one of them.
    """

    structures: Path | None
    soft: Path | None
    table: Path | None
    alignment: str | None


@dataclass(frozen=True, kw_only=True)
class MtRatioMap(Result):
    """Magnetization transfer ratio in percent."""

    map: Path


@dataclass(frozen=True, kw_only=True)
class MeasuredMetric(Result):
    """Table of a map by region."""

    table: Path


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Stage(Generic[R]):
    """A kind of stage and the type of what it leaves.

    Stages of which there may be several (``each``), one per contrast or map, are told apart by
    an item: ``coregister_T1w``.
    """

    name: str
    result: type[R]
    each: bool = False

    def name_of(self, item: str = "") -> str:
        """Return the name of one node of the graph.

        Raises
        ------
        DefectError
            If there is an item, and only one stage of this kind.
        """
        if item and not self.each:
            raise DefectError(f"there is one stage {self.name}, none of {item}")
        return f"{self.name}_{item}" if item else self.name

    def result_of(self, outputs: object) -> R:
        """Return the outputs of a task, files or promises of them, as what the stage leaves.

        Raises
        ------
        DefectError
            If the task has no output of a name that the stage leaves.
        """
        found = {f.name: getattr(outputs, f.name, f.default) for f in fields(self.result)}
        missing = [name for name, value in found.items() if value is MISSING]
        if missing:
            raise DefectError(f"stage {self.name} has no output {missing[0]!r}")
        return self.result(**{name: _as_path(value) for name, value in found.items()})


PREPROCESS = Stage("preprocess", Preprocessed, each=True)  # without an item the reference
AUTOMATIC = Stage("automatic", SegmentedCord)
MANUAL = Stage("manual", DrawnCord)
MANUAL_GM = Stage("manual_gm", DrawnGreyMatter)
CENTERLINE = Stage("centerline", CenterlineImage)
COREGISTER = Stage("coregister", Coregistered, each=True)  # contrast
DISCS = Stage("discs", SureSources, each=True)  # without an item in the reference
SOURCES = Stage("sources", SureSources, each=True)  # of a contrast and those before it
LEVELS = Stage("levels", LabelledLevels)
SHAPE = Stage("shape", CordShape)
TEMPLATE = Stage("template", TemplateFit)
TEMPLATE_SLICES = Stage("template_slices", ShapeOnTemplate)
OTHER_LESIONS = Stage("lesionsearch", LesionsOfImages, each=True)  # contrast
JOINED_LESIONS = Stage("lesionjoin", LesionsOfImages, each=True)  # of a contrast, those before it
LESION = Stage("lesion", SeparatedLesions)
LESION_TABLES = Stage("lesion_tables", MeasuredLesions)
LESION_TEMPLATE = Stage("lesion_template", LesionsOnTemplate)
TUMOR = Stage("tumor", FoundTumor)
LUMBAR = Stage("lumbar", FoundLumbar)
MASKS = Stage("masks", MasksOnContrast, each=True)  # contrast
MTR = Stage("mtr", MtRatioMap)
METRIC = Stage("metric", MeasuredMetric, each=True)  # map

STAGES: tuple[Stage[Any], ...] = (
    *(PREPROCESS, AUTOMATIC, MANUAL, MANUAL_GM, CENTERLINE, COREGISTER, DISCS, SOURCES),
    *(
        LEVELS,
        SHAPE,
        TEMPLATE,
        TEMPLATE_SLICES,
        OTHER_LESIONS,
        JOINED_LESIONS,
        LESION,
        LESION_TABLES,
        LESION_TEMPLATE,
        TUMOR,
        LUMBAR,
        MASKS,
        MTR,
        METRIC,
    ),
)
_BY_NAME = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True)
class Node:
    """One node of the graph: a stage, and the contrast or map where there are several."""

    stage: Stage[Any]
    item: str = ""

    @classmethod
    def named(cls, name: str) -> "Node":
        """Return the node of a name.

        Examples
        --------
        >>> Node.named("coregister_T1w").stage is COREGISTER
        True

        Raises
        ------
        DefectError
            If no stage has this name.
        """
        if name in _BY_NAME:
            return cls(_BY_NAME[name])
        kind, _, item = name.partition("_")
        stage = _BY_NAME.get(kind)
        if stage is None or not stage.each:
            raise DefectError(f"there is no stage {name!r}; expected one of {', '.join(_BY_NAME)}")
        return cls(stage, item)


@dataclass(frozen=True)
class Results:
    """What the finished stages of a session run left."""

    found: Mapping[Node, Result] = field(default_factory=dict)

    def get(self, stage: Stage[R], item: str = "") -> R | None:
        """Return what a stage left, None where it did not run or did not finish."""
        result = self.found.get(Node(stage, item))
        return result if isinstance(result, stage.result) else None

    def each(self, stage: Stage[R]) -> dict[str, R]:
        """Return what a stage left for every contrast or map, by its item."""
        items = [node.item for node in self.found if node.stage == stage]
        return {item: result for item in items if (result := self.get(stage, item)) is not None}

    def having(self, node: Node, result: Result) -> "Results":
        """Return these results and one more."""
        return Results({**self.found, node: result})

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, in the order in which the stages finished."""
        return tuple(line for result in self.found.values() for line in result.warnings)


def _as_path(value: Any) -> Any:
    """Return the path of a file; other values, and promises, as they are."""
    return Path(os.fspath(value)) if isinstance(value, os.PathLike) else value
