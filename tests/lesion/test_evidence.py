"""What the image shows for a lesion: planted ones, noise, shading, ends, contrasts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinalprep.cord.centerline import centerline_from_mask
from spinalprep.image import Image
from spinalprep.lesion.evidence import Evidence, weigh_lesions

SHAPE = (30, 30, 80)
CORD, FLUID, AROUND = 100.0, 300.0, 20.0
AFFINE = np.array([[-1.0, 0, 0, 15], [0, 1, 0, -15], [0, 0, 1, -40], [0, 0, 0, 1]])


def neck(noise: float = 5.0, seed: int = 0, fluid: float = FLUID) -> tuple[Image, Image]:
    """Return intensities and mask of a straight cord of 12 x 10 mm in fluid of 20 mm."""
    x, y, _ = np.indices(SHAPE) - np.array([14.5, 14.5, 0])[:, None, None, None]
    cord = (x / 6) ** 2 + (y / 5) ** 2 <= 1
    canal = np.hypot(x, y) <= 10
    values = np.where(cord, CORD, np.where(canal, fluid, AROUND))
    values = values + np.random.default_rng(seed).normal(0, noise, SHAPE)
    image = Image(values.astype(np.float32), AFFINE)
    return image, image.with_data(cord)


def block(k: slice, i: slice = slice(10, 14), j: slice = slice(12, 16)) -> np.ndarray:
    """Return a mask of one block in the left of the cord."""
    mask = np.zeros(SHAPE, bool)
    mask[i, j, k] = True
    return mask


def weigh(image: Image, cord: Image, *lesions: np.ndarray) -> tuple[Evidence, ...]:
    """Weigh lesions that are numbered as they are given."""
    labels = np.zeros(SHAPE, np.int32)
    for number, lesion in enumerate(lesions, start=1):
        labels[lesion] = number
    return weigh_lesions(image.with_data(labels), image, cord, centerline_from_mask(cord))


@pytest.mark.parametrize(("fluid", "change"), [(300.0, 100.0), (20.0, -40.0)])
def test_a_planted_lesion_has_its_contrast_in_bright_and_in_dark_fluid(
    fluid: float, change: float
) -> None:
    image, cord = neck(fluid=fluid)
    lesion = block(slice(30, 36))
    (found,) = weigh(image.with_data(image.data + np.float32(change) * lesion), cord, lesion)
    assert found.contrast == pytest.approx(0.5, abs=0.05)
    assert found.z > 20
    assert found.places > 50


def test_a_lesion_away_from_the_fluid_counts_against() -> None:
    image, cord = neck()
    lesion = block(slice(30, 36))
    (found,) = weigh(image.with_data(image.data - np.float32(60) * lesion), cord, lesion)
    assert found.z < -10
    assert found.contrast == pytest.approx(-0.3, abs=0.05)


def test_what_is_called_in_noise_has_little_evidence() -> None:
    image, cord = neck(noise=40.0)
    places = [block(slice(k, k + 5), slice(i, i + 3)) for k in (10, 30, 50) for i in (10, 14, 17)]
    found = [weigh(image, cord, place)[0].z for place in places]
    assert np.abs(found).max() < 4
    assert np.std(found) < 2.5


def test_a_long_lesion_is_held_against_what_lies_beyond_it() -> None:
    image, cord = neck()
    lesion = block(slice(20, 65))
    (found,) = weigh(image.with_data(image.data + np.float32(100) * lesion), cord, lesion)
    assert found.contrast == pytest.approx(0.5, abs=0.05)


def test_shading_along_the_cord_is_no_evidence() -> None:
    image, cord = neck(noise=2.0)
    shaded = image.data * np.linspace(0.5, 1.5, SHAPE[2], dtype=np.float32)
    lesion = block(slice(30, 36))
    (found,) = weigh(image.with_data(shaded), cord, lesion)
    assert abs(found.contrast) < 0.03


def test_what_runs_along_the_cord_is_no_evidence() -> None:
    image, cord = neck()
    column = block(slice(0, 80))  # gray matter
    lesion = block(slice(30, 36))
    (found,) = weigh(image.with_data(image.data + np.float32(60) * column), cord, lesion)
    assert abs(found.contrast) < 0.05
    assert abs(found.z) < 4


def test_a_lesion_beside_another_is_not_held_against_it() -> None:
    image, cord = neck()
    first, second = block(slice(30, 36)), block(slice(38, 48))
    bright = image.data + np.float32(100) * (first | second)
    for found in weigh(image.with_data(bright), cord, first, second):
        assert found.contrast == pytest.approx(0.5, abs=0.06)


def test_a_lesion_at_the_end_is_held_against_one_side() -> None:
    image, cord = neck()
    lesion = block(slice(0, 6))
    (found,) = weigh(image.with_data(image.data + np.float32(100) * lesion), cord, lesion)
    assert found.contrast == pytest.approx(0.5, abs=0.05)
    assert found.z > 10


def test_a_lesion_of_the_whole_cord_can_not_be_weighed() -> None:
    image, cord = neck()
    (found,) = weigh(image, cord, cord.data)
    assert np.isnan(found.contrast)
    assert np.isnan(found.z)
    assert found.places == 0


def test_no_lesion_has_no_evidence() -> None:
    assert weigh(*neck()) == ()


@settings(max_examples=4, deadline=None)
@given(scale=st.floats(0.01, 1000.0), shift=st.floats(-1.0, 1.0))
def test_units_of_intensity_do_not_matter(scale: float, shift: float) -> None:
    image, cord = neck()
    lesion = block(slice(30, 36))
    bright = image.data + np.float32(50) * lesion
    plain = weigh(image.with_data(bright), cord, lesion)[0]
    other = weigh(image.with_data((bright + shift) * np.float32(scale)), cord, lesion)[0]
    assert other.contrast == pytest.approx(plain.contrast, rel=1e-3)
    assert other.z == pytest.approx(plain.z, rel=1e-3)


def test_a_lesion_of_one_voxel_is_weighed() -> None:
    image, cord = neck(noise=1.0)
    lesion = block(slice(30, 31), slice(12, 13), slice(14, 15))
    (found,) = weigh(image.with_data(image.data + np.float32(100) * lesion), cord, lesion)
    assert found.z > 5


def edge_lesions() -> dict[str, np.ndarray]:
    """Return lesions that reach one voxel beyond the cord, as `lesion_instances` lets them."""
    x, y, k = np.indices(SHAPE) - np.array([14.5, 14.5, 0])[:, None, None, None]
    wide = (x / 7) ** 2 + (y / 6) ** 2 <= 1
    part = (k >= 30) & (k < 40)
    return {
        "lateral": wide & part & (x < -3.5),
        "dorsal": wide & part & (y < -2.5) & (abs(x) < 3),
        "transverse": wide & part,
    }


@pytest.mark.parametrize("name", ["lateral", "dorsal", "transverse"])
def test_a_lesion_at_the_edge_is_measured_where_it_lies_in_the_cord(name: str) -> None:
    image, cord = neck()
    lesion = edge_lesions()[name]
    bright = image.data + np.float32(160) * (lesion & (cord.data > 0))
    (found,) = weigh(image.with_data(bright), cord, lesion)
    assert found.contrast == pytest.approx(0.8, abs=0.1)
    assert found.z > 6
    assert found.cnr > 6


def test_a_lesion_as_long_as_the_view_is_held_against_the_cord_beside_it() -> None:
    image, cord = neck()
    lesion = block(slice(0, 80))
    (found,) = weigh(image.with_data(image.data + np.float32(100) * lesion), cord, lesion)
    assert found.contrast == pytest.approx(0.5, abs=0.05)
    assert np.isnan(found.z)
    assert found.cnr > 6


def test_what_lies_beyond_the_cord_has_no_contrast() -> None:
    image, cord = neck()
    lesion = block(slice(30, 36), slice(6, 8), slice(13, 16))
    (found,) = weigh(image, cord, lesion)
    assert (found.contrast, found.cnr, found.places) == (0.0, 0.0, 0)
