"""Which writer takes what a stage left: one table, and the writers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from spinalprep import stages
from spinalprep.bids.dataset import write_atlas_description
from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import mask_path, output_path
from spinalprep.bids.derivatives import (
    derivative_uri,
    image_sidecar,
    with_identity,
    write_file,
    write_table,
)
from spinalprep.bids.labelmaps import (
    disc_labels,
    lesion_labels,
    lookup_table,
    spinal_level_labels,
    tract_labels,
    vertebra_labels,
)
from spinalprep.bids.names import SHOWS_GM
from spinalprep.bids.session_files import lesion_images
from spinalprep.derivatives.writer import DerivativeWriter, Origin
from spinalprep.levels.slices import with_level_names
from spinalprep.lumbar.structures import structure_labels
from spinalprep.tables import read_table

R = TypeVar("R", bound=stages.Result)


SEGMENTED_LESIONS: tuple[Kind, ...] = (
    *("lesion", "lesion_probability", "lesions", "lesions_lookup", "lesion_table"),
    *("lesion_regions", "lesion_totals", "lesion_template", "lesion_probability_template"),
)

LUMBAR: tuple[Kind, ...] = ("lumbar", "lumbar_lookup", "lumbar_probability", "lumbar_table")
TUMORS: tuple[Kind, ...] = (
    *("tumor", "edema", "cavity", "abnormality", "tumor_probability", "edema_probability"),
    *("cavity_probability", "abnormality_probability", "tumor_table"),
)

Write = Callable[[DerivativeWriter, Any], bool]


def publish(writer: DerivativeWriter, node: stages.Node, result: stages.Result) -> bool:
    """Write what a node of the graph left; tell whether anything changed."""
    return WRITERS[node.stage](replace(writer, item=node.item), result)


def write_gates(writer: DerivativeWriter, gates: pd.DataFrame) -> bool:
    """Write the table of quality gates."""
    return writer.table("qc", gates)


def _preprocess(to: DerivativeWriter, found: stages.Preprocessed) -> bool:
    changed = to.image("preproc", found.image)
    if not to.item and not to.seeks_lumbar:
        changed |= to.supersede(*map(to.path, LUMBAR))  # of a run with --lumbar
    return changed


def _automatic(to: DerivativeWriter, found: stages.SegmentedCord) -> bool:
    """Write all that the networks found; beside what a person drew as ``desc-auto``."""
    moved = {"outline_moved": asdict(found.moved)} if found.moved is not None else {}
    cord, drawn = Origin(to.model("cord"), parameters=moved), to.files.is_drawn("cord")
    changed = to.image("cord", found.cord, cord, auto=drawn)
    changed |= to.image("cord_probability", found.probability, cord, auto=drawn)
    changed |= to.image("cord_uncertainty", found.uncertainty, cord)
    if lesion_images(to.files, to.settings):
        pass  # joined with that of other images, by the stage of lesions
    elif to.settings.seeks_lesions(to.scan.contrast):
        changed |= to.image("lesion_probability", found.lesion, to.lesions_found())
    elif "lesion" not in to.settings.skip and not to.files.is_drawn("lesion"):
        changed |= to.supersede(*_lesion_paths(to))  # of a run with other --lesion-contrasts
    if not to.seeks_tumors:
        changed |= to.supersede(*map(to.path, TUMORS))  # of a run with --pathology tumor
    if to.scan.contrast in SHOWS_GM:
        grey = Origin(to.model("gm"))
        changed |= to.image("gm_probability", found.gm, grey, auto=to.files.is_drawn("gm"))
    if not drawn:
        changed |= to.supersede(to.path("cord", auto=True), to.path("cord_probability", auto=True))
        changed |= to.table("centerline_table", read_table(found.centerline))
    return changed


def _lesion_paths(to: DerivativeWriter) -> list[Path]:
    """Return where lesions of the reference would be, and their masks on other contrasts."""
    contrasts = to.files.contrasts.values()
    masks = [mask_path(to.out_dir, "lesion", scan, to.files.reference) for scan in contrasts]
    return [*map(to.path, SEGMENTED_LESIONS), *masks]


def _manual(to: DerivativeWriter, found: stages.DrawnCord) -> bool:
    changed = to.image("cord", found.cord, Origin(drawn="cord"))
    return changed | to.table("centerline_table", read_table(found.centerline))


def _manual_gm(to: DerivativeWriter, found: stages.DrawnGreyMatter) -> bool:
    return to.image("gm_probability", found.probability, Origin(drawn="gm"))


def _centerline(to: DerivativeWriter, found: stages.CenterlineImage) -> bool:
    model = None if to.files.is_drawn("cord") else to.model("centerline")
    return to.image("centerline", found.mask, Origin(model))


def _coregister(to: DerivativeWriter, found: stages.Coregistered) -> bool:
    changed = to.image("preproc_reference", found.image)
    measures = asdict(found.measures)
    return changed | to.transforms(found.forward, found.inverse, "", ".txt", measures)


def _masks(to: DerivativeWriter, found: stages.MasksOnContrast) -> bool:
    reference = to.files.reference
    own = derivative_uri(to.out_dir, to.path("preproc"))
    changed = False
    masks: dict[Kind, Path | None] = {"cord": found.cord, "lesion": found.lesion}
    for key, file in masks.items():
        if file is None:
            continue
        path = mask_path(to.out_dir, key, to.scan, reference)
        drawn = key if to.files.is_drawn(key) else None
        provenance = replace(
            to.provenance(Origin(drawn=drawn)), manual=drawn is not None, spatial_reference=own
        )
        sidecar = image_sidecar(key, provenance, to.scan.contrast)
        changed |= write_file(to.out_dir, path, file, sidecar)
    return changed


def _discs(to: DerivativeWriter, found: stages.SureSources) -> bool:
    """Write nothing: the stage of levels chooses."""
    return False


def _levels(to: DerivativeWriter, found: stages.LabelledLevels) -> bool:
    if found.vertebrae is None or found.discs is None:
        return to.supersede(to.path("vertebrae"), to.path("discs"))
    drawn = "discs" if to.files.is_drawn("discs") else None
    origin = Origin(to.model("discs") if "detected" in to.level_source else None, drawn)
    changed = to.image("vertebrae", found.vertebrae, origin, label_map=vertebra_labels())
    return changed | to.image("discs", found.discs, origin, label_map=disc_labels())


def _shape(to: DerivativeWriter, found: stages.CordShape) -> bool:
    changed = to.table("perslice", with_level_names(read_table(found.perslice)))
    changed |= to.table("shape_total", read_table(found.total))
    perlevel = with_level_names(read_table(found.perlevel))
    if not len(perlevel):
        return changed | to.supersede(to.path("perlevel"))
    return changed | to.table("perlevel", perlevel)


def _template(to: DerivativeWriter, found: stages.TemplateFit) -> bool:
    changed = to.image("template_cord", found.template_cord)
    if found.image is not None and found.cord is not None and found.coverage is not None:
        changed |= to.image("preproc_template", found.image)
        changed |= to.image("cord_template", found.cord, to.drawn_or_found("cord"))
        changed |= to.image("coverage_template", found.coverage)
    measures = asdict(found.measures)
    name = to.template_name
    changed |= to.transforms(found.forward, found.inverse, name, ".nii.gz", measures)
    if found.spinal_levels is not None and to.template is not None:
        write_atlas_description(to.out_dir, to.template)
        names = spinal_level_labels()
        changed |= to.image("spinal_levels", found.spinal_levels, label_map=names)
    if found.tracts is not None and to.template is not None:
        names = tract_labels(to.template.atlas)
        changed |= to.image("tracts", found.tracts, label_map=names)
    return changed


def _template_slices(to: DerivativeWriter, found: stages.ShapeOnTemplate) -> bool:
    if found.table is None:
        return to.supersede(to.path("template_slices"))
    return to.table("template_slices", with_level_names(read_table(found.table)))


def _lesion(to: DerivativeWriter, found: stages.SeparatedLesions) -> bool:
    origin, names = to.drawn_or_found("lesion"), lesion_labels(len(found.volumes))
    changed = to.image("lesion", found.mask, origin)
    if found.searched:
        changed |= to.image("lesion_probability", found.soft, origin)
    changed |= to.image("lesions", found.instances, origin, label_map=names)
    lookup = lookup_table(names).assign(volume_mm3=found.volumes)
    path = to.path("lesions_lookup")
    return changed | write_table(to.out_dir, path, lookup, dictionary=False)  # the image's serves


def _other_lesions(to: DerivativeWriter, found: stages.LesionsOfImages) -> bool:
    """Write nothing: the stage of lesions joins them."""
    return False


def _lesion_tables(to: DerivativeWriter, found: stages.MeasuredLesions) -> bool:
    changed = to.table("lesion_table", with_level_names(read_table(found.table)))
    changed |= to.table("lesion_regions", read_table(found.regions))
    return changed | to.table("lesion_totals", read_table(found.totals))


def _lesion_template(to: DerivativeWriter, found: stages.LesionsOnTemplate) -> bool:
    origin = to.drawn_or_found("lesion")
    changed = to.image("lesion_template", found.mask, origin)
    return changed | to.image("lesion_probability_template", found.soft, origin)


def _tumor(to: DerivativeWriter, found: stages.FoundTumor) -> bool:
    origin = to.tumor_found(found.seen)
    masks: dict[Kind, Path] = {
        "tumor": found.tumor,
        "edema": found.edema,
        "cavity": found.cavity,
        "abnormality": found.abnormality,
        "tumor_probability": found.tumor_soft,
        "edema_probability": found.edema_soft,
        "cavity_probability": found.cavity_soft,
        "abnormality_probability": found.abnormality_soft,
    }
    changed = to.table("tumor_table", read_table(found.table))
    for kind, file in masks.items():
        changed |= to.image(kind, file, origin)
    return changed


def _lumbar(to: DerivativeWriter, found: stages.FoundLumbar) -> bool:
    if found.structures is None or found.soft is None or found.table is None:
        return to.supersede(*map(to.path, LUMBAR))
    names, origin = structure_labels(), to.lumbar_found(found.alignment)
    changed = to.image("lumbar", found.structures, origin, label_map=names)
    soft = {str(int(value) - 1): name for value, name in names.items()}
    changed |= to.image("lumbar_probability", found.soft, origin, label_map=soft)
    changed |= to.table("lumbar_table", read_table(found.table))
    path, lookup = to.path("lumbar_lookup"), lookup_table(names)
    return changed | write_table(to.out_dir, path, lookup, dictionary=False)  # the image's serves


def _mtr(to: DerivativeWriter, found: stages.MtRatioMap) -> bool:
    pair = to.files.mt_pair or ()
    sources = tuple(to.files.scans[name].uri for name in pair)
    provenance = replace(to.provenance(Origin(sources=sources)), parameters={})
    sidecar = image_sidecar("mtr", provenance)
    return write_file(to.out_dir, to.path("mtr"), found.map, sidecar)


def _metric(to: DerivativeWriter, found: stages.MeasuredMetric) -> bool:
    table = read_table(found.table)
    table.insert(0, "metric", to.item)
    reference = to.files.reference
    path = output_path(to.out_dir, "metric", reference, name=to.item)
    return write_table(to.out_dir, path, with_identity(table, reference), about=to.about("metric"))


def _row(
    stage: stages.Stage[R], write: Callable[[DerivativeWriter, R], bool]
) -> tuple[stages.Stage[Any], Write]:
    """Pair a stage with its writer; one that takes another result is an error of types."""
    return stage, write


WRITERS: Mapping[stages.Stage[Any], Write] = dict(
    (
        _row(stages.PREPROCESS, _preprocess),
        _row(stages.AUTOMATIC, _automatic),
        _row(stages.MANUAL, _manual),
        _row(stages.MANUAL_GM, _manual_gm),
        _row(stages.CENTERLINE, _centerline),
        _row(stages.COREGISTER, _coregister),
        _row(stages.DISCS, _discs),
        _row(stages.SOURCES, _discs),
        _row(stages.LEVELS, _levels),
        _row(stages.SHAPE, _shape),
        _row(stages.TEMPLATE, _template),
        _row(stages.TEMPLATE_SLICES, _template_slices),
        _row(stages.OTHER_LESIONS, _other_lesions),
        _row(stages.JOINED_LESIONS, _other_lesions),
        _row(stages.LESION, _lesion),
        _row(stages.LESION_TABLES, _lesion_tables),
        _row(stages.LESION_TEMPLATE, _lesion_template),
        _row(stages.TUMOR, _tumor),
        _row(stages.LUMBAR, _lumbar),
        _row(stages.MASKS, _masks),
        _row(stages.MTR, _mtr),
        _row(stages.METRIC, _metric),
    )
)
