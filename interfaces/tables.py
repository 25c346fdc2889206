"""Tables as files of a task."""

from pathlib import Path

import pandas as pd


def write_table(table: pd.DataFrame, name: str) -> Path:
    """Write a table as TSV into the working folder; missing values are ``n/a``."""
    path = Path(name)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    return path.absolute()


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote."""
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)
