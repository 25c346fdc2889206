"""Samples of several contrasts: what is there, what is aligned, what lesions look like in them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinalprep.errors import InputError
from spinalprep.image import Image
from spinalprep.networks.hemis import CONTRASTS
from spinalprep.training.material.contrasts import ContrastSlices, gather_contrasts
from spinalprep.training.material.people import Kind
from spinalprep.training.material.volume import LabelledVolume
from spinalprep.training.recipes import find_recipe, task_of
from spinalprep.training.synthesis.contrasts import (
    ContrastRanges,
    _move,
    _Views,
    make_contrasts,
)
from spinalprep.training.tasks.contrasts import ContrastRecipe, ContrastTask

SIZE, N = 64, 6
GREYS = {name: 0.2 + 0.1 * n for n, name in enumerate(CONTRASTS)}  # of the cord; fluid is 1
PLAIN = ContrastRanges(
    size=48, shift=0.0, recoloured=0.0, lesions=0.0, black=0.0, noise=0.0, exact=False, apart_px=0.0
)


def volumes(names: tuple[str, ...], person: str, kind: Kind) -> dict[str, LabelledVolume]:
    a, b = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    cord = ((a / 8) ** 2 + (b / 6) ** 2 <= 1).astype(np.float32)
    fluid = (a / 13) ** 2 + (b / 11) ** 2 <= 1
    affine = np.diag([-0.5, 0.5, 6.0, 1.0])

    def stack(plane: np.ndarray) -> Image:
        return Image(np.repeat(plane[:, :, None].astype(np.float32), N, axis=2), affine)

    mask, none = stack(cord), stack(cord * 0)
    return {
        name: LabelledVolume(
            person,
            stack(np.where(cord > 0, GREYS.get(name, 0.5), np.where(fluid, 1.0, 0.0))),
            mask,
            none,
            kind=kind,
            lesion_free=True,
            contrast=name,
        )
        for name in names
    }


@pytest.fixture(scope="module")
def material() -> ContrastSlices:
    """One person with T2w alone, one digital person with all contrasts."""
    people = (
        volumes(("acq-axial_T2w",), "a", Kind.PERSON),
        volumes(CONTRASTS, "phantom", Kind.DIGITAL),
        volumes(("UNIT1",), "b", Kind.PERSON),
    )
    return gather_contrasts(people, 0.5, SIZE, 30.0)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every(count: int) -> np.ndarray:
    return np.ones((count, len(CONTRASTS)), bool)


def test_material_knows_what_is_there(material: ContrastSlices) -> None:
    assert material.people == ("a",)  # nothing is taught of other contrasts
    assert material.shown[:N].tolist() == [[n == 1 for n in range(5)]] * N
    assert material.shown[N:].all()
    assert not material.image[:N, [0, 2, 3, 4]].any()
    middle = material.image[N:, :, SIZE // 2, SIZE // 2].astype(float)
    np.testing.assert_allclose(middle, np.tile(list(GREYS.values()), (N, 1)), atol=0.01)
    kept = material.without(["a"])
    assert len(kept) == N
    assert kept.shown.all()


def test_nothing_to_teach_is_said() -> None:
    with pytest.raises(InputError, match="has a mask of the cord"):
        gather_contrasts([volumes(("UNIT1",), "b", Kind.PERSON)], 0.5, SIZE, 30.0)


@pytest.mark.parametrize("n", range(len(CONTRASTS)))
def test_missing_contrasts_are_zero_and_others_are_not(material: ContrastSlices, n: int) -> None:
    wanted = every(2)
    wanted[0] = np.arange(len(CONTRASTS)) == n
    batch = make_contrasts(material, np.array([0, N]), wanted, PLAIN, drawn(n))
    seen = batch.image.unflatten(1, (len(CONTRASTS), 2)).abs().amax(dim=(2, 3, 4)) > 0
    assert np.array_equal(seen.numpy(), wanted)
    assert 0 <= float(batch.image.min()) <= float(batch.image.max()) <= 1


def test_samples_repeat_and_differ_by_seed(material: ContrastSlices) -> None:
    ranges = replace(PLAIN, lesions=1.0, noise=0.05, recoloured=0.5, black=0.3, apart_px=0.6)
    index = np.arange(8)
    one, again, other = (
        make_contrasts(material, index, every(8), ranges, drawn(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.truth, again.truth)
    assert not torch.equal(one.image, other.image)
    assert (one.truth[:, 2] <= one.truth[:, 0] + 1e-6).all()
    assert (one.truth[:, 2].amax(dim=(1, 2)) > 0.5).float().mean() > 0.8


def differences_inside(batch_image: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return how far views are from their usual section where ``where`` is 1, (N, contrasts)."""
    apart = batch_image.unflatten(1, (len(CONTRASTS), 2))[:, :, 1] - 0.5
    return (apart * where).sum(dim=(2, 3)) / where.sum(dim=(2, 3)).clamp(min=1)


def test_a_lesion_shows_in_one_view_at_least_and_hides_in_some(material: ContrastSlices) -> None:
    ranges = replace(PLAIN, lesions=1.0, hidden=0.6)
    index = np.full(60, N)
    batch = make_contrasts(material, index, every(60), ranges, drawn(6))
    sure = (batch.truth[:, 2:] > 0.9).float()
    large = sure.sum(dim=(1, 2, 3)) > 20
    shows = differences_inside(batch.image, sure)[large].abs() > 0.04
    assert large.sum() > 20
    assert float(shows.any(dim=1).float().mean()) > 0.9  # ringing and blur hide a faint one
    assert 0.25 < float(shows.float().mean()) < 0.75


def test_views_of_a_sample_lie_apart_but_for_one(material: ContrastSlices) -> None:
    views = _Views(np.repeat(np.arange(100), 4), np.tile([0, 1, 3, 4], 100))
    axis = torch.arange(48.0) - 23.5
    spot = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 18)
    moved = _move(spot.expand(400, 1, 48, 48), views, replace(PLAIN, apart_px=0.6), drawn(7))
    total = moved.sum(dim=(1, 2, 3))
    where = torch.stack(
        [(moved * axis[:, None]).sum(dim=(1, 2, 3)), (moved * axis).sum(dim=(1, 2, 3))]
    )
    away = (where / total[None]).T.reshape(100, 4, 2)
    still = away.norm(dim=2) < 0.02
    assert (still.sum(dim=1) >= 1).all()
    assert 0.24 < float(still.float().mean()) < 0.30
    assert 0.5 < float(away[~still].std()) < 0.7


def test_the_recipe_draws_every_contrast_and_trains_its_network(material: ContrastSlices) -> None:
    recipe = find_recipe("hemis")
    assert isinstance(recipe, ContrastRecipe)
    task = task_of(replace(recipe, batch=64))
    assert isinstance(task, ContrastTask)
    batch = task.draw(material, 0, 0)
    assert torch.equal(batch.image, task.draw(material, 0, 0).image)
    seen = batch.image.unflatten(1, (len(CONTRASTS), 2)).abs().amax(dim=(2, 3, 4)) > 0
    assert set(seen.sum(dim=1).tolist()) == {1, 2, 3, 4, 5}
    assert seen.any(dim=0).all()
    told = task.describe()
    assert told["channels"] == batch.image.shape[1]
    assert told["contrasts"] == list(CONTRASTS)
    torch.manual_seed(0)
    network, loss = task.network(), task.objective()
    value = loss(network(batch.image[:4]), batch.truth[:4], batch.weight[:4])
    value.backward()
    assert value.isfinite()
