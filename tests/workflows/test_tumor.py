"""The graph of the tumor search does what the library does, with networks of random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python, workflow

from spinalprep.cord.centerline import Centerline, fit_centerline
from spinalprep.cord.files import write_centerline
from spinalprep.engine.graph import stages_of
from spinalprep.errors import InputError
from spinalprep.image import Image, load, save
from spinalprep.lesion.tumors import TumorRule, call_tumors
from spinalprep.networks.cards import card_path
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.tumor import Contrasts, cascade_tube, map_tumors, tube_around
from spinalprep.networks.weights import load_model, save_model
from spinalprep.tables import read_table
from spinalprep.workflows.cord import WeightFile
from spinalprep.workflows.tumor import Tumor, TumorSearch, TumorWeights


@python.define
def _fails(image: NiftiGz) -> NiftiGz:
    """A registration that fails."""
    raise RuntimeError(image)


RULE = TumorRule(tumor_cm3=0.001, edema_cm3=0.001, cavity_cm3=0.001)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tumor")


@pytest.fixture(scope="module")
def line() -> Centerline:
    z = np.linspace(20.0, -20.0, 40)
    return fit_centerline(np.stack([0 * z, 0 * z, z], axis=-1)).as_saved()


@pytest.fixture(scope="module")
def inputs(home: Path, line: Centerline) -> dict[str, Any]:
    affine = np.diag([-2.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [20.0, -20.0, -24.0]
    noise = np.random.default_rng(0).random((2, 21, 40, 48)).astype(np.float32)
    images = [save(Image(part, affine), home / f"{n}.nii.gz") for n, part in enumerate(noise)]
    cord = np.zeros((21, 40, 48), np.float32)
    cord[8:13, 16:25] = 1
    weights = {}
    for name in ("tumor_cord", "tumor"):
        torch.manual_seed(1)
        card = {
            "preset": f"{name}_unet",
            "spacing": [2, 2, 4] if name == "tumor_cord" else [1, 1, 2],
            "patch": [32, 16, 16],
        }
        path = save_model(PRESETS[card["preset"]](), home / f"{name}.safetensors", card)
        weights[name] = WeightFile(File(path), File(card_path(path)))
    return {
        "t2w": images[0],
        "gd_t1w": images[1],
        "cord": save(Image(cord, affine), home / "cord.nii.gz"),
        "centerline": write_centerline(line, home / "line.tsv"),
        "levels": None,
        "networks": TumorWeights(**weights),
    }


def _search(crop: str = "centerline", t2w: str | None = "", gd: str | None = "T1w") -> TumorSearch:
    return TumorSearch(t2w, gd, crop, RULE)


def test_the_graph_says_what_the_library_says(
    inputs: dict[str, Any], home: Path, line: Centerline, tmp_path: Path
) -> None:
    graph = Tumor(**inputs, search=_search())
    found = graph(cache_root=tmp_path, worker="debug")
    t2w, gd_t1w = load(inputs["t2w"]), load(inputs["gd_t1w"])
    model = load_model(home / "tumor.safetensors")
    soft = map_tumors(Contrasts(t2w, gd_t1w), model, tube_around(line, t2w))
    masks = call_tumors(soft, t2w.voxel_volume, RULE)
    table = read_table(Path(found.table)).set_index("structure")
    for name, mask in masks.items():
        np.testing.assert_allclose(
            load(Path(getattr(found, f"{name}_soft"))).data, getattr(soft, name), atol=1e-5
        )
        theirs = load(Path(getattr(found, name))).data > 0
        assert (theirs != mask).mean() < 1e-3
        assert table.loc[name, "volume_mm3"] == pytest.approx(theirs.sum() * t2w.voxel_volume)
    assert masks.abnormality.any()
    assert not found.warnings
    assert found.seen == ["T2w", "Gd-T1w"]


def test_the_cascade_crops_around_what_the_first_network_finds(
    inputs: dict[str, Any], home: Path, line: Centerline, tmp_path: Path
) -> None:
    """Warnings of the search and of the first network come together."""
    lacking = {**inputs, "gd_t1w": None}
    found = Tumor(**lacking, search=_search("cascade"))(cache_root=tmp_path, worker="debug")
    t2w = load(inputs["t2w"])
    tube, warnings = cascade_tube(t2w, line, load_model(home / "tumor_cord.safetensors"))
    model = load_model(home / "tumor.safetensors")
    soft = map_tumors(Contrasts(t2w, None), model, tube)
    np.testing.assert_allclose(load(Path(found.tumor_soft)).data, soft.tumor, atol=1e-5)
    assert found.seen == ["T2w"]
    assert len(found.warnings) == 1 + len(warnings)
    assert "searched for in T2w alone" in found.warnings[0]
    assert found.warnings[1:] == warnings


def test_without_t2w_the_centerline_is_cropped_around(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    graph = Tumor(**{**inputs, "t2w": None}, search=_search("cascade", t2w=None))
    found = graph(cache_root=tmp_path, worker="debug")
    table = read_table(Path(found.table)).set_index("structure")
    assert table["enhancement_ratio"].notna().any()
    assert not found.warnings  # there is none in the session
    with pytest.raises(InputError, match="got neither"):
        Tumor(**{**inputs, "t2w": None, "gd_t1w": None}, search=_search())(
            cache_root=tmp_path, worker="debug"
        )


@pytest.mark.parametrize(("lost", "other"), [("gd_t1w", "T2w"), ("t2w", "Gd-T1w")])
def test_a_contrast_that_failed_on_its_way_is_done_without_and_named(
    inputs: dict[str, Any], lost: str, other: str, tmp_path: Path
) -> None:
    found = Tumor(**{**inputs, lost: None}, search=_search())(cache_root=tmp_path, worker="debug")
    assert found.seen == [other]
    (warning,) = found.warnings
    assert f"searched for in {other} alone" in warning
    assert load(Path(found.tumor_soft)).data.any()


def test_a_failed_registration_spares_the_search() -> None:
    """What the engine reads: the stage goes on without either contrast."""

    @workflow.define(outputs=["table"])
    def session(image: NiftiGz, networks: TumorWeights) -> File:
        moved = workflow.add(_fails(image=image), name="coregister_T1w")
        found = workflow.add(
            Tumor(
                t2w=image,
                gd_t1w=moved.out,
                cord=image,
                centerline=File.mock("line.tsv"),
                levels=None,
                networks=networks,
                search=_search(),
            ),
            name="tumor",
        )
        return found.table

    weight = WeightFile(File.mock("w"), File.mock("c"))
    task = session(image=NiftiGz.mock("x.nii.gz"), networks=TumorWeights(weight))
    (stage,) = (stage for stage in stages_of(task) if stage.name == "tumor")
    assert stage.spared == {"coregister_T1w"}
    assert not stage.upstream
    assert stage.resolved({}).gd_t1w is None
