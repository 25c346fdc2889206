"""Losses and distances, as MONAI computes them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, GeneralizedDiceLoss, TverskyLoss
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy import ndimage
from torch import Tensor

from spinalprep.training.evaluation.metrics import surface_distances
from spinalprep.training.fitting.losses import (
    dice_loss,
    focal_loss,
    generalised_dice_loss,
    tversky_loss,
)

Each = Callable[[Tensor, Tensor], Tensor]  # logits, truth

OURS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dice": lambda x, t, w: dice_loss(torch.sigmoid(x), t, w),
    "generalised_dice": lambda x, t, w: generalised_dice_loss(torch.sigmoid(x), t, w),
    "tversky": lambda x, t, w: tversky_loss(torch.sigmoid(x), t, w, false_negatives=0.7),
    "focal": focal_loss,
}
THEIRS: dict[str, Each] = {
    "dice": DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=1.0, smooth_dr=1.0, batch=True),
    "generalised_dice": GeneralizedDiceLoss(sigmoid=True, smooth_nr=0.0, smooth_dr=0.0, batch=True),
    "tversky": TverskyLoss(
        sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0, batch=True
    ),
    "focal": FocalLoss(gamma=2.0),
}


@pytest.mark.parametrize("shape", [(3, 2, 12, 10), (2, 3, 6, 8, 7)])
@pytest.mark.parametrize("name", OURS)
def test_losses_and_their_slopes(name: str, shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(len(shape))
    truth = (torch.rand(shape, generator=draw, dtype=torch.float64) < 0.3).double()
    logits = 2 * torch.randn(shape, generator=draw, dtype=torch.float64)
    weight = torch.ones(shape[:2] + (1,) * (len(shape) - 2), dtype=torch.float64)
    values, slopes = [], []
    for loss in (lambda x: OURS[name](x, truth, weight), lambda x: THEIRS[name](x, truth)):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf)
        value.backward()
        values.append(value.item())
        slopes.append(leaf.grad)
    assert values[0] == pytest.approx(values[1], rel=1e-6)  # its focal loss is in float32
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_distances_of_surfaces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spacing = rng.uniform(0.4, 3.0, 3)
    blob = ndimage.gaussian_filter(rng.normal(size=(26, 24, 18)), 2.5)
    other = blob + 0.4 * ndimage.gaussian_filter(rng.normal(size=blob.shape), 2.5)
    frame = np.zeros(blob.shape, bool)
    frame[3:-3, 3:-3, 3:-3] = True  # a face on the border of the array is a surface to theirs alone
    found, truth = (frame & (x > 0.3 * x.std()) for x in (blob, other))
    ours = surface_distances(found, truth, spacing)
    masks = [torch.from_numpy(mask[None, None]) for mask in (found, truth)]
    sizes = spacing.tolist()
    mean = compute_average_surface_distance(*masks, symmetric=True, spacing=sizes)
    most = compute_hausdorff_distance(*masks, percentile=95, spacing=sizes)
    assert ours["surface_mm"] == pytest.approx(mean.item(), rel=1e-5)
    assert ours["surface95_mm"] == pytest.approx(most.item(), rel=1e-5)
    assert ours["surface95_mm"] > 0
