"""Lesions that are drawn in: inside the cord, towards the fluid, and what only looks like one."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from spinalprep.training.material.slices import Slices
from spinalprep.training.recipes import find_recipe
from spinalprep.training.synthesis.lesions import (
    LEAST_STEP,
    draw_clouds,
    draw_lookalikes,
    step_to_fluid,
)
from spinalprep.training.synthesis.slices import SliceRanges, make_slices
from spinalprep.training.tasks.slices import SliceRecipe, SliceTask

COUNT, SIZE = 64, 48
CORD, FLUID = 0.4, 0.8


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def cord() -> Tensor:
    """A round cord of 6 mm radius in the middle of 48 pixels of 0.5 mm, (N, 1, H, W)."""
    a, b = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = torch.from_numpy((np.hypot(a, b) <= 12).astype(np.float32))
    return disc.expand(COUNT, 1, SIZE, SIZE).clone()


@pytest.mark.parametrize("fluid", [FLUID, 0.1])
def test_lesions_go_towards_the_fluid_and_stay_inside(cord: Tensor, fluid: float) -> None:
    image = torch.where(cord > 0, CORD, fluid)
    shown, lesion = draw_clouds(image, cord, torch.zeros_like(cord), 1.0, drawn(1))
    change = (shown - image) * np.sign(fluid - CORD)
    assert float(change.min()) >= 0.0
    assert float((change * (1 - cord)).abs().max()) == 0.0
    assert float((lesion * (1 - cord)).max()) == 0.0
    assert 0.0 <= float(lesion.min()) <= float(lesion.max()) <= 1.0
    sure = lesion > 0.9  # over half of the faintest contrast, less its texture
    assert float(change[sure].min()) > 0.5 * 0.18 * 0.4 * abs(fluid - CORD)
    assert (lesion.amax(dim=(1, 2, 3)) > 0.5).all()


def test_share_of_samples_and_no_lesion_without_cord(cord: Tensor) -> None:
    image = torch.where(cord > 0, CORD, FLUID)
    nothing = torch.zeros_like(cord)
    some = draw_clouds(image, cord, nothing, 0.5, drawn(2))[1].amax(dim=(1, 2, 3)) > 0
    assert 0.3 < float(some.float().mean()) < 0.7
    same, lesion = draw_clouds(image, nothing, nothing, 1.0, drawn(2))
    assert float(lesion.max()) == 0.0
    torch.testing.assert_close(same, image)


def test_dorsal_and_lateral_columns_have_more(cord: Tensor) -> None:
    image = torch.where(cord > 0, CORD, FLUID)
    gm = torch.zeros_like(cord)
    where = torch.zeros(SIZE, SIZE)
    for seed in range(10):
        where += draw_clouds(image, cord, gm, 1.0, drawn(seed))[1].sum(dim=(0, 1))
    middle = SIZE // 2  # the second axis of an LAS slice goes to anterior
    assert float(where[:, :middle].sum()) > 1.2 * float(where[:, middle:].sum())
    assert float(where[:middle].sum() / where[middle:].sum()) == pytest.approx(1.0, abs=0.2)


def test_usual_section_shows_a_lesion_less(cord: Tensor) -> None:
    image = torch.where(cord > 0, CORD, FLUID).repeat(1, 2, 1, 1)
    shown, _ = draw_clouds(image, cord, torch.zeros_like(cord), 1.0, drawn(3))
    change = (shown - image).sum(dim=(2, 3))
    assert (change[:, 1] <= change[:, 0] + 1e-5).all()
    assert float(change[:, 1].mean()) < 0.4 * float(change[:, 0].mean())


def test_step_is_at_least_a_tenth_up_or_down(cord: Tensor) -> None:
    for fluid, step in ((FLUID, 0.4), (0.1, -0.3), (CORD + 0.01, LEAST_STEP), (0.39, -LEAST_STEP)):
        image = torch.where(cord > 0, CORD, fluid)
        assert float(step_to_fluid(image, cord)[0]) == pytest.approx(step, abs=1e-5)


def test_lookalikes_run_along_the_cord(cord: Tensor) -> None:
    image = torch.where(cord > 0, CORD, FLUID).repeat(1, 2, 1, 1)
    seen = draw_lookalikes(image, cord, drawn(4))
    torch.testing.assert_close(seen[:, 0], seen[:, 1])  # in the usual section, too
    changed = (seen - image).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.2 < float(changed.float().mean()) < 0.7
    assert float(seen.max()) > FLUID + 0.01  # ringing overshoots at the edge


@pytest.fixture
def material(cord: Tensor) -> Slices:
    """One slice of 96 pixels, and what the cord usually looks like: the same."""
    plane = np.where(cord[0, 0].numpy() > 0, CORD, FLUID).astype(np.float32)
    plane = np.pad(plane, 24, mode="edge")[None]
    mask = np.pad(cord[0, 0].numpy(), 24)[None]
    clusters = np.where(mask > 0, 4, 8).astype(np.uint8)
    known, centre = np.ones(1, bool), np.full((1, 2), 47.5, np.float32)
    return Slices(
        image=plane,
        clusters=clusters,
        cord=mask,
        gm=mask * 0,
        lesion=mask * 0,
        has_gm=known,
        has_cord=known,
        has_lesion=~known,
        centre=centre,
        person=np.array(["a"]),
        kind=np.array(["person"]),
        loose_masks=~known,
        usual=plane,
        usual_clusters=np.zeros((1, 0, 0), np.uint8),
        usual_cord=np.zeros((1, 0, 0), np.float32),
        usual_gm=np.zeros((1, 0, 0), np.float32),
        volume=np.zeros(1, np.intp),
        height_mm=np.zeros(1, np.float32),
    )


def test_batch_shows_the_usual_section_beside(material: Slices) -> None:
    ranges = SliceRanges(size=48, shift=2.0, lesions=1.0, black=0.0, noise=0.09, realistic=True)
    batch = make_slices(material, np.zeros(32, np.intp), ranges, drawn(5))
    assert batch.image.shape == (32, 2, 48, 48)
    assert (batch.truth[:, 2].amax(dim=(1, 2)) > 0.5).float().mean() > 0.9
    for n in range(32):  # brighter or darker than the usual, as the fluid is; 0.5 where the same
        apart = (batch.image[n, 1] - 0.5) * batch.truth[n, 2]
        assert float(apart.abs().max()) > 0.01
    calm = make_slices(material, np.zeros(32, np.intp), replace(ranges, lesions=0.0), drawn(5))
    assert float(calm.truth[:, 2].max()) == 0.0
    assert float((calm.image[:, 1] - 0.5).abs().mean()) < 0.08


def test_lesions_that_a_person_drew_are_learned_as_they_show(material: Slices) -> None:
    lesion = material.lesion.copy()
    lesion[0, 44:52, 44:52] = 1.0
    image = np.where(lesion > 0, np.float32(0.7), material.image)
    own = replace(material, image=image, lesion=lesion, has_lesion=np.array([True]))
    plain = SliceRanges(size=48, shift=0.0, recoloured=1.0, lesions=0.0, black=0.0, noise=0.0)
    batch = make_slices(own, np.zeros(16, np.intp), plain, drawn(6))
    truth = batch.truth[:, 2] > 0.9
    assert truth.any(dim=(1, 2)).all()
    others = (batch.truth[:, 0] > 0.9) & (batch.truth[:, 2] < 0.1)
    for n in range(16):  # never recoloured: half of the step is left, whatever the gamma
        apart = batch.image[n, 0][truth[n]].mean() - batch.image[n, 0][others[n]].mean()
        assert abs(float(apart)) > 0.08


def test_lesions_of_patients_teach_only_where_somebody_looked(material: Slices) -> None:
    lesion = find_recipe("lesion")
    assert isinstance(lesion, SliceRecipe)
    ranges = replace(lesion.ranges, lesions=0.0)
    recipe = replace(lesion, batch=16, template_share=0.0, ranges=ranges)
    assert float(SliceTask(recipe).draw(material, 0, 0).weight[:, 2].max()) == 0.0
    looked = replace(material, has_lesion=np.array([True]))
    assert float(SliceTask(recipe).draw(looked, 0, 0).weight[:, 2].min()) == 1.0
    parts = (np.concatenate([getattr(material, field.name)] * 2) for field in fields(Slices))
    both = Slices(*parts)
    both = replace(both, kind=np.array(["person", "digital"]), has_lesion=np.array([False, True]))
    weight = SliceTask(replace(recipe, template_share=0.5)).draw(both, 0, 0).weight[:, 2, 0, 0]
    assert set(weight.tolist()) == {0.0, 1.0}  # of synthetic subjects all is known
