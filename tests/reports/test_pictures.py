"""What the pictures of the report sample."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, sample, to_world
from spinalprep.reports.pictures import (
    Path3D,
    area_plot,
    cord_mosaic,
    doubtful_spans,
    sagittal_view,
)


def orange(picture: str) -> int:
    """Count the pixels whose hue is near that of doubt."""
    png = io.BytesIO(base64.b64decode(picture.partition(",")[2]))
    red, green, blue = np.moveaxis(imread(png)[..., :3], -1, 0)
    return int(((red > green + 0.1) & (green > blue + 0.1) & (red > blue + 0.25)).sum())


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


@pytest.mark.slow
def test_doubtful_slices_are_marked_in_every_picture_and_only_they() -> None:
    data = np.zeros((40, 40, 20), np.float32)
    data[15:25, 16:24] = 1.0
    image, line = Image(data + 1.0, np.diag([-1.0, 1.0, 2.0, 1.0])), np.zeros_like(data)
    line[20, 20] = 1.0
    path = Path3D.from_mask(image.with_data(line))
    z = 2.0 * np.arange(20)[::-1]
    table = pd.DataFrame({"slice": range(19, -1, -1), "z_mm": z, "length_mm": 2.0})
    table = table.assign(complete=True, area_mm2=80.0, diameter_ap_mm=8.0, diameter_rl_mm=12.0)
    table["vertebral_level"] = "C3"
    sure = table.assign(doubtful=False)
    ends = table.assign(doubtful=table["slice"].isin([0, 1, 2, 19]))
    assert doubtful_spans(sure) == []
    assert doubtful_spans(ends) == [(-1.0, 5.0), (37.0, 39.0)]
    cord = {"cord": image.with_data(data)}
    assert orange(area_plot(ends)) > 2 * orange(area_plot(sure))  # a curve is of that hue, too
    assert orange(cord_mosaic(image, path, cord)) == 0
    assert orange(cord_mosaic(image, path, cord, doubtful=[0, 1, 2, 19])) > 1000
    assert orange(sagittal_view(image, path, cord, {})) == 0
    assert orange(sagittal_view(image, path, cord, {}, doubtful_spans(ends))) > 1000
