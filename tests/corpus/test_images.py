"""Odd image files: each is read, or refused in one line."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinalprep.errors import InputError
from spinalprep.image.sanity import check

MEM_GB = 4.0
DATA = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
Make = Callable[[Path], None]
READ = "read"


def image(data: Any = DATA, affine: Any = None, kind: Any = nib.nifti1.Nifti1Image) -> Make:
    """Return a maker of a NIfTI file."""
    world = np.diag([-1.0, 1, 2, 1]) if affine is None else np.asarray(affine, float)

    def make(path: Path) -> None:
        made = kind(data, world, dtype=data.dtype)
        made.header.set_xyzt_units("mm", "sec")
        made.to_filename(path)

    return make


def header(**fields: Any) -> Make:
    """Return a maker of a NIfTI file with some fields of the header set after the fact."""

    def make(path: Path) -> None:
        image()(path)
        raw = bytearray(gzip.decompress(path.read_bytes()))
        told = nib.nifti1.Nifti1Header(bytes(raw[:348]), check=False)
        for name, value in fields.items():
            told[name] = value
        raw[:348] = told.binaryblock
        path.write_bytes(gzip.compress(bytes(raw)))

    return make


def affine(rows: Any) -> Make:
    """Return a maker of a file with this sform, which nibabel would not write."""
    rows = np.asarray(rows, np.float32)
    return header(srow_x=rows[0], srow_y=rows[1], srow_z=rows[2], sform_code=1, qform_code=0)


def metres(unit: int, scale: float) -> Make:
    """Return a maker of an image whose lengths are in another unit, by its header."""
    rows = np.diag([-scale, scale, 2 * scale, 1])[:3]
    pixdim = [1, scale, scale, 2 * scale, 0, 0, 0, 0]
    told = dict(zip(("srow_x", "srow_y", "srow_z"), rows, strict=True))
    return header(xyzt_units=unit, pixdim=pixdim, qform_code=0, **told)


def flipped(raw: bytes) -> bytes:
    """Return a gzip stream with its checksum changed by one bit."""
    return raw[:-8] + bytes([raw[-8] ^ 1]) + raw[-7:]


def content(data: bytes) -> Make:
    """Return a maker of a file with these bytes."""
    return lambda path: path.write_bytes(data) and None


def changed(change: Callable[[bytes], bytes], inside: bool = False) -> Make:
    """Return a maker of an image whose bytes (``inside``: before compression) are changed."""

    def make(path: Path) -> None:
        image()(path)
        raw = path.read_bytes()
        path.write_bytes(gzip.compress(change(gzip.decompress(raw))) if inside else change(raw))

    return make


def link(target: str) -> Make:
    """Return a maker of a symbolic link."""
    return lambda path: path.symlink_to(target)


def renamed(name: str, make: Make) -> Make:
    """Return a maker of a file under another name, to which the first links."""

    def made(path: Path) -> None:
        other = path.with_name(name)
        other.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        shutil.move(path, other)
        path.symlink_to(other)

    return made


def sheared() -> np.ndarray:
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.deg2rad(5))
    return affine


def rgb(path: Path) -> None:
    colours = np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.nifti1.Nifti1Image(colours, np.eye(4)).to_filename(path)


def rgba(path: Path) -> None:
    colours = np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    nib.nifti1.Nifti1Image(colours, np.eye(4)).to_filename(path)


def million_slices(path: Path) -> None:
    """Write a header of a million slices, with the voxels of eight."""
    made = nib.nifti2.Nifti2Image(DATA, np.eye(4))
    told = made.header.copy()
    told["dim"][1:4] = 512, 512, 1_000_000
    path.write_bytes(gzip.compress(told.binaryblock + made.to_bytes()[540:]))


def no_orientation(path: Path) -> None:
    nib.nifti1.Nifti1Image(DATA, None).to_filename(path)


def big_endian(path: Path) -> None:
    told = nib.nifti1.Nifti1Header(endianness=">")
    nib.nifti1.Nifti1Image(DATA, np.eye(4), told).to_filename(path)


NAN = np.where(DATA == 100, np.nan, DATA).astype(np.float32)
IDENTITY = np.eye(4)

# input, how it is made, what its line says ("read", or part of the message), exit code of a run
CASES: list[tuple[str, Make, str, int]] = [
    ("an ordinary image", image(), READ, 0),
    ("64-bit floats", image(DATA.astype(np.float64)), READ, 0),
    ("64-bit integers", image(DATA.astype(np.int64)), READ, 0),
    ("8-bit integers", image((DATA % 256).astype(np.uint8)), READ, 0),
    ("big-endian", big_endian, READ, 0),
    ("NIfTI-2", image(kind=nib.nifti2.Nifti2Image), READ, 0),
    ("left-handed voxel order", image(affine=np.diag([1, 1, 1, 1])), READ, 0),
    ("axes stored in another order", image(affine=IDENTITY[[1, 2, 0, 3]]), READ, 0),
    ("4D with one volume", image(DATA[..., None]), READ, 0),
    ("4D with several volumes", image(np.stack([DATA] * 3, -1)), "has 3 volumes", 1),
    ("5D", image(np.stack([DATA[..., None]] * 3, -1)), "has 3 volumes", 1),
    ("2D", image(DATA[0]), "is 2D", 1),
    ("a single slice", image(DATA[:, :, :1]), "has a single slice", 1),
    ("colors", rgb, "contains colors", 1),
    ("colors with transparency", rgba, "contains colors", 1),
    ("complex numbers", image(DATA.astype(np.complex64)), "contains complex numbers", 1),
    ("scl_slope 0", header(scl_slope=0), READ, 0),
    ("scl_slope NaN", header(scl_slope=np.nan), READ, 0),
    ("scl_slope infinite", header(scl_slope=np.inf), READ, 0),
    ("scl_slope that overflows", header(scl_slope=3e38), "NaN or infinite", 0),
    ("some NaN", image(NAN), "NaN or infinite", 0),
    ("NaN everywhere", image(NAN * np.nan), "is NaN everywhere", 1),
    ("zero everywhere", image(DATA * 0), "is zero everywhere", 1),
    ("one value everywhere", image(DATA * 0 + 7), "has the value 7 everywhere", 1),
    ("an affine with NaN", affine(IDENTITY[:3] * np.nan), "NaN in its affine", 1),
    ("a singular affine", affine(np.diag([1, 1, 0, 1])[:3]), "has a singular affine", 1),
    ("an affine sheared by 5 degrees", image(affine=sheared()), "has a sheared affine", 1),
    ("no orientation", no_orientation, "neither sform nor qform", 0),
    (
        "a quaternion that is none",
        header(sform_code=0, qform_code=1, quatern_b=5),
        "can't be read",
        1,
    ),
    ("lengths in meters", metres(1, 0.001), READ, 0),
    ("lengths in microns", metres(3, 1000.0), READ, 0),
    ("meters without saying so", metres(2, 0.001), "voxel", 1),
    (
        "sform and qform mirror images",
        header(
            quatern_b=0, quatern_c=0, quatern_d=0, qform_code=1, pixdim=[1, 1, 1, 2, 0, 0, 0, 0]
        ),
        "mirror images",
        0,
    ),
    (
        "sform and qform 90 degrees apart",
        header(qform_code=1, quatern_b=0.5, quatern_c=0.5, quatern_d=0.5),
        "differ by",
        0,
    ),
    ("a header of another length", header(sizeof_hdr=349), "errors in its header (sizeof_hdr", 0),
    ("negative voxel sizes", header(pixdim=[1, -1, 1, 2, 0, 0, 0, 0]), "errors in its header", 0),
    (
        "voxel sizes of 0 beside an sform",
        header(pixdim=[1, 0, 1, 2, 0, 0, 0, 0]),
        "errors in its header",
        0,
    ),
    (
        "voxel sizes of 0 without an sform",
        header(pixdim=[1, 0, 1, 2, 0, 0, 0, 0], sform_code=0, qform_code=1),
        "voxel sizes are 0",
        1,
    ),
    ("a negative dimension", header(dim=[3, -8, 8, 8, 1, 1, 1, 1]), "can't be read", 1),
    ("sform code 0", header(sform_code=0, qform_code=1), READ, 0),
    ("a header of a million slices", million_slices, "too large", 1),
    ("a dimension of 0", header(dim=[3, 0, 8, 8, 1, 1, 1, 1]), "has no voxel", 1),
    (
        "a header of 30,000 x 30,000 x 30,000",
        header(dim=[3, *[30_000] * 3, 1, 1, 1, 1]),
        "too l",
        1,
    ),
    (
        "more voxels in the header than in the file",
        header(dim=[3, 80, 80, 80, 1, 1, 1, 1]),
        "can't be read",
        1,
    ),
    ("9 dimensions", header(dim=[9, 8, 8, 8, 1, 1, 1, 1]), "can't be read", 1),
    ("an unknown type of data", header(datatype=9999), "can't be read", 1),
    ("voxels that begin beyond the end", header(vox_offset=1e9), "can't be read", 1),
    ("a wrong magic number", header(magic=b"abc"), "can't be read", 1),
    ("0 bytes", content(b""), "is empty (0 bytes)", 1),
    ("gzip cut short", changed(lambda raw: raw[: len(raw) // 2]), "can't be read", 1),
    ("voxels cut short", changed(lambda raw: raw[:1000], True), "can't be read", 1),
    ("a header cut short", changed(lambda raw: raw[:200], True), "can't be read", 1),
    ("flipped bits in the gzip stream", changed(flipped), "its gzip checksum is wrong", 1),
    ("bytes after the gzip stream", changed(lambda raw: raw + b"garbage" * 9), READ, 0),
    ("bytes after the voxels", changed(lambda raw: raw + b"garbage" * 9, True), READ, 0),
    ("a gzip bomb behind an image", changed(lambda raw: raw + bytes(30_000_000), True), READ, 0),
    ("not compressed, but called .nii.gz", changed(gzip.decompress), "is not a gzip file", 1),
    ("text", content(b"no image\n" * 100), "can't be read", 1),
    ("a web page", content(b"<!DOCTYPE html><html>404</html>"), "can't be read", 1),
    ("a photograph", content(b"\x89PNG\r\n\x1a\n" + bytes(1000)), "can't be read", 1),
    ("random bytes", content(np.random.default_rng(0).bytes(4000)), "can't be read", 1),
    (
        "a pointer of Git LFS",
        content(b"version https://git-lfs.github.com/spec/v1\n"),
        "Git LFS pointer",
        1,
    ),
    (
        "a pointer of git-annex",
        content(b"/annex/objects/MD5E-s1--0.nii.gz\n"),
        "git-annex pointer",
        1,
    ),
    ("a link of git-annex without content", link(".git/annex/objects/x"), "is a git-annex link", 1),
    ("a broken link", link("nowhere"), "is a broken link", 1),
    ("a link to itself", link("odd.nii.gz"), "is a broken link", 1),
    ("nothing", lambda path: None, "does not exist", 1),
    ("a folder", lambda path: path.mkdir(), "is not a file", 1),
    ("a named pipe", os.mkfifo, "is not a file", 1),
    ("blanks and shell characters in the path", renamed("a b;$(id)'\"&.nii.gz", image()), READ, 0),
    ("letters beyond ASCII in the path", renamed("Wirbelsäule 脊髄.nii.gz", image()), READ, 0),
]


def outcome(path: Path) -> tuple[str, int]:
    """Return the line on a file and the exit code of a run of it alone."""
    try:
        return "; ".join((READ, *check(path, MEM_GB).warnings)), 0
    except InputError as error:
        return str(error), error.exit_code


@pytest.mark.parametrize(
    ("make", "says", "code"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_an_image_is_read_or_refused_in_one_line(
    tmp_path: Path, make: Make, says: str, code: int
) -> None:
    path = tmp_path / "odd.nii.gz"
    make(path)
    line, found = outcome(path)
    assert (found, says in line) == (code, True), line
    assert "\n" not in line
