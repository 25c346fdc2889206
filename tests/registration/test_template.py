"""A curved, tilted, larger cord with known discs, against a straight template."""

import os
from pathlib import Path

import numpy as np
import pytest

from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.errors import InputError
from spinalprep.image import Image, grid_points, load, to_world
from spinalprep.image.sanity import conform_label
from spinalprep.registration.along import Channel
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.template import TemplateFit, register_to_template

SHARED = Path(os.environ.get("SPINALPREP_SHARED", "../shared"))
DISC_Z = {3: -30.0, 4: -47.0, 5: -64.0, 6: -80.0}
STRETCH = 1.15  # mm of the subject per mm of the template


def _template() -> Image:
    """Upright, 12 x 8 mm at the top, 14 x 8 mm below, centered at (-0.5, 4)."""
    affine = np.diag([-0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = 20, -16, -100
    x, y, z = np.moveaxis(grid_points((81, 81, 180), affine), -1, 0)
    wide = 6 + np.clip((-z - 30) / 50, 0, 1)
    return Image(_soft(np.hypot((x + 0.5) / wide, (y - 4) / 4) - 1, 4), affine)


def _soft(distance: np.ndarray, scale: float) -> np.ndarray:
    """Return a mask with an edge of about half a millimeter."""
    return np.asarray(np.clip(0.5 - distance * scale / 0.5, 0, 1), np.float32)


def _bend(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the subject's centerline: 10 degrees of tilt and a lordosis."""
    return 0.05 * z + 3, 6 * np.sin((z + 10) / 30)


@pytest.fixture(scope="module")
def subject() -> tuple[Image, Centerline, dict[int, float]]:
    """Cord 15 x 11 mm, on thick slices, and its discs."""
    affine = np.diag([-0.7, 0.7, 2.0, 1.0])
    affine[:3, 3] = 25, -25, -35
    x, y, z = np.moveaxis(grid_points((72, 72, 36), affine), -1, 0)
    centre_x, centre_y = _bend(z)
    cord = Image(_soft(np.hypot((x - centre_x) / 7.5, (y - centre_y) / 5.5) - 1, 5.5), affine)
    centerline = centerline_from_mask(cord)
    top = 10.0
    discs = {n: top + STRETCH * (DISC_Z[3] - z) for n, z in DISC_Z.items() if n < 6}
    return cord, centerline, discs


@pytest.fixture(scope="module")
def fit(subject: tuple[Image, Centerline, dict[int, float]]) -> TemplateFit:
    cord, centerline, discs = subject
    return register_to_template(cord, centerline, discs, _template(), DISC_Z)


def test_cords_overlap_both_ways(fit: TemplateFit) -> None:
    assert fit.dice_subject > 0.95
    assert fit.dice_template > 0.95


def test_discs_land_on_the_templates(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    _, centerline, discs = subject
    landed = fit.inverse.apply(centerline.at(np.array(list(discs.values()))))
    np.testing.assert_allclose(landed[:, 2], [DISC_Z[n] for n in discs], atol=0.5)


def test_centerline_lands_on_the_templates_axis(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    centerline = subject[1]
    landed = fit.inverse.apply(centerline.at(np.linspace(1, centerline.length - 1, 40)))
    np.testing.assert_allclose(landed[:, :2], np.tile([-0.5, 4.0], (40, 1)), atol=0.4)


def test_any_point_of_the_cord_there_and_back(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    """Between voxel centers too, and to the faces of the outermost slices."""
    cord = subject[0]
    ijk = np.argwhere(cord.data > 0.5)
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, (3, *ijk.shape))
    points = to_world((ijk + jitter).reshape(-1, 3), cord.affine)
    off = np.linalg.norm(fit.forward.apply(fit.inverse.apply(points)) - points, axis=1)
    assert off.mean() < 0.01
    assert off.max() < 0.06


def test_labels_keep_their_volume_there_and_back(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    cord = subject[0]
    template = _template()
    upper = np.where(np.arange(cord.shape[2]) > 16, cord.data, 0)
    for label in (cord.data, upper):
        there = resample_through(
            cord.with_data(label), fit.forward, (template.shape, template.affine)
        )
        back = resample_through(there, fit.inverse, (cord.shape, cord.affine))
        assert back.data.sum() == pytest.approx(label.sum(), rel=0.01)


def _horns(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return two horns, upright, in coordinates that are 1 at the cord's edge."""
    ventral = np.hypot((np.abs(x) - 0.35) / 0.17, (y - 0.2) / 0.4) - 1
    dorsal = np.maximum(np.abs(np.abs(x) - 0.35) - 0.12, np.abs(y + 0.2) - 0.5)
    return _soft(np.minimum(ventral * 0.25, dorsal), 4)


@pytest.mark.slow
def test_a_round_cord_is_turned_as_its_grey_matter_says() -> None:
    """10 degrees: found from gray matter, not from the outline; every point lands in its place."""
    template = _template()
    x, y, z = np.moveaxis(grid_points(template.shape, template.affine), -1, 0)
    round_cord = template.with_data(_soft(np.hypot(x + 0.5, y - 4) / 5 - 1, 5))
    grey = template.with_data(_horns((x + 0.5) / 5, (y - 4) / 5))
    affine = np.diag([-0.6, 0.6, 2.5, 1.0])
    affine[:3, 3] = 22, -22, -90
    shape, turn = (74, 74, 24), np.deg2rad(10)
    x, y, z = np.moveaxis(grid_points(shape, affine), -1, 0)
    right, front = x - 1, y + 2
    a = (right * np.cos(turn) + front * np.sin(turn)) / 6
    b = (-right * np.sin(turn) + front * np.cos(turn)) / 6
    cord, own = (Image(part, affine) for part in (_soft(np.hypot(a, b) - 1, 6), _horns(a, b)))
    line = centerline_from_mask(cord)
    blind = register_to_template(cord, line, {}, round_cord, DISC_Z)
    seeing = register_to_template(cord, line, {}, round_cord, DISC_Z, Channel(own, grey))
    inside = np.hypot(a, b) < 0.9
    truth = np.stack([5 * a - 0.5, 5 * b + 4], axis=-1)[inside]
    points = np.stack([x, y, z], axis=-1)[inside]
    off = [np.linalg.norm(f.inverse.apply(points)[:, :2] - truth, axis=1) for f in (blind, seeing)]
    assert off[0].mean() > 0.45  # 10 degrees at 3.3 mm are 0.58 mm
    assert off[1].mean() < 0.2
    assert np.percentile(off[1], 95) < 0.4
    assert seeing.jacobian_min > 0.2


def test_nothing_folds(fit: TemplateFit) -> None:
    assert fit.jacobian_min > 0.2


def test_every_slice_is_covered_the_ends_too(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    cord = subject[0]
    warped = resample_through(_template(), fit.inverse, (cord.shape, cord.affine)).data > 0.5
    own = cord.data > 0.5
    both = 2 * (warped & own).sum(axis=(0, 1)) / (warped.sum(axis=(0, 1)) + own.sum(axis=(0, 1)))
    assert both.min() > 0.9


def test_fields_cover_both_grids(
    fit: TemplateFit, subject: tuple[Image, Centerline, dict[int, float]]
) -> None:
    for field, image in ((fit.forward, _template()), (fit.inverse, subject[0])):
        for corner in ((0, 0, 0), tuple(n - 1 for n in image.shape)):
            point = image.affine[:3, :3] @ corner + image.affine[:3, 3]
            at = np.linalg.solve(field.affine, [*point, 1])[:3]
            assert (at > -0.01).all()
            assert (at < np.array(field.displacement.shape[:3]) - 0.99).all()
        assert np.isfinite(field.displacement).all()


@pytest.mark.slow
def test_same_input_same_output(subject: tuple[Image, Centerline, dict[int, float]]) -> None:
    cord, centerline, _ = subject
    two = [register_to_template(cord, centerline, {}, _template(), DISC_Z) for _ in range(2)]
    np.testing.assert_array_equal(two[0].forward.displacement, two[1].forward.displacement)


def test_levels_outside_the_template(
    subject: tuple[Image, Centerline, dict[int, float]],
) -> None:
    cord, centerline, _ = subject
    with pytest.raises(InputError, match="--level-hint"):
        register_to_template(cord, centerline, {3: 500.0}, _template(), {3: -30.0})


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs SPINALPREP_SHARED")
@pytest.mark.parametrize("stem", ["sub-9604/anat/sub-9604_run-1_T2starw", "sub-t2/anat/sub-t2_T2w"])
def test_real_masks_on_pam50(stem: str) -> None:
    dataset = SHARED / "data" / "bids-dev"
    image = load(dataset / f"{stem}.nii.gz")
    from spinalprep.image import reorient

    image = reorient(image)
    cord = conform_label(dataset / "derivatives/labels" / f"{stem}_seg-manual.nii.gz", image)
    template = load(SHARED / "data/PAM50/template/PAM50_cord.nii.gz")
    heights = {5: -131.0, 6: -147.0}  # near C5; where exactly does not matter here
    fit = register_to_template(cord, centerline_from_mask(cord), {}, template, heights)
    assert fit.dice_subject > 0.95
    assert fit.dice_template > 0.95
    assert fit.jacobian_min > 0
    ijk = np.argwhere(cord.data > 0.5)
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, ijk.shape)
    points = to_world(ijk + jitter, cord.affine)
    off = np.linalg.norm(fit.forward.apply(fit.inverse.apply(points)) - points, axis=1)
    assert off.max() < 0.1
