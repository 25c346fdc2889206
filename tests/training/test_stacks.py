"""Training in three dimensions: straight material, random stacks, a network that is used."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.cord.centerline import fit_centerline
from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, grid_points, save
from spinalprep.networks.predict import segment
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.unet3d import UNet3d
from spinalprep.networks.weights import load_model
from spinalprep.training import train as module
from spinalprep.training.material.labelled import Dataset
from spinalprep.training.material.slices import Labelled
from spinalprep.training.material.straightened import Tube, straighten_volumes
from spinalprep.training.options import Choice
from spinalprep.training.synthesis.volumes import StackRanges, make_stacks
from spinalprep.training.tasks import volumes as stacks_module
from spinalprep.training.tasks.volumes import STACK_RECIPES, draw_stacks
from spinalprep.training.train import find_rates, train

RADIUS_MM = 5.0
SMALL = StackRanges(size=32, depth=16)


def neck(slope: float = 0.3) -> tuple[Image, Image]:
    """A leaning dark cord in bright fluid, and the cord."""
    affine = np.diag([-0.8, 0.8, 3.0, 1.0])
    affine[:3, 3] = [24, -24, -18]
    points = grid_points((60, 60, 13), affine)
    x = points[..., 0] - slope * points[..., 2]
    cord = np.hypot(x / np.hypot(1, slope), points[..., 1]) <= RADIUS_MM
    fluid = np.hypot(x, points[..., 1]) <= 8
    image = np.where(cord, 0.4, np.where(fluid, 1.0, 0.2)).astype(np.float32)
    return Image(image, affine), Image(cord.astype(np.float32), affine)


def volumes(*people: str) -> Iterator[Labelled]:
    for person in people:
        image, cord = neck()
        yield Labelled(person, image, cord)


@pytest.fixture(scope="module")
def tubes() -> list[Tube]:
    return straighten_volumes(volumes("a", "b", "phantom"), 0.5, 32.0, lesion_free=True)


def test_a_leaning_cord_is_straight_and_round(tubes: list[Tube]) -> None:
    cord = tubes[0].cord
    assert cord.shape[:2] == (64, 64)
    area_mm2 = cord[:, :, 5:-5].sum(axis=(0, 1)) * 0.25
    np.testing.assert_allclose(area_mm2, np.pi * RADIUS_MM**2, rtol=0.03)
    axis = np.arange(64) - 31.5
    for k in (8, cord.shape[2] // 2, -8):
        middle = cord[:, :, k].sum(axis=1) @ axis, cord[:, :, k].sum(axis=0) @ axis
        assert np.abs(np.array(middle) / cord[:, :, k].sum()).max() < 1.0


def test_what_was_not_drawn_is_passed_over() -> None:
    image, cord = neck()
    with pytest.raises(InputError, match="no volume has a drawn cord"):
        straighten_volumes([Labelled("a", image, gm=cord)], 0.5, 32.0, lesion_free=True)


def test_stacks_are_the_same_again_and_truth_lies_where_it_must(tubes: list[Tube]) -> None:
    unknown = replace(tubes[0], lesion_free=False)
    ranges = replace(SMALL, lesions=1.0)
    first, again = (
        make_stacks([*tubes, unknown], ranges, torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first.image, again.image)
    assert first.image.shape == (4, 1, 32, 32, 16)
    assert 0 <= first.image.min() < first.image.max() <= 1
    cord, gm, lesion = first.truth.unbind(1)
    assert (cord.sum(dim=(1, 2, 3)) > 200).all()
    assert (lesion.sum(dim=(1, 2, 3)) > 5).all()
    assert (lesion <= cord).all()
    assert not gm.any()
    assert first.weight[:, :, 0, 0, 0].tolist() == [[1, 0, 1]] * 3 + [[1, 0, 0]]


def test_the_image_shows_the_cord_where_the_truth_says(tubes: list[Tube]) -> None:
    plain = replace(SMALL, lesions=0.0, recoloured=0.0, noise=0.0, thickest=1.0)
    batch = make_stacks(tubes * 4, plain, torch.Generator().manual_seed(1))
    for image, truth in zip(batch.image[:, 0], batch.truth[:, 0], strict=True):
        inside, outside = image[truth > 0.9], image[truth < 0.1]
        assert inside.std() < outside.std()


@pytest.mark.parametrize("name", list(STACK_RECIPES))
def test_every_recipe_draws_what_its_network_tells(name: str, tubes: list[Tube]) -> None:
    recipe = replace(STACK_RECIPES[name], batch=2)
    batch = draw_stacks(recipe, tubes, 0, 0)
    with torch.no_grad():
        logits = PRESETS[recipe.preset]().eval()(batch.image[:1])
    assert logits.shape == batch.truth[:1].shape
    assert torch.equal(batch.image, draw_stacks(recipe, tubes, 0, 0).image)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    easy = replace(SMALL, recoloured=0.0, noise=0.03)
    tiny = replace(STACK_RECIPES["cord3d"], ranges=easy, batch=2, rate=0.02)
    monkeypatch.setitem(STACK_RECIPES, "cord3d", tiny)
    monkeypatch.setitem(PRESETS, "cord_unet3d", lambda: UNet3d(3, 4, 2))
    monkeypatch.setattr(module, "digital_people", lambda: volumes("phantom"))
    monkeypatch.setattr(stacks_module, "measured_temperature", lambda _: {"temperature": 0.6})
    monkeypatch.setattr(stacks_module, "LOOKED_AT", 1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    home = tmp_path / "bids"
    for name in ("a", "b", "c"):
        image, cord = neck()
        place = Path(f"sub-{name}") / "anat"
        for folder in (home / place, home / "derivatives" / "labels" / place):
            folder.mkdir(parents=True)
        save(image, home / place / f"sub-{name}_T2w.nii.gz")
        target = home / "derivatives" / "labels" / place / f"sub-{name}_T2w_seg-manual.nii.gz"
        save(cord, target)
    return Dataset(home)


@pytest.mark.slow
@pytest.mark.usefixtures("light")
def test_it_is_trained_and_finds_the_cord(dataset: Dataset, tmp_path: Path) -> None:
    choice = Choice(steps=100, fold=(1, 3), validate=("b",), own=dataset)
    path = train("cord3d", tmp_path / "out", Path("nowhere"), choice)
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["data"]["people"], card["data"]["left_out"]) == (["c", "phantom"], ["a"])
    assert (card["depth"], card["temperature"], card["data"]["stopped_by"]) == (16, 0.6, ["b"])
    image, cord = neck(slope=0.2)
    line = fit_centerline(np.array([[0.2 * z, 0.0, z] for z in np.linspace(18, -18, 13)]))
    mask = segment(image, line, load_model(path)).cord >= 0.5
    truth = cord.data > 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8


@pytest.mark.usefixtures("light")
def test_a_name_that_nobody_has_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody here is called x"):
        train("cord3d", tmp_path, Path("nowhere"), Choice(leave_out=("x",), own=dataset))
    with pytest.raises(UsageError, match="recipes of axial slices"):
        find_rates("cord3d", tmp_path, Path("nowhere"))
