"""The page and the figures of the group."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.bids.group_names import MapKind, map_path
from spinalprep.image import Image, save
from spinalprep.reports import group_figures as draw
from spinalprep.reports.group import GroupFacts, _best, _stretches, write_group_report
from spinalprep.reports.group_effects import effect_tiles
from spinalprep.reports.group_figures import Anatomy
from spinalprep.reports.group_strips import strips, with_titles
from spinalprep.reports.group_table_figures import curve_figure

SHAPE = (13, 11, 24)  # LAS: the index of the first axis grows to the left
AFFINE = np.diag([-1.0, 1.0, 1.0, 1.0])
LEVELS = (2, 3)  # C2 above C3, 12 slices each
BAD = "<script>alert(1)</script>$\\frac"


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    """Return a cord of two levels."""
    cord = np.zeros(SHAPE, np.float32)
    cord[3:10, 3:8] = 1
    levels = np.zeros(SHAPE, np.float32)
    levels[..., :12], levels[..., 12:] = 3, 2
    return Anatomy(Image(cord, AFFINE), Image(levels, AFFINE), None)


@pytest.fixture
def folder(tmp_path: Path, anatomy: Anatomy) -> tuple[Path, GroupFacts]:
    """Return an output folder of two cohorts, whose names and people are hostile."""
    cord, levels = tmp_path / "cord.nii.gz", tmp_path / "levels.nii.gz"
    save(anatomy.cord, cord)
    save(anatomy.levels, levels)
    out = tmp_path / "out"
    inside = anatomy.cord.data > 0.5
    covered = anatomy.cord.with_data(inside.astype(np.float32))
    probability = np.where(inside, 0, np.nan).astype(np.float32)
    probability[7:9, 3:5, 2:6] = 0.25
    for cohort in (None, "HC", "MS"):
        maps: dict[MapKind, Image] = {
            "probability": anatomy.cord.with_data(probability),
            "coverage": covered,
        }
        for kind, image in maps.items():
            path = map_path(out, kind, "PAM50", cohort)
            path.parent.mkdir(parents=True, exist_ok=True)
            save(image, path)
    people = [f"sub-{n:02d}" for n in range(11)] + [f"sub-{BAD}"]
    cohorts = ["MS", "H.C."] * 6
    used = ["true"] * 11 + ["false"]
    identity = {"person_id": people, "participant_id": people, "cohort": cohorts}
    table = pd.DataFrame(
        identity
        | {"session_id": "n/a", "run": "n/a", "contrast": "T2w", "used": used}
        | {"reason_left_out": [""] * 11 + [BAD], "covered_share": 0.5, "lesion_mm3_template": 1.0}
    )
    _write(table, out / "group_people.tsv")
    morph = pd.DataFrame(identity | {"vertebral_level": "C2", "area_mm2": np.arange(12) + 70.0})
    _write(morph, out / "group_morph.tsv")
    _write(morph.assign(metric="dice $_^$", value=0.9), out / "group_qc.tsv")
    facts = GroupFacts(
        command=f"spinalprep in out group {BAD}",
        version="1",
        template_name="PAM50",
        template_version="x",
        template_cord=cord,
        template_levels=levels,
        template_gm=None,
        people=11,
        cohorts={"HC": 5, "MS": 6},
        warnings=(BAD,),
        finished_at="a",
    )
    return out, facts


@pytest.mark.slow
def test_page_needs_nothing_else_and_names_are_inert(folder: tuple[Path, GroupFacts]) -> None:
    page = write_group_report(*folder).read_text(encoding="utf-8")

    tags = _tags(page)
    assert [attrs for tag, attrs in tags if tag == "script"] == [{}]  # the page's own
    links = [a.get("href") or a.get("xlink:href") or a.get("src") for _, a in tags]
    for link in filter(None, links):
        assert link.startswith(("#", "sub-", "data:image/png;base64,")), link
    assert "url(http" not in page
    assert "@import" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
def test_two_writes_differ_only_in_their_time(folder: tuple[Path, GroupFacts]) -> None:
    out, facts = folder

    first = write_group_report(out, facts).read_text(encoding="utf-8")
    files = {p.name: p.read_bytes() for p in (out / "group_figures").iterdir()}
    second = write_group_report(out, replace(facts, finished_at="b")).read_text(encoding="utf-8")

    changed = [(a, b) for a, b in zip(first.split("\n"), second.split("\n"), strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0][0].replace(" · a · ", " · b · ") == changed[0][1]
    assert files == {p.name: p.read_bytes() for p in (out / "group_figures").iterdir()}
    assert {p.suffix for p in (out / "group_figures").iterdir()} == {".svg", ".pdf"}


def test_every_dot_links_to_its_person(folder: tuple[Path, GroupFacts]) -> None:
    out, facts = folder

    page = write_group_report(out, facts).read_text(encoding="utf-8")

    assert page.count('xlink:href="sub-00.html"') == 2  # a gate and a level
    assert "<title>sub-00: 70</title>" in page
    assert "<title>sub-10: 80</title>" in page
    alone = (out / "group_figures" / "areas.svg").read_text(encoding="utf-8")
    assert 'xlink:href="../sub-00.html"' in alone


def test_pictures_say_how_many_people_stand_behind_them(folder: tuple[Path, GroupFacts]) -> None:
    out, facts = folder

    write_group_report(out, facts)

    for name, wanted in {
        "levels": {"(n = 11)", "(n = 5)", "(n = 6)", "n = 11", "n = 5", "n = 6"},
        "projections": {"all (n = 11)", "HC (n = 5)", "MS (n = 6)"},
        "areas": {"C2 (n = 12)"},
        "gates": {"dice $_^$ (n = 12)"},
    }.items():
        text = (out / "group_figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert wanted <= set(re.findall(r">([^<>]+)</text>", text)), name


def test_page_of_an_empty_folder_says_what_is_missing(folder: tuple[Path, GroupFacts]) -> None:
    out, facts = folder
    empty = out.parent / "empty"
    empty.mkdir()

    page = write_group_report(empty, replace(facts, people=3, cohorts={}, warnings=()))

    text = page.read_text(encoding="utf-8")
    for wanted in ("all maps are unknown", "No map was written", "No gate values exist", "None."):
        assert wanted in text


@pytest.mark.parametrize("name", ["PAM50", "Generic"])
def test_what_the_text_uses_is_cited_and_nothing_else(
    folder: tuple[Path, GroupFacts], name: str
) -> None:
    out, facts = folder
    page = write_group_report(out, replace(facts, template_name=name, comparisons=())).read_text()
    cited = set(re.findall(r"<li>\[(\w+)\]", page))
    assert cited == {"Wilson", "Bootstrap"} | ({"PAM50"} if name == "PAM50" else set())


def test_left_of_the_person_is_on_the_right_of_every_picture(anatomy: Anatomy) -> None:
    left = np.where(anatomy.cord.data > 0.5, 0, np.nan).astype(np.float32)
    left[7:10][left[7:10] == 0] = 1  # LAS: high indices
    rows = {"all": (anatomy.cord.with_data(left), anatomy.cord)}

    tiles = draw.level_tiles(anatomy, rows, {"all": 9})
    lines = draw.projections(anatomy, rows, {"all": 9}, draw.palette([]))

    assert tiles is not None
    coronal = next(a for a in lines.axes if "coronal" in a.get_title())
    for axis in (tiles.axes[0], coronal):
        plane = np.asarray(axis.images[0].get_array())
        shown = np.nan_to_num(plane).max(axis=0)[:: -1 if axis.xaxis_inverted() else 1]
        assert np.argmax(shown) > shown.size / 2
        letters = {t.get_text(): t.get_position()[0] for t in axis.texts}
        assert letters["R"] < 0.5 < letters["L"]


def test_effect_keeps_its_sign_and_its_people(anatomy: Anatomy) -> None:
    effect = np.zeros(SHAPE, np.float32)
    effect[4, 4, 2:6], effect[8, 6, 2:6] = -0.4, 0.2
    p = np.where(anatomy.cord.data > 0.5, 0.9, np.nan).astype(np.float32)
    p[effect != 0] = 0.01
    images = (anatomy.cord.with_data(effect), anatomy.cord.with_data(p))

    figure = effect_tiles(anatomy, *images, "B minus A", (12, 30))

    assert figure is not None
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0] == "C3"
    assert "C2" not in titles
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert np.nanmin(shown) == np.float32(-0.4)
    assert np.nanmax(shown) == np.float32(0.2)
    assert figure.axes[0].images[0].norm.vmin == pytest.approx(-0.4)
    assert "B minus A, n = 12-30 per voxel" in [t.get_text() for t in figure.texts]
    nothing = anatomy.cord.with_data(np.ones_like(p))
    assert effect_tiles(anatomy, images[0], nothing, "B minus A", (12, 30)) is None


def test_what_few_people_say_is_hatched(anatomy: Anatomy) -> None:
    known = anatomy.cord.with_data(np.where(anatomy.cord.data > 0.5, 0.2, np.nan))
    full = anatomy.cord.with_data((anatomy.cord.data > 0.5).astype(np.float32))
    half = full.with_data(full.data * np.where(np.arange(SHAPE[2]) < 12, 0.5, 1.0))

    def drawn(collection: Any) -> bool:
        return any(getattr(collection, "hatches", ()))

    def hatched(coverage: Image, people: int) -> list[bool]:
        figure = draw.level_tiles(anatomy, {"all": (known, coverage)}, {"all": people})
        assert figure is not None
        tiles = [axis for axis in figure.axes if axis.get_title() in ("C2", "C3")]
        return [any(map(drawn, axis.collections)) for axis in tiles]

    assert hatched(full, draw.FEW) == [False, False]
    assert hatched(full, draw.FEW - 1) == [True, True]
    assert hatched(half, draw.FEW) == [False, True]  # half of ten people cover C3


def test_anterior_is_on_the_left_of_sagittal_pictures(anatomy: Anatomy) -> None:
    front = np.where(anatomy.cord.data > 0.5, 0, np.nan).astype(np.float32)
    front[:, 6:8][front[:, 6:8] == 0] = 1  # LAS: high indices are in front
    rows = {"all": (anatomy.cord.with_data(front), anatomy.cord)}
    figure = draw.projections(anatomy, rows, {"all": 9}, draw.palette([]))
    axis = next(a for a in figure.axes if "sagittal" in a.get_title())
    shown = np.nan_to_num(np.asarray(axis.images[0].get_array())).max(axis=0)
    shown = shown[:: -1 if axis.xaxis_inverted() else 1]
    assert np.argmax(shown) < shown.size / 2
    letters = {t.get_text(): t.get_position()[0] for t in axis.texts}
    assert letters["A"] < 0.5 < letters["P"]


def test_projections_end_with_the_last_level_that_a_map_shows(anatomy: Anatomy) -> None:
    levels = anatomy.level_slices()
    last = max(levels)
    known = np.where(anatomy.cord.data > 0.5, 0, np.nan).astype(np.float32)
    known[:, :, levels[last]] = np.nan
    rows = {"all": (anatomy.cord.with_data(known), anatomy.cord)}
    figure = draw.projections(anatomy, rows, {"all": 9}, draw.palette([]))
    lowest = levels[last].max() + 1
    ends = {tuple(axis.get_ylim()) for axis in figure.axes[:3]}
    assert ends == {(lowest, np.flatnonzero(anatomy.cord.data.any(axis=(0, 1))).max())}


@pytest.mark.slow
def test_who_was_left_out_comes_before_any_figure(folder: tuple[Path, GroupFacts]) -> None:
    out, facts = folder

    page = write_group_report(out, facts).read_text(encoding="utf-8")

    assert page.index('id="leftout"') < page.index("<figure")
    assert page.index("<b>1</b> image: &lt;script&gt;") < page.index("<figure")
    assert "HC: only 5. One participant changes a probability by 20 percentage points" in page
    numbers = re.findall(r"<b>Figure (\d+)\.</b>", page)
    assert [int(n) for n in numbers] == list(range(1, 1 + page.count("<figure")))


@pytest.mark.slow
def test_keys_captions_and_names_in_a_browser(folder: tuple[Path, GroupFacts], drive: Any) -> None:
    page = write_group_report(*folder)
    script = """
    const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
    const figures = [...document.querySelectorAll("main figure")];
    const large = document.getElementById("large"), caption = () => large.querySelector("p").textContent;
    figures[0].dispatchEvent(new Event("mouseenter"));
    const told = { count: figures.length };
    key("e"); told.open = large.open; told.first = caption().slice(0, 9);
    key("ArrowRight"); told.next = caption().slice(0, 9);
    large.querySelector("button").click(); told.closed = !large.open;
    key("c"); await until(() => document.getElementById("told").textContent);
    told.copied = document.getElementById("told").textContent;
    const dot = document.querySelector("#quality figure a");
    told.dot = dot.getAttribute("xlink:href"); told.title = dot.querySelector("title").textContent;
    told.foreign = document.querySelectorAll("main script, main iframe, main img:not([src^=data])").length;
    return told;"""  # noqa: E501
    told, console = drive(page, script)
    assert told.pop("copied").startswith("caption copied: Figure 1. Mean over the slices")
    assert told == {
        "count": 4,
        "open": True,
        "first": "Figure 1.",
        "next": "Figure 2.",
        "closed": True,
        "dot": "sub-00.html",
        "title": "sub-00: 0.9",
        "foreign": 0,
        "fetched": [],
        "seen": [],
    }
    assert console == []


def test_a_cohort_has_one_colour_whatever_comes_first() -> None:
    assert draw.palette(["NMO", "MS"]) == draw.palette(["MS", "NMO", "all"])


def test_a_thousand_people_fit_a_page() -> None:
    sizes = []
    for n in (20, 60):
        people = [f"sub-{k:05d}" for k in range(n)]
        table = pd.DataFrame({"participant_id": people, "cohort": "MS", "m": "g", "v": range(n)})
        made = strips(table, "v", "m", "u", draw.palette(["MS"]))
        assert made is not None
        sizes.append(len(with_titles(draw.to_svg(made[0]), made[1])))
    dot = (sizes[1] - sizes[0]) / 40

    assert 1000 * (20 + 9) * dot < 8e6  # 20 levels and 9 gates


def test_regions_and_slices_of_a_comparison_are_told_apart() -> None:
    one = {"comparison": "B minus A", "df": 9.0, "t": 1.0, "effect": -2.0, "p_uncorrected": 0.01}
    slices = [
        one
        | {"measure": "area_mm2", "levels": level, "kind": "slice", "region": str(k)}
        | {"n": 20 + k % 2, "p_fwe": 0.2 if k == 7 else 0.01 * k / 10}
        for k, level in zip(range(9, 3, -1), ["C2", "C2", "C2", "C3", "C3", "C3"], strict=True)
    ]
    region = one | {"measure": "occupancy", "levels": "C2", "kind": "cord", "region": "cord"}
    table = pd.DataFrame([*slices, region | {"n": 30, "p_fwe": 0.04}])

    assert [row["region"] for row in _best(table)] == ["cord"]
    found = _stretches(table)
    assert [row["slices"] for row in found] == ["9 to 8", "6 to 4"]
    assert [row["levels"] for row in found] == ["C2", "C3"]
    assert found[0]["p_fwe"] == "0.008"
    assert found[0]["n"] == "20-21"


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


def _tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return all elements of a page with their attributes."""
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(page)
    return found


def test_a_curve_is_thin_where_the_people_change() -> None:
    table = pd.DataFrame(
        {
            "cohort": "MS",
            "measure": "area_mm2",
            "template_slice": np.arange(6),
            "vertebral_level": "C3",
            "n": 9,
            "changed": [0, 0, 2, 0, 0, 0],
            "mean": np.linspace(70, 75, 6),
            "lower": 68.0,
            "upper": 77.0,
        }
    )
    figure = curve_figure(table, "area_mm2", "area", {"MS": "red"})
    assert figure is not None
    thin, solid = figure.axes[0].get_lines()[:2]
    assert thin.get_linewidth() < solid.get_linewidth()
    assert list(thin.get_ydata()) == list(np.linspace(75, 70, 6))
    known = ~np.isnan(np.asarray(solid.get_ydata(), float))
    assert list(known) == [True] * 3 + [False] + [True] * 3
