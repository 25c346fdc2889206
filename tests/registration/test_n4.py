"""The field of N4: that of ANTs, a spline that refines and fits exactly, and an even image."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from spinalprep.image import Image
from spinalprep.registration import n4
from spinalprep.registration.ants_arrays import ants, from_ants, to_ants

SPACING = (4.0, 4.5, 5.0)


def _shaded(seed: int) -> tuple[Image, np.ndarray]:
    """Return a round body of three tissues under a smooth field, and its mask."""
    draw = np.random.default_rng(seed)
    shape = (22, 26, 20)
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    mask = sum(place**2 for place in places) < 0.9
    tissue = draw.choice([60.0, 100.0, 170.0], shape) * draw.normal(1, 0.03, shape)
    field = 0.4 * places[1] - 0.2 * places[0] * places[2] + 0.15 * places[2] ** 2
    return Image((tissue * np.exp(field)).astype(np.float32), np.diag([*SPACING, 1.0])), mask


@pytest.mark.parametrize("seed", [0, 1])
def test_the_field_is_that_of_ants(seed: int) -> None:
    image, mask = _shaded(seed)
    known = ants.n4_bias_field_correction(
        to_ants(image),
        mask=to_ants(image.with_data(mask.astype(np.float32))),
        shrink_factor=1,
        spline_param=100,
        convergence={"iters": [20, 20], "tol": 1e-4},
        return_bias_field=True,
    )
    ours = n4.fit_log_field(image.data, mask, SPACING, 100.0, [20, 20], 1e-4)
    ratio = ours - np.log(from_ants(known).data)
    ratio -= np.median(ratio[mask])
    assert np.std(ours[mask]) > 0.1
    assert np.abs(ratio).max() < 0.002  # outside the mask as well


def test_a_planted_field_is_found_from_the_histogram() -> None:
    image, mask = _shaded(3)
    _, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    coil = 0.5 * y + 0.3 * z
    plain = n4.fit_log_field(image.data, mask, SPACING, 100.0, [100, 100], 1e-5)
    shaded = image.data * np.exp(coil)
    found = n4.fit_log_field(shaded, mask, SPACING, 100.0, [100, 100], 1e-5) - plain
    left = (found - coil)[mask]
    assert left.std() < 0.2 * coil[mask].std()


def test_an_even_body_has_no_field() -> None:
    even = np.full((10, 12, 9), 7.0, np.float32)
    field = n4.fit_log_field(even, np.ones(even.shape, bool), SPACING, 100.0, [10, 10], 1e-4)
    np.testing.assert_array_equal(field, 0)


def test_weights_are_those_of_cubic_splines() -> None:
    axis = n4._Axis.of(30, 4.0, 50.0)
    assert axis.spans == 3  # of 50 mm, for 116 mm
    place = (axis.first + np.arange(30)) * axis.spans / (axis.voxels - 1)
    known = BSpline.design_matrix(place, np.arange(-3, axis.spans + 4.0), 3).toarray()
    np.testing.assert_allclose(axis.weights(), known, atol=1e-12)


def test_finer_knots_describe_the_same_spline() -> None:
    axes = [n4._Axis.of(n, step, 40.0) for n, step in zip((12, 15, 9), SPACING, strict=True)]
    mask = np.ones((12, 15, 9), bool)
    knots = np.random.default_rng(0).normal(size=[axis.knots for axis in axes])
    coarse = n4._Fit(axes, mask).field(knots)
    fine = n4._Fit([axis.halved() for axis in axes], mask).field(n4._refined(knots))
    np.testing.assert_allclose(fine, coarse, atol=1e-4)  # ITK's last voxel is not quite at the end


def test_sums_over_axes_are_those_over_voxels() -> None:
    draw = np.random.default_rng(1)
    mask = draw.random((6, 5, 7)) < 0.4
    values = draw.normal(size=int(mask.sum()))
    axes = [n4._Axis.of(n, step, 30.0) for n, step in zip(mask.shape, SPACING, strict=True)]
    above = below = 0.0
    for (i, j, k), value in zip(np.argwhere(mask), values, strict=True):  # Lee et al. 1997
        x, y, z = (axis.weights()[at] for axis, at in zip(axes, (i, j, k), strict=True))
        w = x[:, None, None] * y[:, None] * z
        above, below = above + w**2 * (w * value / (w**2).sum()), below + w**2
    np.testing.assert_allclose(n4._Fit(axes, mask).knots(values), above / below, atol=1e-12)
