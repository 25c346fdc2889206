"""HeMIS: any subset of contrasts, in any order of back ends; moments as in the paper."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spinalprep.networks.hemis import CONTRASTS, Hemis
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import load_model, save_model

CHANNELS, FEATURES = 2, 3
SUBSETS = [subset for count in range(1, 6) for subset in combinations(range(len(CONTRASTS)), count)]


@pytest.fixture
def network() -> Hemis:
    torch.manual_seed(0)
    return Hemis(2, len(CONTRASTS), CHANNELS, FEATURES, filters=4, levels=2)


def some(count: int = 2, size: int = 17) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.rand((count, len(CONTRASTS) * CHANNELS, size, size), generator=draw) + 0.01


def only(image: Tensor, subset: tuple[int, ...]) -> Tensor:
    kept = image.clone()
    for n in set(range(len(CONTRASTS))) - set(subset):
        kept[:, n * CHANNELS : (n + 1) * CHANNELS] = 0
    return kept


def by_hand(network: Hemis, image: Tensor, subset: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    parts = torch.split(image, CHANNELS, dim=1)
    seen = np.stack([network.back[n](parts[n]).detach().numpy() for n in subset])
    variance = seen.var(axis=0, ddof=1) if len(subset) > 1 else np.zeros_like(seen[0])
    return torch.from_numpy(seen.mean(axis=0)), torch.from_numpy(variance)


@pytest.mark.parametrize("subset", SUBSETS, ids=str)
def test_every_subset_runs_and_has_the_moments_of_what_is_there(
    network: Hemis, subset: tuple[int, ...]
) -> None:
    image = only(some(), subset)
    mean, variance = by_hand(network, image, subset)
    moments = network.moments(image)
    torch.testing.assert_close(moments[:, :FEATURES], mean)
    torch.testing.assert_close(moments[:, FEATURES:], variance, rtol=1e-4, atol=1e-5)
    logits = network(image)
    assert logits.shape == (2, 2, 17, 17)
    assert logits.isfinite().all()


def test_one_contrast_has_no_variance_and_two_have_some(network: Hemis) -> None:
    for n in range(len(CONTRASTS)):
        assert not network.moments(only(some(), (n,)))[:, FEATURES:].any()
    assert network.moments(only(some(), (0, 1)))[:, FEATURES:].any()


def test_no_contrast_is_no_number_that_is_none(network: Hemis) -> None:
    assert not network.moments(some() * 0).any()
    assert network(some() * 0).isfinite().all()


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (1, 2, 3, 4, 0), (0, 3, 1, 4, 2)], ids=str)
def test_the_order_of_contrasts_does_not_matter(network: Hemis, order: tuple[int, ...]) -> None:
    image = only(some(), (0, 2, 3))
    before = network(image)
    network.back = torch.nn.ModuleList(network.back[n] for n in order)
    parts = torch.split(image, CHANNELS, dim=1)
    turned = torch.cat([parts[n] for n in order], dim=1)
    assert not torch.equal(turned, image)
    torch.testing.assert_close(network(turned), before, rtol=1e-4, atol=1e-5)


def test_a_sample_does_not_depend_on_what_others_of_its_batch_have(network: Hemis) -> None:
    whole = some(3)
    subsets = ((0,), (1, 3), (0, 1, 2, 3, 4))
    mixed = torch.cat([only(whole[n : n + 1], subset) for n, subset in enumerate(subsets)])
    together = network(mixed)
    for n in range(3):
        alone = network(mixed[n : n + 1])
        torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("subset", [(0,), (1, 2), (0, 3, 4)], ids=str)
def test_gradients_reach_the_back_ends_that_are_there_alone(
    network: Hemis, subset: tuple[int, ...]
) -> None:
    network(only(some(), subset)).square().sum().backward()
    for n, back in enumerate(network.back):
        reached = [p.grad is not None and bool(p.grad.any()) for p in back.parameters()]
        assert all(reached) if n in subset else not any(reached)
    assert all(p.grad is not None and p.grad.any() for p in network.common.parameters())


def test_what_a_contrast_shows_matters_and_so_does_which_it_is(network: Hemis) -> None:
    image, other = some(), some(3)[1:]
    both = only(image, (1, 2))
    assert not torch.allclose(network(both), network(only(other, (1, 2))))
    assert not torch.allclose(network(both), network(only(image, (1,))))
    swapped = both.clone()
    swapped[:, 2:4], swapped[:, 4:6] = both[:, 4:6], both[:, 2:4]
    assert not torch.allclose(network(both), network(swapped))


def test_the_preset_is_small_and_goes_through_a_weight_file(tmp_path: Path) -> None:
    made = PRESETS["hemis_unet"]()
    path = save_model(made, tmp_path / "hemis.safetensors", {"preset": "hemis_unet"})
    assert path.stat().st_size < 1_050_000
    loaded = load_model(path).network
    image = only(some(2, 48), (1, 2))
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), made.eval()(image), rtol=0.05, atol=0.05)


def test_the_graph_for_onnx_gives_the_same(network: Hemis, monkeypatch: pytest.MonkeyPatch) -> None:
    image = only(some(), (0, 4))
    before = network(image)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    torch.testing.assert_close(network(image), before, rtol=1e-3, atol=1e-4)
