"""The packed atlas says what the atlas's files say."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinalprep.image import Image, sample, save
from spinalprep.template.files import resolve_template
from spinalprep.template.pack import packed_atlas, read_packed


def test_packed_regions_are_the_files(tmp_path: Path) -> None:
    affine = np.diag([-0.5, 0.5, 2.0, 1.0])
    affine[:3, 3] = [7.0, -3.0, 11.0]
    chance = np.random.default_rng(0)
    files, images = [], []
    for n in range(4):
        data = np.zeros((20, 24, 16), np.float32)
        if n != 2:  # a region that is nowhere
            data[4 + n : 12, 6:15, 3:14] = chance.random((8 - n, 9, 11))
        images.append(Image(data, affine))
        files.append(save(images[-1], tmp_path / f"atlas_{n:02d}.nii.gz"))
    template = replace(resolve_template("Generic"), atlas=tuple(files))
    path = packed_atlas(template, tmp_path / "kept", threads=2)
    assert path is not None
    points = chance.uniform([-3, -3, 11], [7, 9, 41], (500, 3))
    found = list(read_packed(path))
    assert len(found) == 4
    for image, packed in zip(images, found, strict=True):
        assert packed.data.size < image.data.size
        assert sample(packed, points) == pytest.approx(sample(image, points), abs=2e-5)
    before = os.stat(path).st_mtime_ns
    assert packed_atlas(template, tmp_path / "kept") == path
    assert os.stat(path).st_mtime_ns == before
    other = replace(template, atlas=tuple(files[:3]))
    assert packed_atlas(other, tmp_path / "kept") != path
    assert sorted((tmp_path / "kept").iterdir()) == sorted(
        {path, packed_atlas(other, tmp_path / "kept")}
    )


def test_no_atlas_is_no_file(tmp_path: Path) -> None:
    assert packed_atlas(resolve_template("Generic"), tmp_path) is None
