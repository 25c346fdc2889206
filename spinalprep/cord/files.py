"""The centerline as a file: TSV, one row per point, RAS+ mm."""

from pathlib import Path

import pandas as pd

from spinalprep.cord.centerline import Centerline


def write_centerline(centerline: Centerline, path: Path) -> Path:
    """Write a centerline, superior to inferior, and return the absolute path.

    Columns as in `Centerline.to_table`, five digits after the point.
    """
    centerline.to_table().to_csv(path, sep="\t", index=False, float_format="%.5f")
    return path.absolute()


def read_centerline(path: Path) -> Centerline:
    """Read a centerline as `write_centerline` wrote it."""
    return Centerline.from_table(pd.read_csv(path, sep="\t"))
