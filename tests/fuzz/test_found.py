"""What the search of test_fuzz.py has found, once each."""

import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from safetensors.numpy import save

from spinalprep.app.config import read_config
from spinalprep.bids.filters import read_filters
from spinalprep.bids.saved_tables import read_people
from spinalprep.errors import InputError, ModelError, UsageError
from spinalprep.networks.weights import load_model
from spinalprep.registration.transform import read_itk

TEXT = "Transform: AffineTransform_double_3_3\nParameters: {} 0 0 0 1 0 0 0 1 0 0 0\n"


def field(affine: np.ndarray, value: float = 0.0) -> bytes:
    return bytes(nib.Nifti1Image(np.full((4, 4, 4, 1, 3), value, np.float32), affine).to_bytes())


def huge(raw: bytes) -> bytes:
    """Return the bytes of a field whose header promises 30,000 voxels along each axis."""
    told = nib.Nifti1Header(raw[:348])
    told["dim"][1:4] = 30_000
    return told.binaryblock + raw[348:]


def hollow(raw: bytes) -> bytes:
    """Return the bytes of a field without a voxel along its last axis."""
    told = nib.Nifti1Header(raw[:348])
    told["dim"][3] = 0
    return told.binaryblock + raw[348:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("affine.txt", TEXT.format("nan").encode() + b"FixedParameters: 0 0 0\n"),
        ("affine.txt", TEXT.format("1").encode() + b"FixedParameters: 0 0 inf\n"),
        ("affine.mat", b"no matrices"),
        ("affine.mat", b""),
        ("warp.nii.gz", gzip.compress(b"x" * 400)),
        ("warp.nii.gz", gzip.compress(field(np.eye(4)))[:60]),
        ("warp.nii", field(np.eye(4), np.nan)),
        ("warp.nii", huge(field(np.eye(4)))),
        ("warp.nii.gz", gzip.compress(huge(field(np.eye(4))))),
        ("warp.nii", hollow(field(np.eye(4)))),
    ],
    ids=(
        *("nan", "inf", "text", "empty", "no-nifti", "cut", "field-of-nan", "huge", "huge-gz"),
        "hollow",
    ),
)
def test_a_transform_that_is_none_is_refused_in_one_line(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="can't be read as a transform") as refused:
        read_itk(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_ids_in_two_columns_of_other_capitals_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "participants.tsv"
    path.write_text("participaNt_id\tage\tparticipant_id\n01\t34\t02\n")
    with pytest.raises(InputError, match="it has two columns participant_id"):
        read_people(path)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    content = save({"other": np.zeros(3, np.float32)})
    (tmp_path / "odd.safetensors").write_bytes(content)
    card = {"preset": "disc_unet", "sha256": sha256(content).hexdigest()}
    (tmp_path / "odd.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="does not fit preset disc_unet") as refused:
        load_model(tmp_path / "odd.safetensors")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("read", "content", "says"),
    [
        (read_filters, '{"\\n": {}}', "unknown contrast"),
        (read_config, '["\\n"]', "unknown keys"),
    ],
)
def test_a_key_with_a_line_end_is_refused_in_one_line(
    read: Callable[[Path], object], content: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "odd").write_text(content)
    with pytest.raises(UsageError, match=says) as refused:
        read(tmp_path / "odd")
    assert "\n" not in str(refused.value)
