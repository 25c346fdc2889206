"""A planted field is found, and nothing else is taken away."""

import numpy as np
import pytest

from spinalprep.errors import InputError
from spinalprep.image import Image, grid_points
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render
from spinalprep.registration.bias import correct_bias, neck_mask

AFFINE = np.diag([-1.5, 1.5, 3.0, 1.0])


def _neck(seed: int = 0) -> tuple[Image, np.ndarray, np.ndarray]:
    """Return a neck of two tissues in air, its body and its tissues (1, 2)."""
    shape = (96, 96, 16)
    x, y, _ = np.moveaxis(grid_points(shape, np.diag([1.5, 1.5, 3, 1])), -1, 0) - 70
    radius = np.hypot(x, y)
    blobs = np.sin(x / 7) * np.sin(y / 6) > 0
    tissue = np.where(radius < 55, 1 + blobs, 0)
    clean = np.array([2.0, 100.0, 160.0])[tissue]
    noise = np.random.default_rng(seed).normal(0, 2, shape)
    return Image((clean + noise).astype(np.float32), AFFINE), tissue > 0, tissue


def _coil(image: Image) -> np.ndarray:
    """A surface coil at the back of the neck: falling by 4 over 110 mm."""
    y = grid_points(image.shape, np.diag([1.5, 1.5, 3, 1]))[..., 1]
    return np.asarray(np.exp(-(y - 15) / 80))


def _spread_within(data: np.ndarray, tissue: np.ndarray) -> float:
    """Return the mean coefficient of variation inside the tissues."""
    return float(np.mean([data[tissue == t].std() / data[tissue == t].mean() for t in (1, 2)]))


def test_mask_is_the_body_near_and_far_from_the_coil() -> None:
    image, body, _ = _neck()
    shaded = image.with_data(image.data * _coil(image))
    for given in (image, shaded):
        mask = neck_mask(given).data > 0
        assert 2 * (mask & body).sum() / (mask.sum() + body.sum()) > 0.95


def test_mask_without_air_is_everything() -> None:
    data = np.random.default_rng(0).normal(300, 30, (30, 30, 30)).astype(np.float32)
    assert neck_mask(Image(data, AFFINE)).data.all()


def test_mask_of_an_image_with_negative_air() -> None:
    image, body, _ = _neck()
    mask = neck_mask(image.with_data(image.data - 20)).data > 0
    assert 2 * (mask & body).sum() / (mask.sum() + body.sum()) > 0.95


@pytest.mark.slow
def test_planted_field_is_removed() -> None:
    image, body, tissue = _neck()
    coil = _coil(image)
    shaded = image.with_data((image.data * coil).astype(np.float32))
    corrected, field = correct_bias(shaded)
    before, after = _spread_within(shaded.data, tissue), _spread_within(corrected.data, tissue)
    assert after < before / 4
    ratio = np.log(field.data[body] / coil[body])
    assert ratio.std() < 0.1
    assert np.median(field.data[body]) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(corrected.data * field.data, shaded.data, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_the_field_of_a_surface_coil_is_removed_from_a_neck() -> None:
    affine = np.diag([-1.6, 1.6, 2.0, 1.0])
    person = make_person(100_004)
    affine[:3, 3] = person.centerline.at(np.array([person.centerline.length / 2]))[0]
    affine[:3, 3] -= affine[:3, :3] @ np.array([32.0, 48.0, 30.0])
    even = render(person, "T2w", ((64, 96, 60), affine), 4, noise=0.01)
    points = grid_points(even.shape, affine)
    behind = points[even.data > np.median(even.data)].mean(axis=0) - np.array([0.0, 60.0, 0.0])
    coil = 1 / (0.4 + (((points - behind) / [90.0, 80.0, 120.0]) ** 2).sum(axis=-1))
    body = neck_mask(even)
    inside = body.data > 0
    fields = [
        correct_bias(each, body)[1].data[inside]
        for each in (even, even.with_data((even.data * coil).astype(np.float32)))
    ]
    left = np.log(fields[1] / fields[0] / coil[inside])
    assert np.log(coil[inside]).std() > 0.3
    assert left.std() < 0.2 * np.log(coil[inside]).std()


@pytest.mark.slow
def test_even_image_stays_even_and_repeats() -> None:
    image, body, _ = _neck()
    first, field = correct_bias(image)
    again, _ = correct_bias(image)
    assert field.data[body].std() < 0.05
    np.testing.assert_array_equal(first.data, again.data)


def test_negative_values_survive() -> None:
    image, _, _ = _neck()
    lowered = image.with_data(image.data - 10)
    corrected, _ = correct_bias(lowered)
    assert np.isfinite(corrected.data).all()
    np.testing.assert_array_equal(corrected.data < 0, lowered.data < 0)


def test_too_little_body() -> None:
    image, _, _ = _neck()
    few = np.zeros(image.shape, np.uint8)
    few[40:44, 40:44, 4:6] = 1
    with pytest.raises(InputError, match="--skip n4"):
        correct_bias(image, image.with_data(few))
