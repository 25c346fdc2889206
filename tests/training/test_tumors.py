"""Material and patches of the tumor networks: what is drawn is what is taught."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.errors import UsageError
from spinalprep.image import grid_points, to_world
from spinalprep.networks.presets import PRESETS
from spinalprep.networks.weights import save_model
from spinalprep.phantom.anatomy import make_person
from spinalprep.training.material.necks import Neck, Necks, Room, digital_necks
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.synthesis.growths import Chance, Section, draw_other, draw_tumor
from spinalprep.training.synthesis.tumors import CLASSES, TumorRanges, _acquired, make_tumors
from spinalprep.training.train import start_from

ROOM = Room(1.0, 16.0, 14.0)
RANGES = TumorRanges(size=(48, 24, 12))


@pytest.fixture(scope="module")
def neck() -> Neck:
    return next(digital_necks([3], ROOM))


def _draw(neck: Neck, seed: int, ranges: TumorRanges = RANGES, tube: bool = False):  # type: ignore[no-untyped-def]
    return make_tumors([neck], ranges, torch.Generator().manual_seed(seed), tube)


def test_a_neck_knows_the_way_from_its_centerline(neck: Neck) -> None:
    line = make_person(3).centerline
    s, away = neck.place[0], neck.place[1:]
    middle = tuple(n // 2 for n in s.shape)
    ijk = np.array(middle) * 2 + 0.5  # of the fine voxels
    foot = ijk - away[(slice(None), *middle)]
    low, high = line.points.min(axis=0), line.points.max(axis=0)
    counts = np.array(neck.cord.shape)[[2, 1, 0]]
    first = (low + high) / 2 - (counts - 1) / 2 * np.array([-1.0, 1.0, 1.0])
    affine = np.array(
        [[0, 0, -1, first[0]], [0, 1, 0, first[1]], [1, 0, 0, first[2]], [0, 0, 0, 1]]
    )
    np.testing.assert_allclose(to_world(foot, affine), line.at(s[middle]), atol=0.05)
    part = slice(90, 100)
    points = grid_points(neck.cord.shape, affine)[part]
    sxy = line.project(points)
    assert neck.cord[part][np.hypot(sxy[..., 1], sxy[..., 2]) < 2.5].all()


def test_patches_follow_the_seed_alone(neck: Neck) -> None:
    one, again, other = (_draw(neck, seed) for seed in (5, 5, 6))
    torch.testing.assert_close(one.image, again.image, rtol=0, atol=0)
    assert not torch.equal(one.image, other.image)
    assert one.image.shape == (1, 2, *RANGES.size)
    assert one.truth.shape == (1, len(CLASSES), *RANGES.size)


def test_structures_lie_in_the_abnormality_and_masks_are_hard_or_soft(neck: Neck) -> None:
    soft = TumorRanges(size=RANGES.size, tumors=1.0, soft=True)
    seen = 0
    for seed in range(6):
        hard, shares = (
            _draw(neck, seed, TumorRanges(size=RANGES.size, tumors=1.0)),
            _draw(neck, seed, soft),
        )
        assert set(hard.truth.unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(hard.truth, (shares.truth >= 0.5).float())
        parts, whole = shares.truth[0, :3], shares.truth[0, 3]
        assert (whole >= parts.amax(dim=0) - 1e-6).all()
        assert (parts.sum(dim=0) <= 1 + 1e-5).all()
        seen += int(shares.truth[0, 0].any())
    assert seen >= 4


def test_what_is_no_tumor_is_not_taught_as_one(neck: Neck) -> None:
    nothing = TumorRanges(size=RANGES.size, tumors=0.0)
    batches = [_draw(neck, seed, nothing) for seed in range(12)]
    assert not any(batch.truth[:, :2].any() for batch in batches)
    assert any(batch.truth[:, 2].any() for batch in batches)  # a syrinx is a cavity


def test_a_missing_contrast_is_zero(neck: Neck) -> None:
    batch = _draw(neck, 1, TumorRanges(size=RANGES.size, without_t1w=1.0))
    assert not batch.image[:, 1].any()
    assert batch.image[:, 0].std() > 0.5


def test_edema_is_not_asked_for_without_t2w_and_t2w_lacks_only_where_a_tumor_enhances(
    neck: Neck,
) -> None:
    ranges = TumorRanges(size=RANGES.size, tumors=1.0, without_t1w=0.0, without_t2w=1.0, moved=0.0)
    lacking = [_draw(neck, seed, ranges) for seed in range(16)]
    blind = [batch for batch in lacking if not batch.image[:, 0].any()]
    assert 0 < len(blind) < len(lacking)  # what does not enhance keeps its T2w
    assert not any(batch.truth[:, 1].any() for batch in blind)
    assert any(batch.truth[:, 1].any() for batch in lacking)


def test_a_tumor_that_gadolinium_does_not_show_is_bright_in_t2w(neck: Neck) -> None:
    ranges = TumorRanges(size=RANGES.size, tumors=1.0, without_t1w=1.0)
    steps = []
    for seed in range(24):
        batch = _draw(neck, seed, ranges)
        tumor, rest = batch.truth[0, 0] > 0, batch.truth[0, 3] == 0
        if tumor.sum() > 150:
            shown = batch.image[0, 0]
            steps.append(float(shown[tumor].mean() - shown[rest].median()))
    assert len(steps) > 8
    assert np.mean([step > 0 for step in steps]) > 0.7


def test_noise_may_grow_along_the_cord() -> None:
    nothing, seen = torch.zeros(64, 20, 32), torch.ones(64, 20, 16)
    ratios = []
    for seed in range(40):
        shown = _acquired(
            nothing + torch.arange(32) / 3, seen, Chance(torch.Generator().manual_seed(seed))
        )
        rough = (shown[..., 1:-1] - shown[..., 2:]) / 2 + (shown[..., 1:-1] - shown[..., :-2]) / 2
        ratios.append(float(rough[:10].std() / rough[-10:].std()))
    steady = [ratio for ratio in ratios if 0.9 < ratio < 1.1]
    assert 12 < len(steady) < 34
    assert max(ratios) > 2
    assert min(ratios) < 0.5


def test_the_tube_is_thirty_millimetres_wide() -> None:
    wide = next(digital_necks([3], Room(2.0, 40.0, 34.0)))
    ranges = TumorRanges(size=(48, 40, 16), turn_deg=0.0, zoom=0.0, shift_mm=(1.0, 1.0), tumors=0.0)
    widths = []
    for seed in range(4):
        batch = _draw(wide, seed, ranges, tube=True)
        assert batch.image.shape == (1, 1, 48, 40, 16)
        rows = batch.truth[0, 0].sum(dim=(1, 2)) * 8.0  # mm2 of a slice
        widths.append(float(rows[rows > 0].median()))
    np.testing.assert_allclose(widths, np.pi * 15**2, rtol=0.15)  # a leaning cord's is longer


def test_tumors_widen_the_cord_and_compression_narrows_it() -> None:
    s = torch.arange(120.0)[:, None, None].expand(120, 12, 12)
    u, v = (
        torch.linspace(-1, 1, 12).reshape(shape).expand(120, 12, 12)
        for shape in ((1, 1, -1), (1, -1, 1))
    )
    where = Section(s, u, v)
    for seed in range(8):
        growth = draw_tumor(where, 60.0, torch.Generator().manual_seed(seed))
        assert growth.widening[60].mean() > growth.widening[0].mean() >= 1.0
        assert growth.tumor[50:70].max() > 0.5
    narrow = [
        float(draw_other(where, 60.0, torch.Generator().manual_seed(seed)).widening.min())
        for seed in range(30)
    ]
    assert min(narrow) < 0.9


def test_weights_are_trained_further_where_the_recipe_has_their_network(tmp_path: Path) -> None:
    recipe = find_recipe("tumor_cord")
    card = {"name": "mine", "preset": "tumor_cord_unet", "data": {"people": ["a"]}}
    start = save_model(PRESETS["tumor_cord_unet"](), tmp_path / "mine.safetensors", card)
    assert start_from(str(start), recipe).model.card["name"] == "mine"
    with pytest.raises(UsageError, match="tumor_unet"):
        start_from(str(start), replace(recipe, preset="tumor_unet"))


@pytest.mark.parametrize(("name", "channels", "maps"), [("tumor", 2, 4), ("tumor_cord", 1, 1)])
def test_recipes_fit_their_networks(neck: Neck, name: str, channels: int, maps: int) -> None:
    task = task_of(find_recipe(name))
    told = task.describe()
    assert told["channels"] == channels
    assert len(told["classes"]) == maps
    batch = task.draw(Necks((neck,)), seed=0, step=0)
    assert batch.image.shape[1:] == (channels, *told["patch"])
    with torch.no_grad():
        assert task.network().eval()(batch.image).shape == batch.truth.shape
    assert task.objective()(torch.zeros_like(batch.truth), batch.truth, batch.weight) > 0
