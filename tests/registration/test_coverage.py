"""Coverage and shape on the template's slices, on an upright cylinder whose truth is known."""

import numpy as np
import pandas as pd

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.shape import measure_slices
from spinalprep.image import Image
from spinalprep.registration.coverage import bring_to_template, shape_on_template
from spinalprep.registration.transform import Affine

SHAPE, TEMPLATE = (40, 40, 30), (24, 24, 80)


def cylinder(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Image:
    """Return a cord of 8 mm around the axis x = y = 0; z 0 is the lowest slice."""
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:2, 3] = spacing[0] * (shape[0] - 1) / 2, -spacing[1] * (shape[1] - 1) / 2
    x = (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing[0]
    y = (np.arange(shape[1]) - (shape[1] - 1) / 2) * spacing[1]
    inside = np.hypot(x[:, None], y[None, :]) <= 4.0
    return Image(np.repeat(inside[..., None], shape[2], axis=2).astype(np.float32), affine)


def shift(z_mm: float) -> Affine:
    """Return a map of template points to subject points."""
    matrix = np.eye(4)
    matrix[2, 3] = z_mm
    return Affine(matrix)


def test_coverage_ends_at_the_faces_of_the_image_and_with_the_cord() -> None:
    image = cylinder(SHAPE, (0.5, 0.5, 2.0))  # faces at z -1 and 59, at x, y +-10
    template = cylinder((60, 60, 80), (0.5, 0.5, 1.0))
    forward = shift(-10.0)  # template z 9.1 is the lowest face
    cord = image.data.copy()
    cord[:, :, 20:] = 0  # no cord was found above z 39, template slice 49
    grid = template.shape, template.affine
    _, mask, covered = bring_to_template(image, image.with_data(cord), forward, grid)
    seen = np.flatnonzero(covered.data.any(axis=(0, 1)))
    assert (seen[0], seen[-1]) == (9, 49)
    assert np.flatnonzero(mask.data.any(axis=(0, 1))).tolist() == seen.tolist()
    plane = covered.data[:, :, 30]
    assert plane.sum() == 40 * 40  # the whole field of view in plane, not the cord alone
    none = image.with_data(np.zeros_like(cord))
    assert not any(part.data.any() for part in bring_to_template(image, none, forward, grid)[1:])


def test_a_slice_without_cord_between_others_is_not_covered() -> None:
    image = cylinder(SHAPE, (0.5, 0.5, 2.0))
    cord = image.data.copy()
    cord[:, :, 15] = 0
    grid = (60, 60, 60), cylinder((60, 60, 60), (0.5, 0.5, 1.0)).affine
    covered = bring_to_template(image, image.with_data(cord), shift(0.0), grid)[2].data
    assert not covered[:, :, 30].any()
    assert covered[:, :, 28].any()
    assert covered[:, :, 32].any()


def test_shape_is_interpolated_along_the_cord() -> None:
    table = pd.DataFrame(
        {
            "s_mm": [0.0, 10.0, 20.0, 30.0],
            "area_mm2": [80.0, 70.0, 60.0, 10.0],
            "gm_ratio": [0.2, 0.2, 0.4, 0.4],
            "complete": [True, True, True, False],
            "doubtful": [False, False, True, False],
        }
    )
    z = np.arange(60.0, -0.1, -0.5)
    line = Centerline(np.column_stack([np.zeros((len(z), 2)), z]))  # s = 60 - z
    template = cylinder(TEMPLATE, (0.5, 0.5, 1.0))
    levels = template.with_data(np.where(np.arange(80) >= 50, 3.0, 4.0) * template.data)
    found = shape_on_template(table, line, shift(0.0), template, levels)
    whole = list(range(60, 39, -1))  # s 0 to 20
    assert found["template_slice"].tolist() == whole
    np.testing.assert_allclose(found["area_mm2"], 80 - np.arange(21), atol=1e-6)
    np.testing.assert_allclose(found["gm_ratio"].iloc[15], 0.3)
    assert found["doubtful"].tolist() == [False] * 11 + [True] * 10
    assert found["vertebral_level"].tolist() == [3.0] * 11 + [4.0] * 10


def test_grey_matter_is_corrected_like_the_cord() -> None:
    cord = cylinder(SHAPE, (0.5, 0.5, 2.0))
    z = np.arange(58.0, -0.1, -0.5)
    tilt = np.deg2rad(25.0)
    line = Centerline(np.column_stack([0 * z, np.tan(tilt) * (z - 29), z]))
    grey = np.zeros_like(cord.data)
    grey[18:22, 16:24, :20] = 1.0
    table = measure_slices(cord, line, cord.with_data(grey)).set_index("slice")
    pixels = 4 * 8 * 0.25
    np.testing.assert_allclose(table.loc[5, "gm_area_mm2"], pixels * np.cos(tilt), rtol=1e-6)
    assert np.isnan(table.loc[25, "gm_ratio"])
