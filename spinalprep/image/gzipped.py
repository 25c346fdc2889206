"""NIfTI files, compressed by ISA-L: a tenth of zlib's time, and files of about the same size."""

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import nibabel as nib
from isal import igzip, igzip_lib

_Damaged = cast(type[Exception], igzip_lib.IsalError)  # its stubs say an instance
LEVEL = 3  # of 0 to 3: a displacement field is a tenth smaller than at 1, and takes as long


def read_volume(path: Path | str) -> Any:
    """Read a NIfTI file; of a compressed one, all of it is in memory.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.

    Returns
    -------
    volume : nibabel image

    Raises
    ------
    OSError, EOFError, ImageFileError
        If the file can't be read, is cut short or damaged (gzip's checksum), or is no NIfTI file.
    """
    if not str(path).endswith(".gz"):
        return _complete(nib.nifti1.Nifti1Image.from_filename(path), Path(path).stat().st_size)
    try:
        with igzip.open(path, "rb") as file:
            content = file.read()
    except _Damaged as error:
        raise OSError(f"damaged: {error}") from error
    return _complete(nib.nifti1.Nifti1Image.from_stream(io.BytesIO(content)), len(content))


def _complete(volume: Any, size: int) -> Any:
    """Return an image if its file is as long as the header says; nothing is allocated before."""
    stored = volume.dataobj
    needed = stored.offset + math.prod(stored.shape) * stored.dtype.itemsize
    if needed > size:
        raise EOFError(f"the header promises {needed} bytes, the file has {size}")
    return volume


def write_volume(volume: Any, path: Path) -> None:
    """Write a nibabel image as ``.nii`` or ``.nii.gz``; the same image gives the same bytes."""
    if str(path).endswith(".gz"):
        with open_to_write(path) as file:
            volume.to_stream(file)
    else:
        volume.to_filename(path)


@contextlib.contextmanager
def open_to_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write bytes to, compressed if its name ends with ``.gz``."""
    with open(path, "wb") as plain:
        if not str(path).endswith(".gz"):
            yield plain
            return
        with igzip.IGzipFile("", "wb", LEVEL, plain, mtime=0) as compressed:
            yield cast(IO[bytes], compressed)
