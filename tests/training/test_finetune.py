"""Adapting weights to one's own labels: who is touched, what is kept, what the card says."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from spinalprep.app.tools import main
from spinalprep.errors import UsageError
from spinalprep.image import save
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import load_model, save_model
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.images import render
from spinalprep.training import finetune as module
from spinalprep.training import train
from spinalprep.training.finetune import Tuning, finetune
from spinalprep.training.material import labelled as own
from spinalprep.training.material.slices import Labelled, Slices, gather_slices
from spinalprep.training.recipe import RECIPES

SEEDS = {"a": 100_020, "b": 100_021, "c": 100_022, "d": 100_023}
AFFINE = np.array([[-0.8, 0, 0, 24], [0, 0.8, 0, -20], [0, 0, 8, -8], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four digital people with drawn cords, and weights that know nothing."""
    home = tmp_path_factory.mktemp("finetune")
    for name, seed in SEEDS.items():
        person = make_person(seed)
        image = render(person, "T2w", ((60, 60, 3), AFFINE), seed, noise=0.01)
        place = Path(f"sub-{name}") / "anat"
        for folder in (home / "bids", home / "bids" / "derivatives" / "labels"):
            (folder / place).mkdir(parents=True)
        save(image, home / "bids" / place / f"sub-{name}_T2w.nii.gz")
        label = image.with_data(truth_cord(person, image))
        target = home / "bids" / "derivatives" / "labels" / place
        save(label, target / f"sub-{name}_T2w_seg-manual.nii.gz")
    torch.manual_seed(0)
    card = {"task": "cord", "preset": "cord_unet", "window": 48, "name": "cord", "version": "1"}
    card |= {"data": {"people": ["z"]}, "figures": {"Dice": 0.9}, "recipe": "", "limits": "few"}
    save_model(PRESETS["cord_unet"](), home / "start.safetensors", card)
    return home


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches, and one small digital person beside the dataset."""

    def digital() -> Iterator[Labelled]:
        person = make_person(1)
        image = render(person, "T1w", ((60, 60, 2), AFFINE), 1, noise=0.01)
        cord = image.with_data(truth_cord(person, image))
        yield Labelled(own.DIGITAL, image, cord, image.with_data(cord.data * 0))

    monkeypatch.setattr(own, "digital_people", digital)
    monkeypatch.setattr(module, "LOOKED_AT", 2)
    for user in (module, train):
        monkeypatch.setattr(user, "measured_temperature", lambda _: {"temperature": 0.6})
    monkeypatch.setitem(RECIPES, "cord", replace(RECIPES["cord"], batch=4, bfloat16=False))


def drawn(spacing_mm: float, size: int, centred: bool) -> Slices:
    """Slices of a person who is not digital, as far as the package can know."""
    slices = gather_slices(own.digital_people(), spacing_mm, size, centred)
    return replace(slices, person=np.full_like(slices.person, "own"))


@pytest.mark.slow
def test_it_learns_from_some_stops_by_others_and_leaves_the_rest(home: Path) -> None:
    tuning = Tuning(steps=24, rate=5e-3, look_every=8, leave_out=("d",), validate=("c",), freeze=1)
    start = str(home / "start.safetensors")
    path = finetune(start, home / "bids", home / "out", tuning)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["data"]["people"] == ["a", "b", "c", "z"]
    assert card["data"]["added"] == ["a", "b"]
    assert card["data"]["stopped_by"] == ["c"]
    assert card["data"]["left_out"] == ["d"]
    assert card["started_from"]["version"] == "1"
    assert "Dice" not in card["figures"]  # what was measured before is not true of these weights
    assert card["steps"] > 0  # the people who tell when to stop saw a gain
    before, after = load_file(start), load_file(path)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("down.0.")} <= same
    assert not any(name.startswith(("down.1.", "up.", "head.")) for name in same)
    assert load_model(path).card["window"] == 48


def test_it_trains_in_the_layout_of_training(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts, fit = [], module.fit

    def spy(network: torch.nn.Module, *rest: Any, **more: Any) -> Any:
        layouts.append(network.down[1][0].weight.is_contiguous())
        return fit(network, *rest, **more)

    monkeypatch.setattr(module, "fit", spy)
    tuning = Tuning(steps=2, rate=1e-3, look_every=2, validate=("c",))
    finetune(str(home / "start.safetensors"), home / "bids", home / "layout", tuning)
    assert layouts
    assert all(layouts)


def test_weights_that_nothing_makes_better_stay_as_they_are(home: Path) -> None:
    tuning = Tuning(steps=4, rate=1e-12, look_every=2, validate=("c",))
    start = home / "start.safetensors"
    path = finetune(str(start), home / "bids", home / "same", tuning)
    assert json.loads(path.with_suffix(".json").read_text())["steps"] == 0
    before, after = load_file(start), load_file(path)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_lesions_that_nobody_drew_are_not_taught_as_none() -> None:
    recipe = RECIPES["cord"]
    people = drawn(0.5, 176, True)
    batch = own.draw_own(replace(recipe, template_share=0.0), people, 0, 0)
    assert batch.weight[:, :, 0, 0].tolist() == [[1, 1, 0]] * 4
    everybody = own.with_digital(people, recipe)
    batch = own.draw_own(replace(recipe, template_share=1.0), everybody, 0, 0)
    assert batch.weight[:, 2].min() == 1


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        (Tuning(leave_out=("x",)), "nobody with labels is called x"),
        (Tuning(leave_out=("a", "b", "c")), "at least two people"),
        (Tuning(validate=("a", "b", "c", "d")), "nobody is left to train on"),
        (Tuning(freeze=9), "expected 0 to 4 blocks"),
    ],
)
def test_what_can_t_be_done_is_said(home: Path, tmp_path: Path, tuning: Tuning, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        finetune(str(home / "start.safetensors"), home / "bids", tmp_path, tuning)


def test_the_command(home: Path, tmp_path: Path) -> None:
    words = ["finetune", str(home / "start.safetensors"), str(home / "bids"), "-o", str(tmp_path)]
    more = ["--steps", "2", "--leave-out", "d,c", "--validate", "sub-b", "--threads", "1"]
    before = torch.get_num_threads()
    try:
        assert main([*words, *more]) == 0
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "cord.safetensors").is_file()
    assert main(["finetune", "cord", str(home / "none"), "-o", str(tmp_path)]) == 2


@pytest.mark.slow
def test_a_network_can_be_trained_on_one_s_own_people_alone(home: Path, tmp_path: Path) -> None:
    words = ["train", "cord", "--bids", str(home / "bids"), "-o", str(tmp_path), "--threads", "1"]
    more = ["--steps", "2", "--fold", "2/4", "--same-person", "c=a"]
    before = torch.get_num_threads()
    try:
        assert main([*words, *more]) == 2  # three people, four folds
        assert main([*words, "--steps", "2", "--fold", "2/3", "--same-person", "c=a"]) == 0
    finally:
        torch.set_num_threads(before)
    card = json.loads((tmp_path / "cord.json").read_text())
    assert card["data"]["people"] == ["a", "d", "phantom"]
    assert card["data"]["left_out"] == ["b"]
    assert "user's own" in card["data"]["sources"]
    assert main(["train", "cord", "--bids", str(home / "none"), "-o", str(tmp_path)]) == 2


@pytest.mark.parametrize(("name", "channels"), [("centerline", 1), ("cord", 3), ("gm", 3)])
def test_every_packaged_network_can_be_adapted(name: str, channels: int) -> None:
    recipe = module._recipe_of(load_model(name))
    people = drawn(recipe.spacing_mm, recipe.material_size, recipe.centred)
    everybody = own.with_digital(people, recipe)
    batch = own.draw_own(replace(recipe, batch=2), everybody, 0, 0)
    size = recipe.ranges.size
    assert batch.image.shape == (2, 1, size, size)
    assert batch.truth.shape == (2, channels, size, size)
    with torch.no_grad():
        assert load_model(name).network(batch.image).shape == batch.truth.shape
