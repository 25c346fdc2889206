"""The modified 3D U-Net of Isensee et al.: sizes, filters, and outputs that all are taught."""

import torch
from torch import nn

from spinalprep.networks.isensee_unet3d import IsenseeUNet3d
from spinalprep.networks.presets import PRESETS


def test_it_keeps_any_size() -> None:
    network = IsenseeUNet3d(2, 3, filters=4, depth=2).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 2, 17, 22, 9)).shape == (2, 3, 17, 22, 9)


def test_published_networks_have_depth_and_filters_of_the_paper() -> None:
    for name, channels, filters, maps in (("lemay_tumor_cord", 1, 8, 1), ("lemay_tumor", 2, 16, 4)):
        network = PRESETS[name]()
        first = next(m for m in network.modules() if isinstance(m, nn.Conv3d))
        assert (first.in_channels, first.out_channels) == (channels, filters)
        assert (
            sum(m.stride == (2, 2, 2) for m in network.modules() if isinstance(m, nn.Conv3d)) == 4
        )
        heads = list(network.get_submodule("heads").children())
        assert len(heads) == 3  # scales that are supervised
        assert {head.out_channels for head in heads} == {maps}
        kinds = {type(m) for m in network.modules()}
        assert {nn.InstanceNorm3d, nn.LeakyReLU, nn.Dropout3d} <= kinds
        assert nn.ReLU not in kinds
        assert nn.BatchNorm3d not in kinds


def test_the_number_of_weights_follows_from_filters_and_depth() -> None:
    def count(filters: int, depth: int) -> int:
        network = IsenseeUNet3d(1, 1, filters, depth)
        return sum(values.numel() for values in network.parameters())

    # three convolutions on the way down, one to grow and two to localise on the way up
    wide, flat = 27 * 8 * 8, 27 * 4 * 4
    convolutions = (27 * 4 + 2 * flat) + (27 * 4 * 8 + 2 * wide) + 27 * 8 * 4 + wide + 8 * 4
    biases_and_norms = 3 * 4 + 3 * 8 + 4 + 8 + 4 + 2 * (3 * 4 + 3 * 8 + 4 + 8 + 4)
    head = 4 + 1
    assert count(4, 1) == convolutions + biases_and_norms + head
    assert count(8, 3) > 3.9 * count(4, 3)


def test_every_scale_adds_to_the_output_and_is_taught() -> None:
    torch.manual_seed(0)
    network = IsenseeUNet3d(1, 2, filters=4, depth=3)
    image = torch.rand(1, 1, 16, 16, 16)
    network(image).square().mean().backward()
    for name, values in network.named_parameters():
        assert values.grad is not None, name
        assert torch.isfinite(values.grad).all(), name
        if name.endswith("weight"):
            assert values.grad.abs().max() > 0, name
    heads = list(network.get_submodule("heads").children())
    assert len(heads) == 2
    network.eval()
    with torch.no_grad():
        before = network(image)
        heads[1].bias += 1.0  # of the coarser scale
        torch.testing.assert_close(network(image), before + 1.0)


def test_context_modules_pass_on_what_comes_in() -> None:
    network = IsenseeUNet3d(1, 1, filters=4, depth=1).eval()
    block = network.get_submodule("down.0")
    for layer in block.get_submodule("add").modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    image = torch.rand(1, 1, 8, 8, 8)
    with torch.no_grad():
        expected = block.get_submodule("leave")(block.get_submodule("enter")(image))
        torch.testing.assert_close(block(image), expected)


def test_both_networks_of_tumors_fit_into_five_megabytes() -> None:
    networks = [PRESETS[name]() for name in ("tumor_cord_unet", "tumor_unet")]
    weights = sum(values.numel() for network in networks for values in network.parameters())
    assert 2 * weights < 5e6  # bytes in float16
