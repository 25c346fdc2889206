"""The networks of the RA-U-Net paper: parts, sizes, and paths that count."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from spinalprep.networks.deep_unet2d import DeepUNet2d, PlusBlock
from spinalprep.networks.plain_unet2d import PlainUNet2d
from spinalprep.networks.ra_unet2d import RAUNet2d
from spinalprep.networks.residual_attention import ResidualAttention, ResidualUnit


def count(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


def test_the_plain_unet_has_the_published_number_of_parameters() -> None:
    # 31,031,685 of a common Keras copy, less its 3 x 3 convolution to two maps before the head
    # (64 * 2 * 9 + 2) and its smaller head (2 + 1), plus ours (64 + 1)
    assert count(PlainUNet2d(1)) == 31_031_685 - (64 * 2 * 9 + 2) - 3 + 65


@pytest.mark.parametrize("levels", [3, 7])
def test_deep_unet_by_its_formula(levels: int) -> None:
    f = 5
    first = 9 * 2 * f + f
    down = 9 * f * 2 * f + 2 * f + 9 * 2 * f * f + f
    up = 9 * 2 * f * 2 * f + 2 * f + 9 * 2 * f * f + f
    expected = first + levels * down + (levels - 1) * up + 3 * f + 3
    assert count(DeepUNet2d(3, f, levels, in_channels=2)) == expected


def test_ra_unet_by_its_formula() -> None:
    def unit(before: int, after: int) -> int:
        return 2 * (before + 2 * after) + 9 * (before + 2 * after) * after + before * after

    def attention(width: int) -> int:
        weigh = 4 * width + 2 * width**2 + width  # two norms, two 1 x 1, one bias
        return 5 * unit(width, width) + weigh

    f = 4
    plain = 9 * f + 2 * f + 9 * f * f + 2 * f, 9 * 2 * f * f + 2 * f + 9 * f * f + 2 * f
    grow = sum(4 * deep * deep // 2 + deep // 2 for deep in (2 * f, 4 * f))
    expected = plain[0] + unit(f, 2 * f) + unit(2 * f, 4 * f)
    expected += grow + unit(4 * f, 2 * f) + plain[1] + attention(f) + attention(2 * f) + f + 1
    assert count(RAUNet2d(1, f, levels=3)) == expected


@pytest.mark.parametrize("make", [PlainUNet2d, DeepUNet2d, RAUNet2d])
@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
def test_shapes(make: Callable[..., nn.Module], size: tuple[int, int]) -> None:
    network = make(2, 4, 4, in_channels=3).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_a_residual_unit_is_three_times_norm_relu_convolution_and_an_identity() -> None:
    unit = ResidualUnit(3, 5).eval()
    assert [type(part) for part in unit.residual] == 3 * [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    image = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        for part in unit.residual.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.zero_()
        torch.testing.assert_close(unit(image), unit.identity(image))


def test_attention_is_one_plus_the_mask_times_the_trunk() -> None:
    torch.manual_seed(0)
    module = ResidualAttention(4).eval()
    image = torch.rand(1, 4, 7, 9)
    last = module.weigh[5]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        trunk = module.trunk(module.before(image))
        last.weight.zero_()
        for bias, factor in ((-50.0, 1.0), (0.0, 1.5), (50.0, 2.0)):  # the mask is 0, 1/2, 1
            last.bias.fill_(bias)
            torch.testing.assert_close(module(image), factor * trunk)


def test_the_plus_connection_adds_what_came_from_below() -> None:
    block = PlusBlock(6, 3)
    with torch.no_grad():
        block.convolved[2].weight.zero_()
        block.convolved[2].bias.zero_()
        features = torch.rand(1, 6, 5, 5)
        torch.testing.assert_close(block(features), features[:, :3])


def test_the_first_and_last_levels_have_no_residual_unit_and_all_others_have() -> None:
    network = RAUNet2d(1, 4, levels=4)
    assert [isinstance(part, ResidualUnit) for part in network.down] == [False, True, True, True]
    assert [isinstance(part, ResidualUnit) for part in network.up] == [True, True, False]
    assert all(isinstance(part, ResidualAttention) for part in network.skips)


def test_gradients_reach_every_path_and_each_changes_the_result() -> None:
    torch.manual_seed(0)
    network = RAUNet2d(1, 4, levels=3).double().train()  # norms by the batch
    image = torch.rand(2, 1, 32, 32, dtype=torch.float64)
    network(image).square().mean().backward()
    for name, values in network.named_parameters():
        assert values.grad is not None, name
        assert values.grad.abs().sum() > 0, name
    with torch.no_grad():
        whole = network(image)
        for level, skip in enumerate(network.skips):
            network.skips[level] = nn.Identity()
            assert (network(image) - whole).abs().max() > 1e-4
            network.skips[level] = skip
        for unit in (part for part in network.modules() if isinstance(part, ResidualUnit)):
            for branch in ("residual", "identity"):
                kept = getattr(unit, branch)
                setattr(unit, branch, _Nothing())
                assert (network(image) - whole).abs().max() > 1e-6
                setattr(unit, branch, kept)
        torch.testing.assert_close(network(image), whole)


class _Nothing(nn.Module):
    """A path that was removed."""

    def forward(self, _: torch.Tensor) -> float:
        return 0.0
