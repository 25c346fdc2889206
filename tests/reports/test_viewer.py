"""The viewer of a participant: what it holds, and how it behaves in a browser."""

import base64
import gzip
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from spinalprep.bids.places import viewer_path
from spinalprep.image import Image, save
from spinalprep.reports import viewer_page
from spinalprep.reports.facts import ReportFacts, SessionRunFacts
from spinalprep.reports.viewer import write_viewer
from spinalprep.reports.viewer_page import MOST_BYTES

SHAPE = (60, 60, 12)
AFFINE = np.array([[-0.8, 0, 0, 20], [0, 0.8, 0, -10], [0, 0, 3.0, 5], [0, 0, 0, 1.0]])
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
BAD = "</script><script>alert(1)</script>"
READY = 'await until(() => document.body.dataset.ready || document.querySelector("[role=alert]"));'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a cord with gray matter and one lesion at its left; values that name every voxel."""
    anat = tmp_path / "out" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    cord = np.zeros(SHAPE, np.float32)
    cord[25:36, 26:34, 1:11] = 1
    gm, lesion, line = np.zeros_like(cord), np.zeros_like(cord), np.zeros_like(cord)
    gm[28:33, 28:32, 1:11] = 0.9
    lesion[33:35, 29:32, 7:9] = 1  # LAS: high indices are left
    line[30, 30, 1:11] = 1
    image = np.random.default_rng(0).normal(100, 5, SHAPE).astype(np.float32) - 40 * cord
    for name, values in (
        ("desc-preproc_T2w", image),
        ("space-T2w_label-SC_mask", cord),
        ("space-T2w_label-GM_probseg", gm),
        ("space-T2w_label-lesion_mask", lesion),
        ("space-T2w_seg-lesions_dseg", lesion),
        ("space-T2w_label-centerline_mask", line),
    ):
        save(Image(values, AFFINE), anat / f"sub-01_{name}.nii.gz")
    levels = ["C4"] * 5 + [BAD] * 4 + [None]
    rows = {"slice": range(1, 11), "vertebral_level": levels, "doubtful": ["false"] * 9 + ["true"]}
    table = pd.DataFrame(rows)
    table.to_csv(
        anat / "sub-01_space-T2w_label-SC_desc-perslice_morph.tsv",
        sep="\t",
        index=False,
        na_rep="n/a",
    )
    return tmp_path / "out"


def facts(*runs: str) -> ReportFacts:
    sources = [SessionRunFacts(f"sub-01/anat/sub-01{run}_T2w.nii.gz") for run in runs or ("",)]
    return ReportFacts(tuple(sources), "", BAD, Path("/data"))


def held(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])["runs"][0]


def volume(run: dict[str, Any], name: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(run["volumes"][name])))


def test_voxels_are_where_they_were(folder: Path) -> None:
    page = write_viewer(folder, "01", facts())
    assert page == viewer_path(folder, "01")
    run = held(page)
    lesions = volume(run, "numbers")
    assert nib.aff2axcodes(lesions.affine) == ("R", "A", "S")
    assert lesions.get_data_dtype() == np.uint8
    seen = np.argwhere(np.asarray(lesions.dataobj) == 1)
    mm = nib.affines.apply_affine(lesions.affine, seen)
    wanted = nib.affines.apply_affine(
        AFFINE, np.argwhere(nib.load(folder / LESIONS).get_fdata() == 1)
    )
    assert sorted(map(tuple, mm.round(3))) == sorted(map(tuple, wanted.round(3)))
    assert run["lesions"][0]["voxel"] in seen.tolist()
    assert run["doubtful"] == [10]
    assert [level["low"] for level in run["levels"]] == [1, 6]
    assert run["first"] == 0


LESIONS = "sub-01/anat/sub-01_space-T2w_seg-lesions_dseg.nii.gz"


def test_a_large_image_gets_coarser_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_viewer(folder, "01", facts())
    assert page is not None
    full = page.stat().st_size
    assert "coarser" not in held(page)["note"]
    most = full - 20_000
    monkeypatch.setattr(viewer_page, "MOST_BYTES", most)
    page = write_viewer(folder, "01", facts())
    assert page is not None
    assert page.stat().st_size <= most < MOST_BYTES
    image = volume(held(page), "image")
    assert image.shape != volume_shape(folder)
    lesions = np.asarray(volume(held(page), "numbers").dataobj)
    assert set(np.unique(lesions)) <= {0, 1}


def volume_shape(folder: Path) -> tuple[int, ...]:
    """Return the shape of the box around the cord with its widest margin."""
    cord = nib.load(folder / "sub-01/anat/sub-01_space-T2w_label-SC_mask.nii.gz").get_fdata() > 0
    extent = np.ptp(np.argwhere(cord), axis=0) + 1
    margin = np.ceil(viewer_page.MARGINS_MM[0] / np.array([0.8, 0.8, 3.0])).astype(int)
    return tuple(int(n) for n in np.minimum(extent + 2 * margin, SHAPE))


def test_without_a_cord_there_is_no_page(tmp_path: Path) -> None:
    old = viewer_path(tmp_path, "01")
    old.write_text("of an earlier run")
    assert write_viewer(tmp_path, "01", facts()) is None
    assert not old.exists()


def test_the_library_is_the_one_that_its_card_names() -> None:
    folder = files("spinalprep") / "data" / "niivue"
    card = json.loads((folder / "niivue.json").read_text())
    code = (folder / "niivue.js").read_bytes()
    assert hashlib.sha256(code).hexdigest() == card["sha256"]
    assert b"</script" not in code
    licence = (folder / "LICENSE.txt").read_text()
    for name, version in card["bundled"].items():
        assert f"== {name} {version}" in licence


@pytest.mark.slow
def test_it_scrolls_and_toggles_without_a_network(folder: Path, drive: Any) -> None:
    page = write_viewer(folder, "01", facts())
    assert page is not None
    script = f"""{READY}
    const where = () => document.getElementById("where").textContent;
    const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", {{ key: name, bubbles: true }}));
    const lines = (colour) => {{
      const canvas = document.getElementById("drawn");
      const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      let count = 0;
      for (let n = 0; n < dots.length; n += 4)
        if (dots[n + 3] > 200 && colour.every((value, c) => Math.abs(dots[n + c] - value) < 12)) count++;
      return count;
    }};
    const told = {{ start: where(), cord: lines([255, 90, 77]), lesion: lines([255, 109, 255]), gm: lines([125, 255, 125]) }};
    const grey = document.getElementById("scene");
    key("ArrowUp"); told.up = where();
    key("ArrowDown"); told.back = where();
    key("ArrowLeft"); told.right = where();
    const box = grey.getBoundingClientRect();
    const wheel = () => grey.dispatchEvent(new WheelEvent("wheel", {{ deltaY: 100, clientX: box.left + 0.8 * box.width, clientY: box.top + 0.5 * box.height, bubbles: true, cancelable: true }}));
    wheel(); await new Promise((go) => setTimeout(go, 200)); told.wheel = where();
    document.querySelector("[data-mask=cord]").click(); told.without = lines([255, 90, 77]);
    key("o"); key("o"); told.again = lines([255, 90, 77]);
    document.querySelector("#lesions button").click(); told.jump = where();
    told.names = [...document.querySelectorAll("#masks label")].map((label) => label.textContent.trim());
    document.getElementById("contrast").value = 90;
    document.getElementById("contrast").dispatchEvent(new Event("input"));
    told.window = [nv.volumes[0].cal_min, nv.volumes[0].cal_max];
    told.scripts = document.querySelectorAll("script").length;
    told.buttons = document.querySelector("#lesions").textContent;
    try {{ await fetch("http://127.0.0.1:9/x"); told.left = true; }} catch {{ told.left = false; }}
    await until(() => window.seen.length);
    return told;"""  # noqa: E501
    told, console = drive(page, script, *SOFTWARE_GL)
    assert "failed" not in told, told
    assert told["seen"] == ["blocked http://127.0.0.1:9/x"]
    assert told["fetched"] in ([], ["http://127.0.0.1:9/x"])  # ours, which was blocked
    assert told["left"] is False
    ours = (
        "127.0.0.1:9",
        "getImageData",
    )  # the request that has to fail, and how lines are counted
    assert [line for line in console if not any(word in line for word in ours)] == []
    assert "lesion 1" in told["start"]
    assert told["cord"] > 50
    assert told["gm"] > 20
    assert told["lesion"] > 10
    slices = [int(re.search(r"slice (\d+)", told[key])[1]) for key in ("start", "up", "back")]
    assert slices[1] == slices[0] + 1
    assert told["back"] == told["start"]
    assert abs(int(re.search(r"slice (\d+)", told["wheel"])[1]) - slices[0]) == 1
    left = [float(re.match(r"L (\S+),", told[key])[1]) for key in ("start", "right")]
    assert left[1] == pytest.approx(left[0] - 0.8, abs=0.11)  # to the patient's right
    assert told["without"] == 0
    assert told["again"] > 50
    assert told["jump"] == told["start"]
    assert told["names"] == ["cord", "gray matter", "lesion"]
    assert told["window"][1] - told["window"][0] < 100
    assert told["scripts"] == 4  # the page's three and the driver's
    assert BAD in told["buttons"]  # markup is text


@pytest.mark.slow
def test_a_browser_without_webgl_is_told_in_one_line(folder: Path, drive: Any) -> None:
    page = write_viewer(folder, "01", facts())
    assert page is not None
    told, _ = drive(
        page,
        f'{READY} return {{ said: document.querySelector("main").innerText }};',
        "--disable-gpu",
        "--disable-3d-apis",
    )
    assert told["said"].startswith("The viewer needs WebGL 2")
    assert "\n" not in told["said"]
    assert told["seen"] == []
