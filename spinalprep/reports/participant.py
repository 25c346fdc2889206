"""The report of one participant: one page that needs no other file."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment

from spinalprep.bids.atomic import put_text
from spinalprep.bids.dataset import age_and_sex
from spinalprep.errors import InputError
from spinalprep.image import Image, load, reorient, resample_like, to_world
from spinalprep.normative.table import Subject, load_norms
from spinalprep.reports import pictures
from spinalprep.reports.facts import ReportFacts, UnitFacts
from spinalprep.reports.healthy import healthy_caption, healthy_plot
from spinalprep.reports.methods import methods_text
from spinalprep.reports.pictures import Path3D
from spinalprep.reports.regions import lesion_rows, lesion_shares, metric_rows
from spinalprep.reports.tables import gate_rows, shape_rows
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
    units = [_unit_context(_Outputs(out_dir, unit), facts) for unit in facts.units]
    text = template.render(
        participant=f"sub-{participant}",
        facts=facts,
        units=units,
        style=(room / "style.css").read_text(encoding="utf-8"),
        script=(room / "page.js").read_text(encoding="utf-8"),
    )
    path = out_dir / f"sub-{participant}.html"
    put_text(out_dir, path, text)
    return path


@dataclass(frozen=True)
class _Outputs:
    """The derivatives of one reference image, read when they are asked for."""

    out_dir: Path
    unit: UnitFacts

    @property
    def anat(self) -> Path:
        folder = self.out_dir / f"sub-{self.unit.participant}"
        if self.unit.session:
            folder /= f"ses-{self.unit.session}"
        return folder / "anat"

    def path(self, rest: str) -> Path:
        return self.anat / f"{self.unit.prefix}_{rest}"

    def here(self, rest: str) -> Path:
        """Return the path of an output in the space of the reference."""
        return self.path(f"space-{self.unit.space}_{rest}")

    def image(self, path: Path) -> Image | None:
        return load(path) if path.is_file() else None

    def table(self, path: Path) -> pd.DataFrame | None:
        if not path.is_file():
            return None
        return read_table(path)

    @cached_property
    def reference(self) -> Image | None:
        extra = f"{self.unit.entities}_" if self.unit.entities else ""
        return self.image(self.path(f"{extra}desc-preproc_{self.unit.space}.nii.gz"))

    @cached_property
    def cord(self) -> Image | None:
        return self.image(self.here("label-SC_mask.nii.gz"))

    @cached_property
    def track(self) -> Path3D | None:
        mask = self.image(self.here("label-centerline_mask.nii.gz"))
        return Path3D.from_mask(mask) if mask is not None and mask.data.any() else None

    @cached_property
    def course(self) -> Path3D | None:
        """Return the fitted centerline: that of the mask steps from voxel to voxel."""
        table = self.table(self.here("label-centerline_morph.tsv"))
        if table is None or self.track is None:
            return self.track
        xyz = table[["x_mm", "y_mm", "z_mm"]].to_numpy(float)
        low, high = self.track.xyz[[0, -1], 2]
        xyz = xyz[(xyz[:, 2] >= min(low, high)) & (xyz[:, 2] <= max(low, high))]
        return Path3D(np.arange(len(xyz)), xyz) if len(xyz) > 1 else self.track


def _unit_context(outputs: _Outputs, facts: ReportFacts) -> dict[str, Any]:
    """Return what the page shows of one reference image."""
    unit = outputs.unit
    text, references = methods_text(unit, facts)
    gates = outputs.table(outputs.path("desc-auto_qc.tsv"))
    context: dict[str, Any] = {
        "unit": unit,
        "name": unit.prefix,
        "gates": gate_rows(gates),
        "worst": _worst(gates),
        "methods": text,
        "references": references,
        "edits": _edit_commands(outputs, facts),
        "fresh": {
            name: _label_path(outputs, facts, ending)
            for name, ending in (
                ("cord", "label-SC_seg"),
                ("centerline", "centerline-manual"),
                ("discs", "label-discs_dlabel"),
            )
        },
        "n4": _n4(outputs, facts),
        "dice": None,
    }
    if outputs.reference is None or outputs.cord is None or outputs.track is None:
        return context
    return context | _pictures(outputs) | _healthy(outputs, facts)


def _pictures(outputs: _Outputs) -> dict[str, Any]:
    """Return the pictures and tables around the cord."""
    reference, cord, track, course = outputs.reference, outputs.cord, outputs.track, outputs.course
    assert reference is not None
    assert cord is not None
    assert track is not None
    assert course is not None
    perslice = outputs.table(outputs.here("label-SC_desc-perslice_morph.tsv"))
    names = _level_names(perslice)
    outlines = {"cord": cord}
    automatic = outputs.image(outputs.here("label-SC_desc-auto_mask.nii.gz"))
    if automatic is not None:
        outlines["automatic"] = automatic
    for name, label in (("gm", "label-GM_probseg"), ("lesion", "label-lesion_mask")):
        found = outputs.image(outputs.here(f"{label}.nii.gz"))
        if found is not None and found.data.max() > 0.5:
            outlines[name] = found
    shown: dict[str, Any] = {
        "mosaic": pictures.cord_mosaic(reference, track, outlines, names),
        "legend": {name: pictures.COLOURS[name] for name in outlines},
        "sagittal": pictures.sagittal_view(reference, course, {"cord": cord}, _discs(outputs)),
        "area": pictures.area_plot(perslice) if perslice is not None else None,
        "perlevel": shape_rows(_levels_and_total(outputs)),
        "healthy": None,
        "lesions": lesion_rows(outputs.table(outputs.here("label-lesion_morph.tsv"))),
        "lesion_shares": lesion_shares(
            outputs.table(outputs.here("label-lesion_desc-perregion_morph.tsv"))
        ),
        "metrics": _metrics(outputs),
        "coreg": _coreg(outputs),
        "overlay": None,
        "fit": {},
        "dice": _agreement(cord, automatic),
    }
    fitted = outputs.image(outputs.here("label-SC_desc-template_mask.nii.gz"))
    if fitted is not None:
        both = {"cord": cord, "template": fitted}
        shown["overlay"] = pictures.cord_mosaic(reference, track, both, names)
        shown["fit"] = _fit_per_level(cord, fitted, names)
    return shown


def _healthy(outputs: _Outputs, facts: ReportFacts) -> dict[str, Any]:
    """Return the cord among healthy adults, where its levels and PAM50 are known."""
    table = outputs.table(outputs.path("space-PAM50_label-SC_desc-perslice_morph.tsv"))
    if table is None or facts.template_name != "PAM50":
        return {}
    norms = load_norms()
    subject = Subject(*age_and_sex(outputs.out_dir, outputs.unit.participant))
    picture = healthy_plot(table, norms, subject)
    return {"healthy": picture, "healthy_caption": healthy_caption(norms, subject)}


def _levels_and_total(outputs: _Outputs) -> pd.DataFrame | None:
    """Return the cord per level, and as a whole."""
    names = (outputs.here(f"label-SC_desc-{what}_morph.tsv") for what in ("perlevel", "total"))
    found = [table for table in map(outputs.table, names) if table is not None and len(table)]
    if not found:
        return None
    return pd.concat(found, ignore_index=True)


def _metrics(outputs: _Outputs) -> list[dict[str, Any]]:
    """Return the tables of every map that was measured by region."""
    shown = []
    for path in sorted(outputs.anat.glob(outputs.here("desc-*_metric.tsv").name)):
        table = outputs.table(path)
        if table is not None and len(table):
            whole, levels = metric_rows(table)
            shown.append({"name": str(table["metric"].iloc[0]), "whole": whole, "levels": levels})
    return shown


def _n4(outputs: _Outputs, facts: ReportFacts) -> list[str] | None:
    """Return slices before and after N4, where the raw image can be read."""
    raw = facts.bids_dir / outputs.unit.reference
    if outputs.reference is None or "n4" in str(facts.settings.get("skip", "")):
        return None
    try:
        before = resample_like(reorient(load(raw)), outputs.reference)
    except InputError:
        return None
    return pictures.whole_slices([before, outputs.reference])


def _coreg(outputs: _Outputs) -> list[dict[str, Any]]:
    """Return a flicker for every contrast that was brought to the reference."""
    shown = []
    assert outputs.reference is not None
    assert outputs.track is not None
    for fact in outputs.unit.contrasts:
        pattern = f"*space-{outputs.unit.space}_desc-preproc_{fact.contrast}.nii.gz"
        stem = fact.source.rpartition("/")[2].removesuffix(".gz").removesuffix(".nii")
        entities = {part for part in stem.split("_") if "-" in part}
        for path in sorted(outputs.anat.glob(pattern)):
            if entities <= set(path.name.split("_")):
                pair = pictures.flicker_pair(
                    outputs.reference, load(path), outputs.track, outputs.cord
                )
                shown.append({"fact": fact, "pair": pair})
                break
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


def _level_names(perslice: pd.DataFrame | None) -> dict[int, str]:
    if perslice is None:
        return {}
    known = perslice.dropna(subset=["vertebral_level"])
    return {int(k): str(v) for k, v in zip(known["slice"], known["vertebral_level"], strict=True)}


def _discs(outputs: _Outputs) -> dict[str, float]:
    """Return name and height of the discs."""
    labels = outputs.image(outputs.here("seg-discs_dseg.nii.gz"))
    if labels is None:
        return {}
    ijk = np.argwhere(labels.data > 0)
    heights = to_world(ijk.astype(float), labels.affine)[:, 2]
    values = labels.data[tuple(ijk.T)].astype(int)
    return {f"disc {v}": float(z) for v, z in zip(values, heights, strict=True)}


def _worst(gates: pd.DataFrame | None) -> str:
    if gates is None:
        return "n/a"
    return max(gates["result"].fillna("n/a"), key=SEVERITY.index, default="n/a")


def _edit_commands(outputs: _Outputs, facts: ReportFacts) -> list[dict[str, str]]:
    """Return how to open every mask, and where a corrected one is looked for."""
    image = outputs.path(
        (f"{outputs.unit.entities}_" if outputs.unit.entities else "")
        + f"desc-preproc_{outputs.unit.space}.nii.gz"
    )
    drawn = {label.kind: label.path for label in outputs.unit.labels if label.used}
    commands = []
    for name, role, mask, ending in (
        ("cord", "cord", "label-SC_mask", "label-SC_seg"),
        ("lesions", "lesion", "label-lesion_mask", "label-lesion_seg"),
        ("discs", "discs", "seg-discs_dseg", "label-discs_dlabel"),
    ):
        path = outputs.here(f"{mask}.nii.gz")
        # a second label beside the one that is used would be ignored
        target = drawn.get(role, _label_path(outputs, facts, ending))
        if path.is_file():
            fsleyes = f"fsleyes {image} {path} --cmap red --alpha 40"
            commands.append({"name": name, "open": fsleyes, "save": target})
    return commands


def _label_path(outputs: _Outputs, facts: ReportFacts, ending: str) -> str:
    """Return where a manual label of the reference is looked for."""
    raw = Path(outputs.unit.reference)
    stem = raw.name.removesuffix(".gz").removesuffix(".nii")
    return str(facts.labels_root / raw.parent / f"{stem}_{ending}.nii.gz")
