"""A new kind of network is one task and one recipe: the driver, folds and cards are there."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import Model, load_model
from spinalprep.training.fitting.losses import Objective, find_loss
from spinalprep.training.material.dataset import LabelledDataset, Participant
from spinalprep.training.material.people import Kind, Material, Owner
from spinalprep.training.options import RunOptions
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.task import Recipe, TrainingTask
from spinalprep.training.tasks import TASKS
from spinalprep.training.train import train


class TwoScales(nn.Module):
    """A network with deep supervision: logits at full and at half resolution while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv3d(1, 4, 3, padding=1)
        self.full, self.coarse = nn.Conv3d(4, 2, 1), nn.Conv3d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        features = functional.relu(self.features(image))
        full: Tensor = self.full(features)
        return [full, self.coarse(functional.avg_pool3d(features, 2))] if self.training else full


@dataclass(frozen=True)
class Balls(Material):
    """Bright balls of several people."""

    people_of_balls: tuple[str, ...]

    def owners(self) -> list[Owner]:
        return [Owner(name, Kind.PERSON) for name in self.people_of_balls]

    def take(self, kept: NDArray[np.intp]) -> "Balls":
        return Balls(tuple(self.people_of_balls[n] for n in kept))


@dataclass(frozen=True, kw_only=True)
class BallRecipe(Recipe):
    """What else decides such a training."""

    radius: float
    classes: tuple[str, ...]


class BallTask(TrainingTask[BallRecipe, Balls]):
    """Two classes, a loss of both scales, and a figure on the card."""

    recipe_type = BallRecipe
    pieces = "balls"

    def read(self, dataset: LabelledDataset) -> Balls:
        return Balls(tuple(sorted(dataset.participants)))

    def draw(self, material: Balls, seed: int, step: int) -> Batch:
        draw = torch.Generator().manual_seed(1000 * seed + step % 1000)
        count = min(self.recipe.batch, len(material))
        axis = torch.arange(8.0)
        i, j, k = torch.meshgrid(axis, axis, axis, indexing="ij")
        middle = 2 + 4 * torch.rand((count, 3, 1, 1, 1), generator=draw)
        apart = ((torch.stack([i, j, k]) - middle) ** 2).sum(dim=1, keepdim=True)
        ball = (apart <= self.recipe.radius**2).float()
        image = ball + 0.2 * torch.randn(ball.shape, generator=draw)
        return Batch(image, torch.cat([ball, 1 - ball], dim=1), torch.ones(count, 2, 1, 1, 1))

    def objective(self) -> Objective:
        loss = find_loss(self.recipe.loss)

        def deep(given: Tensor | list[Tensor], truth: Tensor, weight: Tensor) -> Tensor:
            scales = given if isinstance(given, list) else [given]
            truths = [functional.adaptive_avg_pool3d(truth, one.shape[2:]) for one in scales]
            parts = [
                loss(one, share, weight) / 2**n
                for n, (one, share) in enumerate(zip(scales, truths, strict=True))
            ]
            return torch.stack(parts).sum()

        return deep

    def describe(self) -> dict[str, Any]:
        return {"spacing": [1.0] * 3, "channels": 1, "classes": list(self.recipe.classes)}

    def figures(self, trained: Model, material: Balls, seed: int) -> dict[str, Any]:
        batch = self.draw(material, seed, 999)
        with torch.no_grad():
            found = trained.network(batch.image) > 0
        agree = float((found == (batch.truth > 0.5)).float().mean())
        return {"figures": {"agreement": round(agree, 3)}}


RECIPE = """
task = "balls"
role = "tumour"
preset = "two_scales"
radius = 2.5
classes = ["ball", "rest"]
steps = 150
batch = 4
rate = 0.05
loss = "dice + cross_entropy"
schedule = "triangular"
lowest = 1e-4
cycle = 50
bfloat16 = false
validation_batches = 2
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PRESETS, "two_scales", TwoScales)
    monkeypatch.setitem(TASKS, "balls", BallTask)
    path = tmp_path / "tumour.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.mark.slow
def test_folds_of_a_network_with_deep_supervision(recipe: str, tmp_path: Path) -> None:
    dataset = own(("a", "b", "c", "d"))
    votes = []
    for k in (1, 2):
        options = RunOptions(fold=(k, 2), seed=k)
        path = train(recipe, dataset, tmp_path / str(k), options)
        card = json.loads(path.with_suffix(".json").read_text())
        assert card["data"]["left_out"] == [["a", "c"], ["b", "d"]][k - 1]
        assert (card["task"], card["classes"], card["steps"]) == ("tumour", ["ball", "rest"], 150)
        assert card["recipe"]["radius"] == 2.5
        assert card["figures"]["agreement"] > 0.97
        votes.append(load_model(path).network)
    batch = task_of(find_recipe(recipe)).draw(Balls(("e", "f")), 9, 5)
    with torch.no_grad():
        ensemble = torch.stack([network(batch.image).sigmoid() for network in votes]).mean(dim=0)
    assert float(((ensemble > 0.5) == (batch.truth > 0.5)).float().mean()) > 0.97


@pytest.mark.slow
def test_it_stops_early_and_is_resumed_as_any_other(recipe: str, tmp_path: Path) -> None:
    dataset = own(("a", "b"))
    path = train(recipe, dataset, tmp_path / "out", RunOptions(validate=("b",)))
    before = path.read_bytes()
    assert train(recipe, dataset, tmp_path / "out", RunOptions(validate=("b",))) == path
    assert path.read_bytes() == before  # its checkpoint was at the end


def own(people: tuple[str, ...]) -> LabelledDataset:
    return LabelledDataset(Path("nowhere"), participants=dict.fromkeys(people, Participant()))
