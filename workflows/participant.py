"""One reference image and what goes with it: the stages, and who feeds whom."""

from dataclasses import dataclass, field
from typing import Any

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.defaults import LESION_THRESHOLD, MIN_LESION_MM3
from spinalprep.workflows.cord import AutomaticCord, CenterlineMask, ManualCord
from spinalprep.workflows.coregister import ToContrast, ToReference
from spinalprep.workflows.levels import VertebralLevels
from spinalprep.workflows.manual import GreyMatter
from spinalprep.workflows.measures import Healthy, Lesions, LesionTables, Shape, TemplateSlices
from spinalprep.workflows.metrics import Maps, add_metrics
from spinalprep.workflows.preprocess import Preprocess
from spinalprep.workflows.template import LesionInTemplate, ToTemplate


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
    spaces: tuple[str, ...] = ("reference", "template")
    lesion_threshold: float = LESION_THRESHOLD
    min_lesion_mm3: float = MIN_LESION_MM3
    level_hint: str | None = None
    seed: int = 0
    reproducible: bool = False


@dataclass(frozen=True)
class Weights:
    """Weight files with their cards."""

    finder: File
    finder_card: File
    segmenter: File
    segmenter_card: File
    discs: File
    discs_card: File
    grey: File
    grey_card: File
    lesions: File
    lesions_card: File


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


@workflow.define(outputs=["cord"])
def Participant(
    reference: File,
    others: dict[str, File],
    labels: dict[str, File],
    weights: Weights,
    template: TemplateFiles | None,
    parameters: Parameters,
    healthy: Healthy | None = None,
    maps: Maps | None = None,
) -> NiftiGz:
    """Chain the stages; what is missing, or left out, is simply not added."""
    p = parameters
    basics = {"denoise": p.denoise, "n4": p.n4, "sloppy": p.sloppy}
    image = workflow.add(Preprocess(image=reference, **basics), name="preprocess").image
    automatic, cord, gm = _cord(image, labels, weights, p)
    fits = {
        name: _other_contrast(name, other, image, cord.cord, p) for name, other in others.items()
    }
    levels = _levels((image, cord), labels, (weights, template), p)
    measures = Shape(
        cord=cord.probability,
        centerline=cord.centerline,
        vertebrae=levels.vertebrae,
        gm=gm,
        spread=automatic.uncertainty if "cord" not in labels else None,
        levels=levels.levels,
        healthy=healthy,
        gm_found="gm" not in labels,
    )
    shape = workflow.add(measures, name="shape")
    if template is None or template.name != "PAM50":
        healthy = None  # the slices of another template are not those of the norms
    found = (image, automatic, cord, levels, shape, healthy, gm)
    fit, lesions = _template_and_lesions(found, labels, template, p)
    if maps is not None:
        about = {"gm": gm} | _regions(cord, levels, (fit, template))
        add_metrics(maps, {"": reference, **others}, fits, about)
    for name, fit_of_other in fits.items():
        if any(name.startswith(space) for space in p.spaces):
            _masks_in_other_contrast(name, fit_of_other, cord, lesions)
    return cord.cord


def _cord(
    image: NiftiGz, labels: dict[str, File], weights: Weights, p: Parameters
) -> tuple[Any, Any, NiftiGz | None]:
    """Add the networks' masks and what is drawn; return the first, the cord and grey matter."""
    stage = AutomaticCord(
        image=image,
        finder=weights.finder,
        finder_card=weights.finder_card,
        segmenter=weights.segmenter,
        segmenter_card=weights.segmenter_card,
        grey=weights.grey if p.shows_gm else None,
        grey_card=weights.grey_card if p.shows_gm else None,
        lesions=weights.lesions if p.lesion else None,
        lesions_card=weights.lesions_card if p.lesion else None,
        centerline_label=None if "cord" in labels else labels.get("centerline"),
    )
    cord = automatic = workflow.add(stage, name="automatic")
    if "cord" in labels:
        manual = ManualCord(
            image=image, label=labels["cord"], centerline_label=labels.get("centerline")
        )
        cord = workflow.add(manual, name="manual")
    gm = automatic.gm if p.shows_gm else None
    if "gm" in labels:
        manual_gm = GreyMatter(image=image, label=labels["gm"])
        gm = workflow.add(manual_gm, name="manual_gm").probability
    workflow.add(CenterlineMask(centerline=cord.centerline, like=image), name="centerline")
    return automatic, cord, gm


