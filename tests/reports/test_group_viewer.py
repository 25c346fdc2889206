"""The viewer of a group's maps: what it holds, and how it behaves in a browser."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinalprep.bids.group_names import MapKind, map_path
from spinalprep.bids.places import group_viewer_path
from spinalprep.image import Image, save
from spinalprep.reports import viewer_page
from spinalprep.reports.group import GroupFacts
from spinalprep.reports.group_viewer import _averaged, write_group_viewer

SHAPE = (40, 40, 24)
AFFINE = np.array([[-0.5, 0, 0, 10], [0, 0.5, 0, -10], [0, 0, 1, 3], [0, 0, 0, 1.0]])  # LAS
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PEAK = (25, 18, 7)
BAD = "</script><script>alert(1)</script>"


@pytest.fixture
def group(tmp_path: Path) -> tuple[Path, GroupFacts]:
    """Write maps of ten people, of whom six to ten cover a voxel, and one comparison."""
    out, template = tmp_path / "out", tmp_path / "template"
    cord, levels, gm = (np.zeros(SHAPE, np.float32) for _ in range(3))
    cord[14:28, 14:26] = 1
    gm[18:24, 17:23] = 1
    levels[..., :12], levels[..., 12:] = 3, 2
    places = {name: template / f"{name}.nii.gz" for name in ("cord", "levels", "gm")}
    template.mkdir()
    for name, data in (("cord", cord), ("levels", levels), ("gm", gm)):
        save(Image(data, AFFINE), places[name])
    coverage = np.where(cord > 0, 0.6, 0).astype(np.float32)
    coverage[:, :, 20:] = 0  # nobody
    probability = np.where((cord > 0) & (coverage > 0), 0, np.nan).astype(np.float32)
    probability[PEAK] = 0.5
    probability[24, 18, 7] = 0.25
    effect, p = np.zeros_like(cord), np.where(cord > 0, 0.5, np.nan).astype(np.float32)
    effect[PEAK], p[PEAK] = -0.4, 0.01
    maps: dict[MapKind, np.ndarray] = {"probability": probability, "coverage": coverage}
    for kind, data in maps.items():
        _save(map_path(out, kind, "Generic"), data)
    for kind, data in (("effect", effect), ("p", p)):
        _save(map_path(out, kind, "Generic", name="AvsB"), data)  # type: ignore[arg-type]
    return out, GroupFacts(
        "spinalprep", BAD, "Generic", "x", places["cord"], places["levels"], places["gm"],
        people=10, comparisons=(("AvsB", f"A minus B {BAD}"),),
    )  # fmt: skip


def _save(path: Path, data: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(Image(data, AFFINE), path)


def held(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def volume(text: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_values_are_where_they_were(group: tuple[Path, GroupFacts]) -> None:
    page = write_group_viewer(*group)
    assert page == group_viewer_path(group[0])
    told = held(page)
    shown = volume(told["runs"][0]["volumes"]["map"])
    codes = np.asarray(shown.dataobj)
    assert set(np.unique(codes)) == {0, 1, 128, 255}  # unknown, observed zero, half, highest
    mm = nib.affines.apply_affine(shown.affine, np.argwhere(codes == 255))
    assert mm == pytest.approx(nib.affines.apply_affine(AFFINE, [PEAK]))
    assert told["shared"]["start"] == np.argwhere(codes == 255)[0].tolist()
    people = np.asarray(volume(told["runs"][0]["volumes"]["people"]).dataobj)
    assert set(np.unique(people)) == {0, 6}
    assert (codes[people == 0] == 0).all()
    assert told["runs"][0]["scale"]["high"] == 0.5
    effect = told["runs"][1]
    assert (effect["scale"]["low"], effect["scale"]["high"]) == pytest.approx((-0.4, 0.4))
    assert np.count_nonzero(volume(effect["volumes"]["map"]).dataobj) == 1  # the significant one
    assert [(level["name"], level["low"]) for level in told["shared"]["levels"]] == [
        ("C2", 12),
        ("C3", 0),
    ]


def test_a_large_template_gets_coarser(
    group: tuple[Path, GroupFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    path = group[1].template_cord.with_name("t2.nii.gz")
    save(Image(noise, AFFINE), path)
    facts = replace(group[1], template_t2=path)
    page = write_group_viewer(group[0], facts)
    assert page is not None
    assert "coarser" not in held(page)["shared"]["note"]
    most = page.stat().st_size - 20_000
    monkeypatch.setattr(viewer_page, "MOST_BYTES", most)
    page = write_group_viewer(group[0], facts)
    assert page is not None
    assert page.stat().st_size <= most


def test_without_maps_there_is_no_page(group: tuple[Path, GroupFacts], tmp_path: Path) -> None:
    old = group_viewer_path(tmp_path)
    old.write_text("of an earlier run")
    assert write_group_viewer(tmp_path, group[1]) is None
    assert not old.exists()


@pytest.mark.slow
def test_it_scrolls_and_changes_maps_without_a_network(
    group: tuple[Path, GroupFacts], drive: Any
) -> None:
    page = write_group_viewer(*group)
    assert page is not None
    script = """
    await until(() => document.body.dataset.ready || document.querySelector("[role=alert]"));
    const where = () => document.getElementById("where").textContent;
    const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
    const count = (colour) => {
      const canvas = document.getElementById("drawn");
      const dots = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0;
      for (let i = 0; i < dots.length; i += 4)
        if (dots[i + 3] > 200 && colour.every((value, c) => Math.abs(dots[i + c] - value) < 12)) n++;
      return n;
    };
    const told = { start: where(), scale: document.getElementById("scale").textContent, cord: count([255, 90, 77]) };
    key("ArrowUp"); told.up = where();
    key("ArrowDown"); told.back = where();
    key("ArrowLeft"); told.beside = where();
    key("ArrowRight");
    document.querySelector("[data-mask=cord]").click(); told.without = count([255, 90, 77]);
    const list = document.getElementById("run");
    list.selectedIndex = 1; list.dispatchEvent(new Event("change"));
    await until(() => /-0/.test(where()));
    told.effect = where();
    document.getElementById("opacity").value = 40;
    document.getElementById("opacity").dispatchEvent(new Event("input"));
    told.opacity = nv.volumes[1].opacity;
    told.names = [...list.options].map((option) => option.textContent);
    return told;"""  # noqa: E501
    told, console = drive(page, script, *SOFTWARE_GL)
    assert "failed" not in told, told
    assert (told["seen"], told["fetched"]) == ([], [])
    assert [line for line in console if "getImageData" not in line] == []
    assert told["start"].endswith("slice 7 · C3 · 50.0 % · n = 6")
    assert "slice 8 · C3 · 0.0 %" in told["up"]
    assert told["back"] == told["start"]
    assert "25.0 %" in told["beside"]
    assert told["scale"].startswith("0.0 %")
    assert "fewer than 5 participants" in told["scale"]
    assert told["cord"] > 50
    assert told["without"] == 0
    assert "slice 7 · C3 · -0.40" in told["effect"]  # the place stays
    assert told["opacity"] == 0.4
    assert BAD in told["names"][1]  # markup is text


def test_a_coarser_map_is_the_mean_of_its_known_voxels() -> None:
    codes = np.zeros((24, 24, 12), np.float32)
    codes[:12] = np.where(np.indices((12, 24, 12)).sum(axis=0) % 2, 201, 1)  # a checkerboard
    image = Image(codes, AFFINE)
    box = viewer_page.Box(np.zeros(3, int), np.array(codes.shape), np.array([1.5, 1.5, 3.0]))
    made = _averaged(box, image).data
    known = made[made > 0]
    assert 0.4 < known.size / made.size < 0.6  # the unknown half stays unknown
    assert np.abs(known - 101).max() < 20  # nearest voxels would give 1 and 201
    fine = viewer_page.Box(box.corner, box.size, np.array(image.voxel_sizes))
    np.testing.assert_array_equal(_averaged(fine, image).data, codes[::-1])
