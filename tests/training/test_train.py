"""From a recipe and people to weights with a card: who is trained on, and who is not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinalprep.errors import UsageError
from spinalprep.networks.weights import load_model
from spinalprep.training.material.dataset import LabelledDataset
from spinalprep.training.material.slices import Slices
from spinalprep.training.options import RunOptions
from spinalprep.training.recipes import find_recipe
from spinalprep.training.tasks import slices as module
from spinalprep.training.tasks.slices import SliceRecipe, SliceTask
from spinalprep.training.train import find_rates, train

DATASET = LabelledDataset(Path("nowhere"), name="four people")


@pytest.fixture(scope="module")
def material() -> Slices:
    """Cords of four people and a template, two slices each; one person has gray matter alone."""
    a, b = np.mgrid[:64, :64]
    cord = (((a - 32) / 9) ** 2 + ((b - 32) / 6) ** 2 <= 1).astype(np.float32)
    fluid = ((a - 32) / 14) ** 2 + ((b - 32) / 11) ** 2 <= 1
    image = np.where(cord > 0, 0.5, np.where(fluid, 1.0, 0.2)).astype(np.float32)
    clusters = np.where(cord > 0, 5, np.where(fluid, 10, 2)).astype(np.uint8)
    person = np.repeat(["a", "b", "c", "gm", "PAM50"], 2)
    drawn = person != "gm"
    n = len(person)
    return Slices(
        image=np.stack([image] * n),
        clusters=np.stack([clusters] * n),
        cord=np.stack([cord * known for known in drawn]),
        gm=np.zeros((n, 64, 64), np.float32),
        lesion=np.zeros((n, 64, 64), np.float32),
        has_gm=np.ones(n, bool),
        has_cord=drawn,
        has_lesion=np.ones(n, bool),
        centre=np.full((n, 2), 32, np.float32),
        person=person,
        kind=np.repeat(["person", "template"], [8, 2]),
        loose_masks=np.zeros(n, bool),
        usual=np.zeros((n, 0, 0), np.float32),
        usual_clusters=np.zeros((n, 0, 0), np.uint8),
        usual_cord=np.zeros((n, 0, 0), np.float32),
        usual_gm=np.zeros((n, 0, 0), np.float32),
        volume=np.repeat(np.arange(n // 2), 2),
        height_mm=np.tile(np.array([0.0, 5.0], np.float32), n // 2),
    )


@pytest.fixture
def recipe() -> SliceRecipe:
    cord = find_recipe("cord")
    assert isinstance(cord, SliceRecipe)
    ranges = replace(cord.ranges, size=32, shift=4.0)
    return replace(cord, batch=4, steps=3, bfloat16=False, validation_batches=1, ranges=ranges)


@pytest.fixture(autouse=True)
def light(material: Slices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SliceTask, "read", lambda *_: material)
    monkeypatch.setattr(module, "measured_temperature", lambda _: {"temperature": 0.6})


def card_of(path: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return card


def test_people_left_out_are_named_and_not_trained_on(recipe: SliceRecipe, tmp_path: Path) -> None:
    options = RunOptions(leave_out=("a",), validate=("b",), seed=7)
    path = train(recipe, DATASET, tmp_path, options)
    card = card_of(path)
    assert card["data"]["people"] == ["c", "gm"]
    assert card["data"]["slices"] == {"person": 4, "template": 2}
    assert card["data"]["datasets"] == ["four people"]
    assert (card["data"]["left_out"], card["data"]["stopped_by"]) == (["a"], ["b"])
    assert card["seed"] == 7
    assert card["recipe"]["ranges"]["size"] == 32
    assert (load_model(path).card["window"], load_model(path).card["temperature"]) == (32, 0.6)
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    curve = pd.read_csv(tmp_path / "loss.csv")
    assert curve["validation_loss"].notna().all()
    with pytest.raises(UsageError, match="belongs to another training"):
        train(recipe, DATASET, tmp_path, replace(options, seed=8))


def test_a_recipe_of_one_s_own_makes_a_network_that_can_be_used(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'based_on = "cord"\nsteps = 2\nbatch = 4\nloss = "generalised_dice"\n[ranges]\nsize = 32\n'
    )
    path = train(str(mine), DATASET, tmp_path / "out", RunOptions(leave_out=("a",)))
    assert path.name == "mine.safetensors"
    card = load_model(path).card
    assert (card["name"], card["task"], card["temperature"]) == ("mine", "cord", 0.6)


def test_folds_hold_those_whose_cord_was_drawn(recipe: SliceRecipe, tmp_path: Path) -> None:
    left = []
    for k in (1, 2, 3):
        path = train(recipe, DATASET, tmp_path / str(k), RunOptions(fold=(k, 3), steps=1))
        left += card_of(path)["data"]["left_out"]
    assert left == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["x", "PAM50"])  # a template is nobody
def test_a_name_that_nobody_has_is_refused(name: str, recipe: SliceRecipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"unknown subjects {name}; expected one or more of a, b"):
        train(recipe, DATASET, tmp_path, RunOptions(validate=(name,)))


def test_a_step_is_the_same_again_and_another_seed_is_not(
    recipe: SliceRecipe, material: Slices
) -> None:
    task = SliceTask(recipe)
    first, again, other = (task.draw(material, seed, 5).image for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all()


@pytest.mark.slow
def test_a_range_test_writes_its_curve(recipe: SliceRecipe, tmp_path: Path) -> None:
    lowest, peak = find_rates(recipe, DATASET, tmp_path, RunOptions(steps=60))
    assert 1e-6 <= lowest <= peak <= 1.0
    table = pd.read_csv(tmp_path / "range_test.csv")
    assert table["rate"].is_monotonic_increasing
    assert len(table) == 60
    assert (tmp_path / "range_test.png").read_bytes().startswith(b"\x89PNG")
