"""What the pictures of the report sample."""

import numpy as np
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, sample, to_world
from spinalprep.reports.pictures import Path3D


def test_path_of_an_oblique_image_runs_through_its_centerline() -> None:
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    affine[:3, :3] = (
        Rotation.from_euler("xyz", [20, -10, 5], degrees=True).as_matrix() @ (affine[:3, :3])
    )
    affine[:3, 3] = 30, -20, 7
    data = np.zeros((40, 50, 12), np.float32)
    data[25, 10, 2:10] = 1
    mask = Image(data, affine)

    path = Path3D.from_mask(mask)

    assert path.slices.tolist() == list(range(2, 10))
    np.testing.assert_allclose(sample(mask, path.xyz), 1, atol=1e-6)
    heights = to_world(np.array([[25.0, 10.0, k] for k in path.slices]), affine)[:, 2]
    np.testing.assert_allclose(path.xyz[:, 2], heights)
