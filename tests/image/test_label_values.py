"""What the values of a label stand for."""

import numpy as np
import pytest

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image.label_values import label_values

BALL = np.hypot(*np.indices((9, 9))[:, :, :, None] - 4.0) + np.zeros(8)  # mm from an axis
CORD, CANAL = BALL < 2, BALL < 4
SOFT = np.clip(3 - BALL, 0, 1).astype(np.float32)


def read(data: np.ndarray, role: str = "cord", value: int | None = None) -> np.ndarray:
    return label_values(np.asarray(data, np.float32), "label.nii.gz", role, value)


@pytest.mark.parametrize("number", [1, 2, 255])
def test_a_single_class_is_the_structure_whatever_its_value(number: int) -> None:
    for role in ("cord", "gm", "lesion", "centerline"):
        np.testing.assert_array_equal(read(CORD * number, role), CORD)


def test_shares_of_one_and_of_255_are_the_same() -> None:
    np.testing.assert_array_equal(read(SOFT), SOFT)
    np.testing.assert_allclose(read(SOFT * 255), SOFT, atol=1e-6)
    fine = np.linspace(0, 1, SOFT.size).reshape(SOFT.shape)
    np.testing.assert_allclose(read(np.rint(fine * 255)), fine, atol=0.5 / 255 + 1e-6)
    over = SOFT + np.float32(0.05) * (SOFT == 1) - np.float32(0.03) * (SOFT == 0)
    np.testing.assert_array_equal(read(over), SOFT)  # interpolation overshoots


def test_of_several_classes_the_one_that_is_named_counts() -> None:
    both = CANAL * 2 - CORD
    for role in ("cord", "gm"):
        with pytest.raises(InputError, match=r"several classes \(1, 2\).*nothing says which"):
            read(both, role)
        np.testing.assert_array_equal(read(both, role, 1), CORD)
        np.testing.assert_array_equal(read(both, role, 2), CANAL & ~CORD)
    with pytest.raises(InputError, match=r"no voxel of the value 7.*it has 1, 2"):
        read(both, "cord", 7)


def test_numbered_lesions_are_all_lesions_and_classes_of_tissue_are_not() -> None:
    data = np.zeros((9, 9, 8))
    data[2, 2, 2], data[5, 5, 5] = 1, 2
    assert read(data, "lesion").sum() == 2
    data[7, 7, 7] = 1  # class 1 lies in two places: no number of a lesion
    with pytest.raises(InputError, match=r"several classes"):
        read(data, "lesion")
    assert read(data, "centerline").sum() == 3


@pytest.mark.parametrize("role", ["cord", "gm", "lesion"])
def test_shares_that_never_reach_a_half_are_refused(role: str) -> None:
    with pytest.raises(EmptyMaskError, match=r"label\.nii\.gz is empty: its shares reach 0\.40"):
        read(SOFT * 0.4, role)
    assert read(SOFT * 0.4, "centerline").max() == pytest.approx(0.4)


def test_what_is_neither_classes_nor_shares_is_refused() -> None:
    with pytest.raises(InputError, match=r"fractions up to 1\.5"):
        read(SOFT * 1.5)
    with pytest.raises(InputError, match=r"fractions up to 400"):
        read(SOFT * 400)
    with pytest.raises(InputError, match=r"negative values"):
        read(SOFT - 1)


def test_disc_numbers_are_whole() -> None:
    data = np.zeros((9, 9, 8))
    data[4, 4, 2], data[4, 4, 5] = 3, 60
    np.testing.assert_array_equal(read(data, "discs"), data)
    data[4, 4, 3] = 3.4
    with pytest.raises(InputError, match=r"the value 3\.4; expected whole numbers"):
        read(data, "discs")


def test_an_empty_label_is_empty() -> None:
    for role in ("cord", "lesion", "discs"):
        assert not read(np.zeros((3, 3, 3)), role).any()


@pytest.mark.parametrize("role", ["cord", "gm", "lesion", "discs", "centerline"])
@pytest.mark.filterwarnings("error")
def test_values_that_no_integer_of_32_bits_holds_are_refused(role: str) -> None:
    for value in (1e10, 1e19, 3e38):
        with pytest.raises(InputError, match=r"label\.nii\.gz has values up to .*is it an image"):
            read(CORD * value, role)
