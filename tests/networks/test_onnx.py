"""ONNX says what torch says, and runs only where an .onnx file is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.trace import trace_centerline
from spinalprep.errors import ModelError
from spinalprep.networks.cards import packaged_names, packaged_weights, read_card
from spinalprep.networks.onnx import save_onnx
from spinalprep.networks.predict import find_heat, segment
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import Model, load_model, save_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.tools.main import main


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    home = tmp_path_factory.mktemp("onnx")
    for name in packaged_names():
        assert main(["models", "export", name, "-o", str(home / f"{name}.onnx")]) == 0
    return {name: load_model(home / f"{name}.onnx") for name in packaged_names()}


@pytest.mark.parametrize("shape", [(1, 1, 112, 112), (3, 1, 50, 67), (2, 1, 131, 200)])
def test_probabilities_are_those_of_torch_at_any_size(
    exported: dict[str, Model], shape: tuple[int, ...]
) -> None:
    draw = torch.Generator().manual_seed(0)
    for model in map(load_model, packaged_names()):
        if "patch" in model.card:
            continue  # three dimensions: the next test
        name = model.card["name"]
        image = torch.rand((shape[0], model.card["channels"], *shape[2:]), generator=draw)
        with torch.no_grad():
            ours, theirs = (m.network(image) for m in (model, exported[name]))
        assert ours.shape == theirs.shape
        near = 8e-5 if name == "lumbar" else 2e-5  # three times as many layers one after the other
        assert float((torch.sigmoid(ours) - torch.sigmoid(theirs)).abs().max()) < near


@pytest.mark.parametrize("shape", [(32, 24, 16), (25, 37, 9)])
def test_tumor_networks_say_the_same_in_three_dimensions(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    for name, channels in (("tumor_cord", 1), ("tumor", 2)):
        torch.manual_seed(0)
        card = {"preset": f"{name}_unet", "channels": channels, "patch": [64, 40, 16]}
        network = PRESETS[card["preset"]]()
        model = load_model(save_model(network, tmp_path / f"{name}.safetensors", card))
        exported = load_model(save_onnx(model.network, tmp_path / f"{name}.onnx", model.card))
        image = torch.randn((1, channels, *shape))
        with torch.no_grad():
            ours, theirs = (m.network(image) for m in (model, exported))
        assert ours.shape == theirs.shape == (1, 1 if channels == 1 else 4, *shape)
        assert float((torch.sigmoid(ours) - torch.sigmoid(theirs)).abs().max()) < 1e-4


def test_masks_of_a_phantom_are_those_of_torch(exported: dict[str, Model]) -> None:
    affine = np.diag([-0.7, 0.7, 4.0, 1.0])
    affine[:3, 3] = [24, -20, -12]
    image = render(make_person(100_003), "T2w", ((70, 70, 7), affine), 100_003, noise=0.01)
    found = []
    for models in ({name: load_model(name) for name in packaged_names()}, exported):
        trace = trace_centerline(find_heat(image, models["centerline"]))
        line = fit_centerline(trace.points, trace.confidence)
        found.append(segment(image, line, models["cord"]))
    ours, theirs = found
    assert (ours.cord > 0.5).sum() > 100
    for name in ("cord", "gm", "lesion", "sd"):
        assert np.abs(getattr(ours, name) - getattr(theirs, name)).max() < 1e-4
    assert ((ours.cord > 0.5) != (theirs.cord > 0.5)).sum() <= 1


def test_the_card_says_where_it_comes_from_and_damage_is_seen(
    exported: dict[str, Model], tmp_path: Path
) -> None:
    card = exported["cord"].card
    assert card["exported_from_sha256"] == read_card(packaged_weights("cord"))["sha256"]
    assert card["data"] == read_card(packaged_weights("cord"))["data"]
    path = save_onnx(load_model("cord").network, tmp_path / "x.onnx", card)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="sha256"):
        load_model(path)


def test_onnx_is_not_exported_again(exported: dict[str, Model], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="in ONNX already"):
        save_onnx(exported["cord"].network, tmp_path / "x.onnx", {})


def test_without_the_packages_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("spinalprep.networks.onnx.find_spec", lambda _: None)
    assert main(["models", "export", "cord", "-o", str(tmp_path / "cord.onnx")]) == 6
    with pytest.raises(ModelError, match="pip install onnx onnxruntime"):
        save_onnx(torch.nn.Identity(), tmp_path / "cord.onnx", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["export"], ["export", "cord"], ["export", "cord", "-o", "cord.pt"]]
)
def test_an_export_without_a_target_is_refused(words: list[str]) -> None:
    assert main(["models", *words]) == 2
