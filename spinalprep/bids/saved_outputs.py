"""Tables of the output folder, refused where they are no longer what was written."""

from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from spinalprep.bids.columns import COLUMNS
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.saved_json import read_object
from spinalprep.errors import InputError
from spinalprep.tables import read_table


def read_output(path: Path) -> pd.DataFrame:
    """Read a table that an earlier run wrote.

    Parameters
    ----------
    path : Path
        A TSV of the output folder; the JSON beside it names its columns.

    Raises
    ------
    InputError
        If it can't be read, lacks a column, or has words where numbers belong.
    """
    try:
        if path.exists() and not path.is_file():  # a named pipe would be waited for
            raise _changed(path, "it is not a file")
        table = read_table(path)
    except (OSError, ValueError) as error:  # pandas's own are ValueErrors
        raise _changed(path, str(error)) from error
    lost = _promised(path) - set(table.columns)
    if lost:
        raise _changed(path, f"it has no column {min(lost)}")
    for column in table.columns:
        measured = COLUMNS.get(column, ("", None, None))[1] is not None
        values = table[column].dropna()
        if measured and len(values) and not is_numeric_dtype(values):
            raise _changed(path, f"its column {column} holds words")
    return table


def _promised(path: Path) -> set[str]:
    """Return the columns that the JSON beside a table describes; none where there is none."""
    beside = sidecar_path(path)
    if not beside.is_file():
        return set()
    return {key for key in read_object(beside) if key in COLUMNS}


def _changed(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is not as spinalprep wrote it ({' '.join(why.split())}): delete it and run the "
        "participant again"
    )
