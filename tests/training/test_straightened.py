"""Training in three dimensions: straight material, random volumes, a network that is used."""

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
from spinalprep.training.material.dataset import LabelledDataset, user_dataset
from spinalprep.training.material.people import Kind
from spinalprep.training.material.straightened import StraightVolumes, straighten_volumes
from spinalprep.training.material.volume import LabelledVolume
from spinalprep.training.options import RunOptions
from spinalprep.training.packaged import packaged_recipes
from spinalprep.training.recipes import find_recipe
from spinalprep.training.synthesis.volumes import VolumeRanges, make_volumes
from spinalprep.training.tasks import straightened as module
from spinalprep.training.tasks.straightened import StraightenedRecipe, StraightenedTask
from spinalprep.training.train import find_rates, train

RADIUS_MM = 5.0
SMALL = VolumeRanges(size=32, depth=16)


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


def volumes(*people: str, kind: Kind = Kind.PERSON) -> Iterator[LabelledVolume]:
    for person in people:
        image, cord = neck()
        yield LabelledVolume(person, image, cord, kind=kind, lesion_free=True)


@pytest.fixture(scope="module")
def cords() -> StraightVolumes:
    three = [*volumes("a", "b"), *volumes("phantom", kind=Kind.DIGITAL)]
    return straighten_volumes(three, 0.5, 32.0)


def test_a_leaning_cord_is_straight_and_round(cords: StraightVolumes) -> None:
    cord = cords.volumes[0].cord
    assert cord.shape[:2] == (64, 64)
    area_mm2 = cord[:, :, 5:-5].sum(axis=(0, 1)) * 0.25
    np.testing.assert_allclose(area_mm2, np.pi * RADIUS_MM**2, rtol=0.03)
    axis = np.arange(64) - 31.5
    for k in (8, cord.shape[2] // 2, -8):
        middle = cord[:, :, k].sum(axis=1) @ axis, cord[:, :, k].sum(axis=0) @ axis
        assert np.abs(np.array(middle) / cord[:, :, k].sum()).max() < 1.0


def test_what_was_not_drawn_is_passed_over() -> None:
    image, cord = neck()
    with pytest.raises(InputError, match="no volume has a manual cord mask"):
        straighten_volumes([LabelledVolume("a", image, gm=cord)], 0.5, 32.0)


def test_volumes_are_the_same_again_and_truth_lies_where_it_must(cords: StraightVolumes) -> None:
    unknown = replace(cords.volumes[0], lesion_free=False)
    ranges = replace(SMALL, lesions=1.0)
    first, again = (
        make_volumes([*cords.volumes, unknown], ranges, torch.Generator().manual_seed(4))
        for _ in range(2)
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


def test_the_image_shows_the_cord_where_the_truth_says(cords: StraightVolumes) -> None:
    plain = replace(SMALL, lesions=0.0, recoloured=0.0, noise=0.0, thickest=1.0)
    batch = make_volumes([*cords.volumes] * 4, plain, torch.Generator().manual_seed(1))
    for image, truth in zip(batch.image[:, 0], batch.truth[:, 0], strict=True):
        inside, outside = image[truth > 0.9], image[truth < 0.1]
        assert inside.std() < outside.std()


def straightened(name: str) -> StraightenedRecipe:
    recipe = find_recipe(name)
    assert isinstance(recipe, StraightenedRecipe)
    return recipe


@pytest.mark.parametrize("name", ["cord3d", "gros_cord", "gros_lesion"])
def test_every_recipe_draws_what_its_network_tells(name: str, cords: StraightVolumes) -> None:
    assert name in packaged_recipes()
    task = StraightenedTask(replace(straightened(name), batch=2))
    batch = task.draw(cords, 0, 0)
    with torch.no_grad():
        logits = task.network().eval()(batch.image[:1])
    assert logits.shape == batch.truth[:1].shape
    assert torch.equal(batch.image, task.draw(cords, 0, 0).image)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> StraightenedRecipe:
    def digital(_: int) -> Iterator[LabelledVolume]:
        return volumes("phantom", kind=Kind.DIGITAL)

    monkeypatch.setitem(PRESETS, "cord_unet3d", lambda: UNet3d(3, 4, 2))
    monkeypatch.setattr(module, "digital_volumes", digital)
    monkeypatch.setattr(module, "measured_temperature", lambda _: {"temperature": 0.6})
    easy = replace(SMALL, recoloured=0.0, noise=0.03)
    recipe = straightened("cord3d")
    return replace(recipe, ranges=easy, batch=2, rate=0.02, validation_batches=1)


@pytest.fixture
def dataset(tmp_path: Path) -> LabelledDataset:
    home = tmp_path / "bids"
    for name in ("a", "b", "c"):
        image, cord = neck()
        place = Path(f"sub-{name}") / "anat"
        for folder in (home / place, home / "derivatives" / "labels" / place):
            folder.mkdir(parents=True)
        save(image, home / place / f"sub-{name}_T2w.nii.gz")
        target = home / "derivatives" / "labels" / place / f"sub-{name}_T2w_seg-manual.nii.gz"
        save(cord, target)
    return user_dataset(home)


@pytest.mark.slow
def test_it_is_trained_and_finds_the_cord(
    tiny: StraightenedRecipe, dataset: LabelledDataset, tmp_path: Path
) -> None:
    options = RunOptions(steps=100, fold=(1, 3), validate=("b",))
    path = train(tiny, dataset, tmp_path / "out", options)
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["data"]["people"], card["data"]["left_out"]) == (["c"], ["a"])
    assert card["data"]["cords"] == {"person": 1, "digital": 1}
    assert (card["depth"], card["temperature"], card["data"]["stopped_by"]) == (16, 0.6, ["b"])
    image, cord = neck(slope=0.2)
    line = fit_centerline(np.array([[0.2 * z, 0.0, z] for z in np.linspace(18, -18, 13)]))
    mask = segment(image, line, load_model(path)).cord >= 0.5
    truth = cord.data > 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8


def test_a_name_that_nobody_has_is_refused(
    tiny: StraightenedRecipe, dataset: LabelledDataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="unknown subjects x"):
        train(tiny, dataset, tmp_path, RunOptions(leave_out=("x",)))


@pytest.mark.slow
def test_a_range_test_is_for_three_dimensions_too(
    tiny: StraightenedRecipe, dataset: LabelledDataset, tmp_path: Path
) -> None:
    lowest, peak = find_rates(tiny, dataset, tmp_path / "out", RunOptions(steps=40))
    assert 1e-6 <= lowest <= peak <= 1.0
