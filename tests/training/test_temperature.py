"""The temperature of a network: found where it is known, and written where it is read."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.networks.predict import Prediction
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.temperature import sharpen
from spinalprep.networks.weights import Model, load_model, save_model
from spinalprep.tools.main import main
from spinalprep.training.evaluation import temperature as module
from spinalprep.training.evaluation.temperature import fit_temperature, measured_temperature


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Random shares, some of nothing, in place of the synthetic subjects."""
    chance = np.random.default_rng(3)
    share = np.clip(chance.uniform(-0.5, 1.3, (12, 12, 5)), 0, 1).astype(np.float32)

    def people(_: str) -> Iterator[tuple[None, None, np.ndarray]]:
        yield None, None, share

    monkeypatch.setattr(module, "_people", people)
    return share


@pytest.mark.parametrize("task", ["cord", "gm"])
@pytest.mark.parametrize("true", [0.4, 1.0, 1.5])
def test_it_is_found(
    share: np.ndarray, monkeypatch: pytest.MonkeyPatch, task: str, true: float
) -> None:
    def blurred(*given: object) -> Prediction:
        assert isinstance(given[2], Model)
        assert given[2].card["temperature"] == 1.0
        soft, empty = sharpen(share, 1 / true), np.zeros_like(share)
        return Prediction(*((soft, empty) if task == "cord" else (empty, soft)), empty, empty, soft)

    monkeypatch.setattr(module, "segment", blurred)
    model = Model(torch.nn.Identity(), {"task": task, "temperature": 7.0})
    assert fit_temperature(model) == pytest.approx(true, rel=0.01)


def test_a_heat_map_has_none() -> None:
    assert measured_temperature(Model(torch.nn.Identity(), {"task": "centerline"})) == {}


@pytest.mark.slow
def test_the_command_writes_it_into_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PEOPLE", 1)
    torch.manual_seed(0)
    card = {"task": "cord", "preset": "cord_unet", "window": 48, "name": "mine"}
    path = save_model(PRESETS["cord_unet"](), tmp_path / "mine.safetensors", card)
    assert main(["models", "calibrate", str(path)]) == 0
    told = json.loads(path.with_suffix(".json").read_text())
    assert module.LOWEST <= told["temperature"] <= module.HIGHEST
    assert load_model(path).card["name"] == "mine"
    assert main(["models", "calibrate", "cord"]) == 2
