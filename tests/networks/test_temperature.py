"""A temperature makes probabilities sharper and moves no edge."""

from collections.abc import Callable

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.networks.predict import Prediction, segment
from spinalprep.networks.temperature import sharpen, sharpen_spread
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.phantom.images import render

SHARE = np.linspace(0, 1, 201, dtype=np.float32)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.7])
def test_logits_are_divided_and_one_half_stays(temperature: float) -> None:
    sharp = sharpen(SHARE, temperature)
    inner = slice(1, -1)
    logits = np.log(SHARE[inner] / (1 - SHARE[inner]))
    expected = 1 / (1 + np.exp(-logits / temperature))
    np.testing.assert_allclose(sharp[inner], expected, rtol=2e-5)
    np.testing.assert_array_equal(sharp[[0, 100, 200]], [0, 0.5, 1])
    np.testing.assert_array_equal(sharp >= 0.5, SHARE >= 0.5)
    assert sharp.dtype == np.float32


def test_a_temperature_and_its_inverse_cancel() -> None:
    np.testing.assert_allclose(
        sharpen(sharpen(SHARE, 0.5), 2.0), SHARE, atol=3e-5
    )  # float32 near one


def test_the_spread_is_that_of_the_sharpened_views() -> None:
    middle = SHARE[20:-20].astype(float)
    views = [(middle + step).astype(np.float32) for step in (-1e-3, 1e-3)]
    after = np.std([sharpen(view, 0.5) for view in views], axis=0)
    spread = np.full(middle.shape, 1e-3, np.float32)
    moved = sharpen_spread(spread, middle.astype(np.float32), 0.5)
    np.testing.assert_allclose(moved, after, rtol=0.02)


@pytest.fixture(scope="module")
def found() -> Callable[[dict[str, float]], Prediction]:
    affine = np.diag([-0.7, 0.7, 4.0, 1.0])
    affine[:3, 3] = [24, -20, -8]
    person, model = make_person(100_004, head=False), load_model("cord")
    image = render(person, "T2w", ((70, 70, 5), affine), 100_004, noise=0.01)
    line = fit_centerline(person.centerline.at(np.linspace(0, person.centerline.length, 40)))
    card = {key: value for key, value in model.card.items() if key != "temperature"}
    return lambda more: segment(image, line, Model(model.network, card | more))


def test_masks_and_lesions_are_those_without(
    found: Callable[[dict[str, float]], Prediction],
) -> None:
    plain, one, sharp = found({}), found({"temperature": 1.0}), found({"temperature": 0.4})
    for name in ("cord", "gm", "lesion", "sd"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(one, name))
    assert (plain.cord >= 0.5).sum() > 100
    for name in ("cord", "gm"):
        np.testing.assert_array_equal(getattr(plain, name) >= 0.5, getattr(sharp, name) >= 0.5)
    np.testing.assert_array_equal(plain.lesion, sharp.lesion)
    np.testing.assert_array_equal(sharp.cord, sharpen(plain.cord, 0.4))
