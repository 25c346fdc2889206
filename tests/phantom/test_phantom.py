"""The digital person is what its truth says."""

import nibabel as nib
import numpy as np
import pytest

from spinalprep.image import Image, reorient
from spinalprep.phantom.anatomy import (
    CSF,
    LESION,
    TESTING_RANGES,
    TRAINING_RANGES,
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


def test_lesion_volume_is_the_planted_one() -> None:
    person = make_person(100_005, lesions=1)
    lesion = person.lesions[0]
    middle = person.centerline.at(lesion.centre[0])
    affine = np.diag([-0.4, 0.4, 0.5, 1.0])
    affine[:3, 3] = middle + np.array([14, -14, -15])
    share = person.labels_on((70, 70, 60), affine, fine=2)[LESION]
    # a part may reach beyond the cord and is cut there
    assert share.sum() * 0.4 * 0.4 * 0.5 <= lesion.volume_mm3 * 1.03
    assert share.sum() * 0.4 * 0.4 * 0.5 >= lesion.volume_mm3 * 0.6


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


@pytest.mark.slow
def test_embedded_template_is_the_one_that_the_code_makes(tmp_path) -> None:
    embedded = resolve_template("Generic")
    made = write_generic(tmp_path)
    assert nib.load(embedded.cord).shape == template_grid()[0]
    for name in ("cord", "levels", "label_disc", "t2"):
        ours = np.asarray(nib.load(made / "template" / f"Generic_{name}.nii.gz").dataobj)
        theirs = nib.load(embedded.folder / "template" / f"Generic_{name}.nii.gz")
        np.testing.assert_array_equal(ours, np.asarray(theirs.dataobj))
