"""From a recipe and people to weights with a card: who is trained on, and who is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinalprep.errors import UsageError
from spinalprep.networks.weights import load_model
from spinalprep.training import train as module
from spinalprep.training.material.slices import Slices
from spinalprep.training.recipe import RECIPES
from spinalprep.training.train import Choice, draw_batch, find_rates, train


@pytest.fixture(scope="module")
def material() -> Slices:
    """Cords of four people and the template, two slices each; one person has grey matter alone."""
    a, b = np.mgrid[:64, :64]
    cord = (((a - 32) / 9) ** 2 + ((b - 32) / 6) ** 2 <= 1).astype(np.float32)
    fluid = ((a - 32) / 14) ** 2 + ((b - 32) / 11) ** 2 <= 1
    image = np.where(cord > 0, 0.5, np.where(fluid, 1.0, 0.2)).astype(np.float32)
    clusters = np.where(cord > 0, 5, np.where(fluid, 10, 2)).astype(np.uint8)
    person = np.repeat(["a", "b", "c", "gm", "PAM50"], 2)
    drawn = person != "gm"
    n = len(person)
    return Slices(
        np.stack([image] * n),
        np.stack([clusters] * n),
        np.stack([cord * known for known in drawn]),
        np.zeros((n, 64, 64), np.float32),
        np.zeros((n, 64, 64), np.float32),
        np.ones(n, bool),
        drawn,
        np.zeros(n, bool),
        np.full((n, 2), 32, np.float32),
        person,
        np.zeros((n, 0, 0), np.float32),
    )


@pytest.fixture(autouse=True)
def light(material: Slices, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(RECIPES["cord"], batch=4, steps=3, bfloat16=False)
    small = replace(small, ranges=replace(small.ranges, size=32, shift=4.0))
    monkeypatch.setitem(RECIPES, "cord", small)
    monkeypatch.setattr(module, "read_slices", lambda *_: material)
    monkeypatch.setattr(module, "LOOKED_AT", 1)
    monkeypatch.setattr(module, "measured_temperature", lambda _: {"temperature": 0.6})


def card_of(path: Path) -> dict[str, dict[str, object]]:
    card: dict[str, dict[str, object]] = json.loads(path.with_suffix(".json").read_text())
    return card


def test_people_left_out_are_named_and_not_trained_on(tmp_path: Path) -> None:
    choice = Choice(leave_out=("a",), validate=("b",), seed=7)
    path = train("cord", tmp_path, Path("nowhere"), choice)
    card = card_of(path)
    assert card["data"]["people"] == ["PAM50", "c", "gm"]
    assert (card["data"]["left_out"], card["data"]["stopped_by"]) == (["a"], ["b"])
    assert card["seed"] == 7
    assert (load_model(path).card["window"], load_model(path).card["temperature"]) == (32, 0.6)
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    curve = pd.read_csv(tmp_path / "loss.csv")
    assert curve["validation_loss"].notna().all()
    with pytest.raises(UsageError, match="belongs to another training"):
        train("cord", tmp_path, Path("nowhere"), replace(choice, seed=8))


def test_a_recipe_of_one_s_own_makes_a_network_that_can_be_used(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('based_on = "cord"\nsteps = 2\nloss = "generalised_dice"\n')
    path = train(str(mine), tmp_path / "out", Path("nowhere"), Choice(leave_out=("a",)))
    assert path.name == "mine.safetensors"
    card = load_model(path).card
    assert (card["name"], card["task"], card["temperature"]) == ("mine", "cord", 0.6)


def test_folds_hold_those_whose_cord_was_drawn(tmp_path: Path) -> None:
    left = []
    for k in (1, 2, 3):
        choice = Choice(fold=(k, 3), steps=1)
        left += card_of(train("cord", tmp_path / str(k), Path("nowhere"), choice))["data"][
            "left_out"
        ]
    assert left == ["a", "b", "c"]


def test_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody here is called x"):
        train("cord", tmp_path, Path("nowhere"), Choice(validate=("x",)))


def test_a_step_is_the_same_again_and_another_seed_is_not(material: Slices) -> None:
    recipe = RECIPES["cord"]
    first, again, other = (draw_batch(recipe, material, seed, 5).image for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all()


@pytest.mark.slow
def test_a_range_test_writes_its_curve(tmp_path: Path) -> None:
    lowest, peak = find_rates("cord", tmp_path, Path("nowhere"), Choice(steps=60))
    assert 1e-6 <= lowest <= peak <= 1.0
    table = pd.read_csv(tmp_path / "range_test.csv")
    assert table["rate"].is_monotonic_increasing
    assert len(table) == 60
    assert (tmp_path / "range_test.png").read_bytes().startswith(b"\x89PNG")
