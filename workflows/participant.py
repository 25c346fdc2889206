"""One reference image and what goes with it: the stages, and who feeds whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep import stages
from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.levels import DiscNetworks
from spinalprep.workflows.cord import (
    AutomaticCord,
    CenterlineMask,
    CordWeights,
    ManualCord,
    Weights,
)
from spinalprep.workflows.coregister import Contrast, ToContrast, ToReference
from spinalprep.workflows.lesions import Criteria, OtherLesions, add_other_lesions
from spinalprep.workflows.levels import GivenLevels, OwnDiscs, SeenLevels, add_other_discs
from spinalprep.workflows.lumbar import LumbarSearch, add_lumbar
from spinalprep.workflows.manual import GreyMatter
from spinalprep.workflows.measures import Healthy, Lesions, LesionTables, Shape, TemplateSlices
from spinalprep.workflows.metrics import Maps, add_metrics
from spinalprep.workflows.preprocess import Preprocess
from spinalprep.workflows.stage import Regions, add_stage
from spinalprep.workflows.template import LesionInTemplate, ToTemplate
from spinalprep.workflows.tumor import TumorSearch, TumorWeights, add_tumor


@dataclass(frozen=True)
class Parameters:
    """The settings that change numbers; each stage takes its own."""

    n4: bool = True
    denoise: bool = False
    sloppy: bool = False
    coreg: bool = True
    template: bool = True
    lesion: bool = True
    shows_gm: bool = False
    at_edge: bool = False
    spaces: tuple[str, ...] = ("reference", "template")
    lesion_threshold: float = LESION_THRESHOLD
    min_lesion_mm3: float = MIN_LESION_MM3
    other_lesions: OtherLesions | None = None
    level_hint: str | None = None
    seed: int = 0
    label_values: dict[str, int] = field(default_factory=dict)
    tumor: TumorSearch | None = None
    lumbar: LumbarSearch | None = None


@dataclass(frozen=True)
class TemplateFiles:
    """What of a template the stages read; heights of the discs in mm; the atlas is packed."""

    name: str
    cord: NiftiGz
    disc_z: dict[int, float]
    levels: NiftiGz
    gm: NiftiGz | None = None
    spinal_levels: NiftiGz | None = None
    atlas: File | None = None
    region_names: tuple[str, ...] = ()
    combined: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """What the stages are told beside the images: labels by role, files and settings."""

    labels: Mapping[str, File]
    weights: Weights
    template: TemplateFiles | None
    parameters: Parameters
    healthy: Healthy | None

    @property
    def disc_z(self) -> dict[int, float]:
        """Heights of the template's discs in mm; empty without a template."""
        return self.template.disc_z if self.template is not None else {}

    @property
    def healthy_on_template(self) -> Healthy | None:
        """The norms, where the slices of the template are theirs."""
        on_pam50 = self.template is not None and self.template.name == "PAM50"
        return self.healthy if on_pam50 else None


@dataclass(frozen=True)
class Anatomy:
    """What is known of the reference image: the cord that counts, gray matter, levels.

    ``automatic`` is what the networks found, also beside a cord that a person drew.
    """

    image: Path
    automatic: stages.SegmentedCord
    cord: stages.Cord
    gm: Path | None
    levels: stages.LabelledLevels

    @property
    def found(self) -> stages.SegmentedCord | None:
        """The cord that counts, where the networks found it."""
        return self.cord if isinstance(self.cord, stages.SegmentedCord) else None

    @property
    def doubtful(self) -> list[int]:
        """Slices in which its outline is doubtful; none where a person drew it."""
        return self.found.doubtful if self.found is not None else []


@define_workflow(outputs=["cord"])
def Participant(
    reference: File,
    contrasts: dict[str, File],
    labels: dict[str, File],
    weights: Weights,
    template: TemplateFiles | None,
    parameters: Parameters,
    healthy: Healthy | None = None,
    maps: Maps | None = None,
) -> NiftiGz:
    """Chain the stages; what is missing, or left out, is simply not added."""
    told = Inputs(labels, weights, template, parameters, healthy)
    image = _preprocess(reference, parameters)
    automatic = _automatic(image, told)
    cord = _drawn_cord(image, told) or automatic
    gm = _grey_matter(image, automatic, told)
    _centerline(image, cord)
    moved = {name: _contrast(name, file, image, cord, told) for name, file in contrasts.items()}
    anatomy = Anatomy(image, automatic, cord, gm, _levels(image, cord, moved, told))
    shape = _shape(anatomy, told)
    fit = _template(anatomy, shape, told)
    regions = _regions(anatomy, fit, told)
    lesions = _lesions(anatomy, (fit, regions), moved, told)
    if parameters.lumbar is not None and weights.lumbar is not None:
        preprocessed = {"": image, **{name: c.image for name, c in moved.items()}}
        add_lumbar(parameters.lumbar, weights.lumbar, preprocessed)
    on_grid = {name: c.fit.image for name, c in moved.items() if c.fit is not None}
    _tumor(anatomy, {"": image, **on_grid}, told)
    if maps is not None:
        forward = {name: c.fit.forward for name, c in moved.items() if c.fit is not None}
        add_metrics(maps, {"": reference, **contrasts}, forward, regions, gm)
    for name, contrast in moved.items():
        if any(name.startswith(space) for space in parameters.spaces):
            _masks(name, contrast, cord, lesions)
    return cord.cord


