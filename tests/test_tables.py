"""A table comes back from its file."""

from pathlib import Path

import numpy as np
import pandas as pd

from spinalprep.tables import read_table, write_table


def test_missing_values_and_words_come_back(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "slice": [3, 4],
            "area_mm2": [71.25, np.nan],
            "region": ["NA", "dorsal"],
            "seen": [True, False],
        }
    )
    path = write_table(table, tmp_path / "t.tsv")
    assert path.read_text().splitlines()[2] == "4\tn/a\tdorsal\tFalse"
    pd.testing.assert_frame_equal(read_table(path), table)
