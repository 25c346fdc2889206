"""Images of one person looked at together: one of them, several, parts of the cord."""

import numpy as np
import pytest
import torch

from spinalprep.cord.centerline import fit_centerline
from spinalprep.errors import InputError
from spinalprep.image import Image
from spinalprep.networks.hemis import CONTRASTS
from spinalprep.networks.predict import lesions, segment
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.together import segment_together
from spinalprep.networks.weights import Model

SHAPE = (40, 44, 10)
AXIAL, SAGITTAL = "acq-axial_T2w", "acq-sagittal_T2w"
CARD = {
    "task": "hemis",
    "window": 48,
    "spacing": [0.5, 0.5],
    "usual_mm": 30.0,
    "classes": ["cord", "gm", "lesion"],
    "contrasts": list(CONTRASTS),
    "channels": 2 * len(CONTRASTS),
}


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(PRESETS["hemis_unet"]().eval(), CARD)


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    chance = np.random.default_rng(0)
    affine = np.diag([-0.6, 0.6, 4.0, 1.0])
    return {
        name: Image(chance.random(SHAPE, np.float32), affine) for name in (AXIAL, SAGITTAL, "T1w")
    }


@pytest.fixture(scope="module")
def line():
    z = np.linspace(36.0, 0.0, 40)
    return fit_centerline(np.stack([0 * z - 12.0, 0 * z + 13.0, z], axis=-1))


def test_one_contrast_is_what_its_own_channels_say(model: Model, images, line) -> None:
    """The others are zero: the same as a network of one image that has one back end."""

    class One(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            whole = image.new_zeros((len(image), 2 * len(CONTRASTS), *image.shape[2:]))
            at = 2 * CONTRASTS.index(AXIAL)
            whole[:, at : at + 2] = image
            return model.network(whole)

    alone = segment_together({AXIAL: images[AXIAL]}, line, model, views=2)
    card = {key: value for key, value in CARD.items() if key != "contrasts"}
    same = segment(images[AXIAL], line, Model(One(), card), 2)
    np.testing.assert_allclose(alone.lesion, same.lesion, atol=1e-5)
    np.testing.assert_allclose(alone.cord, same.cord, atol=1e-5)
    assert lesions(images[AXIAL], line, Model(One(), card)).shape == SHAPE


def test_every_order_gives_the_same_and_each_image_matters(model: Model, images, line) -> None:
    whole = segment_together(images, line, model).lesion
    turned = dict(reversed(images.items()))
    np.testing.assert_allclose(segment_together(turned, line, model).lesion, whole, atol=1e-5)
    for name in images:
        less = {other: image for other, image in images.items() if other != name}
        assert np.abs(segment_together(less, line, model).lesion - whole).max() > 1e-3


def test_where_an_image_was_not_acquired_the_others_decide(model: Model, images, line) -> None:
    covered = np.zeros(SHAPE, np.float32)
    covered[:, :, 5:] = 1
    coverage = {SAGITTAL: images[AXIAL].with_data(covered)}
    both = {name: images[name] for name in (AXIAL, SAGITTAL)}
    found = segment_together(both, line, model, coverage).lesion
    alone = segment_together({AXIAL: images[AXIAL]}, line, model).lesion
    np.testing.assert_allclose(found[:, :, :5], alone[:, :, :5], atol=1e-5)
    assert np.abs(found[:, :, 5:] - alone[:, :, 5:]).max() > 1e-3
    changed = images[SAGITTAL].data.copy()
    changed[:, :, :5] = 99.0  # what was not acquired is not looked at, nor is it usual
    other = both | {SAGITTAL: images[AXIAL].with_data(changed)}
    np.testing.assert_allclose(
        segment_together(other, line, model, coverage).lesion, found, atol=1e-5
    )


def test_what_it_cannot_read_is_said(model: Model, images, line) -> None:
    with pytest.raises(InputError, match="images of T2w; expected one or more of T1w"):
        segment_together({"T2w": images[AXIAL]}, line, model)
    with pytest.raises(InputError, match="no contrast"):
        segment_together({}, line, model)
    small = Image(images["T1w"].data[:, :, :5], images["T1w"].affine)
    with pytest.raises(InputError, match="T1w"):
        segment_together({AXIAL: images[AXIAL], "T1w": small}, line, model)
