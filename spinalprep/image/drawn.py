"""Masks that people drew, read by one rule wherever they are read."""

from pathlib import Path

from spinalprep.image.label_values import label_values
from spinalprep.image.sanity import conform_label
from spinalprep.image.volume import Image


def read_drawn(path: Path, grid: Image, role: str, value: int | None = None) -> Image:
    """Read a label file on the grid of its image.

    Parameters
    ----------
    path : Path
        A NIfTI file.
    grid : Image
        The image that it belongs to, LAS.
    role : str
        ``cord``, ``gm``, ``lesion``, ``centerline`` or ``discs``.
    value : int or None
        Which class is meant, where something says so.

    Returns
    -------
    drawn : Image of float32, shape (I, J, K)
        Shares from 0 to 1, or disc numbers; see `label_values`.

    Raises
    ------
    InputError
        If the file can't be read, lies on another grid, or its values can't be understood.
    """
    found = conform_label(path, grid)
    return found.with_data(label_values(found.data, str(path), role, value))
