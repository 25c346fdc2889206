"""Compressed files are what any other reader of NIfTI reads, whole or not at all."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import InputError
from spinalprep.image import Image, gzipped, load, save


@pytest.fixture
def image() -> Image:
    data = np.random.default_rng(3).normal(size=(7, 9, 11)).astype(np.float32)
    return Image(data, np.diag([-0.5, 0.5, 2.0, 1.0]))


def test_others_read_what_is_written(image: Image, tmp_path: Path) -> None:
    path = save(image, tmp_path / "a.nii.gz")
    other = nib.load(path)
    assert np.array_equal(other.get_fdata(dtype=np.float32), image.data)
    assert np.array_equal(other.affine, image.affine)
    assert gzip.decompress(path.read_bytes())[:4] == (348).to_bytes(4, "little")


def test_what_others_write_is_read(image: Image, tmp_path: Path) -> None:
    path = tmp_path / "b.nii.gz"
    nib.Nifti1Image(image.data, image.affine).to_filename(path)
    assert np.array_equal(load(path).data, image.data)
    members = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(members[:600]) + gzip.compress(members[600:]))
    assert np.array_equal(load(path).data, image.data)


def test_the_same_image_gives_the_same_bytes(image: Image, tmp_path: Path) -> None:
    one, other = (save(image, tmp_path / f"{name}.nii.gz") for name in "ab")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "turned", "plain"])
def test_damaged_files_are_refused(image: Image, tmp_path: Path, damage: str) -> None:
    path = save(image, tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "turned":
        content[len(content) // 2] ^= 0x55
    else:
        content = bytearray(b"not compressed")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii\.gz can't be read"):
        load(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<i2", "<u1"])
def test_voxels_that_are_not_zero_are_those_of_the_whole_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, kind: str
) -> None:
    monkeypatch.setattr(gzipped, "PIECE", 100)  # the image is 6.93 pieces
    rng = np.random.default_rng(4)
    data = (rng.integers(1, 99, (7, 9, 11)) * (rng.random((7, 9, 11)) < 0.1)).astype(kind)
    volume = nib.Nifti1Image(data, np.eye(4))
    if kind == "<i2":
        volume.header.set_slope_inter(0.25, -2.0)  # zeros are then not what is stored as zero
    volume.to_filename(tmp_path / f"a{ending}")
    whole = np.asarray(gzipped.read_volume(tmp_path / f"a{ending}").dataobj).reshape(-1, order="F")
    places, values, shape = gzipped.nonzero_voxels(tmp_path / f"a{ending}")
    assert shape == (7, 9, 11)
    assert values.dtype == np.float32
    assert np.array_equal(places, np.flatnonzero(whole))
    assert np.array_equal(values, whole[places].astype(np.float32))
    content = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"a{ending}").write_bytes(content[: len(content) - 60])
    with pytest.raises((OSError, EOFError)):
        gzipped.nonzero_voxels(tmp_path / f"a{ending}")
