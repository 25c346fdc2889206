"""A BIDS dataset of tiny images."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spinalprep.settings import Settings


def write_nifti(
    path: Path, shape: Sequence[int] = (4, 4, 5), sizes: Sequence[float] = (1, 1, 2)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    image = nib.nifti1.Nifti1Image(values, np.diag([*sizes, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that writes images (names, or name to shape and sizes) and settings."""

    def make(images: Any, filters: Any = None, **given: Any) -> Settings:
        root = tmp_path / "raw"
        root.mkdir(exist_ok=True)
        (root / "dataset_description.json").write_text(
            json.dumps({"Name": "tiny", "BIDSVersion": "1.10.0", "DatasetType": "raw"})
        )
        for name in images:
            entities = dict(part.split("-", 1) for part in name.split("_")[:-1])
            folder = root / f"sub-{entities['sub']}"
            folder = folder / f"ses-{entities['ses']}" if "ses" in entities else folder
            path = folder / "anat" / f"{name}.nii.gz"
            write_nifti(path, *(images[name] if isinstance(images, dict) else ()))
            path.with_name(f"{name}.json").write_text('{"EchoTime": 0.1}')
        if filters is not None:
            given["bids_filter_file"] = tmp_path / "filters.json"
            given["bids_filter_file"].write_text(json.dumps(filters))
        return Settings(root, tmp_path / "out", "participant", work_dir=tmp_path / "work", **given)

    return make
