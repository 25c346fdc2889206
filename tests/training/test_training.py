"""Training: losses by hand, generator by seed, a killed run resumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinalprep.errors import UsageError
from spinalprep.networks.unet2d import UNet2d
from spinalprep.training.fitting.loop import fit
from spinalprep.training.fitting.losses import cross_entropy, dice_loss, tversky_loss
from spinalprep.training.fitting.schedules import Schedule
from spinalprep.training.material.slices import Slices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.slices import SliceRanges, make_slices, paint


@pytest.fixture(scope="module")
def material() -> Slices:
    a, b = np.mgrid[:64, :64]
    cord = (((a - 32) / 7) ** 2 + ((b - 32) / 5) ** 2 <= 1).astype(np.float32)
    fluid = ((a - 32) / 11) ** 2 + ((b - 32) / 9) ** 2 <= 1
    image = np.where(cord > 0, 0.5, np.where(fluid, 1.0, 0.2)).astype(np.float32)
    clusters = np.where(cord > 0, 5, np.where(fluid, 10, 2)).astype(np.uint8)
    n = 4
    return Slices(
        image=np.stack([image] * n),
        clusters=np.stack([clusters] * n),
        cord=np.stack([cord] * n),
        gm=np.zeros((n, 64, 64), np.float32),
        lesion=np.zeros((n, 64, 64), np.float32),
        has_gm=np.array([True, True, False, True]),
        has_cord=np.array([True, True, True, False]),
        has_lesion=np.array([True, False, True, True]),
        centre=np.full((n, 2), 32, np.float32),
        person=np.array(["a", "a", "b", "PAM50"]),
        kind=np.array(["person", "person", "person", "template"]),
        loose_masks=np.zeros(n, bool),
        usual=np.zeros((n, 0, 0), np.float32),
        usual_clusters=np.zeros((n, 0, 0), np.uint8),
        usual_cord=np.zeros((n, 0, 0), np.float32),
        usual_gm=np.zeros((n, 0, 0), np.float32),
        volume=np.arange(n),
        height_mm=np.zeros(n, np.float32),
    )


def test_losses_by_hand() -> None:
    probability = torch.tensor([[[[0.5, 1.0]]]])
    truth = torch.tensor([[[[1.0, 0.0]]]])
    one = torch.ones(1, 1, 1, 1)
    assert float(dice_loss(probability, truth, one, smooth=0.0)) == pytest.approx(1 - 1 / 2.25)
    # TI = 0.5 + 1 over 0.5 + 0.6 * 0.5 + 0.4 * 1 + 1
    assert float(tversky_loss(probability, truth, one)) == pytest.approx(1 - 1.5 / 2.2)
    focal = float(tversky_loss(probability, truth, one, gamma=2.0))
    assert focal == pytest.approx((1 - 1.5 / 2.2) ** 0.5)
    assert float(cross_entropy(torch.zeros(1, 1, 1, 2), truth, one)) == pytest.approx(np.log(2))


def test_unknown_channels_don_t_count() -> None:
    weight = torch.tensor([1.0, 0.0])[:, None, None, None]
    truth = torch.ones(2, 1, 2, 2)
    good, bad = torch.ones(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    bad[1] = 0.0
    assert float(dice_loss(good, truth, weight)) == float(dice_loss(bad, truth, weight))


def test_recoloured_cord_always_stands_out(material: Slices) -> None:
    draw = torch.Generator().manual_seed(3)
    cord = torch.from_numpy(material.cord[:1])[:, None].repeat(32, 1, 1, 1)
    real = torch.from_numpy(material.image[:1])[:, None].repeat(32, 1, 1, 1)
    clusters = torch.zeros(32, 10, 64, 64)
    for n in (2, 5, 10):
        clusters[:, n - 1] = torch.from_numpy(material.clusters[0] == n)
    painted = paint(real, clusters, cord, torch.zeros_like(cord), draw)
    inside = (painted * cord).sum(dim=(1, 2, 3)) / cord.sum(dim=(1, 2, 3))
    near = torch.nn.functional.max_pool2d(cord, 9, stride=1, padding=4) - cord
    around = (painted * near).sum(dim=(1, 2, 3)) / near.sum(dim=(1, 2, 3))
    assert float((inside - around).abs().min()) > 0.059
    assert float((inside - around).min()) < 0 < float((inside - around).max())


def test_thick_slices_smear_one_axis_and_squeezed_cords_are_flat(material: Slices) -> None:
    plain = SliceRanges(size=48, shift=0.0, recoloured=0.0, lesions=0.0, black=0.0, noise=0.0)
    index = np.zeros(24, np.intp)

    def batch(ranges: SliceRanges) -> Batch:
        return make_slices(material, index, ranges, torch.Generator().manual_seed(5))

    def steepest(images: torch.Tensor) -> torch.Tensor:
        """Return the largest step along either axis, shape (N, 2)."""
        steps = [images.diff(dim=d).abs().amax(dim=(1, 2, 3)) for d in (2, 3)]
        return torch.stack(steps, dim=1)

    sharp, thick = (batch(replace(plain, thick=n, thickest=10.0)).image for n in (0.0, 1.0))
    assert float(steepest(thick).amin(dim=1).median()) < 0.25  # over 3.1 pixels and more, linearly
    assert float(steepest(sharp).amin(dim=1).median()) > 0.34
    depths = [
        (batch(replace(plain, flat=n)).truth[:, 0] > 0.5).any(dim=1).sum(dim=1).float().mean()
        for n in (0.0, 1.0)
    ]
    assert 0.6 < float(depths[1] / depths[0]) < 0.9


def test_loose_masks_are_shown_recoloured_only(material: Slices) -> None:
    ranges = SliceRanges(size=48, shift=0.0, recoloured=0.0, lesions=0.0, black=0.0)
    index = np.array([0, 0])
    own = make_slices(material, index, ranges, torch.Generator().manual_seed(5))
    loose = replace(material, loose_masks=np.ones(4, bool))
    other = make_slices(loose, index, ranges, torch.Generator().manual_seed(5))
    torch.testing.assert_close(own.truth, other.truth)
    assert float((own.image - other.image).abs().mean()) > 0.05


def test_generator_repeats_and_keeps_the_truth_in_range(material: Slices) -> None:
    ranges = SliceRanges(size=48, shift=4.0, lesions=1.0)
    index = np.array([0, 1, 2, 3])
    first, again = (
        make_slices(material, index, ranges, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert torch.equal(first.image, again.image)
    other = make_slices(material, index, ranges, torch.Generator().manual_seed(8))
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == (4, 1, 48, 48)
    assert 0 <= float(first.image.min()) <= float(first.image.max()) <= 1
    assert first.truth[:, 0].sum() > 100
    assert first.truth[0, 2].sum() > 0
    assert (first.truth[:, 2] <= first.truth[:, 0] + 1e-6).all()
    assert first.weight[:, :, 0, 0].tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]


def test_people_can_be_left_out_and_what_is_no_person_stays(material: Slices) -> None:
    rest = material.without(("a", "PAM50"))
    assert rest.person.tolist() == ["b", "PAM50"]
    assert rest.people == ("b",)
    assert material.only(("a", "PAM50")).person.tolist() == ["a", "a"]
    people = replace(material, kind=np.array(["person"] * 4))
    assert people.without(("a", "PAM50")).person.tolist() == ["b"]  # a person of that name does not


def test_a_killed_run_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    def batches(step: int) -> Batch:
        draw = torch.Generator().manual_seed(step)
        image = torch.rand(2, 1, 16, 16, generator=draw)
        return Batch(image, (image > 0.5).float(), torch.ones(2, 1, 1, 1))

    def network() -> UNet2d:
        torch.manual_seed(1)
        return UNet2d(1, 4, 2)

    schedule = Schedule(steps=6, rate=1e-3, save_every=3)
    whole = fit(network(), batches, schedule, tmp_path / "whole")

    def killed(step: int) -> Batch:
        if step == 4:
            raise KeyboardInterrupt
        return batches(step)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), killed, schedule, tmp_path / "killed")
    resumed = fit(network(), batches, schedule, tmp_path / "killed")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)


def test_a_checkpoint_of_other_people_is_refused(tmp_path: Path) -> None:
    def batches(step: int) -> Batch:
        image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(step))
        return Batch(image, image.round(), torch.ones(2, 1, 1, 1))

    fit(UNet2d(1, 4, 2), batches, Schedule(2, 1e-3, run="everybody"), tmp_path)
    with pytest.raises(UsageError, match="belongs to another training"):
        fit(UNet2d(1, 4, 2), batches, Schedule(2, 1e-3, run="without 9604"), tmp_path)
