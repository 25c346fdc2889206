"""Each broken file gives one clear line; each odd but usable one is read."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import InputError
from spinalprep.image import Image, grid_points, load, save, save_inside
from spinalprep.image.sanity import check, check_header, conform, conform_label

RAMP = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)


def _write(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.nifti1.Nifti1Image(data, np.eye(4) if affine is None else affine), path)
    return path


def _refusal(path: Path, mem_gb: float | None = None) -> str:
    with pytest.raises(InputError) as caught:
        conform(path, mem_gb)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.touch()
    assert "empty (0 bytes)" in _refusal(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in _refusal(tmp_path / "a.nii.gz")
    folder = tmp_path / "b.nii.gz"
    folder.mkdir()
    assert "not a file" in _refusal(folder)


def test_garbage(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"this is no image at all" * 30)
    assert "can't be read" in _refusal(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_cut_short(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    path = _write(tmp_path / name, noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "can't be read" in _refusal(path)


def test_annex_link_without_content(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.symlink_to(".git/annex/objects/Xx/SHA256E-s1--0.nii.gz")
    assert "git-annex" in _refusal(path)
    assert "datalad get" in _refusal(path)


def test_broken_link(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.symlink_to("elsewhere.nii.gz")
    assert "broken link" in _refusal(path)


def test_pointers(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_text("/annex/objects/SHA256E-s9663--0f2b.nii.gz\n")
    assert "git-annex pointer" in _refusal(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull" in _refusal(path)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 9), "2D"),
        ((8, 9, 1), "single slice"),
        ((1, 8, 9), "single slice"),
        ((4, 5, 6, 7), "7 volumes"),
        ((4, 5, 6, 1, 3), "3 volumes"),
    ],
)
def test_shapes(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert said in _refusal(_write(tmp_path / "a.nii.gz", data))


def test_values(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    assert "zero everywhere" in _refusal(_write(path, np.zeros_like(RAMP)))
    assert "value 7 everywhere" in _refusal(_write(path, np.full_like(RAMP, 7)))
    assert "NaN everywhere" in _refusal(_write(path, np.full_like(RAMP, np.nan)))
    assert "complex" in _refusal(_write(path, RAMP.astype(np.complex64)))
    colours = np.zeros(RAMP.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    assert "RGB" in _refusal(_write(path, colours))


def test_some_nan_become_zero_with_a_warning(tmp_path: Path) -> None:
    data = RAMP.copy()
    data[0, 0, 0], data[1, 1, 1] = np.nan, np.inf
    checked = check(_write(tmp_path / "a.nii.gz", data))
    assert np.isfinite(checked.image.data).all()
    assert len(checked.warnings) == 1
    assert "2 NaN" in checked.warnings[0]
    assert checked.image.data[3, 0, 0] == 0  # LAS: the first axis was flipped


def test_affines(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    sheared = np.eye(4)
    sheared[0, 1] = np.tan(np.deg2rad(3))
    assert "3.0 degrees" in _refusal(_write(path, RAMP, sheared))
    sheared[0, 1] = np.tan(np.deg2rad(0.5))
    assert conform(_write(path, RAMP, sheared)).shape == RAMP.shape
    for broken, said in ((np.nan, "NaN"), (0.0, "singular")):
        volume = nib.nifti1.Nifti1Image(RAMP, np.eye(4))
        volume.header["srow_x"] = [broken, 0, 0, 0]
        volume.header["sform_code"] = 1
        raw = volume.header.binaryblock + b"\0\0\0\0" + RAMP.tobytes(order="F")
        plain = tmp_path / "b.nii"
        plain.write_bytes(raw[:108] + np.float32(352).tobytes() + raw[112:])
        assert said in _refusal(plain)


def test_too_large_is_said_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    header = nib.nifti1.Nifti1Header()
    header.set_data_shape((4000, 4000, 4000))
    header.set_data_dtype(np.float32)
    header.set_sform(np.eye(4), 1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    path.write_bytes(header.binaryblock + b"\0\0\0\0")  # 256 GB would follow
    assert "--mem" in _refusal(path, mem_gb=8)
    with pytest.raises(InputError, match="too large"):
        check_header(path, mem_gb=8)


@pytest.mark.parametrize("dtype", [np.int16, ">i2", np.uint8, np.int64, np.float64, ">f4"])
def test_number_types(tmp_path: Path, dtype: str) -> None:
    image = nib.nifti1.Nifti1Image(RAMP.astype(dtype), np.eye(4), dtype=dtype)
    nib.save(image, tmp_path / "a.nii.gz")
    conformed = conform(tmp_path / "a.nii.gz")
    assert conformed.data.dtype == np.float32
    np.testing.assert_array_equal(conformed.data, RAMP[::-1])


def test_one_volume_in_4d(tmp_path: Path) -> None:
    assert conform(_write(tmp_path / "a.nii.gz", RAMP[..., None])).shape == RAMP.shape


def test_sform_before_qform_before_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    volume = nib.nifti1.Nifti1Image(RAMP, None)
    volume.set_qform(np.diag([-2.0, 2, 2, 1]), code=1)
    volume.set_sform(np.diag([-3.0, 3, 3, 1]), code=0)
    nib.save(volume, path)
    np.testing.assert_allclose(conform(path).voxel_sizes, 2)
    volume.set_sform(np.diag([-3.0, 3, 3, 1]), code=2)
    nib.save(volume, path)
    np.testing.assert_allclose(conform(path).voxel_sizes, 3)
    volume.set_sform(None, code=0)
    volume.set_qform(None, code=0)
    nib.save(volume, path)
    assert "neither sform nor qform" in check(path).warnings[0]


@pytest.mark.parametrize(
    ("unit", "size", "read"),
    [("meter", 0.001, 1.0), ("micron", 800.0, 0.8), ("micron", 0.8, 0.8), ("unknown", 0.8, 0.8)],
)
def test_lengths_are_mm_whatever_the_header_calls_them(
    tmp_path: Path, unit: str, size: float, read: float
) -> None:
    image = nib.nifti1.Nifti1Image(RAMP, np.diag([size] * 3 + [1.0]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    checked = check(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(checked.image.voxel_sizes, read, rtol=1e-6)
    np.testing.assert_allclose(load(tmp_path / "a.nii.gz").voxel_sizes, read, rtol=1e-6)
    assert any("converted to mm" in line for line in checked.warnings) == (read != size)


@pytest.mark.parametrize("size", [0.001, 0.02, 25.0])
def test_voxels_of_no_mri_are_refused(tmp_path: Path, size: float) -> None:
    path = _write(tmp_path / "a.nii.gz", RAMP, np.diag([size] * 3 + [1.0]))
    assert "unit of length" in _refusal(path)


@pytest.mark.parametrize(
    ("angle", "mirrored", "said"),
    [(30.0, False, "30 degrees"), (0.0, True, "mirror images"), (0.0, False, "")],
)
def test_sform_against_qform(tmp_path: Path, angle: float, mirrored: bool, said: str) -> None:
    affine = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0, 1.0])
    turn = np.deg2rad(angle)
    affine[:2, :2] @= np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    image = nib.nifti1.Nifti1Image(RAMP, np.eye(4))
    image.set_sform(np.eye(4), code=1)
    image.set_qform(affine, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    checked = check(tmp_path / "a.nii.gz")
    told = [line for line in checked.warnings if "sform and qform" in line]
    assert len(told) == bool(said)
    assert all(said in line and "the sform is used" in line for line in told)


def test_conform_moves_no_voxel(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 1.5, -3], [-1, 0, 0, 4], [0, 2, 0, -5], [0, 0, 0, 1.0]])
    image = Image(RAMP, affine)
    conformed = conform(save(image, tmp_path / "a.nii.gz"))
    assert conformed.axes == "LAS"
    there = {tuple(p): v for p, v in zip(_points(image), RAMP.ravel(), strict=True)}
    for point, value in zip(_points(conformed), conformed.data.ravel(), strict=True):
        assert there[tuple(point)] == value


def _points(image: Image) -> np.ndarray:
    return grid_points(image.shape, image.affine).reshape(-1, 3).round(4)


def test_label_in_another_voxel_order(tmp_path: Path) -> None:
    image = conform(_write(tmp_path / "a.nii.gz", RAMP))
    label = np.zeros(RAMP.shape, np.uint8)
    label[0, 1, 2] = 1  # stored RAS, the image is LAS by now
    found = conform_label(_write(tmp_path / "b.nii.gz", label), image)
    assert found.same_grid(image)
    assert np.argwhere(found.data).tolist() == [[3, 1, 2]]


def test_label_may_be_empty_but_not_elsewhere(tmp_path: Path) -> None:
    image = conform(_write(tmp_path / "a.nii.gz", RAMP))
    empty = np.zeros(RAMP.shape, np.uint8)
    assert conform_label(_write(tmp_path / "b.nii.gz", empty), image).data.sum() == 0
    shifted = np.eye(4)
    shifted[2, 3] = 0.5
    for data, affine in ((empty, shifted), (empty[:, :, :-1], np.eye(4))):
        with pytest.raises(InputError, match="a different grid"):
            conform_label(_write(tmp_path / "c.nii.gz", data, affine), image)


def test_voxels_saved_volume_by_volume_make_the_same_file(tmp_path: Path) -> None:
    affine = np.array([[-0.9, 0.1, 0, 20], [0.1, 0.9, 0, -15], [0, 0, 2.0, -30], [0, 0, 0, 1]])
    random = np.random.default_rng(0)
    inside = Image(random.random((5, 6, 7)) > 0.6, affine)
    values = random.random((int(inside.data.sum()), 3)).astype(np.float32)
    whole = np.zeros((5, 6, 7, 3), np.float32)
    whole[inside.data] = values
    save(Image(whole, affine), tmp_path / "whole.nii")
    save_inside(values, inside, tmp_path / "parts.nii")
    assert (tmp_path / "parts.nii").read_bytes() == (tmp_path / "whole.nii").read_bytes()
    again = nib.loadsave.load(save_inside(values, inside, tmp_path / "parts.nii.gz"))
    np.testing.assert_array_equal(again.get_fdata(), whole)


def test_saved_file_says_where_it_is(tmp_path: Path) -> None:
    image = Image(RAMP, np.diag([-0.5, 0.5, 2, 1]))
    path = save(image, tmp_path / "a.nii.gz")
    assert load(path).same_grid(image)
    header = nib.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
