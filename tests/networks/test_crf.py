"""The conditional random field against its formula, and what it is for."""

from pathlib import Path

import numpy as np
import pytest

from spinalprep.api.segment import segment
from spinalprep.cord.centerline import fit_centerline
from spinalprep.errors import UsageError
from spinalprep.image import Image
from spinalprep.networks.cascade import Found
from spinalprep.networks.crf import Field, refine
from spinalprep.networks.postprocess import keep_largest, post_process
from spinalprep.tools.main import main

AFFINE = np.diag([-0.5, 0.5, 2.0, 1.0])


def test_two_voxels_by_hand() -> None:
    p = np.array([0.8, 0.4], np.float32).reshape(2, 1, 1)
    image = Image(np.array([0.0, 1.0], np.float32).reshape(2, 1, 1), AFFINE)
    once = refine(Image(p, AFFINE), image, Field(1.5, sd_mm=0.3, sd_grey=1.0, steps=1))
    logits = np.log(p / (1 - p)).ravel()
    # each has one neighbor, whose normalized weight is 1
    expected = 1 / (1 + np.exp(-(logits + 1.5 * (2 * p.ravel()[::-1] - 1))))
    np.testing.assert_allclose(once.ravel(), expected, rtol=1e-5)


def test_weights_fall_with_distance_and_with_difference_of_grey() -> None:
    p = np.array([0.9, 0.5, 0.1], np.float32).reshape(3, 1, 1)
    field = Field(strength=2.0, sd_mm=0.6, sd_grey=0.2, steps=1)
    for greys, sign in (((0, 0, 1), 1), ((0, 1, 1), -1), ((0, 0.5, 1), 0)):
        image = Image(np.array(greys, np.float32).reshape(3, 1, 1), AFFINE)
        middle = float(refine(Image(p, AFFINE), image, field)[1, 0, 0])
        assert np.sign(round(middle - 0.5, 4)) == sign


def test_noise_in_a_map_follows_the_edge_of_the_image() -> None:
    draw = np.random.default_rng(0)
    i, j = np.indices((40, 40)) - 19.5
    disc = np.repeat((np.hypot(i, j) < 10)[..., None], 3, axis=2)
    image = Image((disc + draw.normal(0, 0.03, disc.shape)).astype(np.float32), AFFINE)
    logits = np.where(disc, 1.0, -1.0) + draw.normal(0, 1.5, disc.shape)
    given = Image((1 / (1 + np.exp(-logits))).astype(np.float32), AFFINE)
    before = float(((given.data >= 0.5) == disc).mean())
    refined = refine(given, image, Field(strength=4.0))
    assert before < 0.8
    assert float(((refined >= 0.5) == disc).mean()) > 0.98
    assert refined.dtype == np.float32
    assert (refined >= 0).all()
    assert (refined <= 1).all()


def test_without_strength_nothing_changes_but_certainty_is_capped() -> None:
    draw = np.random.default_rng(1)
    p = Image(draw.uniform(0.01, 0.99, (6, 5, 4)).astype(np.float32), AFFINE)
    np.testing.assert_allclose(refine(p, p, Field(strength=0.0)), p.data, atol=1e-6)


def test_far_from_any_probability_nothing_changes() -> None:
    p = np.zeros((60, 60, 3), np.float32)
    assert refine(Image(p, AFFINE), Image(p, AFFINE)) is p
    p[5, 5, 1] = 0.9
    refined = refine(Image(p, AFFINE), Image(np.ones_like(p), AFFINE))
    assert not refined[30:].any()
    assert refined[5, 5, 1] < 0.9  # alone among neighbors that are alike


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_the_result_turns_with_the_image(turn: int) -> None:
    draw = np.random.default_rng(2)
    p = draw.uniform(0, 1, (7, 7, 7)).astype(np.float32)
    grey = draw.normal(size=p.shape).astype(np.float32)
    even = np.eye(4)
    axes = np.roll(np.arange(3), turn)
    one = refine(Image(p, even), Image(grey, even))
    other = refine(Image(p.transpose(axes), even), Image(grey.transpose(axes), even))
    np.testing.assert_allclose(other, one.transpose(axes), atol=1e-5)


def test_the_largest_component_stays() -> None:
    p = np.zeros((10, 10, 4), np.float32)
    p[1:3, 1:3, 1] = 0.9
    p[6:9, 6:9, 2] = 0.8
    p[0, 9, 0] = 0.3
    kept = keep_largest(p)
    assert not (kept[1:3, 1:3] >= 0.5).any()
    np.testing.assert_array_equal(kept[6:9, 6:9, 2], p[6:9, 6:9, 2])
    assert kept[0, 9, 0] == np.float32(0.3)  # under the threshold, no component


def test_mask_and_maps_follow_the_steps() -> None:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [9.5, -9.5, 0]
    i, j = np.indices((20, 20)) - 9.5
    disc = np.repeat((np.hypot(i, j) < 5)[..., None], 12, axis=2)
    p = np.where(disc, 0.8, 0.05).astype(np.float32)
    p[9, 9, 6] = 0.3  # a hole in the map, not in the image
    lesion = np.zeros_like(p)
    lesion[8:10, 8:10, 2:5], lesion[11, 11, 9] = 0.9, 0.9
    image, zero = Image(disc.astype(np.float32), affine), np.zeros_like(p)
    line = fit_centerline(np.array([[0.0, 0, 11], [0, 0, 0]]))
    given = Found(
        cord=image,
        probability=Image(p, affine),
        gm=Image(zero, affine),
        lesion=Image(lesion, affine),
        uncertainty=Image(zero, affine),
        centerline=line,
        confidence=1.0,
        warnings=[],
        unseen=0,
        doubtful=[],
    )
    assert post_process(given, image, ()) is given
    after = post_process(given, image, ("crf",))
    assert after.probability.data[9, 9, 6] > 0.5
    np.testing.assert_array_equal(after.cord.data > 0, disc)
    assert after.cord.data.dtype == given.cord.data.dtype
    alone = post_process(given, image, ("largest",)).lesion.data
    assert alone[8, 8, 3] == np.float32(0.9)
    assert alone[11, 11, 9] == 0.0


def test_steps_that_do_not_exist_or_do_not_apply_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected some of crf, edge, largest"):
        segment("nowhere.nii.gz", post_process=("crt",))
    (tmp_path / "sub-1" / "anat").mkdir(parents=True)
    words = ["--derivatives", str(tmp_path), "-o", str(tmp_path), "--post-process", "crf"]
    assert main(["evaluate", str(tmp_path), *words]) == 2