def _preprocess(image: File, p: Parameters, item: str = "") -> Path:
    """Add the preprocessing of the reference, or of another contrast."""
    task = Preprocess(image=image, denoise=p.denoise, n4=p.n4, sloppy=p.sloppy)
    return add_stage(stages.PREPROCESS, task, item).image


def _automatic(image: Path, told: Inputs) -> stages.SegmentedCord:
    """Add the networks."""
    p, weights, labels = told.parameters, told.weights, told.labels
    networks = CordWeights(
        centerline=weights.centerline,
        cord=weights.cord,
        gm=weights.gm if p.shows_gm else None,
        lesion=weights.lesion if p.lesion else None,
    )
    drawn = None if "cord" in labels else labels.get("centerline")
    task = AutomaticCord(image=image, networks=networks, centerline_label=drawn, at_edge=p.at_edge)
    return add_stage(stages.AUTOMATIC, task)


def _drawn_cord(image: Path, told: Inputs) -> stages.DrawnCord | None:
    """Add the cord that a person drew, if there is one."""
    labels = told.labels
    if "cord" not in labels:
        return None
    line, value = labels.get("centerline"), told.parameters.label_values.get("cord")
    task = ManualCord(image=image, label=labels["cord"], centerline_label=line, value=value)
    return add_stage(stages.MANUAL, task)


def _grey_matter(image: Path, automatic: stages.SegmentedCord, told: Inputs) -> Path | None:
    """Return gray matter: drawn, or found where the contrast shows it."""
    if "gm" in told.labels:
        value = told.parameters.label_values.get("gm")
        task = GreyMatter(image=image, label=told.labels["gm"], value=value)
        return add_stage(stages.MANUAL_GM, task).probability
    return automatic.gm if told.parameters.shows_gm else None


def _centerline(image: Path, cord: stages.Cord) -> None:
    """Add the image of the centerline."""
    add_stage(stages.CENTERLINE, CenterlineMask(centerline=cord.centerline, like=image))


def _contrast(
    name: str,
    file: File,
    reference: Path,
    cord: stages.Cord,
    told: Inputs,
) -> Contrast:
    """Preprocess another contrast and bring it to the reference."""
    p = told.parameters
    moving = _preprocess(file, p, name)
    if not p.coreg:
        return Contrast(moving, None)
    task = ToReference(
        moving=moving, reference=reference, cord=cord.cord, seed=p.seed, sloppy=p.sloppy
    )
    return Contrast(moving, add_stage(stages.COREGISTER, task, name))


def _levels(
    image: Path, cord: stages.Cord, moved: Mapping[str, Contrast], told: Inputs
) -> stages.LabelledLevels:
    """Add the vertebral levels; they are None where no image can tell."""
    label, hint, network = told.labels.get("discs"), told.parameters.level_hint, told.weights.discs
    seen = {
        "image": image,
        "centerline": cord.centerline,
        "template_z": told.disc_z,
        "weights": network.weights,
        "card": network.card,
    }
    if label is not None or hint is not None:
        hint = None if label is not None else hint
        given = GivenLevels(cord=cord.cord, label=label, hint=hint, **seen)
        return add_stage(stages.LEVELS, given)
    own = add_stage(stages.DISCS, OwnDiscs(**seen)).sources
    task = SeenLevels(
        cord=cord.cord,
        centerline=cord.centerline,
        own=own,
        elsewhere=add_other_discs(moved, _disc_networks(told), own, cord, told.disc_z),
    )
    return add_stage(stages.LEVELS, task)


def _disc_networks(told: Inputs) -> DiscNetworks:
    """Return what finds discs in another image."""
    line, discs = told.weights.centerline, told.weights.discs
    return DiscNetworks(
        centerline=line.weights,
        centerline_card=line.card,
        discs=discs.weights,
        discs_card=discs.card,
    )


