"""What nibabel mends in a header is said in a line with the file's name."""

import gzip
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinalprep.image.headers import LOGGER
from spinalprep.image.sanity import check, check_header, conform_label


@pytest.fixture
def mended(tmp_path: Path) -> Path:
    """Return an image whose header says that it has another length."""
    path = tmp_path / "sub-01_T2w.nii.gz"
    volume = nib.Nifti1Image(np.arange(512, dtype=np.float32).reshape(8, 8, 8), np.eye(4))
    raw = bytearray(volume.to_bytes())
    raw[:4] = (349).to_bytes(4, "little")
    path.write_bytes(gzip.compress(bytes(raw)))
    return path


def test_one_line_names_the_file(mended: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for warnings in (check_header(mended), check(mended).warnings):
        (line,) = (line for line in warnings if "header" in line)
        assert line.startswith(f"{mended} has errors in its header (sizeof_hdr should be 348")
        assert "\n" not in line
    assert conform_label(mended, check(mended).image).shape == (8, 8, 8)
    assert capfd.readouterr().err == ""


def test_it_is_said_also_where_nibabel_is_silenced(mended: Path) -> None:
    parent = logging.getLogger("nibabel")
    kept, handlers = parent.level, list(LOGGER.handlers)
    parent.setLevel(logging.CRITICAL)
    try:
        assert any("sizeof_hdr" in line for line in check_header(mended))
    finally:
        parent.setLevel(kept)
    assert (list(LOGGER.handlers), LOGGER.level) == (handlers, logging.NOTSET)
