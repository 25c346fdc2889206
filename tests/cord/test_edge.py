"""An outline is seen where the image steps from cord to fluid, and only there."""

import numpy as np
import pytest

from spinalprep.cord.edge import edge_shares, worst_stretch
from spinalprep.image import Image

CORD, FLUID, BONE, NOISE = 100.0, 200.0, 20.0, 4.0


def scene(
    pixel_mm: float = 0.5, noise: float = NOISE, fluid: float = FLUID, slices: int = 12
) -> tuple[Image, Image]:
    """Return a round cord of 4.5 mm in a sac of 8 mm in bone, and its mask."""
    side = round(30 / pixel_mm)
    i, j, _ = np.indices((side, side, slices))
    away = np.hypot((i - side // 2) * pixel_mm, (j - side // 2) * pixel_mm)
    grey = np.select([away <= 4.5, away <= 8.0], [CORD, fluid], BONE)
    grey = grey + noise * np.random.default_rng(0).standard_normal(grey.shape)
    affine = np.diag([-pixel_mm, pixel_mm, 5.0, 1.0])
    return Image(grey.astype(np.float32), affine), Image((away <= 4.5).astype(np.uint8), affine)


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
@pytest.mark.parametrize("fluid", [FLUID, 40.0])
def test_a_clear_edge_is_seen_all_round(pixel_mm: float, fluid: float) -> None:
    shares = edge_shares(*scene(pixel_mm, fluid=fluid))
    assert len(shares) == 12
    assert min(shares.values()) > 0.95


def test_it_does_not_depend_on_the_scale_of_the_greys() -> None:
    image, cord = scene()
    assert edge_shares(image.with_data(image.data * 0.01), cord) == edge_shares(image, cord)


def test_fluid_as_grey_as_the_cord_hides_it_in_these_slices_alone() -> None:
    image, cord = scene()
    hidden, clear = scene(fluid=CORD)[0].data, image.data.copy()
    clear[:, :, 4:6] = hidden[:, :, 4:6]
    shares = edge_shares(image.with_data(clear), cord)
    assert max(shares[4], shares[5]) < 0.15
    assert min(shares[k] for k in (0, 1, 2, 3, 6, 7, 8, 9, 10, 11)) > 0.95
    worst = worst_stretch(shares, 5.0)
    assert worst is not None
    assert worst < 0.15


def test_a_mask_that_grew_to_the_wall_is_not_seen_though_there_is_a_step() -> None:
    image, cord = scene()
    i, j = np.indices(cord.shape[:2])
    grown = cord.data.copy()
    grown[:, :, 5] = np.hypot((i - 30) * 0.5, (j - 30) * 0.5) <= 8.0
    assert edge_shares(image, cord.with_data(grown))[5] < 0.05


def test_contact_with_the_wall_on_one_side_leaves_the_other() -> None:
    image, cord = scene()
    touched = image.data.copy()
    front = np.indices(cord.shape)[1] > 30
    touched[front & (cord.data == 0)] = BONE
    shares = edge_shares(image.with_data(touched), cord)
    assert 0.4 < min(shares.values()) <= max(shares.values()) < 0.6


def test_noise_as_large_as_the_step_hides_it() -> None:
    assert np.mean(list(edge_shares(*scene(1.0, noise=100.0)).values())) < 0.3


def test_the_worst_stretch_is_ten_mm_or_what_there_is() -> None:
    shares = dict.fromkeys(range(30), 1.0) | {12: 0.0}
    assert worst_stretch(shares, 1.0) == pytest.approx(0.9)
    assert worst_stretch(shares, 20.0) == 0.0
    assert worst_stretch({3: 0.5, 4: 0.7}, 1.0) == pytest.approx(0.6)
    assert worst_stretch({}, 1.0) is None


def test_no_cord_has_no_outline() -> None:
    image, cord = scene()
    assert edge_shares(image, cord.with_data(np.zeros_like(cord.data))) == {}
