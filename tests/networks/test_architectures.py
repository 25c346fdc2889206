"""Every architecture keeps sizes, learns one synthetic subject, and goes through a weight file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spinalprep.networks.deep_unet2d import DeepUNet2d
from spinalprep.networks.dilated_unet2d import DilatedUNet2d
from spinalprep.networks.plain_unet2d import PlainUNet2d
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.published import gros_centerline, gros_cord
from spinalprep.networks.ra_unet2d import RAUNet2d
from spinalprep.networks.unet2d import UNet2d
from spinalprep.networks.unet3d import UNet3d
from spinalprep.networks.weights import load_model, save_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.training.fitting.losses import find_loss

TINY: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "unet2d": (lambda: UNet2d(1, 6, 3), False),
    "dilated_unet2d": (lambda: DilatedUNet2d(1, 6, 3, dilation=3, dropout=0.1), False),
    "unet3d": (lambda: UNet3d(1, 4, 2), True),
    "plain_unet2d": (lambda: PlainUNet2d(1, 6, 3), False),
    "deep_unet2d": (lambda: DeepUNet2d(1, 6, 4), False),
    "ra_unet2d": (lambda: RAUNet2d(1, 4, 3), False),
}


@pytest.fixture(scope="module")
def sample() -> tuple[torch.Tensor, torch.Tensor]:
    """A patch of a synthetic subject's neck and the share of cord in it, (1, 1, 32, 32, 16)."""
    person = make_person(100_007)
    shape, affine = (32, 32, 16), np.diag([-1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = [16, -12, -16]
    image = render(person, "T2w", (shape, affine), 100_007, noise=0.02).data
    shares = person.labels_on(shape, affine, fine=2)
    cord = shares[6:9].sum(axis=0)  # white matter, gray matter, lesion
    assert 0.01 < cord.mean() < 0.3
    scaled = (image - image.min()) / np.ptp(image)
    return torch.from_numpy(scaled)[None, None], torch.from_numpy(cord)[None, None]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TINY))
def test_it_learns_one_digital_person(name: str, sample: tuple[torch.Tensor, torch.Tensor]) -> None:
    make, solid = TINY[name]
    cut = slice(4, 28), slice(4, 28), slice(8)
    image, truth = (part[:, :, *cut] if solid else part[..., 8] for part in sample)
    torch.manual_seed(0)
    network, loss = make(), find_loss("dice + cross_entropy")
    weight = torch.ones(1, 1, *[1] * (image.ndim - 2))

    def dice() -> float:
        with torch.no_grad():
            found = network.eval()(image) > 0
        both = (found & (truth > 0.5)).sum()
        return float(2 * both / (found.sum() + (truth > 0.5).sum()))

    start = dice()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        loss(network.train()(image), truth, weight).backward()
        optimiser.step()
    assert start < 0.6
    assert dice() > 0.95


@pytest.mark.parametrize("name", list(TINY))
def test_it_keeps_any_size(name: str) -> None:
    make, solid = TINY[name]
    size = (17, 22, 9) if solid else (17, 22)
    with torch.no_grad():
        assert make().eval()(torch.rand(2, 1, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("name", ["gros_centerline", "gros_cord", "ra_unet"])
def test_published_networks_go_through_a_weight_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PRESETS[name]()
    path = save_model(network, tmp_path / "x.safetensors", {"preset": name})
    again = load_model(path).network
    for ours, theirs in zip(
        network.state_dict().values(), again.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours.float(), theirs.float(), atol=1e-3, rtol=1e-3)


def test_published_networks_are_as_published() -> None:
    flat, solid = gros_centerline(), gros_cord()
    down = [m for m in flat.get_submodule("down").modules() if isinstance(m, nn.Conv2d)]
    up = [m for m in flat.get_submodule("up").modules() if isinstance(m, nn.Conv2d)]
    assert len(down) == 6  # two halvings: three blocks of two
    assert {m.dilation for m in down} == {(3, 3)}
    assert {m.dilation for m in up} == {(1, 1)}
    assert sum(isinstance(m, nn.BatchNorm2d) for m in flat.modules()) == len(down) + len(up)
    assert {m.p for m in flat.modules() if isinstance(m, nn.Dropout2d)} == {0.2}
    assert {m.p for m in solid.modules() if isinstance(m, nn.Dropout3d)} == {0.4}
    assert len(solid.get_submodule("grow")) == 2  # depth
    with torch.no_grad():
        assert solid.eval()(torch.rand(1, 1, 64, 64, 48)).shape == (1, 1, 64, 64, 48)
