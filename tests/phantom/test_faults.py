"""Each kind of fault does what it says, and depends on its seed; only two deform the cord."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinalprep.errors import EmptyMaskError
from spinalprep.image import Image
from spinalprep.phantom.faults import FAULTS, RIM_MM, RING_MM, Drawn, Scene, draw_fault

CORD, FLUID, BONE, NOISE = 100.0, 200.0, 20.0, 3.0
DEFORMED = ("compressed", "swollen")
ON_THE_GRID = sorted(set(FAULTS) - {"cut", "thick", *DEFORMED})
Labelled = tuple[Image, Image]


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    """Return a round cord of 5 mm in a sac of 8 mm in bone, 70 slices of 1 mm, LAS."""
    affine = np.diag([-0.5, 0.5, 1.0, 1.0])
    i, j, _ = np.indices((60, 60, 70))
    away = np.hypot((i - 30) * 0.5, (j - 29) * 0.5)
    grey = np.select([away <= 5.0, away <= 8.0], [CORD, FLUID], BONE)
    grey = grey + NOISE * np.random.default_rng(0).standard_normal(grey.shape)
    cord = (away <= 5.0).astype(np.uint8)
    return Image(grey.astype(np.float32), affine), Image(cord, affine)


def ring(labelled: Labelled, drawn: Drawn) -> NDArray[np.bool_]:
    """Return the fluid next to the cord in the changed slices, on the changed side."""
    scene = Scene(*labelled)
    depth = scene.depth_mm()
    near = (depth < -0.3) & (depth > -2.0) & scene.towards(drawn.side)
    near[:, :, : drawn.first] = near[:, :, drawn.last + 1 :] = False
    return near


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_the_same_seed_the_same_image(labelled: Labelled, kind: str) -> None:
    one, again, other = (draw_fault(kind, *labelled, seed) for seed in (106_001, 106_001, 106_003))
    assert np.array_equal(one.image.data, again.image.data)
    assert not np.array_equal(one.image.data, other.image.data)


@pytest.mark.parametrize("kind", ON_THE_GRID)
def test_the_cord_stays_and_so_does_the_image_elsewhere(labelled: Labelled, kind: str) -> None:
    image, cord = labelled
    drawn = draw_fault(kind, image, cord, 106_001)
    assert np.array_equal(drawn.cord.data, cord.data)
    assert drawn.image.same_grid(image)
    changed = np.flatnonzero((drawn.image.data != image.data).any(axis=(0, 1)))
    if kind != "faded":  # there noise is everywhere
        assert changed.min() >= drawn.first
        assert changed.max() <= drawn.last


@pytest.mark.parametrize("seed", range(106_000, 106_008))
def test_the_step_from_cord_to_fluid_vanishes(labelled: Labelled, seed: int) -> None:
    drawn = draw_fault("equalfluid", *labelled, seed)
    near = ring(labelled, drawn)
    assert abs(float(np.mean(drawn.image.data[near])) - CORD) < 2.0
    assert 0.5 * NOISE < float(np.std(drawn.image.data[near])) < 1.5 * NOISE
    untouched = drawn.image.data == labelled[0].data
    depth = Scene(*labelled).depth_mm()
    assert untouched[(depth > RIM_MM) | (depth < -RING_MM)].all()
    assert 4 <= drawn.last - drawn.first + 1 <= 61


def test_the_wall_touches_one_side(labelled: Labelled) -> None:
    drawn = draw_fault("wall", *labelled, 106_003)
    assert drawn.side != "all"
    near = ring(labelled, drawn)
    assert abs(float(np.mean(drawn.image.data[near])) - BONE) < 2.0
    assert np.array_equal(
        drawn.image.data[labelled[1].data > 0], labelled[0].data[labelled[1].data > 0]
    )


def test_noise_grows_towards_one_end_and_grey_stays(labelled: Labelled) -> None:
    drawn = draw_fault("faded", *labelled, 106_004)
    inside = labelled[1].data[:, :, 0] > 0
    spread = np.array([np.std(drawn.image.data[:, :, k][inside]) for k in (0, 69)])
    assert spread.max() > 2 * spread.min()
    assert np.allclose(np.median(drawn.image.data[inside], axis=0), CORD, atol=8.0)


def test_a_cut_field_shows_cord_in_every_slice_and_where_it_was(labelled: Labelled) -> None:
    image, cord = labelled
    drawn = draw_fault("cut", image, cord, 106_005)
    assert drawn.cord.data.any(axis=(0, 1)).all()
    first = round(drawn.image.affine[2, 3] - image.affine[2, 3])
    shown = image.data[:, :, first : first + drawn.image.shape[2]]
    assert np.array_equal(drawn.image.data, shown)


def test_thick_slices_hold_the_mean_and_as_much_cord(labelled: Labelled) -> None:
    image, cord = labelled
    drawn = draw_fault("thick", image, cord, 106_006)
    assert 4.0 <= drawn.image.voxel_sizes[2] <= 8.0
    count = round(float(drawn.image.voxel_sizes[2]))
    first = round(drawn.image.affine[2, 3] - (count - 1) / 2)
    shown = image.data[:, :, first : first + count]
    assert np.allclose(drawn.image.data[:, :, 0], shown.mean(axis=2), atol=1e-3)
    assert np.array_equal(drawn.cord.data[:, :, 0], cord.data[:, :, 0])


def test_blur_softens_the_edge_at_the_end_alone(labelled: Labelled) -> None:
    drawn = draw_fault("blurredends", *labelled, 106_007)
    edge = np.abs(np.diff(drawn.image.data[:, 29, :], axis=0)).max(axis=0)
    ends = edge[[0, -1]]
    assert ends.min() < 0.6 * edge[35]


@pytest.mark.parametrize("seed", range(106_000, 106_004))
def test_the_lesion_lies_in_the_cord_near_an_end(labelled: Labelled, seed: int) -> None:
    image, cord = labelled
    drawn = draw_fault("lesionend", image, cord, seed)
    assert drawn.lesion is not None
    lesion = drawn.lesion.data > 0
    assert lesion.any()
    assert (cord.data[lesion] > 0).all()
    assert np.mean((drawn.image.data - image.data)[lesion]) > 0.4 * (FLUID - CORD)
    assert drawn.first <= 16 or drawn.last >= 53


@pytest.mark.parametrize("seed", range(106_000, 106_004))
def test_a_swollen_cord_is_larger_in_the_same_sac(labelled: Labelled, seed: int) -> None:
    image, cord = labelled
    drawn = draw_fault("swollen", image, cord, seed)
    middle = (drawn.first + drawn.last) // 2
    area = drawn.cord.data.sum(axis=(0, 1)) / cord.data.sum(axis=(0, 1))
    assert 1.2 < area[middle] < 2.4
    outside = np.ones(70, bool)
    outside[drawn.first : drawn.last + 1] = False
    assert (area[outside] == 1.0).all()
    sacs = [
        (shown.data[:, :, middle] > 150).sum() + mask.data[:, :, middle].sum()
        for shown, mask in ((image, cord), (drawn.image, drawn.cord))
    ]
    assert 0.9 * sacs[0] < sacs[1] < 1.3 * sacs[0]  # while the cord gets up to 2.9 times as large


@pytest.mark.parametrize("seed", range(106_000, 106_004))
def test_a_compressed_cord_is_flat_and_its_grey_comes_along(labelled: Labelled, seed: int) -> None:
    drawn = draw_fault("compressed", *labelled, seed)
    middle = (drawn.first + drawn.last) // 2
    mask = drawn.cord.data[:, :, middle] > 0
    across, ahead = np.ptp(np.argwhere(mask), axis=0) + 1
    assert 0.45 < ahead / across < 0.85
    assert np.mean(drawn.image.data[:, :, middle][mask]) == pytest.approx(CORD, abs=6.0)


def test_no_cord_no_fault(labelled: Labelled) -> None:
    image, cord = labelled
    with pytest.raises(EmptyMaskError):
        draw_fault("wall", image, cord.with_data(np.zeros_like(cord.data)))
