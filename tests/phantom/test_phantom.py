"""The synthetic subject is what its truth says."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, reorient, to_world
from spinalprep.phantom.anatomy import (
    CSF,
    GM,
    LESION,
    TESTING_RANGES,
    TRAINING_RANGES,
    WM,
    cord_radii,
    make_person,
    truth_cord,
)
from spinalprep.phantom.generic import template_grid, write_generic
from spinalprep.phantom.images import render
from spinalprep.template.files import resolve_template


def grid(spacing: tuple[float, float, float] = (0.6, 0.6, 4.0)) -> Image:
    shape = [round(n / s) for n, s in zip((26, 24, 60), spacing, strict=True)]
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = [13, -4, -30]
    return Image(np.zeros(shape, np.float32), affine)


@pytest.fixture(scope="module")
def person():
    return make_person(100_003)


def test_volume_is_the_integral_of_the_area(person) -> None:
    like = grid((0.5, 0.5, 2.0))
    like = Image(np.zeros((120, 130, 30), np.float32), like.affine)
    like.affine[:3, 3] = [30, -30, -30]
    cord = truth_cord(person, like, fine=2)
    z = person.centerline.points[:, 2]
    inside = (z > -31) & (z < 29)
    s = person.centerline.arc[inside]
    truth = np.trapezoid(person.area_at(s), s)
    assert cord.sum() * like.voxel_volume == pytest.approx(truth, rel=0.01)


@pytest.mark.parametrize("axes", ["RPI", "PSR"])
def test_orientation_changes_nothing(person, axes: str) -> None:
    like = grid()
    turned = reorient(like, axes)
    straight = truth_cord(person, like, fine=1)
    again = reorient(turned.with_data(truth_cord(person, turned, fine=1)), "LAS")
    assert np.mean(np.abs(again.data - straight)) < 2e-4


def test_same_seed_same_person_and_test_people_are_unlike_training_people() -> None:
    a, b = make_person(100_001, lesions=2), make_person(100_001, lesions=2)
    np.testing.assert_array_equal(a.centerline.points, b.centerline.points)
    assert a.lesions == b.lesions
    assert len(a.lesions) == 2
    for name in ("bend_mm", "tilt_deg", "size", "stature", "turn_deg"):
        assert getattr(TRAINING_RANGES, name)[1] <= getattr(TESTING_RANGES, name)[0] + 1e-9


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (10, -20, 35)])
def test_oblique_grids_hold_the_same_cord(person, angles) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.6, 0.6, 0.6])
    shape = np.array([60, 60, 60])
    affine[:3, 3] = person.centerline.at(96.0) - affine[:3, :3] @ ((shape - 1) / 2)
    like = Image(np.zeros(shape, np.float32), affine)
    cord = truth_cord(person, like, fine=2)
    s = person.centerline.project(to_world(np.argwhere(cord > 0.0).astype(float), affine))[:, 0]
    near = np.abs(s - 96.0) < 10.0
    volume = cord[cord > 0.0][near].sum() * 0.6**3
    arc = np.linspace(86.0, 106.0, 200)
    assert volume == pytest.approx(np.trapezoid(person.area_at(arc), arc), rel=0.01)


@pytest.mark.parametrize("s", [50.0, 96.0, 140.0])
def test_area_across_the_cord_is_the_analytic_one(person, s: float) -> None:
    right, anterior, tangent = person.centerline.frame(s)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([0.2 * right, 0.2 * anterior, 0.02 * -tangent], axis=-1)
    shape = np.array([101, 101, 1])
    affine[:3, 3] = person.centerline.at(s) - affine[:3, :3] @ ((shape - 1) / 2)
    shares = person.labels_on(shape, affine)
    area = shares[[WM, GM, LESION]].sum() * 0.2 * 0.2
    assert area == pytest.approx(person.area_at(s), rel=0.01)


def test_a_grid_far_from_the_cord_holds_none_of_it(person) -> None:
    affine = np.eye(4)
    affine[:3, 3] = [200, 0, 0]
    assert not truth_cord(person, Image(np.zeros((9, 9, 9), np.float32), affine)).any()


@pytest.mark.parametrize("seed", [100_004, 100_005])  # once drawn at one height
def test_lesions_are_the_planted_ones_and_apart(seed: int) -> None:
    person = make_person(seed, lesions=2)
    for lesion in person.lesions:
        right, anterior, _ = person.centerline.frame(lesion.centre[0])
        middle = person.centerline.at(lesion.centre[0])
        middle = middle + lesion.centre[1] * right + lesion.centre[2] * anterior
        affine = np.diag([-0.3, 0.3, 0.4, 1.0])
        affine[:3, 3] = middle - affine[:3, :3] @ ((np.array([20, 30, 55]) - 1) / 2)
        share = person.labels_on((20, 30, 55), affine, fine=3)[LESION]
        found, _ = ndimage.label(share > 0)
        volume = share[found == found[10, 15, 27]].sum() * 0.3 * 0.3 * 0.4
        assert volume == pytest.approx(lesion.volume_mm3, rel=0.02)
    one, other = sorted(person.lesions, key=lambda lesion: lesion.centre[0])
    assert one.centre[0] + one.half_axes[0] + 3.0 <= other.centre[0] - other.half_axes[0]


def test_too_many_lesions_are_refused() -> None:
    with pytest.raises(ValueError, match="40 lesions do not fit"):
        make_person(100_000, lesions=40)


@pytest.mark.parametrize(("contrast", "brighter"), [("T2w", True), ("T1w", False)])
def test_fluid_against_cord(person, contrast: str, brighter: bool) -> None:
    like = grid()
    image = render(person, contrast, (like.shape, like.affine), seed=1)
    shares = person.labels_on(like.shape, like.affine)
    cord = truth_cord(person, like, fine=1) > 0.9
    fluid = shares[CSF] > 0.9
    assert (image.data[fluid].mean() > image.data[cord].mean()) == brighter
    again = render(person, contrast, (like.shape, like.affine), seed=1)
    np.testing.assert_array_equal(image.data, again.data)


def test_template_coordinates_follow_levels(person) -> None:
    disc_z = {3: 0.0, 4: -17.0, 5: -35.0, 6: -52.0}
    s = np.array([person.disc_s[4], person.disc_s[5]])
    points = person.to_template(person.centerline.at(s), disc_z)
    np.testing.assert_allclose(points, [[0, 0, -17.0], [0, 0, -35.0]], atol=0.05)


def test_template_coordinates_turn_and_scale_with_the_cord(person) -> None:
    disc_z = {n: -17.0 * n for n in range(2, 11)}
    s = np.array([60.0, 96.0, 130.0])
    right, anterior, _ = person.centerline.frame(s)
    own, model = person.radii_at(s), cord_radii(person.level_at(s))
    turn = np.deg2rad(person.turn_deg)
    side = np.cos(turn) * right + np.sin(turn) * anterior  # the cord's own right
    points = person.to_template(person.centerline.at(s) + own[0][:, None] * side, disc_z)
    np.testing.assert_allclose(points[:, 0], model[0], atol=0.02)
    np.testing.assert_allclose(points[:, 1], 0.0, atol=0.02)


def test_template_height_falls_along_the_cord_and_ends_with_the_discs(person) -> None:
    disc_z = {n: -17.0 * n for n in range(3, 9)}
    s = np.arange(0.0, person.centerline.length, 1.0)
    z = person.to_template(person.centerline.at(s), disc_z)[:, 2]
    inside = (s > person.disc_s[3]) & (s < person.disc_s[8])
    assert np.all(np.diff(z[inside]) < 0)
    assert np.isnan(z[~inside]).all()
    assert np.all(np.diff([person.disc_s[n] for n in sorted(person.disc_s)]) > 10.0)


def test_pulse_darkens_white_matter_more_than_fluid(person) -> None:
    like = grid()
    place = (like.shape, like.affine)
    off, on = (render(person, "MTS", place, seed=1, pulse=pulse).data for pulse in (False, True))
    shares = person.labels_on(*place)
    ratio = {
        label: on[shares[label] > 0.9].mean() / off[shares[label] > 0.9].mean()
        for label in (CSF, WM)
    }
    assert ratio[WM] < 0.7
    assert ratio[CSF] > 0.9


@pytest.mark.slow
def test_embedded_template_is_the_one_that_the_code_makes(tmp_path) -> None:
    embedded = resolve_template("Generic")
    made = write_generic(tmp_path)
    assert nib.load(embedded.cord).shape == template_grid()[0]
    for path in sorted((embedded.folder / "template").glob("Generic_*.nii.gz")):
        ours = np.asarray(nib.load(made / "template" / path.name).dataobj)
        np.testing.assert_array_equal(ours, np.asarray(nib.load(path).dataobj))
    info = (embedded.folder / "template" / "info_label.txt").read_text()
    assert info == (made / "template" / "info_label.txt").read_text()
