"""Tables as the text files that steps hand on: tabs, ``n/a`` for what is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table as TSV with six digits and return the absolute path.

    The final tables of a dataset, which have a data dictionary beside them, are written by
    `spinalprep.bids.derivatives.write_table`.
    """
    table.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    return path.absolute()


def read_table(path: Path) -> pd.DataFrame:
    """Read a TSV; ``n/a`` alone is missing, other words (``NA``, ``null``) stay words."""
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)


def is_true(column: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Tell where a column of truth values says yes, be they words of a file or not.

    Examples
    --------
    >>> is_true(pd.Series(["true", "False", True])).tolist()
    [True, False, True]
    """
    words = column.astype(str).str.lower().to_numpy()
    return np.asarray(words == "true", np.bool_)
