"""Losses on cases that can be worked out by hand."""

import math

import pytest
import torch

from spinalprep.errors import UsageError
from spinalprep.training.fitting.losses import (
    LOSSES,
    cross_entropy,
    find_loss,
    focal_loss,
    generalised_dice_loss,
    tversky_loss,
)

ONE = torch.ones(1, 1, 1, 1)


def logit(*values: float) -> torch.Tensor:
    return torch.logit(torch.tensor([[[list(values)]]]))


def test_generalised_dice_weighs_channels_by_their_volume() -> None:
    truth = torch.tensor([[[[1.0, 1, 1, 1]], [[1, 0, 0, 0]]]])  # volumes 4 and 1
    half = torch.tensor([[[[1.0, 1, 1, 1]], [[0, 1, 0, 0]]]])  # the small one is missed
    weight = torch.ones(1, 2, 1, 1)
    # shared 4/16 + 0, both 8/16 + 2
    assert float(generalised_dice_loss(half, truth, weight)) == pytest.approx(1 - 0.5 / 2.5)
    assert float(generalised_dice_loss(truth, truth, weight)) == pytest.approx(0.0)


def test_an_empty_channel_stays_finite() -> None:
    truth = torch.zeros(1, 1, 1, 4)
    assert float(generalised_dice_loss(truth, truth, ONE)) == pytest.approx(1.0)
    assert math.isfinite(float(generalised_dice_loss(truth + 0.5, truth, ONE)))


def test_focal_by_hand_and_cross_entropy_at_gamma_zero() -> None:
    truth = torch.tensor([[[[1.0, 0.0]]]])
    logits = logit(0.8, 0.4)
    expected = (0.2**2 * -math.log(0.8) + 0.4**2 * -math.log(0.6)) / 2
    assert float(focal_loss(logits, truth, ONE)) == pytest.approx(expected, rel=1e-5)
    plain = float(cross_entropy(logits, truth, ONE))
    assert float(focal_loss(logits, truth, ONE, gamma=0.0)) == pytest.approx(plain)


def test_tversky_at_one_half_is_dice_without_squares() -> None:
    probability, truth = torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    # TI = (s + 1) / (s + (missed + invented) / 2 + 1) = (2 s + 2) / (sum of both + 2)
    dice = (2 * 0.5 + 2) / (1.5 + 1 + 2)
    assert float(tversky_loss(probability, truth, ONE, 0.5)) == pytest.approx(1 - dice)
    missing = float(tversky_loss(torch.zeros_like(truth), truth, ONE, false_negatives=0.9))
    inventing = float(tversky_loss(1 - truth, torch.zeros_like(truth), ONE, false_negatives=0.9))
    assert missing > inventing


def test_a_recipe_names_a_mix() -> None:
    truth, logits = torch.tensor([[[[1.0, 0.0]]]]), logit(0.8, 0.4)
    mix = float(find_loss("focal_tversky + 0.5 focal + 2*dice")(logits, truth, ONE))
    parts = {name: float(loss(logits, truth, ONE)) for name, loss in LOSSES.items()}
    assert mix == pytest.approx(parts["focal_tversky"] + 0.5 * parts["focal"] + 2 * parts["dice"])


def test_alpha_and_beta_weigh_what_the_paper_of_each_loss_says() -> None:
    probability, truth = torch.tensor([[[[0.75, 0.5, 0.25]]]]), torch.tensor([[[[1.0, 0.0, 1.0]]]])
    logits = torch.logit(probability)
    shared, missed, invented = 1.0, 0.25 + 0.75, 0.5
    salehi = (shared + 1) / (shared + 0.3 * invented + 0.7 * missed + 1)
    abraham = (shared + 1) / (shared + 0.7 * missed + 0.3 * invented + 1)
    for words, expected in (
        ("tversky(alpha=0.3, beta=0.7)", 1 - salehi),
        ("tversky(alpha=0.3)", 1 - salehi),
        ("focal_tversky(gamma=1.6, alpha=0.7, beta=0.3)", (1 - abraham) ** (1 / 1.6)),
        ("focal_tversky(alpha=0.7)", (1 - abraham) ** 0.75),
    ):
        assert float(find_loss(words)(logits, truth, ONE)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "words",
    [
        "tversky(alpha=0.4, beta=0.4)",
        "focal_tversky(gamma=0.5)",
        "focal_tversky(alfa=0.5)",
        "focal_tversky(alpha=x)",
        "focal_tversky(0.6)",
        "dice(alpha=0.5)",
    ],
)
def test_numbers_that_a_loss_does_not_take_are_refused(words: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        find_loss(words)


@pytest.mark.parametrize("words", ["dise", "dice +", "-1 dice", "", "dice & focal"])
def test_what_is_no_loss_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="expected names joined by"):
        find_loss(words)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_falls_towards_the_truth_in_2d_and_3d_and_minds_the_weight(name: str) -> None:
    draw = torch.Generator().manual_seed(0)
    for shape in ((2, 3, 8, 8), (2, 3, 4, 8, 8)):
        truth = (torch.rand(shape, generator=draw) < 0.3).float()
        weight = torch.ones(2, 3, *[1] * (len(shape) - 2))
        weight[1, 2] = 0
        noise = torch.randn(shape, generator=draw)
        values = [
            float(LOSSES[name](k * (2 * truth - 1) + noise, truth, weight)) for k in (0, 2, 8)
        ]
        assert values == sorted(values, reverse=True)
        other = noise.clone()
        other[1, 2] = 50.0
        same = [float(LOSSES[name](logits, truth, weight)) for logits in (noise, other)]
        assert same[0] == pytest.approx(same[1])


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_has_a_finite_slope_at_a_perfect_fit(name: str) -> None:
    truth = torch.tensor([[[[1.0, 0.0]]]])
    logits = (40 * (2 * truth - 1)).requires_grad_()
    LOSSES[name](logits, truth, ONE).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
