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

from spinalprep.errors import UsageError
from spinalprep.image import load, save
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import load_model, save_model
from spinalprep.phantom.anatomy import make_person, truth_cord
from spinalprep.phantom.images import render
from spinalprep.tools.main import main
from spinalprep.training import finetune as module
from spinalprep.training import recipes, train
from spinalprep.training.finetune import adapting_recipe, finetune
from spinalprep.training.material.dataset import LabelledDataset, user_dataset
from spinalprep.training.material.people import Kind
from spinalprep.training.material.slices import Slices, Usual, gather_slices
from spinalprep.training.material.volume import LabelledVolume
from spinalprep.training.options import RunOptions
from spinalprep.training.tasks import slices as task_module
from spinalprep.training.tasks.slices import SliceRecipe, SliceTask

SEEDS = {"a": 100_020, "b": 100_021, "c": 100_022, "d": 100_023}
AFFINE = np.array([[-0.8, 0, 0, 24], [0, 0.8, 0, -20], [0, 0, 8, -8], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four synthetic subjects with drawn cords, and weights that know nothing."""
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


def digital(_: int = 1) -> Iterator[LabelledVolume]:
    """One small synthetic subject."""
    person = make_person(1)
    image = render(person, "T1w", ((60, 60, 2), AFFINE), 1, noise=0.01)
    cord = image.with_data(truth_cord(person, image))
    gm = image.with_data(cord.data * 0)
    yield LabelledVolume("phantom", image, cord, gm, kind=Kind.DIGITAL, lesion_free=True)


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches, and one small synthetic subject beside the dataset."""
    find = recipes.find_recipe

    def small(name: str) -> Any:
        recipe = find(name)
        return replace(recipe, batch=4, bfloat16=False) if name == "cord" else recipe

    for user in (module, recipes):
        monkeypatch.setattr(user, "find_recipe", small)
    monkeypatch.setattr(module, "VALIDATION_BATCHES", 2)
    monkeypatch.setattr(task_module, "digital_volumes", digital)
    monkeypatch.setattr(task_module, "measured_temperature", lambda _: {"temperature": 0.6})


@pytest.fixture
def dataset(home: Path) -> LabelledDataset:
    return user_dataset(home / "bids")


def drawn(spacing_mm: float, size: int, centred: bool, usual: Usual | None = None) -> Slices:
    """Slices of a person, of whom nobody knows about lesions, and of a digital one."""
    one = next(digital())
    person = replace(one, person="own", kind=Kind.PERSON, lesion_free=False)
    return gather_slices([person, one], spacing_mm, size, centred, usual)


@pytest.mark.slow
def test_it_learns_from_some_stops_by_others_and_leaves_the_rest(
    home: Path, dataset: LabelledDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 8)
    options = RunOptions(steps=24, leave_out=("d",), validate=("c",), patience=6)
    start = str(home / "start.safetensors")
    path = finetune(start, dataset, home / "out", options, rate=5e-3, freeze=1)
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


@pytest.mark.slow
def test_it_trains_in_the_layout_of_training(
    home: Path, dataset: LabelledDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts, fit = [], train.fit

    def spy(network: torch.nn.Module, *rest: Any, **more: Any) -> Any:
        layouts.append(network.down[1][0].weight.is_contiguous())
        return fit(network, *rest, **more)

    monkeypatch.setattr(train, "fit", spy)
    options = RunOptions(steps=2, validate=("c",))
    finetune(str(home / "start.safetensors"), dataset, home / "layout", options, rate=1e-3)
    assert layouts
    assert all(layouts)


@pytest.mark.slow
def test_weights_that_nothing_makes_better_stay_as_they_are(
    home: Path, dataset: LabelledDataset
) -> None:
    options = RunOptions(steps=4, validate=("c",))
    start = home / "start.safetensors"
    path = finetune(str(start), dataset, home / "same", options, rate=1e-12)
    assert json.loads(path.with_suffix(".json").read_text())["steps"] == 0
    before, after = load_file(start), load_file(path)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_lesions_that_nobody_drew_are_not_taught_as_none() -> None:
    recipe = recipes.find_recipe("cord")
    assert isinstance(recipe, SliceRecipe)
    material = drawn(0.5, 176, True)
    batch = SliceTask(replace(recipe, template_share=0.0)).draw(material, 0, 0)
    assert batch.weight[:, :, 0, 0].tolist() == [[1, 1, 0]] * 4
    batch = SliceTask(replace(recipe, template_share=1.0)).draw(material, 0, 0)
    assert batch.weight[:, 2].min() == 1


def test_lesions_that_somebody_drew_are_learned(home: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    for name in ("a", "b"):
        place = Path(f"sub-{name}") / "anat" / f"sub-{name}_T2w_seg-manual.nii.gz"
        cord = load(home / "bids" / "derivatives" / "labels" / place)
        folder = (labels / place).parent
        folder.mkdir(parents=True)
        save(cord, folder / place.name)
        lesion = cord.with_data(cord.data * (name == "a"))
        save(lesion, folder / f"sub-{name}_T2w_lesion-manual.nii.gz")  # an empty one says none
    recipe = adapting_recipe(load_model("cord"))
    material = SliceTask(recipe).read(user_dataset(home / "bids", labels))
    assert material.people == ("a", "b")
    assert material.has_lesion.all()
    assert set(material.person[material.lesion.any(axis=(1, 2))].tolist()) == {"a"}
    batch = SliceTask(replace(recipe, template_share=0.0)).draw(material.only(("a",)), 0, 0)
    assert (batch.weight[:, 2] == 1).all()
    assert batch.truth[:, 2].max() > 0.9


@pytest.mark.parametrize(
    ("options", "freeze", "told"),
    [
        (RunOptions(leave_out=("x",)), 0, "unknown subjects x"),
        (RunOptions(leave_out=("a", "b", "c")), 0, "no subjects left|at least two"),
        (RunOptions(validate=("a", "b", "c", "d")), 0, "no subjects left for training"),
        (RunOptions(), 9, "expected 0 to 4 blocks"),
    ],
)
def test_what_can_t_be_done_is_said(
    home: Path, tmp_path: Path, options: RunOptions, freeze: int, told: str
) -> None:
    start, dataset = str(home / "start.safetensors"), user_dataset(home / "bids")
    with pytest.raises(UsageError, match=told):
        finetune(start, dataset, tmp_path, options, freeze=freeze)


def test_three_dimensions_can_t_be_adapted(tmp_path: Path) -> None:
    card = {"task": "cord", "preset": "cord_unet3d", "depth": 48, "name": "cord3d"}
    save_model(PRESETS["cord_unet3d"](), tmp_path / "cord3d.safetensors", card)
    with pytest.raises(UsageError, match="'cord' in three dimensions cannot be adapted"):
        adapting_recipe(load_model(tmp_path / "cord3d.safetensors"))


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
    assert card["data"]["people"] == ["a", "d"]
    assert set(card["data"]["slices"]) == {"person", "digital"}
    assert card["data"]["left_out"] == ["b"]
    assert "user's own" in card["data"]["sources"]
    assert main(["train", "cord", "--bids", str(home / "none"), "-o", str(tmp_path)]) == 2


@pytest.mark.parametrize(("name", "channels"), [("centerline", 1), ("cord", 3), ("gm", 3)])
def test_every_packaged_network_can_be_adapted(name: str, channels: int) -> None:
    recipe = adapting_recipe(load_model(name))
    median_mm = recipe.beside.median_mm
    usual = Usual(median_mm, labelled=True) if median_mm else None
    everybody = drawn(recipe.spacing_mm, recipe.material_size, recipe.centred, usual)
    batch = SliceTask(replace(recipe, batch=2)).draw(everybody, 0, 0)
    size = recipe.ranges.size
    assert batch.image.shape == (2, recipe.beside.channels, size, size)
    assert batch.truth.shape == (2, channels, size, size)
    with torch.no_grad():
        assert load_model(name).network(batch.image).shape == batch.truth.shape
