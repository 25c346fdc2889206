"""Networks, weights and windows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.trace import trace_centerline
from spinalprep.errors import ModelError
from spinalprep.image import Image, grid_points
from spinalprep.networks.cards import packaged_weights
from spinalprep.networks.cascade import Networks, by_task, find_cord
from spinalprep.networks.parallel import map_parts
from spinalprep.networks.predict import _voxels_near, find_heat, segment
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.unet2d import InstanceNorm, halve
from spinalprep.networks.weights import Model, load_model, save_model
from spinalprep.networks.window import (
    Beside,
    axial_at,
    differences,
    scale_window,
    usual_sections,
    with_sections_beside,
)


@pytest.mark.parametrize(("name", "channels"), [("centerline_unet", 1), ("cord_unet", 3)])
def test_presets_keep_the_size_of_any_window(name: str, channels: int) -> None:
    network = PRESETS[name]().eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, 50, 67)).shape == (2, channels, 50, 67)


def test_weights_round_trip_and_damage(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = save_model(PRESETS["cord_unet"](), tmp_path / "x.safetensors", {"preset": "cord_unet"})
    assert load_model(path).card["preset"] == "cord_unet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="sha256"):
        load_model(path)
    card = path.with_suffix(".json")
    card.write_text("{")
    with pytest.raises(ModelError, match="model card"):
        load_model(path)
    card.unlink()
    with pytest.raises(ModelError, match="missing"):
        load_model(path)


@pytest.mark.parametrize("name", ["centerline", "cord", "gm"])
def test_packaged_cards_say_what_they_must(name: str) -> None:
    card = json.loads(packaged_weights(name).with_suffix(".json").read_text())
    wanted = {"name", "task", "inputs", "spacing", "orientation", "channels", "classes", "sha256"}
    assert wanted | {"data", "seed", "recipe", "limits", "licence", "synthetic"} <= card.keys()


def test_scaling_looks_at_valid_pixels_only() -> None:
    window = np.tile(np.linspace(100, 200, 50, dtype=np.float32), (40, 1))
    valid = np.ones(window.shape, bool)
    valid[:, :10] = False
    spoiled = window.copy()
    spoiled[:, :10] = 1e6
    np.testing.assert_array_equal(scale_window(spoiled, valid), scale_window(window, valid))
    assert scale_window(window - 500).min() == 0.0
    assert scale_window(window - 500).max() == 1.0
    assert not scale_window(np.full((5, 5), 3.0, np.float32)).any()


def test_axial_resampling_keeps_every_slice() -> None:
    affine = np.diag([-0.37, 0.41, 2.5, 1.0])
    affine[:3, 3] = [20.13, -31.7, 11.9]
    image = Image(np.ones((90, 80, 7), np.float32), affine)
    coarse = axial_at(image, 1.0)
    np.testing.assert_allclose(coarse.voxel_sizes, [1, 1, 2.5])
    assert coarse.data.min() > 0.99


@pytest.fixture(scope="module")
def tube() -> tuple[Image, np.ndarray, np.ndarray]:
    """A gray cord in bright fluid in dark tissue, leaning; the image, the cord, its centers."""
    affine = np.diag([-0.8, 0.8, 3.0, 1.0])
    affine[:3, 3] = [40, -40, -20]
    points = grid_points((100, 100, 14), affine)
    x = points[..., 0] - 0.15 * points[..., 2]
    y = points[..., 1] - 3.0
    cord = (x / 6.5) ** 2 + (y / 4.2) ** 2 <= 1
    fluid = (x / 10) ** 2 + (y / 7.5) ** 2 <= 1
    body = (points[..., 0] / 38) ** 2 + (points[..., 1] / 38) ** 2 <= 1
    chance = np.random.default_rng(5)
    data = 0.05 + 0.3 * body + 0.6 * fluid - 0.45 * cord + 0.03 * chance.standard_normal(x.shape)
    return Image(data.astype(np.float32), affine), cord, points


def test_packaged_networks_find_a_cord_that_no_person_has(
    tube: tuple[Image, np.ndarray, np.ndarray],
) -> None:
    image, cord, _ = tube
    trace = trace_centerline(find_heat(image, load_model("centerline")))
    true_x = 0.15 * trace.points[:, 2]
    assert np.hypot(trace.points[:, 0] - true_x, trace.points[:, 1] - 3.0).max() < 2.0
    line = fit_centerline(trace.points, trace.confidence)
    found = segment(image, line, load_model("cord"))
    mask = found.cord > 0.5
    assert 2 * (mask & cord).sum() / (mask.sum() + cord.sum()) > 0.9
    assert found.cord.shape == found.sd.shape == image.shape
    assert found.cord.dtype == np.float32
    assert found.sd.min() >= 0


def test_prediction_is_the_same_twice(tube: tuple[Image, np.ndarray, np.ndarray]) -> None:
    image = tube[0]
    line = fit_centerline(np.array([[3.0, 3, 20], [0, 3, 0], [-2.7, 3, -18]]))
    model = load_model("cord")
    first, second = (segment(image, line, model).cord for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_number_of_threads_changes_no_number(
    tube: tuple[Image, np.ndarray, np.ndarray],
) -> None:
    networks = Networks(centerline=load_model("centerline"), cord=load_model("cord"))
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(find_cord(tube[0], networks))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for name in ("cord", "probability", "gm", "lesion", "uncertainty"):
        np.testing.assert_array_equal(*(getattr(each, name).data for each in found))
    np.testing.assert_array_equal(*(each.centerline.points for each in found))


@pytest.mark.parametrize(("thickness", "seen"), [(3.0, 14), (1.0, 8), (0.6, 6)])
def test_thin_slices_are_looked_at_every_2_mm(
    tube: tuple[Image, np.ndarray, np.ndarray], thickness: float, seen: int
) -> None:
    shown = []

    class Middle(torch.nn.Module):
        """What a network would see: the grays of the middle of a slice."""

        def forward(self, slices: torch.Tensor) -> torch.Tensor:
            shown.append(len(slices))
            height = slices[..., 64:65, 64:65]  # in the padded window
            return height.expand_as(slices)

    affine = tube[0].affine.copy()
    affine[2, 2] = thickness
    ramp = np.full((100, 100, 14), 0.0, np.float32)
    ramp[:30] = 1.0  # percentiles of every slice
    ramp[40:60, 40:60] = np.arange(14) / 13
    heat = find_heat(Image(ramp, affine), Model(Middle(), {"task": "centerline"}))
    assert sum(shown) == seen
    assert heat.shape[2] == 14
    told = heat.data[40, 40]
    np.testing.assert_allclose(told, 1 / (1 + np.exp(-np.arange(14) / 13)), atol=2e-3)


def test_the_voxels_near_a_line_are_all_there() -> None:
    affine = np.diag([-0.9, 0.9, 1.3, 1.0])
    affine[:3, 3] = [30, -45, -45]  # both ends of the line are in view
    image = Image(np.zeros((70, 100, 70), np.float32), affine)
    angle = np.linspace(-0.9, 0.9, 60)  # a bend of a radius of 45 mm
    bent = np.stack([0.2 * angle, 45 * np.cos(angle) - 45, 45 * np.sin(angle)], axis=-1)
    line = fit_centerline(bent, smoothing_mm=2.0)
    reach = 12.0
    chosen = np.zeros(image.shape, bool)
    chosen[tuple(_voxels_near(image, line, reach).T)] = True
    sxy = line.project(grid_points(image.shape, affine))
    within = (sxy[..., 0] >= -2) & (sxy[..., 0] <= line.length + 2)
    near = within & (np.hypot(sxy[..., 1], sxy[..., 2]) <= reach)
    assert near.sum() > 10_000
    assert (near & ~chosen).sum() == 0
    assert chosen.sum() < 0.6 * chosen.size


def test_parts_keep_their_order_and_their_errors() -> None:
    parts = [torch.full((2,), float(n)) for n in range(20)]
    assert [float(part[0]) for part in map_parts(lambda part: part * 2, parts)] == [
        2.0 * n for n in range(20)
    ]
    with pytest.raises(RuntimeError, match="mat"):
        map_parts(lambda part: part @ torch.eye(3), parts)


def test_the_fast_layers_are_torch_s_own() -> None:
    image = torch.randn(3, 5, 12, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(halve(image), torch.nn.functional.max_pool2d(image, 2))
    norm, slow = InstanceNorm(5, affine=True), torch.nn.InstanceNorm2d(5, affine=True)
    with torch.no_grad():
        for layer in (norm, slow):
            layer.weight.copy_(torch.arange(5.0))
            layer.bias.copy_(torch.arange(5.0) - 2)
    last = image.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for given in (image, last, last + 100.0):
            torch.testing.assert_close(norm(given), slow(given), atol=2e-4, rtol=1e-4)
        torch.testing.assert_close(norm(last), slow(image))


def test_usual_section_keeps_what_runs_along_the_cord() -> None:
    heights = np.arange(40) * 1.0
    windows = np.full((40, 8, 8), 0.4, np.float32)
    windows[:, 3, 3] = 0.7  # gray matter, say
    windows[10:18, 5, 5] = 0.9  # a lesion of 8 mm
    usual = usual_sections(windows, heights, 15.0)
    np.testing.assert_array_equal(usual[:, 3, 3], np.float32(0.7))
    np.testing.assert_array_equal(usual[:, 5, 5], np.float32(0.4))
    near = usual_sections(windows, heights, 2.0)
    np.testing.assert_array_equal(near[12:16, 5, 5], np.float32(0.9))


def test_a_window_is_shown_with_those_below_and_above_and_the_median() -> None:
    windows = np.zeros((12, 4, 4), np.float32)
    windows += np.arange(12, dtype=np.float32)[:, None, None]
    heights = np.arange(12) * 5.0
    assert np.array_equal(with_sections_beside(windows, heights, Beside())[:, 0], windows)
    shown = with_sections_beside(windows, heights, Beside(neighbours_mm=8.0, median_mm=40.0))
    assert shown.shape == (12, Beside(8.0, 40.0).channels, 4, 4)
    assert shown[5, :3, 0, 0].tolist() == [5.0, 3.0, 7.0]  # 10 mm off are nearer to 8 than 5 are
    assert shown[0, 1, 0, 0] == 0.0  # there is nothing below
    np.testing.assert_array_equal(shown[:, 3], usual_sections(windows, heights, 40.0))


def test_networks_are_known_by_their_task() -> None:
    centerline, cord = load_model("centerline"), load_model("cord")
    assert by_task([cord, centerline]) == {"cord": cord, "centerline": centerline}
    with pytest.raises(ModelError, match="expected one each of centerline, cord, gm, lesion"):
        by_task([cord, cord])
    with pytest.raises(ModelError, match="task discs"):
        by_task([load_model("discs")])


def test_difference_is_the_lesion_whatever_the_greys_around() -> None:
    a, b = np.mgrid[:48, :48] - 23.5
    far, lesion = np.hypot(a, b), np.hypot(a - 4, b) < 4
    usual = np.where(far < 9, 0.4, np.where(far < 14, 0.9, 0.2)).astype(np.float32)[None]
    window = 0.8 * usual + np.float32(0.12)
    window[0, lesion] += 0.2
    window[0, far > 20] = 0.6  # a disc in place of bone, beyond the canal
    apart = differences(usual, window)[0]
    np.testing.assert_allclose(apart[~lesion], 0.5, atol=0.02)
    np.testing.assert_allclose(apart[lesion], 0.5 + 2 * 0.2, atol=0.02)
    flat = np.full_like(usual, 0.5)  # nothing to tell a slope from
    assert np.isfinite(differences(flat, window)).all()
    np.testing.assert_array_equal(differences(usual * 0, window), 0.5)  # beyond the image
