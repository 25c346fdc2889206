"""The report of one participant: one page that needs no other file."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import age_and_sex
from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import output_path, outputs_of
from spinalprep.bids.labels import label_path
from spinalprep.bids.names import ImageName
from spinalprep.bids.places import report_path, viewer_path
from spinalprep.errors import InputError
from spinalprep.image import Image, load, reorient, resample_like
from spinalprep.normative.calibration import calibrate_norms, load_calibration
from spinalprep.normative.table import Subject, load_norms
from spinalprep.reports import pictures, scenes, views
from spinalprep.reports.facts import ReportFacts
from spinalprep.reports.findings import failed, findings
from spinalprep.reports.flat import whole_views
from spinalprep.reports.healthy import calibration_note, healthy_caption, healthy_plot
from spinalprep.reports.lumbar import lumbar_section
from spinalprep.reports.methods import methods_text
from spinalprep.reports.policy import content_policy
from spinalprep.reports.regions import lesion_rows, lesion_shares, metric_rows, refused_note
from spinalprep.reports.run_outputs import RunOutputs
from spinalprep.reports.scenes import Scene
from spinalprep.reports.sketch import Atlas, section_sketches
from spinalprep.reports.tables import gate_rows, shape_rows
from spinalprep.reports.tumor import COLOURS, WARNING, three_planes, tumor_notes, tumor_rows
from spinalprep.reports.visits import are_several, visit_of, visit_plot, visit_rows
from spinalprep.tables import read_table

SEVERITY = ("n/a", "PASS", "WARN", "FAIL")


def write_participant_report(out_dir: Path, participant: str, facts: ReportFacts) -> Path:
    """Write ``out_dir/sub-<participant>.html`` from what lies in the output folder.

    Parameters
    ----------
    out_dir : Path
        The output folder.
    participant : str
        Label without ``sub-``.
    facts : ReportFacts
        What the folder does not tell.

    Returns
    -------
    path : Path
        The page; what is missing in the folder is said in its place.
    """
    room = files("spinalprep.reports")
    template = Environment(autoescape=True).from_string(
        (room / "participant.html.jinja").read_text(encoding="utf-8")
    )
    outputs = [RunOutputs(out_dir, run) for run in facts.runs]
    runs = [_run_context(one, facts) for one in outputs]
    viewer = viewer_path(out_dir, participant)
    script = (room / "page.js").read_text(encoding="utf-8")
    text = template.render(
        participant=f"sub-{participant}",
        viewer=viewer.name if viewer.is_file() else "",
        facts=facts,
        runs=runs,
        visits=_visits(outputs),
        failed=failed(facts.failures),
        slowest=max(facts.wall_s.values(), default=1.0) or 1.0,
        style=(room / "style.css").read_text(encoding="utf-8"),
        script=script,
        policy=content_policy(script),
    )
    path = report_path(out_dir, participant)
    put_text(out_dir, path, text)
    return path


def _visits(outputs: Sequence[RunOutputs]) -> dict[str, Any] | None:
    """Return what is shown of several sessions side by side; None where there is one."""
    kinds: tuple[Kind, ...] = ("perlevel", "shape_total", "lesion_table")
    visits = [visit_of(one.run, *map(one.table, kinds)) for one in outputs]
    if not are_several(visits, [one.run.image.session for one in outputs]):
        return None
    return {
        "plot": visit_plot(visits),
        "rows": visit_rows(visits),
        "contrasts": sorted({visit.contrast for visit in visits}),
    }


def _run_context(outputs: RunOutputs, facts: ReportFacts) -> dict[str, Any]:
    """Return what the page shows of one reference image."""
    run = outputs.run
    text, references = methods_text(run, facts)
    gates = outputs.table("qc")
    context: dict[str, Any] = {
        "run": run,
        "name": run.prefix,
        "gates": gate_rows(gates, run.level_source),
        "worst": _worst(gates),
        "findings": findings(
            run,
            outputs.table("perlevel"),
            outputs.table("shape_total"),
            outputs.table("lesion_table"),
            gates,
        ),
        "methods": text,
        "references": references,
        "edits": _edit_commands(outputs, facts),
        "inside": lambda path: _inside(Path(path), facts.bids_dir),
        "fresh": {
            role: _inside(label_path(facts.labels_root, run.reference, role), facts.bids_dir)
            for role in ("cord", "centerline", "discs")
        },
        "n4": _n4(outputs, facts),
        "lumbar": lumbar_section(
            run, outputs.reference, outputs.image("lumbar"), outputs.table("lumbar_table")
        ),
        "dice": None,
    }
    if outputs.scene is None:
        return context
    return context | _pictures(outputs, outputs.scene, facts) | _healthy(outputs, facts)


def _pictures(outputs: RunOutputs, scene: Scene, facts: ReportFacts) -> dict[str, Any]:
    """Return the pictures and tables around the cord."""
    perslice, lesions, cord = outputs.perslice, outputs.image("lesions"), outputs.cord
    atlas = Atlas.read(outputs.path("tracts"))
    assert cord is not None
    shown: dict[str, Any] = {
        "tiles": scenes.axial_tiles(scene),
        "legend": {name: views.COLOURS[name] for name in scene.masks},
        "overview": scenes.overview(scene, lesions),
        "lesion_views": scenes.lesion_views(scene, lesions, outputs.run.prefix) if lesions else [],
        "sketches": section_sketches(scene, lesions, atlas) if lesions else [],
        "atlas": facts.template_name if atlas is not None else "",
        "doubtful": len(scene.doubtful),
        "area": pictures.area_plot(perslice) if perslice is not None else None,
        "perlevel": shape_rows(_levels_and_total(outputs)),
        "calibration": calibration_note(load_calibration(), outputs.run.uncalibrated),
        "healthy": None,
        "lesions": lesion_rows(outputs.table("lesion_table")),
        "tumor": _tumor(outputs),
        "lesion_shares": lesion_shares(outputs.table("lesion_regions")),
        "lesions_current": outputs.run.lesions_sought
        or any(label.kind == "lesion" and label.used for label in outputs.run.labels),
        "refused": refused_note(outputs.table("lesion_totals")),
        "metrics": _metrics(outputs),
        "coreg": _coreg(outputs, scene),
        "overlay": None,
        "fit": {},
        "dice": _agreement(cord, scene.masks.get("automatic")),
    }
    fitted = outputs.image("template_cord")
    if fitted is not None:
        both = {"cord": scene.masks["cord"], "template": fitted}
        shown["overlay"] = scenes.axial_tiles(replace(scene, masks=both), scenes.FEW_TILES * 2)
        shown["fit"] = _fit_per_level(cord, fitted, scene.levels)
    return shown


def _healthy(outputs: RunOutputs, facts: ReportFacts) -> dict[str, Any]:
    """Return the cord among healthy adults, where its levels and PAM50 are known."""
    table = outputs.table("template_slices")
    if table is None or facts.template_name != "PAM50":
        return {}
    norms, reason = load_norms(), outputs.run.uncalibrated
    if not reason:
        norms = calibrate_norms(norms, load_calibration())
    subject = Subject(*age_and_sex(outputs.out_dir, outputs.run.image.participant))
    picture = healthy_plot(table, norms, subject)
    return {"healthy": picture, "healthy_caption": healthy_caption(norms, subject, reason)}


def _levels_and_total(outputs: RunOutputs) -> pd.DataFrame | None:
    """Return the cord per level, and as a whole."""
    kinds: tuple[Kind, ...] = ("perlevel", "shape_total")
    found = [table for table in map(outputs.table, kinds) if table is not None and len(table)]
    if not found:
        return None
    return pd.concat(found, ignore_index=True)


def _tumor(outputs: RunOutputs) -> dict[str, Any] | None:
    """Return what the section on tumors shows; None where none was looked for."""
    run = outputs.run
    if not run.tumor_sought:
        return None
    told: dict[str, Any] = {
        "warning": WARNING,
        "notes": tumor_notes(run),
        "rows": tumor_rows(outputs.table("tumor_table")),
        "legend": COLOURS,
        "planes": None,
        "ran": outputs.path("tumor_table").is_file(),
    }
    masks = {name: outputs.image(name) for name in ("tumor", "edema", "cavity")}
    found, whole = {n: m for n, m in masks.items() if m is not None}, outputs.image("abnormality")
    if whole is not None and len(found) == len(masks):
        told["planes"] = three_planes(_tumor_images(outputs), found, whole)
    return told


def _tumor_images(outputs: RunOutputs) -> dict[str, Image]:
    """Return the images in which a tumor was looked for, on the reference's grid."""
    run = outputs.run
    shown: dict[str, Image] = {}
    for name, source in (("T2w", run.tumor_t2w), ("Gd-T1w", run.tumor_gd_t1w)):
        if source is None or name in run.tumor_lost:
            continue
        path = outputs.path("preproc")
        if source != run.reference:
            other = ImageName.of(Path(source).name)
            path = output_path(outputs.out_dir, "preproc_reference", other, run.image)
        if path.is_file():
            shown[name] = load(path)
    return shown