def _other_contrast(
    name: str, other: File, reference: NiftiGz, cord: NiftiGz, p: Parameters
) -> tuple[NiftiGz, Any]:
    """Preprocess another contrast and bring it to the reference."""
    step = Preprocess(image=other, denoise=p.denoise, n4=p.n4, sloppy=p.sloppy)
    moving = workflow.add(step, name=f"preprocess_{name}").image
    if p.coreg:
        fit = ToReference(
            moving=moving, reference=reference, cord=cord, seed=p.seed, sloppy=p.sloppy
        )
        return moving, workflow.add(fit, name=f"coregister_{name}")
    return moving, None


def _masks_in_other_contrast(name: str, fit: tuple[NiftiGz, Any], cord: Any, lesions: Any) -> None:
    """Add the masks on another contrast's grid, if it was brought to the reference."""
    moving, to_reference = fit
    if to_reference is None:
        return
    back = ToContrast(
        cord=cord.probability,
        inverse=to_reference.inverse,
        like=moving,
        lesion=lesions.mask if lesions is not None else None,
    )
    workflow.add(back, name=f"masks_{name}")


def _levels(
    found: tuple[NiftiGz, Any],
    labels: dict[str, File],
    given: tuple[Weights, TemplateFiles | None],
    p: Parameters,
) -> Any:
    """Add the stage of levels; its outputs are None where it can't tell."""
    (image, cord), (weights, template) = found, given
    stage = VertebralLevels(
        image=image,
        cord=cord.cord,
        centerline=cord.centerline,
        template_z=template.disc_z if template is not None else {},
        weights=weights.discs,
        card=weights.discs_card,
        label=labels.get("discs"),
        hint=None if "discs" in labels else p.level_hint,
    )
    return workflow.add(stage, name="levels")


def _template_and_lesions(
    found: tuple[Any, ...], labels: dict[str, File], template: TemplateFiles | None, p: Parameters
) -> Any:
    """Add template, lesions, and lesions in the template; return the fit and the lesions."""
    image, automatic, cord, levels, shape, healthy, gm = found
    fit = lesions = None
    if p.template and template is not None:
        stage = ToTemplate(
            image=image,
            cord=cord.cord,
            probability=cord.probability,
            centerline=cord.centerline,
            template_cord=template.cord,
            template_z=template.disc_z,
            gm=gm,
            template_gm=template.gm,
            images="template" in p.spaces,
            levels=levels.levels,
            template_spinal_levels=template.spinal_levels,
            atlas=template.atlas,
        )
        fit = workflow.add(stage, name="template")
        moved = TemplateSlices(
            perslice=shape.perslice,
            centerline=cord.centerline,
            forward=fit.forward,
            template_cord=template.cord,
            template_levels=template.levels,
            levels=levels.levels,
            healthy=healthy,
        )
        workflow.add(moved, name="template_slices")
    if p.lesion:
        stage = Lesions(
            lesion=automatic.lesion if "lesion" not in labels else None,
            cord=cord.cord,
            threshold=p.lesion_threshold,
            min_mm3=p.min_lesion_mm3,
            label=labels.get("lesion"),
        )
        lesions = workflow.add(stage, name="lesion")
        _lesion_tables(lesions, cord, levels, (fit, template))
    if fit is None or lesions is None or template is None:
        return fit, lesions
    if "template" in p.spaces:
        moved = LesionInTemplate(
            mask=lesions.mask,
            soft=lesions.soft,
            forward=fit.forward,
            template_cord=template.cord,
        )
        workflow.add(moved, name="lesion_template")
    return fit, lesions


def _lesion_tables(lesions: Any, cord: Any, levels: Any, where: tuple[Any, Any]) -> None:
    """Add the tables of lesions, after the template where there is one, for its regions."""
    template = where[1]
    stage = LesionTables(
        instances=lesions.instances,
        centerline=cord.centerline,
        template_z=template.disc_z if template is not None else {},
        **_regions(cord, levels, where),
    )
    workflow.add(stage, name="lesion_tables")


def _regions(cord: Any, levels: Any, where: tuple[Any, Any]) -> dict[str, Any]:
    """Return what says where in the cord a voxel is."""
    fit, template = where
    combined = template.combined if template is not None else {}
    atlas = fit is not None and levels is not None and template.atlas is not None
    return {
        "cord": cord.cord,
        "names": list(template.region_names) if template is not None else [],
        "combined": {name: list(members) for name, members in combined.items()},
        "vertebrae": levels.vertebrae,
        "levels": levels.levels,
        "shares": fit.shares if atlas else None,
    }
