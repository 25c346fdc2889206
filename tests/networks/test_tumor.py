"""Cropping and stitching of the tumor networks, with networks whose answer is known."""

import numpy as np
import pytest
from torch import Tensor, nn

from spinalprep.cord.centerline import fit_centerline
from spinalprep.errors import InputError, NoCordError
from spinalprep.image import Image, grid_points, reorient
from spinalprep.lesion.tumors import TumorRule, call_tumors
from spinalprep.networks.sagittal import to_sagittal
from spinalprep.networks.tumor import (
    Contrasts,
    cascade_tube,
    find_tube,
    map_tumors,
    patch_starts,
    tube_around,
)
from spinalprep.networks.weights import Model, load_model
from spinalprep.phantom.tumors import make_patient, scan_patient

CARD = {"spacing": [1, 1, 2], "patch": [32, 16, 8]}


class Bright(nn.Module):
    """Calls what is much brighter than the rest of the first channel, in every map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.maps, self.shapes = maps, []

    def forward(self, image: Tensor) -> Tensor:
        self.shapes.append(tuple(image.shape))
        return ((image[:, :1] - 2.2) * 50).expand(-1, self.maps, -1, -1, -1)


def _scene(shape: tuple[int, int, int] = (60, 70, 120)) -> tuple[Image, np.ndarray]:
    """A dim image in LAS with a bright ball, and where the ball is."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [29.5, -34.5, -60.0]
    ball = np.linalg.norm(grid_points(shape, affine) - (2.0, 3.0, 4.0), axis=-1) < 6.0
    ramp = np.broadcast_to(np.linspace(98.0, 102.0, shape[2]), shape)  # z-scores of at most 1.8
    return Image((ramp + 40 * ball).astype(np.float32), affine), ball


def _line() -> object:
    z = np.linspace(50.0, -50.0, 60)
    return fit_centerline(np.stack([0 * z + 1.0, 0 * z + 2.0, z], axis=-1))


@pytest.mark.parametrize("axes", ["LAS", "PSR"])
def test_what_a_network_calls_comes_back_where_it_is(axes: str) -> None:
    image, ball = _scene()
    image = reorient(image, axes)
    truth = reorient(Image(ball.astype(np.float32), _scene()[0].affine), axes).data > 0.5
    model = Model(Bright(4), CARD)
    for tube in (None, tube_around(_line(), image)):
        found = map_tumors(Contrasts(image, None), model, tube)
        mask = found.tumor >= 0.5
        assert mask.shape == image.shape
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8
    shapes = {shape[1:] for shape in model.network.shapes}
    assert shapes == {(2, 32, 16, 8)}  # both contrasts, the card's patch


def test_the_crop_saves_patches_and_hides_what_is_outside() -> None:
    image, _ = _scene()
    far = image.data.copy()
    far[:6, :6, :20] = 200.0  # bright and far from the cord
    seen = Contrasts(image.with_data(far), None)
    whole, cropped = Model(Bright(4), CARD), Model(Bright(4), CARD)
    everywhere = map_tumors(seen, whole)
    near = map_tumors(seen, cropped, tube_around(_line(), image))
    assert everywhere.tumor[2, 2, 10] > 0.5 > near.tumor[2, 2, 10]
    assert len(cropped.network.shapes) < len(whole.network.shapes) / 2


def test_a_missing_contrast_is_shown_as_zero_and_none_is_refused() -> None:
    image, _ = _scene((20, 24, 40))

    class Second(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            assert not shown[:, 0].any()
            assert shown[:, 1].std() > 0.5
            return shown[:, :1].expand(-1, 4, -1, -1, -1)

    map_tumors(Contrasts(None, image), Model(Second(), CARD))
    with pytest.raises(InputError, match="got neither"):
        Contrasts(None, None)


def test_an_image_smaller_than_a_patch_is_one_patch() -> None:
    image, _ = _scene((10, 12, 20))
    model = Model(Bright(4), CARD)
    map_tumors(Contrasts(image, image), model)
    assert model.network.shapes == [(1, 2, 20, 12, 5)]


def test_the_tube_around_a_line_has_its_width_and_length() -> None:
    image, _ = _scene()
    tube = tube_around(_line(), image)
    volume = tube.data.sum() * tube.voxel_volume
    assert volume == pytest.approx(np.pi * 15**2 * 100, rel=0.05)
    assert tube.axes == "SAL"


def test_small_pieces_are_no_cord_and_the_centerline_steps_in() -> None:
    image, _ = _scene()
    card = {"spacing": [2, 2, 4]}
    with pytest.raises(NoCordError):
        find_tube(image, Model(Bright(1), card))  # the ball has 0.9 cm3
    tube, warnings = cascade_tube(image, _line(), Model(Bright(1), card))
    assert "centerline" in warnings[0]
    np.testing.assert_array_equal(tube.data, tube_around(_line(), image).data)
    bar = image.data.copy()
    bar[22:32, 22:32] = 1000.0
    found = find_tube(image.with_data(bar), Model(Bright(1), card))
    assert found.data.sum() * found.voxel_volume == pytest.approx(10 * 10 * 120, rel=0.3)
    bar[2:12, 2:12, :80] = 1000.0  # as large as a cord's piece may be, but not the largest
    alone = find_tube(image.with_data(bar), Model(Bright(1), card))
    np.testing.assert_array_equal(alone.data, found.data)


def test_sagittal_grids_average_and_keep_places() -> None:
    image, ball = _scene()
    coarse = to_sagittal(image.with_data(ball.astype(np.float32)), (2.0, 2.0, 4.0))
    assert coarse.axes == "SAL"
    np.testing.assert_allclose(coarse.voxel_sizes, [2, 2, 4])
    assert coarse.data.sum() * 16 == pytest.approx(ball.sum(), rel=0.05)
    points = grid_points(coarse.shape, coarse.affine)
    middle = (points * coarse.data[..., None]).sum(axis=(0, 1, 2)) / coarse.data.sum()
    np.testing.assert_allclose(middle, [2.0, 3.0, 4.0], atol=0.3)


def test_patches_cover_everything_and_end_at_the_end() -> None:
    for count in range(5, 40):
        starts = patch_starts(count, 5, 3)
        covered = {n for s in starts for n in range(s, s + 5)}
        assert covered == set(range(count))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ependymoma", "healthy"])
def test_shipped_weights_find_a_synthetic_tumor_and_none_in_the_healthy(kind: str) -> None:
    patient = make_patient(110_400, kind)
    affine = np.diag([3.3, 1.0, 1.0, 1.0])
    affine[:3, 3] = patient.centerline.points.mean(axis=0) - (23.1, 30.0, 90.0)
    scanned = scan_patient(patient, (15, 60, 180), affine, 110_400)
    tube = tube_around(patient.centerline, scanned.t2w)
    found = map_tumors(Contrasts(scanned.t2w, scanned.gd_t1w), load_model("tumor"), tube)
    called = call_tumors(found, scanned.t2w.voxel_volume, TumorRule()).tumor
    true = scanned.structures["tumor"].data >= 0.5
    if kind == "healthy":
        assert not called.any()
    else:
        assert true.sum() > 100
        assert 2 * (called & true).sum() / (called.sum() + true.sum()) > 0.4