def _metrics(outputs: RunOutputs) -> list[dict[str, Any]]:
    """Return the tables of every map that was measured by region."""
    shown = []
    for found in outputs_of(outputs.out_dir, outputs.run.image):
        if found.kind != "metric" or found.image.contrast != outputs.run.image.contrast:
            continue
        table = read_table(found.path)
        if len(table):
            whole, levels = metric_rows(table)
            shown.append({"name": str(table["metric"].iloc[0]), "whole": whole, "levels": levels})
    return shown


def _n4(outputs: RunOutputs, facts: ReportFacts) -> list[views.View]:
    """Return slices before and after N4, where the raw image can be read."""
    raw = facts.bids_dir / outputs.run.reference
    if outputs.reference is None or "n4" in str(facts.settings.get("skip", "")):
        return []
    try:
        before = resample_like(reorient(load(raw)), outputs.reference)
    except InputError:
        return []
    return whole_views(before, outputs.reference, outputs.cord)


def _coreg(outputs: RunOutputs, scene: Scene) -> list[dict[str, Any]]:
    """Return a comparison for every contrast that was registered to the reference."""
    shown = []
    alone = replace(scene, masks={"cord": scene.masks["cord"]})
    for fact in outputs.run.contrasts:
        other = ImageName.of(Path(fact.source).name)
        path = output_path(outputs.out_dir, "preproc_reference", other, outputs.run.image)
        if path.is_file():
            pair = scenes.axial_tiles(alone, scenes.FEW_TILES, load(path))
            shown.append({"fact": fact, "pair": pair})
    return shown


