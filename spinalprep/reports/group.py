"""The report of a group: one page that needs no other file, and its figures as files."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from spinalprep.bids.atomic import put_bytes, put_text
from spinalprep.bids.group_outputs import group_path
from spinalprep.bids.status import read_status
from spinalprep.image import Image, load
from spinalprep.reports import group_figures as draw
from spinalprep.reports.group_figures import ALL, SETTINGS, Anatomy

CURVES = {
    "area_mm2": "cord area (mm²)",
    "gm_area_mm2": "grey matter area (mm²)",
    "diameter_ap_mm": "front-to-back diameter (mm)",
    "diameter_rl_mm": "right-to-left diameter (mm)",
}
GROUPS = ("all", "C1-C3", "C4-C7")
MOST_ROWS = 40
REFERENCES = (
    "Wilson (1927), JASA 22:209-212",
    "Winkler et al. (2014), NeuroImage 92:381-397",
    "Smith and Nichols (2009), NeuroImage 44:83-98",
    "Efron and Tibshirani (1993), An Introduction to the Bootstrap",
    "De Leener et al. (2018), NeuroImage 165:170-179",
)


@dataclass(frozen=True)
class GroupFacts:
    """What the page is told; everything else it reads from the output folder.

    Attributes
    ----------
    command, version : str
    template_name, template_version : str
    template_cord, template_levels : Path
    template_gm : Path or None
        Of the template, for outlines.
    people : int
        Who count.
    cohorts : mapping of str to int
        Their sizes; empty without a cohort column.
    min_n, permutations : int
    nuisance : tuple of str
    comparisons : tuple of (str, str)
        Name in files, and question in words.
    models : mapping of str to str
    warnings : tuple of str
    packages : mapping of str to str
    finished_at : str
        The only thing that differs between two equal runs.
    """

    command: str
    version: str
    template_name: str
    template_version: str
    template_cord: Path
    template_levels: Path
    template_gm: Path | None
    people: int
    cohorts: Mapping[str, int] = field(default_factory=dict)
    min_n: int = 5
    permutations: int = 0
    nuisance: tuple[str, ...] = ()
    comparisons: tuple[tuple[str, str], ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    finished_at: str = ""


def write_group_report(out_dir: Path, facts: GroupFacts) -> Path:
    """Write ``group.html`` and ``group_figures/*.svg`` and ``*.pdf`` from the output folder.

    Parameters
    ----------
    out_dir : Path
        Holds what the group level wrote.
    facts : GroupFacts

    Returns
    -------
    path : Path
        The page; what is missing is said in its place.
    """
    room = files("spinalprep.reports")
    environment = Environment(autoescape=True)
    page = environment.from_string((room / "group.html.jinja").read_text(encoding="utf-8"))
    tables = {
        name: _table(out_dir / f"group_{name}.tsv")
        for name in ("people", "qc", "morph", "occupancy", "comparison", "curves", "lesions")
    }
    with mpl.rc_context(SETTINGS):
        figures = _figures(out_dir, facts, tables)
    shown = {}
    for name, figure in figures.items():
        _save(out_dir, name, figure)
        shown[name] = Markup(draw.to_svg(figure))
    people = tables["people"]
    context = {
        "facts": facts,
        "figures": shown,
        "curves": [(key, text) for key, text in CURVES.items() if f"curve_{key}" in shown],
        "left_out": _rows(people[people["used"] != "true"]) if len(people) else [],
        "found": _findings(tables, people),
        "comparison": _best(tables["comparison"]),
        "tested": len(tables["comparison"]),
        "status": [row for row in read_status(out_dir) if row.state != "finished"],
        "references": REFERENCES,
        "style": (room / "style.css").read_text(encoding="utf-8"),
    }
    path = out_dir / "group.html"
    put_text(out_dir, path, page.render(**context))
    return path


COVERAGE = "label-SC_desc-coverage_probseg"


def _figures(
    out_dir: Path, facts: GroupFacts, tables: Mapping[str, pd.DataFrame]
) -> dict[str, Figure]:
    """Draw whatever the folder allows."""
    gm = load(facts.template_gm) if facts.template_gm is not None else None
    anatomy = Anatomy(load(facts.template_cord), load(facts.template_levels), gm)
    drawn = _map_figures(out_dir, facts, anatomy) | _table_figures(tables)
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _map_figures(out_dir: Path, facts: GroupFacts, anatomy: Anatomy) -> dict[str, Figure | None]:
    """Draw lesion probability and comparisons."""
    names = {ALL: facts.people} | dict(facts.cohorts)
    rows, sizes = {}, {}
    for name, size in names.items():
        probability = _map(out_dir, facts, name, "label-lesion_probseg")
        coverage = _map(out_dir, facts, name, COVERAGE)
        if probability is not None and coverage is not None:
            rows[name], sizes[name] = (probability, coverage), size
    drawn: dict[str, Figure | None] = {}
    if rows:
        drawn["levels"] = draw.level_tiles(anatomy, rows, sizes)
        drawn["projections"] = draw.projections(anatomy, rows, sizes)
    for name, _ in facts.comparisons:
        drawn[f"effect_{name}"] = _effect(out_dir, facts, anatomy, name)
    return drawn


def _table_figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure | None]:
    """Draw what the tables say."""
    drawn: dict[str, Figure | None] = {}
    if len(tables["occupancy"]):
        for kind in ("cord", "column", "tissue", "tract"):
            levels = GROUPS if kind != "tract" else ("all",)
            drawn[f"occupancy_{kind}"] = draw.occupancy_dots(tables["occupancy"], kind, levels)
    if len(tables["curves"]):
        for measure, label in CURVES.items():
            drawn[f"curve_{measure}"] = draw.curve_figure(tables["curves"], measure, label)
    if len(tables["qc"]):
        drawn["gates"] = draw.strips(tables["qc"], "value", "metric", "value of the gate")
    if "area_mm2" in tables["morph"]:
        title = "cord area (mm²)"
        drawn["areas"] = draw.strips(tables["morph"], "area_mm2", "vertebral_level", title)
    return drawn


def _effect(out_dir: Path, facts: GroupFacts, anatomy: Anatomy, name: str) -> Figure | None:
    """Draw the effect of a comparison per level where p is at most 0.05."""
    found = {
        key: _map(out_dir, facts, ALL, f"desc-{name}_stat-{key}_statmap") for key in ("effect", "p")
    }
    effect, p = found["effect"], found["p"]
    if effect is None or p is None or not (np.nan_to_num(p.data, nan=1.0) <= 0.05).any():
        return None
    shown = np.where(p.data <= 0.05, np.abs(effect.data), np.nan).astype(np.float32)
    coverage = effect.with_data(np.isfinite(p.data).astype(np.float32))
    return draw.level_tiles(
        anatomy, {name: (effect.with_data(shown), coverage)}, {name: facts.people}
    )


def _map(out_dir: Path, facts: GroupFacts, cohort: str, ending: str) -> Image | None:
    path = group_path(out_dir, facts.template_name, ending, None if cohort == ALL else cohort)
    return load(path) if path.is_file() else None


def _save(out_dir: Path, name: str, figure: Figure) -> None:
    """Write a figure for a paper."""
    put_text(out_dir, out_dir / "group_figures" / f"{name}.svg", draw.to_svg(figure))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None})
    put_bytes(out_dir, out_dir / "group_figures" / f"{name}.pdf", buffer.getvalue())


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame()
    return pd.read_csv(
        path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype={"used": str}
    )


def _findings(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of the summary."""
    lesions = tables["lesions"]
    used = people[people["used"] == "true"] if len(people) else people
    volume = used.get("lesion_mm3_template", pd.Series(dtype=float))
    drawn = used.get("lesions_manual", pd.Series(dtype=object)).astype(str).str.lower() == "true"
    return {
        "lesions": len(lesions),
        "with_lesion": int((volume > 0).sum()),
        "manual": int(drawn.sum()),
        "covered": float(used["covered_share"].mean()) if "covered_share" in used else None,
    }


def _best(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of lowest p."""
    if not len(table):
        return []
    ranked = table.sort_values(["p_fwe", "p_uncorrected"], kind="stable").head(MOST_ROWS)
    return _rows(ranked)


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return a table as rows of short text."""
    return [
        {
            str(key): ("n/a" if pd.isna(v) else f"{v:.3g}" if isinstance(v, float) else str(v))
            for key, v in row.items()
        }
        for row in table.to_dict("records")
    ]
