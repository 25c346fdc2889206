"""Material, samples and loss of the lumbar networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.networks.topology import TOPOLOGIES
from spinalprep.phantom.lumbar_tissues import NUMBER, TISSUES, to_structures
from spinalprep.training.fitting.loop import optimiser_of, take_step
from spinalprep.training.fitting.structures import structure_loss
from spinalprep.training.material.lumbar import LumbarSlices, draw_lumbar_slices
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.synthesis.lumbar import USUAL, LumbarRanges, make_lumbar_batch

STILL = LumbarRanges(
    rotation_deg=0, shift=0, zoom=(1, 1), no_t1w=0, no_t2w=0, cropped=0, band=0, noise=0.01
)


@pytest.fixture(scope="module")
def slices() -> LumbarSlices:
    return draw_lumbar_slices([3, 4], 3)


def _draw(of: LumbarSlices, seed: int, ranges: LumbarRanges = STILL):  # type: ignore[no-untyped-def]
    return make_lumbar_batch(of.tissues, ranges, torch.Generator().manual_seed(seed))


def test_slices_know_whose_they_are(slices: LumbarSlices) -> None:
    assert slices.people_in_folds == ("3", "4")
    assert slices.tissues.shape == (6, 2, 290, 220)
    assert slices.take(np.array([4])).people_in_folds == ("4",)
    assert not slices.people  # nobody real


def test_samples_follow_the_seed_alone(slices: LumbarSlices) -> None:
    one, again, other = (_draw(slices, seed) for seed in (5, 5, 6))
    torch.testing.assert_close(one.image, again.image, rtol=0, atol=0)
    assert not torch.equal(one.image, other.image)
    assert one.image.shape == (6, 2, 192, 160)
    torch.testing.assert_close(one.truth.sum(dim=1), torch.ones(6, 192, 160))


def test_fat_is_bright_and_fluid_is_so_in_t2w_alone(slices: LumbarSlices) -> None:
    brighter = 0
    for seed in range(8):
        batch = _draw(slices, seed, replace(STILL, noise=0.005))
        fluid = batch.truth[:, STRUCTURES.index("spinal cavity")] > 0
        muscle = batch.truth[:, STRUCTURES.index("muscle")] > 0
        t2w, t1w = batch.image[:, 0], batch.image[:, 1]
        if fluid.any():
            brighter += int(
                t2w[fluid].mean() / t2w[muscle].mean() > t1w[fluid].mean() / t1w[muscle].mean()
            )
    assert brighter >= 7


def test_nothing_is_taught_outside_the_field_of_view(slices: LumbarSlices) -> None:
    batch = _draw(slices, 1, replace(STILL, cropped=1.0))
    dark = (batch.image == 0).all(dim=1)
    assert dark.float().mean() > 0.05
    outside = dark & (functional.avg_pool2d(dark[:, None].float(), 9, 1, 4)[:, 0] > 0.999)
    assert (batch.truth[:, 0][outside] == 1).all()


def test_a_contrast_may_be_missing_but_never_both(slices: LumbarSlices) -> None:
    ranges = replace(STILL, no_t1w=0.5, no_t2w=0.5)
    there = torch.cat([_draw(slices, s, ranges).image.flatten(2).amax(2) > 0 for s in range(6)])
    assert there.any(dim=1).all()
    assert not there.all(dim=0).any()


def test_without_warping_the_truth_is_the_slice(slices: LumbarSlices) -> None:
    still = replace(STILL, size=(220, 160))
    seen = _draw(slices, 2, still).truth.argmax(dim=1).numpy()
    truth = to_structures(slices.tissues[:, 0])
    shares = [np.bincount(part.ravel(), minlength=12) / part.size for part in (seen, truth)]
    assert abs(shares[0][1] - shares[1][1]) < 0.06  # as many vertebrae, whatever the shift
    assert set(np.unique(seen)) <= set(range(12))


def test_every_tissue_has_a_usual_intensity() -> None:
    assert set(USUAL) == set(TISSUES)
    assert NUMBER["air"] == 0


def test_the_loss_is_small_for_what_is_right() -> None:
    truth = functional.one_hot(torch.arange(12).repeat(2, 16, 3), 12).permute(0, 3, 1, 2).float()
    right = 20 * truth
    half = 20 * functional.avg_pool2d(truth, 2)
    assert float(structure_loss(right, truth)) < 1e-3
    assert float(structure_loss(torch.zeros_like(right), truth)) > 2
    assert float(structure_loss([right, half], truth)) > float(structure_loss(right, truth))
    without = truth.clone()
    without[:, 0], without[:, 5] = without[:, 0] + without[:, 5], 0
    told = structure_loss(20 * without, without)
    assert float(told) < 1e-3  # an absent structure costs nothing where none is invented


@pytest.mark.slow
def test_a_small_network_learns_a_slice(slices: LumbarSlices) -> None:
    torch.manual_seed(0)
    ranges = replace(STILL, size=(96, 96))
    network = replace(TOPOLOGIES["UVD"], filters=6).network().train()
    optimiser, task = optimiser_of(network, 1e-2), task_of(find_recipe("lumbar"))
    batch = _draw(slices.take(np.array([1])), 3, ranges)
    values = [
        take_step(network, optimiser, batch, task.objective(), 1e-2, False) for _ in range(40)
    ]
    assert values[-1] < 0.6 * values[0]
    with torch.no_grad():
        found = network.eval()(batch.image).argmax(dim=1)
    assert float((found == batch.truth.argmax(dim=1)).float().mean()) > 0.8


def test_the_recipe_is_read() -> None:
    recipe = find_recipe("lumbar")
    assert recipe.preset == "lumbar_unet"
    told = task_of(recipe).describe()
    assert told["classes"] == list(STRUCTURES)