def _shape(found: Anatomy, told: Inputs) -> stages.CordShape:
    """Add the tables of the cord's shape."""
    task = Shape(
        cord=found.cord.probability,
        centerline=found.cord.centerline,
        vertebrae=found.levels.vertebrae,
        gm=found.gm,
        spread=found.found.uncertainty if found.found is not None else None,
        levels=found.levels.levels,
        healthy=told.healthy,
        gm_found="gm" not in told.labels,
        doubtful=found.doubtful,
    )
    return add_stage(stages.SHAPE, task)


def _template(found: Anatomy, shape: stages.CordShape, told: Inputs) -> stages.TemplateFit | None:
    """Add the way to the template, and the cord's shape on its slices."""
    template, p = told.template, told.parameters
    if template is None or not p.template:
        return None
    task = ToTemplate(
        image=found.image,
        cord=found.cord.cord,
        probability=found.cord.probability,
        centerline=found.cord.centerline,
        template_cord=template.cord,
        template_z=template.disc_z,
        gm=found.gm,
        template_gm=template.gm,
        images="template" in p.spaces,
        levels=found.levels.levels,
        template_spinal_levels=template.spinal_levels,
        atlas=template.atlas,
    )
    fit = add_stage(stages.TEMPLATE, task)
    moved = TemplateSlices(
        perslice=shape.perslice,
        centerline=found.cord.centerline,
        forward=fit.forward,
        template_cord=template.cord,
        template_levels=template.levels,
        levels=found.levels.levels,
        healthy=told.healthy_on_template,
    )
    add_stage(stages.TEMPLATE_SLICES, moved)
    return fit


def _regions(found: Anatomy, fit: stages.TemplateFit | None, told: Inputs) -> Regions:
    """Return what says where in the cord a voxel is."""
    template = told.template
    combined = template.combined if template is not None else {}
    has_atlas = template is not None and template.atlas is not None
    return Regions(
        cord=found.cord.cord,
        names=list(template.region_names) if template is not None else [],
        combined={name: list(members) for name, members in combined.items()},
        vertebrae=found.levels.vertebrae,
        levels=found.levels.levels,
        shares=fit.shares if fit is not None and has_atlas else None,
        doubtful=found.doubtful,
    )


def _lesions(
    found: Anatomy,
    where: tuple[stages.TemplateFit | None, Regions],
    moved: Mapping[str, Contrast],
    told: Inputs,
) -> stages.SeparatedLesions | None:
    """Add the lesions, their tables, and where they lie in the template."""
    p, label = told.parameters, told.labels.get("lesion")
    fit, regions = where
    if not p.lesion and label is None:
        return None
    criteria = Criteria(p.lesion_threshold, p.min_lesion_mm3)
    task = Lesions(
        lesion=found.automatic.lesion if label is None else None,
        image=found.image,
        cord=found.cord.cord,
        centerline=found.cord.centerline,
        threshold=p.lesion_threshold,
        min_mm3=p.min_lesion_mm3,
        label=label,
        value=p.label_values.get("lesion"),
        joining=p.other_lesions,
        others=add_other_lesions(p.other_lesions, moved, told.weights, found.cord, criteria),
    )
    lesions = add_stage(stages.LESION, task)
    tables = LesionTables(
        instances=lesions.instances,
        evidence=lesions.evidence,
        refused=lesions.refused,
        centerline=found.cord.centerline,
        template_z=told.disc_z,
        **vars(regions),
    )
    add_stage(stages.LESION_TABLES, tables)
    if fit is not None and told.template is not None and "template" in p.spaces:
        moved = LesionInTemplate(
            mask=lesions.mask,
            soft=lesions.soft,
            forward=fit.forward,
            template_cord=told.template.cord,
        )
        add_stage(stages.LESION_TEMPLATE, moved)
    return lesions


def _tumor(found: Anatomy, images: Mapping[str, Path], told: Inputs) -> None:
    """Add the search for a tumor in images on the reference's grid."""
    search, weights = told.parameters.tumor, told.weights
    if search is not None and weights.tumor is not None:
        networks = TumorWeights(weights.tumor, weights.tumor_cord)
        add_tumor(search, networks, images, found.cord, found.levels.levels)


def _masks(
    name: str,
    contrast: Contrast,
    cord: stages.Cord,
    lesions: stages.SeparatedLesions | None,
) -> None:
    """Add the masks on another contrast's grid, if it was brought to the reference."""
    if contrast.fit is None:
        return
    task = ToContrast(
        cord=cord.probability,
        inverse=contrast.fit.inverse,
        like=contrast.image,
        lesion=lesions.mask if lesions is not None else None,
    )
    add_stage(stages.MASKS, task, name)
