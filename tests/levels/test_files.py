"""Levels come back from their file."""

from pathlib import Path

import pytest

from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels, write_levels


@pytest.mark.parametrize(
    "levels",
    [
        Levels({}),
        Levels({3: 0.1 + 0.2, 4: 20.0}, "manual", (4,), 0.0, 1.25),
        Levels({2: -3.5}, "detected", (), 0.987),
    ],
)
def test_levels_come_back(tmp_path: Path, levels: Levels) -> None:
    read = read_levels(write_levels(levels, tmp_path / "levels.json"))
    assert read == levels
    assert read.known == bool(levels.disc_s)
