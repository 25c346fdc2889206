"""Topologies of lumbar segmentation: parts change what comes out, learn, and are as published."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from spinalprep.networks.fcn8 import FCN8
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.topology import TOPOLOGIES, Topology
from spinalprep.networks.topology_blocks import AttentionGate, MultiKernel

SMALL = {name: replace(of, filters=4) for name, of in TOPOLOGIES.items()}
PARTS = {"A": "attention", "D": "deep", "M": "multi_kernel", "V": "vgg"}


@pytest.mark.parametrize("name", list(SMALL))
def test_any_size_goes_through(name: str) -> None:
    network = SMALL[name].network().eval()
    with torch.no_grad():
        assert network(torch.rand(2, 2, 37, 50)).shape == (2, 12, 37, 50)


@pytest.mark.parametrize("name", list(SMALL))
def test_every_weight_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = SMALL[name].network().train()
    given = network(torch.rand(2, 2, 64, 64))
    scales = [given] if isinstance(given, Tensor) else given
    torch.stack([scale.square().mean() for scale in scales]).sum().backward()
    silent = [
        name
        for name, values in network.named_parameters()
        if values.grad is None or not values.grad.abs().sum() > 0
    ]
    assert silent == []


@pytest.mark.parametrize("name", list(SMALL))
def test_the_parts_are_those_of_its_name(name: str) -> None:
    told = {part for part, field in PARTS.items() if getattr(SMALL[name], field)}
    assert told == set(name.removesuffix("1")) & set(PARTS)
    assert SMALL[name].fcn == (name == "FCN")
    kinds = [type(module) for module in SMALL[name].network().modules()]
    assert (AttentionGate in kinds) == ("A" in told)
    assert (MultiKernel in kinds) == ("M" in told)
    assert (nn.PReLU in kinds) == (name in ("UVAD", "UVD"))


@pytest.mark.parametrize("part", list(PARTS.values()))
def test_removing_a_part_changes_the_result(part: str) -> None:
    """The weights that both have are the same, so that only the part differs."""
    whole = Topology(attention=True, deep=True, multi_kernel=True, vgg=True, filters=4)
    torch.manual_seed(1)
    complete = whole.network().eval()
    less = replace(whole, **{part: False}).network().eval()
    shared = complete.state_dict()
    own = {
        name: shared[name] if name in shared and shared[name].shape == values.shape else values
        for name, values in less.state_dict().items()
    }
    if part == "deep":  # the head of the finest level has another number
        own |= {f"heads.0.{kind}": shared[f"heads.3.{kind}"] for kind in ("weight", "bias")}
    less.load_state_dict(own)
    image = torch.rand(1, 2, 48, 48)
    with torch.no_grad():
        apart = (complete(image) - less(image)).abs().max()
    assert apart > 1e-3


def test_deep_supervision_tells_every_scale_while_it_trains() -> None:
    network = SMALL["UD"].network()
    image = torch.rand(1, 2, 50, 37)
    sizes = [tuple(scale.shape[2:]) for scale in network.train()(image)]
    assert sizes == [(50, 37), (25, 19), (13, 10), (7, 5)]
    assert isinstance(network.eval()(image), Tensor)
    assert isinstance(SMALL["U1"].network().train()(image), Tensor)


def test_an_attention_gate_can_close() -> None:
    gate = AttentionGate(3, 5)
    with torch.no_grad():
        gate.weigh.bias.fill_(-30.0)
        assert gate(torch.rand(1, 3, 4, 4), torch.rand(1, 5, 4, 4)).abs().max() < 1e-6
        gate.weigh.bias.fill_(30.0)
        skip = torch.rand(1, 3, 4, 4)
        torch.testing.assert_close(gate(skip, torch.rand(1, 5, 4, 4)), skip)


@pytest.mark.parametrize("topology", [replace(TOPOLOGIES["UVD"], filters=64), "FCN"])
def test_the_encoder_is_vgg16(topology: Topology | str) -> None:
    told = replace(TOPOLOGIES["FCN"], filters=64) if isinstance(topology, str) else topology
    with torch.device("meta"):  # the layers alone, without their weights
        down = told.network(3, 12).get_submodule("down")
    widths = [
        [layer.out_channels for layer in block.modules() if isinstance(layer, nn.Conv2d)]
        for block in down.children()
    ]
    assert widths == [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]


def test_fcn8_begins_by_interpolating() -> None:
    network = FCN8(1, 2, 4).eval()
    with torch.no_grad():
        flat = network.grow[1](torch.ones(1, 2, 6, 6))[..., 2:-2, 2:-2]
    torch.testing.assert_close(flat, torch.ones_like(flat))


def test_parts_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="FCN8 has no"):
        Topology(fcn=True, deep=True)
    with pytest.raises(ValueError, match="five resolutions"):
        Topology(vgg=True, levels=6)


def test_all_eight_are_presets() -> None:
    assert {f"lumbar_{name.lower()}" for name in TOPOLOGIES} <= set(PRESETS)
