"""A centerline comes back from its file."""

from pathlib import Path

import numpy as np
import pytest

from spinalprep.cord.centerline import fit_centerline
from spinalprep.cord.files import read_centerline, write_centerline


def test_a_centerline_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    z = np.linspace(60.0, -60.0, 25)
    line = fit_centerline(np.stack([0.02 * z, 5 * np.cos(z / 40), z], axis=-1))
    monkeypatch.chdir(tmp_path)
    path = write_centerline(line, Path("centerline.tsv"))
    assert path.is_absolute()
    read = read_centerline(path)
    np.testing.assert_allclose(read.points, line.points, atol=5.1e-6)
    assert read.length == pytest.approx(line.length, abs=1e-3)
