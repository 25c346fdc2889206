"""Slices with sections beside them: what is hidden, what moves, what the truth remains."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from spinalprep.networks.presets import PRESETS
from spinalprep.networks.window import Beside
from spinalprep.training.material.slices import Slices
from spinalprep.training.recipes import find_recipe
from spinalprep.training.synthesis import faults
from spinalprep.training.synthesis.faults import hide_outlines
from spinalprep.training.synthesis.sections import _deformed, make_sections
from spinalprep.training.synthesis.slices import SliceRanges
from spinalprep.training.tasks.slices import SliceRecipe, SliceTask

SIZE, WHITE, FLUID, BONE = 64, 0.5, 1.0, 0.2
BESIDE = Beside(neighbours_mm=8.0, median_mm=40.0)
PLAIN = SliceRanges(size=48, shift=0.0, recoloured=0.0, lesions=0.0, black=0.0, noise=0.0)


@pytest.fixture(scope="module")
def material() -> Slices:
    """Return two volumes of six slices, 5 mm apart."""
    n = 12
    a, b = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    cord = ((a / 8) ** 2 + (b / 6) ** 2 <= 1).astype(np.float32)
    fluid = (a / 13) ** 2 + (b / 11) ** 2 <= 1
    image = np.where(cord > 0, WHITE, np.where(fluid, FLUID, BONE)).astype(np.float32)
    clusters = np.where(cord > 0, 5, np.where(fluid, 10, 2)).astype(np.uint8)
    known = np.ones(n, bool)
    columns = {
        "image": np.stack([image] * n),
        "clusters": np.stack([clusters] * n),
        "cord": np.stack([cord] * n),
        "centre": np.full((n, 2), SIZE // 2, np.float32),
        "person": np.repeat(["a", "b"], 6),
        "kind": np.repeat(["person"], n),
        "loose_masks": ~known,
        "has_gm": known,
        "has_cord": known,
        "has_lesion": known,
        "volume": np.repeat([0, 1], 6),
        "height_mm": np.tile(np.arange(6) * 5.0, 2).astype(np.float32),
    }
    columns |= {"gm": columns["cord"] * 0, "lesion": columns["cord"] * 0}
    columns |= {f"usual_{name}": columns[name] for name in ("clusters", "cord", "gm")}
    columns["usual"] = columns["image"]
    assert set(columns) == {field.name for field in fields(Slices)}
    return Slices(**columns)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_neighbour_is_the_nearest_slice_of_the_same_image(material: Slices) -> None:
    index = np.array([0, 5, 6, 8])
    assert material.beside(index, 8.0).tolist() == [2, 5, 8, 10]
    assert material.beside(index, -8.0).tolist() == [0, 3, 6, 6]


def test_samples_repeat_and_have_a_channel_per_section(material: Slices) -> None:
    ranges = replace(PLAIN, faults=0.5, noise=0.05, lesions=1.0, recoloured=0.5)
    first, again = (
        make_sections(material, np.arange(8), ranges, drawn(3), BESIDE) for _ in range(2)
    )
    assert torch.equal(first.image, again.image)
    assert first.image.shape == (8, BESIDE.channels, 48, 48)
    assert first.truth.shape == (8, 3, 48, 48)
    assert 0 <= float(first.image.min()) <= float(first.image.max()) <= 1
    assert float(first.truth[:, 2].sum()) > 0
    assert (first.truth[:, 2] <= first.truth[:, 0] + 1e-6).all()


def test_recoloured_sections_share_their_greys(material: Slices) -> None:
    ranges = replace(PLAIN, recoloured=1.0)
    image = make_sections(material, np.arange(12), ranges, drawn(4), BESIDE).image
    middle = image[:, :, 22:26, 22:26].mean(dim=(2, 3))
    assert float((middle - middle[:, :1]).abs().mean()) < 0.05
    assert float(middle[:, 0].std()) > 0.2  # while samples differ


@pytest.mark.parametrize("seed", range(4))
def test_hidden_fluid_takes_the_edge_from_the_slice(material: Slices, seed: int) -> None:
    image = torch.from_numpy(material.image[:1])[:, None].repeat(8, 4, 1, 1)
    cord = torch.from_numpy(material.cord[:1])[:, None].repeat(8, 4, 1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "SHARES", {"fluid": 1.0, "wall": 0.0, "voids": 0.0, "thick": 0.0})
        seen = hide_outlines(image, cord, cord * 0, 1.0, drawn(seed), BESIDE)
    assert torch.equal(seen.cord, cord[:, :1])
    near = torch.nn.functional.max_pool2d(cord[:, :1], 5, stride=1, padding=2) - cord[:, :1]
    ring = (seen.image[:, :1] * near).sum(dim=(1, 2, 3)) / near.sum(dim=(1, 2, 3))
    before = float((image[:, :1] * near)[0].sum() / near[0].sum())
    assert (ring < before - 0.1).all()  # on one side, or all round
    assert float(ring.min()) < WHITE + 0.3 * (FLUID - WHITE)
    kept = (seen.image == image).flatten(2).all(dim=2)
    assert not kept[:, 0].any()
    assert kept[:, 1:].any()  # short faults leave the neighbors


def test_a_tilted_thick_slice_blurs_image_and_truth_alike(material: Slices) -> None:
    image = torch.from_numpy(material.image[:1])[:, None].repeat(4, 1, 1, 1)
    cord = torch.from_numpy(material.cord[:1])[:, None].repeat(4, 1, 1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "SHARES", {"fluid": 0.0, "wall": 0.0, "voids": 0.0, "thick": 1.0})
        seen = hide_outlines(image, cord, cord * 0, 1.0, drawn(2), Beside())
    part = (seen.cord > 0.05) & (seen.cord < 0.95)
    assert (part.sum(dim=(1, 2, 3)) > 10).all()
    torch.testing.assert_close(seen.cord.sum(), cord.sum(), rtol=0.01, atol=1.0)


def test_what_is_usual_is_another_shape_in_some_samples() -> None:
    axis = torch.arange(48.0) - 23.5
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)[None]
    points = points.expand(200, -1, -1, -1)
    moved = (_deformed(points, drawn(0)) - points).norm(dim=-1).amax(dim=(1, 2))
    assert 0.2 < float((moved > 0.01).float().mean()) < 0.5
    assert float(moved.max()) > 3.0


def test_the_recipe_with_sections_trains_a_network_of_as_many_channels(material: Slices) -> None:
    recipe = find_recipe("cord_sections")
    assert isinstance(recipe, SliceRecipe)
    small = replace(recipe, batch=2, template_share=0.0, ranges=replace(recipe.ranges, size=48))
    task = SliceTask(small)
    batch = task.draw(material, 0, 0)
    network = PRESETS[small.preset]()
    assert network(batch.image).shape == batch.truth.shape
    told = task.describe()
    assert told["channels"] == batch.image.shape[1]
    assert Beside(**told["beside"]) == small.beside
