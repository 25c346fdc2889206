"""Tables as the text files that steps hand on: tabs, ``n/a`` for what is missing."""

from io import StringIO
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
    path.write_text(_text(table))
    return path.absolute()


def as_saved(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as its file gives it back: numbers have six digits.

    Examples
    --------
    >>> as_saved(pd.DataFrame({"area_mm2": [71.23456789]}))
       area_mm2
    0   71.2346
    """
    return read_table(StringIO(_text(table)))


def read_table(path: Path | StringIO) -> pd.DataFrame:
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


def _text(table: pd.DataFrame) -> str:
    text: str = table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    return text
