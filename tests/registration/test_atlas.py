"""The atlas in the subject: shares of voxels, not values at their centers."""

import numpy as np
import pytest

from spinalprep.image import Image
from spinalprep.registration.atlas import CSF_REGION, warp_regions
from spinalprep.registration.transform import Affine


def atlas() -> list[Image]:
    """Return 37 regions on a grid of 0.5 mm: the left, the right half of a cord, and fluid."""
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = [-9.75, -9.75, -9.75]
    x, y = (affine[0, 3] + 0.5 * n for n in np.meshgrid(*[np.arange(40)] * 2, indexing="ij"))
    cord = np.hypot(x, y) <= 5
    planes = {0: cord & (x < 0), 1: cord & (x > 0), CSF_REGION: ~cord & (np.hypot(x, y) < 7)}
    empty = np.zeros_like(cord)
    volumes = [planes.get(n, empty)[..., None].repeat(40, 2) for n in range(CSF_REGION + 1)]
    return [Image(volume.astype(np.float32), affine) for volume in volumes]


@pytest.mark.parametrize("size", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (2.0, 2.0, 4.0)])
def test_shares_are_those_of_the_whole_voxel(size: tuple[float, float, float]) -> None:
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = [-6.0, -6.0, -4.0]
    shape = [round(n / s) for n, s in zip((12, 12, 8), size, strict=True)]
    x = affine[0, 3] + size[0] * np.arange(shape[0])
    y = affine[1, 3] + size[1] * np.arange(shape[1])
    inside = np.hypot(*np.meshgrid(x, y, indexing="ij")) <= 4
    cord = Image(inside[..., None].repeat(shape[2], 2).astype(np.uint8), affine)
    shares = warp_regions(atlas(), Affine(np.eye(4)), cord)
    assert shares[:, :CSF_REGION].sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    found = np.zeros((*shape, CSF_REGION + 1))
    found[cord.data > 0] = shares
    middle = np.clip((0.0 - x) / size[0] + 0.5, 0, 1)  # share of each column left of 0
    left = found[..., 0][:, shape[1] // 2, shape[2] // 2]
    here = cord.data[:, shape[1] // 2, shape[2] // 2] > 0
    # edges of the atlas are linear over one of its voxels
    np.testing.assert_allclose(left[here], middle[here], atol=0.13 / size[0])
