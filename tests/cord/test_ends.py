"""The ends of the cord, on probabilities whose outline is sharp or blurred by construction."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.ends import (
    CONUS,
    MEDULLA,
    clip_centerline,
    cord_extent,
    describe_ends,
    describe_interpolated,
    interpolated_slices,
    maximal_segments,
    outline_blur,
    trim_ends,
    unseen_slices,
)
from spinalprep.image import Image

DEPTH = 60


def cylinder(
    width_mm: NDArray[np.float64], gap: float = 1.0, radius_mm: float | NDArray[np.float64] = 5.0
) -> Image:
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


def stretch(image: Image) -> tuple[int, int, list[int]]:
    extent = cord_extent(image)
    return extent.first, extent.last, list(extent.doubtful)


def told(image: Image) -> list[str]:
    return list(describe_ends(cord_extent(image), float(image.voxel_sizes[2])))


def upright(image: Image) -> Centerline:
    z = np.arange(image.affine[2, 2] * (image.shape[2] - 0.5), -image.affine[2, 2] / 2, -0.5)
    return Centerline(np.column_stack([np.full((len(z), 2), [-14.75, 14.75]), z]))


def test_a_blurred_tail_stays_and_is_doubtful() -> None:
    width = np.full(DEPTH, 0.5)
    width[:20] = 1.5
    image = cylinder(width)
    assert stretch(image) == (0, DEPTH - 1, list(range(20)))
    assert told(image) == [
        "the outline of the cord is doubtful in slices 0 to 19 (20 mm, below slice 20): "
        "they are kept in the mask, but excluded from all means"
    ]
    line = upright(image)
    kept = trim_ends(image, image, image, image, line)
    for volume in (kept.cord, kept.gm, kept.lesion):
        np.testing.assert_array_equal(volume.data, image.data)
    assert kept.centerline is line
    assert kept.doubtful == list(range(20))


def test_a_single_blurred_slice_is_doubtful() -> None:
    width = np.full(DEPTH, 0.5)
    width[-1] = 2.0
    image = cylinder(width)
    assert stretch(image) == (0, DEPTH - 1, [DEPTH - 1])
    assert told(image) == [
        "the outline of the cord is doubtful in slice 59 (1 mm, above slice 58): "
        "the slice is kept in the mask, but excluded from all means"
    ]


@pytest.mark.parametrize(("growth", "kept"), [(1.1, 60), (1.5, 52)])
def test_a_blurred_end_that_widens_is_the_medulla(growth: float, kept: int) -> None:
    width, radius = np.full(DEPTH, 0.5), np.full(DEPTH, 5.0)
    width[50:] = 1.2
    radius[52:] *= np.sqrt(growth)
    image = cylinder(width, radius_mm=radius)
    assert stretch(image) == (0, kept - 1, list(range(50, kept)))
    trimmed = trim_ends(image, image, image, image, upright(image))
    assert trimmed.cord.data.any(axis=(0, 1)).tolist() == [k < kept for k in range(DEPTH)]
    if kept < DEPTH:
        assert told(image)[0] == (
            "the cord widens to the medulla from slice 52 on: 8 slices (8 mm) left out"
        )


def test_a_sharp_end_that_widens_and_a_wide_lower_end_stay() -> None:
    assert 1.1 < MEDULLA < 1.5
    width, radius = np.full(DEPTH, 0.5), np.full(DEPTH, 5.0)
    radius[52:] *= np.sqrt(1.5)
    assert stretch(cylinder(width, radius_mm=radius)) == (0, DEPTH - 1, [])
    width[:8], radius = 1.2, radius[::-1]
    assert stretch(cylinder(width, radius_mm=radius)) == (0, DEPTH - 1, list(range(8)))


def test_a_blurred_lower_end_that_stays_thin_is_no_cord_and_one_that_comes_back_is() -> None:
    width, radius = np.full(DEPTH, 0.3), np.full(DEPTH, 5.0)
    width[:20] = 0.6
    radius[:10] *= 0.8 * np.sqrt(CONUS)
    image = cylinder(width, radius_mm=radius)
    assert stretch(image) == (10, DEPTH - 1, list(range(10, 20)))
    assert told(image)[0] == "the cord ends above slice 9: 10 slices (10 mm) left out"
    radius[2] = 5.0
    assert stretch(cylinder(width, radius_mm=radius)) == (2, DEPTH - 1, list(range(2, 20)))


def test_what_is_not_found_below_the_conus_is_left_out_unsaid() -> None:
    width = np.full(DEPTH, 0.5)
    image = cylinder(width)
    data = image.data.copy()
    data[:, :, :30] *= 0.4
    faint = image.with_data(data)
    assert stretch(faint) == (30, DEPTH - 1, [])
    assert told(faint) == []


def test_a_few_sharp_slices_in_the_tail_are_chance() -> None:
    width = np.full(DEPTH, 0.5)
    width[:20] = 2.5
    width[6:10] = 0.5
    assert stretch(cylinder(width)) == (0, DEPTH - 1, list(range(20)))


def test_a_compressed_middle_stays() -> None:
    width = np.full(DEPTH, 0.5)
    width[20:38] = 2.5
    assert stretch(cylinder(width)) == (0, DEPTH - 1, [])


@pytest.mark.parametrize("width", [0.2, 0.5, 1.5])
def test_an_even_image_keeps_all_slices(width: float) -> None:
    image = cylinder(np.full(DEPTH, width))
    assert stretch(image) == (0, DEPTH - 1, [])
    assert told(image) == []


def test_thick_slices_count_for_their_thickness() -> None:
    width = np.full(20, 0.5)
    width[:4] = 2.5
    image = cylinder(width, gap=5.0)
    assert stretch(image) == (0, 19, [0, 1, 2, 3])
    assert "slices 0 to 3 (20 mm, below slice 4)" in told(image)[0]


def test_no_cord_at_all_keeps_the_grid() -> None:
    image = cylinder(np.full(8, 0.5))
    assert stretch(image.with_data(np.zeros_like(image.data))) == (0, 7, [])


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


def test_slices_whose_outline_was_interpolated_are_named() -> None:
    plain = np.zeros((20, 20, 12), np.float32)
    plain[5:15, 5:15] = 0.9
    cord = plain.copy()
    cord[5:7, :, 3:6] = 0.1
    cord[5:7, :, 8] = 0.1
    images = [Image(data, np.diag([-1.0, 1.0, 1.0, 1.0])) for data in (cord, plain)]
    assert interpolated_slices(*images) == [3, 4, 5, 8]
    (said,) = describe_interpolated([3, 4, 5, 8])
    assert "4 axial slices (3-5, 8)" in said
    softer = images[1].with_data(0.5 + (plain - 0.5) / 2)  # a temperature is no interpolation
    assert interpolated_slices(softer, images[1]) == []
    assert list(describe_interpolated([])) == []
