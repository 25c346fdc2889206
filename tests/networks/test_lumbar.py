"""Lumbar maps: any voxel order, one contrast or two, probabilities that add up."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.errors import InputError
from spinalprep.image import Image, back_on, reorient, upright
from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.networks.lumbar import map_structures
from spinalprep.networks.presets import lumbar_unet
from spinalprep.networks.weights import Model, load_model, save_model


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(3)
    card = {"spacing": [1.0, 1.0], "classes": list(STRUCTURES)}
    return Model(lumbar_unet().eval(), card)


@pytest.fixture(scope="module")
def image() -> Image:
    noise = np.random.default_rng(1).random((4, 70, 80)).astype(np.float32)
    affine = np.diag([4.0, 1.0, 1.0, 1.0])
    return Image(noise, affine)


def test_probabilities_add_up_on_the_grid_of_the_image(model: Model, image: Image) -> None:
    found = map_structures(image, None, model)
    assert found.shape == (12, *image.shape)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-4)


def test_any_voxel_order(model: Model, image: Image) -> None:
    turned = reorient(image, "PIR")
    usual, other = (map_structures(i, None, model) for i in (image, turned))
    for one, two in zip(usual, other, strict=True):
        ours = upright(image.with_data(one)).data
        theirs = upright(turned.with_data(two)).data
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert back_on(upright(image).data, image).shape == image.shape


def test_both_contrasts_are_seen_wherever_they_lie(model: Model, image: Image) -> None:
    alone = map_structures(image, None, model)
    both = map_structures(image, image, model)
    other = map_structures(None, image, model)
    assert np.abs(alone - both).max() > 1e-3
    assert np.abs(alone - other).max() > 1e-3
    wider = Image(np.pad(image.data, ((0, 0), (5, 5), (0, 0))), image.affine.copy())
    wider.affine[1, 3] -= 5
    moved = map_structures(image, wider, model)
    np.testing.assert_allclose(moved, both, atol=5e-2)  # the brightest of a slice may differ


def test_large_slices_are_cut_into_windows(model: Model) -> None:
    noise = np.random.default_rng(2).random((1, 210, 250)).astype(np.float32)
    found = map_structures(Image(noise, np.diag([5.0, 1.0, 1.0, 1.0])), None, model)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-4)


def test_what_cannot_show_a_lumbar_spine_is_refused(model: Model, image: Image) -> None:
    with pytest.raises(InputError, match="got neither"):
        map_structures(None, None, model)
    with pytest.raises(InputError, match="in its sagittal planes"):
        map_structures(Image(image.data[:, :30], image.affine), None, model)


def test_weights_go_through_a_file(model: Model, image: Image, tmp_path: Path) -> None:
    path = save_model(
        model.network, tmp_path / "x.safetensors", {**model.card, "preset": "lumbar_unet"}
    )
    assert path.stat().st_size < 5e6
    again = map_structures(image, None, load_model(path))
    np.testing.assert_allclose(again, map_structures(image, None, model), atol=2e-2)
