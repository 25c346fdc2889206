"""An outline that ran away from the cord is put where its neighbors say, and nowhere else."""

import numpy as np
import pytest

from spinalprep.cord.carried import _solve, carry_outline
from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image

CORD, FLUID, BONE, NOISE = 100.0, 200.0, 20.0, 4.0
PIXEL_MM, SLICE_MM, COUNT = 0.5, 5.0, 14
SIDE = 60
RADIUS, SAC = 4.5, 8.0


def away() -> np.ndarray:
    """Distance from the middle in mm, shape (60, 60)."""
    i, j = np.indices((SIDE, SIDE))
    return np.asarray(np.hypot(i - SIDE // 2, j - SIDE // 2) * PIXEL_MM)


def scene(fluid: dict[int, float] | None = None) -> tuple[Image, Centerline]:
    """Return a round cord in fluid in bone; the fluid of some slices has another gray."""
    planes = [
        np.select([away() <= RADIUS, away() <= SAC], [CORD, (fluid or {}).get(k, FLUID)], BONE)
        for k in range(COUNT)
    ]
    noise = NOISE * np.random.default_rng(0).standard_normal((SIDE, SIDE, COUNT))
    affine = np.diag([-PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0])
    image = Image((np.stack(planes, axis=-1) + noise).astype(np.float32), affine)
    z = np.linspace((COUNT - 1) * SLICE_MM, 0.0, 200)
    x, y = -SIDE // 2 * PIXEL_MM, SIDE // 2 * PIXEL_MM
    return image, Centerline(np.stack([np.full(200, x), np.full(200, y), z], axis=1))


def found(radii: dict[int, float] | None = None) -> np.ndarray:
    """Return the probability of a cord whose radius differs in some slices."""
    planes = [
        np.clip(((radii or {}).get(k, RADIUS) - away()) / PIXEL_MM + 0.5, 0.0, 1.0)
        for k in range(COUNT)
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


def areas(cord: np.ndarray) -> np.ndarray:
    """Return areas in mm2, slice by slice."""
    return np.asarray((cord >= 0.5).sum(axis=(0, 1)) * PIXEL_MM**2)


TRUE = areas(found())


@pytest.mark.parametrize("hidden", [[6], [4, 5, 6, 7], [2, 3, 4, 5, 6, 7, 8, 9, 10]])
def test_a_mask_that_grew_to_the_sac_comes_back(hidden: list[int]) -> None:
    image, line = scene(dict.fromkeys(hidden, CORD))
    cord = found(dict.fromkeys(hidden, SAC))
    carried = carry_outline(image, cord, line)
    ours = carried.cord(cord)
    assert areas(cord)[hidden].min() > 2.5 * TRUE[0]
    np.testing.assert_allclose(areas(ours), TRUE, rtol=0.08)
    rest = [k for k in range(COUNT) if k not in hidden]
    np.testing.assert_array_equal(ours[:, :, rest], cord[:, :, rest])


def test_what_the_image_shows_stays_bit_for_bit() -> None:
    image, line = scene()
    cord = found({k: RADIUS + 0.08 * (k - 7) for k in range(COUNT)})
    shown = image.with_data(
        np.where(cord >= 0.5, CORD, np.where(away()[..., None] <= SAC, FLUID, BONE)).astype("f4")
    )
    carried = carry_outline(shown, cord, line)
    np.testing.assert_array_equal(carried.cord(cord), cord)
    np.testing.assert_array_equal(carried.spread(cord * 0), cord * 0)


def test_a_cord_that_is_compressed_is_not_filled_up() -> None:
    narrow = {6: 3.0, 7: 3.0}
    image, line = scene()
    pressed = image.data.copy()
    for k, radius in narrow.items():
        pressed[:, :, k] = np.where(away() <= radius, CORD, BONE)  # no fluid is left
    cord = found(narrow)
    carried = carry_outline(image.with_data(pressed), cord, line)
    np.testing.assert_array_equal(carried.cord(cord), cord)
    assert carried.spread(cord * 0)[:, :, 6].sum() > 0


def test_beyond_the_last_evidence_a_cord_may_widen() -> None:
    ends = {11: 4.7, 12: 4.9, 13: 5.1}
    image, line = scene(dict.fromkeys(ends, CORD))
    cord = found(ends)
    carried = carry_outline(image, cord, line)
    np.testing.assert_array_equal(carried.cord(cord), cord)


def test_it_is_as_uncertain_as_evidence_is_far() -> None:
    hidden = [3, 4, 5, 6, 7, 8, 9]
    image, line = scene(dict.fromkeys(hidden, CORD))
    cord = found(dict.fromkeys(hidden, SAC))
    carried = carry_outline(image, cord, line)
    spread = carried.spread(cord * 0).sum(axis=(0, 1)) * PIXEL_MM**2
    assert spread[[0, 1, 12, 13]].max() == 0
    assert spread[6] > 1.2 * spread[3] > 0
    # 20 mm from evidence on both sides: two measurements of variance 0.2^2 + 0.01 x 20 mm2 each
    sd = np.sqrt((0.04 + 0.2) / 2)  # under the most, 0.25 mm2
    assert spread[6] == pytest.approx(2 * np.pi * RADIUS * sd, rel=0.15)


def test_nothing_is_judged_in_an_image_without_edges_or_without_cord() -> None:
    image, line = scene(dict.fromkeys(range(COUNT), CORD))
    for cord in (found(), found() * 0):
        carried = carry_outline(image, cord, line)
        np.testing.assert_array_equal(carried.cord(cord), cord)
        np.testing.assert_array_equal(carried.spread(cord * 0), cord * 0)


def test_the_band_is_solved_as_the_whole_system_is() -> None:
    chance = np.random.default_rng(3)
    count, size = 5, 4
    links = np.stack([(a + a.T) / 2 for a in chance.standard_normal((count - 1, size, size))])
    blocks = np.stack([a @ a.T for a in chance.standard_normal((count, size, size))])
    blocks += 20 * np.eye(size)
    whole = np.zeros((count * size, count * size))
    for n in range(count):
        at = slice(n * size, (n + 1) * size)
        whole[at, at] = blocks[n]
        if n:
            before = slice((n - 1) * size, n * size)
            whole[at, before] = whole[before, at] = links[n - 1]
    right = chance.standard_normal((count, size))
    expected = np.linalg.solve(whole, right.ravel()).reshape(count, size)
    np.testing.assert_allclose(_solve(blocks, links, right), expected, atol=1e-12)
