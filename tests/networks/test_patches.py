"""Stacks of sections: blended without a seam, and from a 3D network to the voxels of an image."""

import numpy as np
import pytest
import torch
from torch import nn

from spinalprep.cord.centerline import fit_centerline
from spinalprep.image import Image, grid_points
from spinalprep.networks.patches import predict_stacks, stack_starts
from spinalprep.networks.predict import segment
from spinalprep.networks.weights import Model


@pytest.mark.parametrize(("count", "depth"), [(3, 8), (8, 8), (9, 8), (50, 8), (7, 1)])
def test_a_map_of_each_voxel_by_itself_comes_back_whole(count: int, depth: int) -> None:
    chance = np.random.default_rng(0)
    windows = chance.random((count, 6, 5)).astype(np.float32)
    found = predict_stacks(
        windows, depth, lambda stacks: [torch.cat([s, 2 * s], dim=1) for s in stacks]
    )
    np.testing.assert_allclose(found, np.stack([windows, 2 * windows], axis=1), rtol=1e-5)


def test_stacks_overlap_and_the_middle_of_a_stack_counts_most() -> None:
    windows = np.zeros((12, 1, 1), np.float32)
    numbers = iter(range(9))
    found = predict_stacks(
        windows, 6, lambda stacks: [torch.full_like(s, next(numbers)) for s in stacks]
    )[:, 0, 0, 0]
    assert stack_starts(12, 6) == [0, 3, 6]
    assert (np.diff(found) >= 0).all()
    assert (found[:3] == 0).all()
    assert (found[-3:] == 2).all()


class Threshold(nn.Module):
    """Cord is what is darker than its surroundings; the depth axis is looked at, too."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert image.shape[2:] == (40, 40, 16)
        return 20 * (0.5 - nn.functional.avg_pool3d(image, (1, 1, 3), 1, (0, 0, 1)))


def test_a_network_in_three_dimensions_marks_the_voxels_of_the_image() -> None:
    affine = np.diag([-0.7, 0.7, 2.0, 1.0])
    affine[:3, 3] = [20, -20, -14]
    points = grid_points((60, 60, 15), affine)
    cord = np.hypot(points[..., 0] - 0.2 * points[..., 2], points[..., 1]) <= 5
    image = Image(np.where(cord, 0, 1).astype(np.float32), affine)
    line = fit_centerline(np.array([[0.2 * z, 0.0, z] for z in np.linspace(14, -14, 15)]))
    card = {"classes": ["cord"], "depth": 16, "window": 40, "spacing": [0.5] * 3, "task": "cord"}
    found = segment(image, line, Model(Threshold(), card))
    mask = found.cord >= 0.5
    inner = slice(1, -1)
    both = (mask & cord)[..., inner].sum()
    assert 2 * both / (mask[..., inner].sum() + cord[..., inner].sum()) > 0.95
    assert not found.gm.any()
    assert not found.lesion.any()
