"""Strands in fluid and a filled sac are no cord; noise, lesions, a hidden edge change none."""

import numpy as np
import pytest

from spinalprep.cord.cauda import cauda_length
from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image, reorient

CORD, FLUID, BONE, LESION = 100.0, 250.0, 40.0, 150.0
LENGTH = 60  # mm, slices of 1 mm
AFFINE = np.diag([-0.5, 0.5, 1.0, 1.0])
SIDE = 48  # pixels


def axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    i, j, k = np.indices((SIDE, SIDE, LENGTH))
    return (i - SIDE / 2) * 0.5, (j - SIDE / 2) * 0.5, k


def cord_mask() -> Image:
    x, y, _ = axes()
    return Image((np.hypot(x, y) <= 4.0).astype(np.float32), AFFINE)


def line() -> Centerline:
    z = np.arange(LENGTH - 1, -0.1, -0.5)
    return Centerline(np.stack([0 * z - SIDE / 4, 0 * z + SIDE / 4, z], axis=1))


def scene(within: np.ndarray | float = CORD, fluid: float = FLUID) -> np.ndarray:
    x, y, _ = axes()
    away = np.hypot(x, y)
    return np.where(away <= 4.0, within, np.where(away <= 8.0, fluid, BONE)).astype(float)


def strands() -> np.ndarray:
    """Roots of 1.5 mm, 3 mm apart, that run along."""
    x, y, _ = axes()
    root = np.hypot((x + 1.5) % 3.0 - 1.5, (y + 1.5) % 3.0 - 1.5) < 0.9
    return np.where(root, CORD, FLUID)


def measured(grey: np.ndarray, order: str = "") -> float:
    image = Image(grey.astype(np.float32), AFFINE)
    return cauda_length(reorient(image, order) if order else image, cord_mask(), line())


def test_a_cord_is_one() -> None:
    assert measured(scene()) == 0


@pytest.mark.parametrize("order", ["", "SAR"])
def test_roots_between_fluid_are_none_over_their_length(order: str) -> None:
    _, _, k = axes()
    grey = scene(np.where(k < 25, strands(), CORD))
    assert measured(grey, order) == pytest.approx(25, abs=5)  # of a window of 10 mm
    assert measured(scene(strands()), order) == pytest.approx(LENGTH, abs=1)


def test_a_filled_sac_is_none() -> None:
    x, y, _ = axes()
    grey = np.where(np.hypot(x, y) <= 4.0, FLUID, BONE)
    assert measured(grey) == pytest.approx(LENGTH, abs=1)


def test_noise_as_high_as_a_third_of_the_cord_makes_it_none_the_less_one() -> None:
    noise = 30.0 * np.random.default_rng(0).standard_normal((SIDE, SIDE, LENGTH))
    assert measured(scene() + noise) == 0


def test_a_hidden_outline_makes_it_none_the_less_one() -> None:
    assert measured(scene(fluid=CORD)) == 0


def test_a_lesion_in_half_of_the_section_makes_it_none_the_less_one() -> None:
    x, _, k = axes()
    assert measured(scene(np.where((x > 0) & (k > 20) & (k < 40), LESION, CORD))) == 0


def test_a_syrinx_in_a_rim_of_cord_makes_it_none_the_less_one() -> None:
    x, y, k = axes()
    assert measured(scene(np.where((np.hypot(x, y) < 2.5) & (k > 15) & (k < 45), FLUID, CORD))) == 0


def test_the_scale_of_the_greys_does_not_matter() -> None:
    grey = scene(strands())
    assert measured(grey) == measured(0.01 * grey)
