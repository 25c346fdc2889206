"""The ends of the cord, on probabilities whose outline is sharp or blurred by construction."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.ends import (
    clip_centerline,
    cord_extent,
    describe_ends,
    maximal_segments,
    outline_blur,
    unseen_slices,
)
from spinalprep.image import Image

DEPTH = 60


def cylinder(width_mm: NDArray[np.float64], gap: float = 1.0, radius_mm: float = 5.0) -> Image:
    """Return a disc of probability in every slice; its edge falls off as a logistic function."""
    pixel = 0.5
    x = (np.arange(60) - 29.5) * pixel
    r = np.hypot(x[:, None], x[None, :])[..., None]
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp((r - radius_mm) / width_mm))
    affine = np.diag([-pixel, pixel, gap, 1.0])
    return Image(p.astype(np.float32), affine)


def test_blur_of_a_logistic_edge_is_its_width() -> None:
    # the integral of p (1 - p) across a logistic edge of width w is w
    blur = outline_blur(cylinder(np.full(3, 0.6)))
    np.testing.assert_allclose(blur, 0.6, rtol=0.03)


def test_slices_without_cord_have_no_blur() -> None:
    image = cylinder(np.full(3, 0.5))
    data = image.data.copy()
    data[:, :, 1] *= 0.3
    assert np.isnan(outline_blur(image.with_data(data))).tolist() == [False, True, False]


def test_a_blurred_tail_is_left_out_and_said() -> None:
    width = np.full(DEPTH, 0.5)
    width[:20] = 2.5
    image = cylinder(width)
    assert cord_extent(image) == (20, DEPTH - 1)
    (line,) = describe_ends(image, 20, DEPTH - 1)
    assert "below slice 20: 20 slices (20 mm)" in line


def test_a_few_sharp_slices_in_the_tail_are_chance() -> None:
    width = np.full(DEPTH, 0.5)
    width[:20] = 2.5
    width[6:10] = 0.5
    assert cord_extent(cylinder(width)) == (20, DEPTH - 1)


def test_a_compressed_middle_stays() -> None:
    width = np.full(DEPTH, 0.5)
    width[20:38] = 2.5
    assert cord_extent(cylinder(width)) == (0, DEPTH - 1)


@pytest.mark.parametrize("width", [0.2, 0.5, 1.5])
def test_an_even_image_keeps_all_slices(width: float) -> None:
    image = cylinder(np.full(DEPTH, width))
    assert cord_extent(image) == (0, DEPTH - 1)
    assert describe_ends(image, 0, DEPTH - 1) == ()


def test_thick_slices_count_for_their_thickness() -> None:
    width = np.full(20, 0.5)
    width[:4] = 2.5
    assert cord_extent(cylinder(width, gap=5.0)) == (4, 19)


def test_no_cord_at_all_keeps_the_grid() -> None:
    image = cylinder(np.full(8, 0.5))
    assert cord_extent(image.with_data(np.zeros_like(image.data))) == (0, 7)


def test_maximal_segments_against_the_definition() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        gains = rng.normal(size=30).round(2)
        parts = maximal_segments(gains)
        best = max(
            gains[a:b].sum() for a in range(len(gains)) for b in range(a + 1, len(gains) + 1)
        )
        assert max(gains[part].sum() for part in parts) == pytest.approx(best)
        for part in parts:  # every prefix and suffix of a maximal segment is worth something
            inner = gains[part]
            assert (np.cumsum(inner) > 0).all()
            assert (np.cumsum(inner[::-1]) > 0).all()


def test_centerline_is_cut_at_the_faces() -> None:
    image = cylinder(np.full(DEPTH, 0.5))
    z = np.arange(DEPTH - 1, -0.1, -0.5)
    line = Centerline(np.column_stack([np.zeros((len(z), 2)), z]))
    cut = clip_centerline(line, image, 20, 40)
    assert cut.points[0, 2] == pytest.approx(40.5)
    assert cut.points[-1, 2] == pytest.approx(19.5)
    assert clip_centerline(line, image, 0, DEPTH - 1) is line


def test_slices_in_which_only_the_centerline_goes_on_are_counted() -> None:
    image = cylinder(np.full(DEPTH, 0.5), gap=2.0)
    data = image.data.copy()
    data[:, :, :6] *= 0.4  # nothing is at one half
    data[:, :, 30] = 0.0  # a gap is no end
    data[:, :, -3:] *= 0.4
    z = np.linspace(2.0 * (DEPTH - 2), 2.0 * 2, 200)  # from slice 58 to slice 2
    line = Centerline(np.stack([np.full(200, -14.75), np.full(200, 14.75), z], axis=-1))
    assert unseen_slices(image.with_data(data), line) == 4 + 2
    assert unseen_slices(image, line) == 0
    assert unseen_slices(image.with_data(data * 0.4), line) == 57
