"""The report of a group: one page that needs no other file, and its figures as files."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from spinalprep.bids.atomic import put_bytes, put_text
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.group_names import MapKind, TableKind, map_path, table_path
from spinalprep.bids.places import group_report_path, group_viewer_path
from spinalprep.bids.status import read_status
from spinalprep.group.design import EVERYBODY, file_label
from spinalprep.image import Image, load
from spinalprep.reports import group_figures as draw
from spinalprep.reports.gates import load_gates
from spinalprep.reports.group_effects import ALPHA, effect_tiles
from spinalprep.reports.group_figures import SETTINGS, Anatomy
from spinalprep.reports.group_strips import strips, with_titles
from spinalprep.reports.group_table_figures import curve_figure, occupancy_dots
from spinalprep.reports.policy import content_policy

CURVES = {
    "area_mm2": "cord area (mm²)",
    "gm_area_mm2": "gray matter area (mm²)",
    "diameter_ap_mm": "anteroposterior diameter (mm)",
    "diameter_rl_mm": "right-left diameter (mm)",
}
TABLES: tuple[TableKind, ...] = (
    *("people", "qc", "morph", "occupancy", "comparison", "curves", "lesions"),
)
GROUPS = ("all", "C1-C3", "C4-C7")
MOST_ROWS, LEAST_ROWS = 40, 10
UNITS = {
    "n": "participants",
    "n_a": "first cohort",
    "n_b": "second cohort",
    "effect": "effect (fraction of the region)",
    "mean_effect": "mean effect (unit of the measure)",
    "p_uncorrected": "p, uncorrected",
    "p_fwe": "p, corrected",
    "slices": "slices of the template",
}
REFERENCES = {
    "PAM50": "De Leener et al. (2018), NeuroImage 165:170-179",
    "Wilson": "Wilson (1927), JASA 22:209-212",
    "Bootstrap": "Efron and Tibshirani (1993), An Introduction to the Bootstrap",
    "Permutation": "Winkler et al. (2014), NeuroImage 92:381-397",
    "TFCE": "Smith and Nichols (2009), NeuroImage 44:83-98",
}


@dataclass(frozen=True)
class GroupFacts:
    """What the page is told; everything else it reads from the output folder.

    Attributes
    ----------
    command, version : str
    template_name, template_version : str
    template_cord, template_levels : Path
    template_gm, template_t2 : Path or None
        Of the template, for outlines and for the viewer.
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
    template_t2: Path | None = None


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
    tables: dict[str, pd.DataFrame] = {name: _table(table_path(out_dir, name)) for name in TABLES}
    for table in tables.values():
        if "cohort" in table:
            cohorts = table["cohort"]
            table["cohort"] = ["n/a" if pd.isna(c) else file_label(str(c)) for c in cohorts]
    titles: dict[str, list[str]] = {}
    shown = {}
    with mpl.rc_context(SETTINGS):
        for name, figure in _figures(out_dir, facts, tables, titles).items():
            _save(out_dir, name, figure, titles.get(name, []))
            shown[name] = Markup(with_titles(draw.to_svg(figure), titles.get(name, [])))
    people = tables["people"]
    script = (room / "group.js").read_text(encoding="utf-8")
    viewer = group_viewer_path(out_dir)
    context = {
        "facts": facts,
        "viewer": viewer.name if viewer.is_file() else "",
        "figures": shown,
        "curves": [(key, text) for key, text in CURVES.items() if f"curve_{key}" in shown],
        "left_out": _left_out(out_dir, people),
        "reasons": _reasons(people),
        "few": _few(facts),
        "fewest": draw.FEW,
        "found": _findings(tables, people),
        "comparison": _best(tables["comparison"]),
        "stretches": _stretches(tables["comparison"]),
        "tested": int((_kinds(tables["comparison"]) != "slice").sum()),
        "enhanced": [n for n, _ in facts.comparisons if p_map(out_dir, facts, f"{n}TFCE")],
        "units": UNITS,
        "status": [row for row in read_status(out_dir) if row.state != "finished"],
        "references": REFERENCES,
        "style": (room / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "policy": content_policy(script),
    }
    path = group_report_path(out_dir)
    put_text(out_dir, path, page.render(**context))
    return path


def _figures(
    out_dir: Path,
    facts: GroupFacts,
    tables: Mapping[str, pd.DataFrame],
    titles: dict[str, list[str]],
) -> dict[str, Figure]:
    """Draw whatever the folder allows; ``titles`` gets what dots are called."""
    gm = load(facts.template_gm) if facts.template_gm is not None else None
    anatomy = Anatomy(load(facts.template_cord), load(facts.template_levels), gm)
    shades = draw.palette(facts.cohorts)
    drawn = _map_figures(out_dir, facts, anatomy, shades) | _table_figures(tables, shades)
    limits = {
        gate.metric: [x for x in (gate.warn, gate.fail) if x is not None] for gate in load_gates()
    }
    wanted = {
        "gates": ("qc", "value", "metric", "value of the gate; dashed: default thresholds"),
        "areas": ("morph", "area_mm2", "vertebral_level", "cord area (mm²)"),
    }
    for name, (table, value, group, unit) in wanted.items():
        rows = tables[table]
        if name == "areas" and "used" in rows:
            rows = rows[rows["used"] == "true"]
        if value in rows:
            made = strips(rows, value, group, unit, shades, name == "areas", limits)
            if made is not None:
                drawn[name], titles[name] = made
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _map_figures(
    out_dir: Path, facts: GroupFacts, anatomy: Anatomy, shades: Mapping[str, str]
) -> dict[str, Figure | None]:
    """Draw lesion probability and comparisons."""
    names = {EVERYBODY: facts.people} | dict(facts.cohorts)
    rows, sizes = {}, {}
    for name, size in names.items():
        probability = group_map(out_dir, facts, "probability", name)
        coverage = group_map(out_dir, facts, "coverage", name)
        if probability is not None and coverage is not None:
            rows[name], sizes[name] = (probability, coverage), size
    drawn: dict[str, Figure | None] = {}
    if rows:
        drawn["levels"] = draw.level_tiles(anatomy, rows, sizes)
        drawn["projections"] = draw.projections(anatomy, rows, sizes, shades)
    for name, question in facts.comparisons:
        for kind in (name, f"{name}TFCE"):
            maps = _Comparison(name, kind, question)
            drawn[f"effect_{kind}"] = _effect(out_dir, facts, anatomy, maps)
    return drawn


def _table_figures(
    tables: Mapping[str, pd.DataFrame], shades: Mapping[str, str]
) -> dict[str, Figure | None]:
    """Draw what the tables say."""
    drawn: dict[str, Figure | None] = {}
    occupancy, curves = tables["occupancy"], tables["curves"]
    if len(occupancy):
        single = [x for x in dict.fromkeys(occupancy["levels"]) if x != "all" and "-" not in str(x)]
        drawn["occupancy_level"] = occupancy_dots(occupancy, "cord", single, shades)
        for kind in ("cord", "column", "tissue", "tract"):
            levels = GROUPS if kind != "tract" else ("all",)
            drawn[f"occupancy_{kind}"] = occupancy_dots(occupancy, kind, levels, shades)
    if len(curves):
        for measure, label in CURVES.items():
            marks = []
            for row in _stretches(tables["comparison"]):
                first, last = map(int, row["slices"].split(" to "))
                if row["measure"] == label:
                    marks.append((row["comparison"], first, last))
            drawn[f"curve_{measure}"] = curve_figure(curves, measure, label, shades, marks)
    return drawn


@dataclass(frozen=True)
class _Comparison:
    """Names of the maps of effect and p, and what was asked."""

    effect: str
    p: str
    question: str


def _effect(out_dir: Path, facts: GroupFacts, anatomy: Anatomy, maps: _Comparison) -> Figure | None:
    """Draw the effect of a comparison per level where p is small enough."""
    at = map_path(out_dir, "effect", facts.template_name, name=maps.effect)
    path = p_map(out_dir, facts, maps.p)
    if path is None or not at.is_file():
        return None
    effect, sidecar = load(at), sidecar_path(path)
    told = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else {}
    return effect_tiles(
        anatomy, effect, load(path), maps.question, told.get("SampleSizePerVoxel") or ()
    )


def p_map(out_dir: Path, facts: GroupFacts, name: str) -> Path | None:
    """Return the file of corrected p values of a comparison; None where there is none."""
    path = map_path(out_dir, "p", facts.template_name, name=name)
    return path if path.is_file() else None


def group_map(out_dir: Path, facts: GroupFacts, kind: MapKind, cohort: str) -> Image | None:
    """Return a map of a cohort, or of everybody; None where there is none."""
    path = map_path(out_dir, kind, facts.template_name, None if cohort == EVERYBODY else cohort)
    return load(path) if path.is_file() else None


def _save(out_dir: Path, name: str, figure: Figure, titles: list[str]) -> None:
    """Write a figure for a paper."""
    folder = out_dir / "group_figures"
    put_text(out_dir, folder / f"{name}.svg", with_titles(draw.to_svg(figure), titles, "../"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None})
    put_bytes(out_dir, folder / f"{name}.pdf", buffer.getvalue())


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
    searched = used.get("lesions_searched", pd.Series(dtype=object)).astype(str).str.lower()
    drawn = used.get("lesions_manual", pd.Series(dtype=object)).astype(str).str.lower() == "true"
    return {
        "lesions": len(lesions),
        "with_lesion": int((volume > 0).sum()),
        "manual": int(drawn.sum()),
        "unsearched": int((searched == "false").sum()),
        "covered": float(used["covered_share"].mean()) if "covered_share" in used else None,
    }


def _left_out(out_dir: Path, people: pd.DataFrame) -> list[dict[str, str]]:
    """Return who does not count, with the page where there is one."""
    if not len(people):
        return []
    rows = _rows(people[people["used"] != "true"])
    for row in rows:
        page = f"{row['participant_id']}.html"
        row["page"] = page if (out_dir / page).is_file() else ""
    return rows


def _reasons(people: pd.DataFrame) -> list[tuple[str, int]]:
    """Return why images do not count, the most frequent reason first."""
    if not len(people):
        return []
    said = people.loc[people["used"] != "true", "reason_left_out"].fillna("n/a").astype(str)
    kinds = said.str.replace(r" \(.*\)$", "", regex=True)  # who, or which state, is in the table
    return [(str(reason), int(count)) for reason, count in kinds.value_counts().items()]


def _few(facts: GroupFacts) -> list[tuple[str, int, float]]:
    """Return groups so small that one person moves a probability by over ten points."""
    sizes = {EVERYBODY: facts.people} | dict(facts.cohorts)
    return [(name, n, 100 / n) for name, n in sizes.items() if 0 < n < draw.FEW]


def _kinds(table: pd.DataFrame) -> pd.Series:
    return table["kind"] if "kind" in table else pd.Series(dtype=object)


def _best(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the regions of lowest p."""
    regions = table[_kinds(table) != "slice"]
    ranked = regions.sort_values(["p_fwe", "p_uncorrected"], kind="stable") if len(table) else table
    if not len(ranked):
        return []
    wanted = min(max(int((ranked["p_fwe"] <= ALPHA).sum()), LEAST_ROWS), MOST_ROWS)
    constant = [c for c in ("comparison", "measure") if len(set(ranked[c])) == 1]
    return _rows(ranked.drop(columns=constant).head(wanted))


def _stretches(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return where along the cord a measure differs: runs of slices with small p, head first."""
    found = []
    slices = table[_kinds(table) == "slice"]
    if not len(slices):
        return []
    slices = slices[slices["p_fwe"] <= ALPHA].assign(k=lambda t: t["region"].astype(int))
    for (question, measure), rows in slices.groupby(["comparison", "measure"], sort=False):
        own = rows.sort_values("k", ascending=False)
        run = (own["k"].diff().fillna(-1) != -1).cumsum()
        for _, part in own.groupby(run):
            best = part.loc[part["p_fwe"].idxmin()]
            levels = list(dict.fromkeys(part["levels"].fillna("n/a").astype(str)))
            found.append(
                {
                    "comparison": question,
                    "measure": CURVES.get(measure, measure),
                    "levels": levels[0] if len(levels) == 1 else f"{levels[0]} to {levels[-1]}",
                    "slices": " to ".join(
                        map(str, dict.fromkeys((part["k"].max(), part["k"].min())))
                    ),
                    "n": draw.people_text(part["n"]).removeprefix("n = "),
                    "mean_effect": f"{part['effect'].mean():.3g}",
                    "p_fwe": f"{best['p_fwe']:.3g}",
                }
            )
    return found


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return a table as rows of short text."""
    return [
        {
            str(key): ("n/a" if pd.isna(v) else f"{v:.3g}" if isinstance(v, float) else str(v))
            for key, v in row.items()
        }
        for row in table.to_dict("records")
    ]