def _agreement(cord: Image, automatic: Image | None) -> dict[str, float] | None:
    """Return Dice and change of volume between the manual and the automatic cord.

    Only slices in which both are drawn count.
    """
    if automatic is None:
        return None
    manual, auto = cord.data > 0.5, automatic.data > 0.5
    rows = manual.any(axis=(0, 1)) & auto.any(axis=(0, 1))
    manual, auto = manual[:, :, rows], auto[:, :, rows]
    total = int(manual.sum()) + int(auto.sum())
    if not total:
        return None
    return {
        "dice": 2 * int((manual & auto).sum()) / total,
        "change": 100 * (int(auto.sum()) / max(int(manual.sum()), 1) - 1),
    }


def _fit_per_level(cord: Image, fitted: Image, names: Mapping[int, str]) -> dict[str, float]:
    """Return Dice of the cord and the template's in each level, in slices that have both."""
    ours, theirs = cord.data > 0.5, fitted.data > 0.5
    both = (ours & theirs).sum(axis=(0, 1))
    total = (ours.sum(axis=(0, 1)) + theirs.sum(axis=(0, 1))) * (both > 0)
    slices: dict[str, list[int]] = {}
    for k in sorted(names, reverse=True):
        slices.setdefault(names[k], []).append(k)
    return {
        level: 2 * float(both[ks].sum()) / float(total[ks].sum())
        for level, ks in slices.items()
        if total[ks].sum()
    }


def _worst(gates: pd.DataFrame | None) -> str:
    if gates is None:
        return "n/a"
    return max(gates["result"].astype(object).fillna("n/a"), key=SEVERITY.index, default="n/a")


def _edit_commands(outputs: RunOutputs, facts: ReportFacts) -> list[dict[str, str]]:
    """Return how to open every mask, and where a corrected one is looked for."""
    image = _inside(outputs.path("preproc"), outputs.out_dir)
    drawn = {label.kind: label.path for label in outputs.run.labels if label.used}
    commands = []
    masks: tuple[tuple[str, str, Kind], ...] = (
        ("cord", "cord", "cord"),
        ("lesion", "lesions", "lesion"),
        ("discs", "discs", "discs"),
    )
    for role, name, kind in masks:
        path = outputs.path(kind)
        # a second label beside the one that is used would be ignored
        fresh = label_path(facts.labels_root, outputs.run.reference, role)
        if path.is_file():
            mask = shlex.quote(_inside(path, outputs.out_dir))
            commands.append(
                {
                    "name": name,
                    "fsleyes": f"fsleyes {shlex.quote(image)} {mask} --cmap red --alpha 40",
                    "itksnap": f"itksnap -g {shlex.quote(image)} -s {mask}",
                    "save": _inside(Path(drawn.get(role, str(fresh))), facts.bids_dir),
                }
            )
    return commands


def _inside(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, as it is where it lies elsewhere."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
