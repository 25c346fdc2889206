"""What the values of label images stand for."""

from itertools import pairwise
from pathlib import Path

import pandas as pd

VERTEBRAE = (
    *(f"C{number}" for number in range(1, 8)),
    *(f"T{number}" for number in range(1, 13)),
    *(f"L{number}" for number in range(1, 6)),
    *(f"S{number}" for number in range(1, 6)),
)
SPINAL_LEVELS = (*VERTEBRAE[:7], "C8", *VERTEBRAE[7:])


def vertebra_labels() -> dict[str, str]:
    """Return the label map of ``seg-vertebrae``: C1 is 1.

    Examples
    --------
    >>> vertebra_labels()["8"]
    'T1'
    """
    return {str(value): name for value, name in enumerate(VERTEBRAE, 1)}


def spinal_level_labels() -> dict[str, str]:
    """Return the label map of ``seg-spinallevels``: C1 is 1, C8 is 8, T1 is 9."""
    return {str(value): name for value, name in enumerate(SPINAL_LEVELS, 1)}


def disc_labels() -> dict[str, str]:
    """Return the label map of ``seg-discs``: disc n lies above vertebra n.

    Examples
    --------
    >>> disc_labels()["3"]
    'C2/C3'
    """
    pairs = pairwise(VERTEBRAE)
    names = {"1": "above C1"}
    names |= {str(value): f"{above}/{below}" for value, (above, below) in enumerate(pairs, 2)}
    return names | {"50": "pontomedullary junction", "60": "conus medullaris"}


def lesion_labels(count: int) -> dict[str, str]:
    """Return the label map of ``seg-lesions`` with ``count`` lesions."""
    return {str(value): f"lesion {value}" for value in range(1, count + 1)}


def tract_labels(atlas: tuple[Path, ...]) -> dict[str, str]:
    """Return what each volume of ``seg-tracts`` stands for, counted from 0.

    Names are read from ``info_label.txt`` beside the atlas's files; where there is none, the
    name of the file stands for it.
    """
    names: dict[str, str] = {}
    listing = atlas[0].with_name("info_label.txt") if atlas else None
    if listing is not None and listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = [part.strip() for part in line.split(",")]
            if len(parts) >= 3 and parts[0].isdigit():
                names[parts[-1]] = ", ".join(parts[1:-1])
    return {str(i): names.get(path.name, path.name) for i, path in enumerate(atlas)}


def lookup_table(labels: dict[str, str]) -> pd.DataFrame:
    """Return a label map as the table that BIDS wants: ``index``, ``name``."""
    return pd.DataFrame({"index": [int(value) for value in labels], "name": list(labels.values())})
