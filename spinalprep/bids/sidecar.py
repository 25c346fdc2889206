"""Read the JSON beside an image; broken ones are named and passed over, never an end."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinalprep.bids.names import parse_name
from spinalprep.bids.saved_json import read_object
from spinalprep.errors import InputError

Listings = dict[Path, list[str]]


def read_sidecar(
    image: Path, root: Path, listings: Listings | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata of a raw image and one line for each file that can't be used.

    Files higher up that apply to the image (the inheritance principle of BIDS) are read first,
    nearer ones override them key by key.

    Parameters
    ----------
    image : Path
        A NIfTI file below ``root``.
    root : Path
        The BIDS folder.
    listings : dict or None
        Filled with the JSON names of each folder that was looked into, so that the images of a
        session share them.
    """
    metadata: dict[str, Any] = {}
    warnings: list[str] = []
    for path in _applicable(image, root, {} if listings is None else listings):
        try:
            metadata.update(read_object(path))
        except InputError as error:
            warnings.append(f"{error}; it is ignored")
    return metadata, tuple(warnings)


def _applicable(image: Path, root: Path, listings: Listings) -> Iterator[Path]:
    """Yield the sidecars of an image from the root down, less specific names first."""
    entities, suffix, _ = parse_name(image.name)
    inside = image.parent.relative_to(root).parts
    for depth in range(len(inside) + 1):
        folder = root.joinpath(*inside[:depth])
        if folder not in listings:
            listings[folder] = _json_names(folder)
        matching = []
        for name in listings[folder]:
            theirs, their_suffix, _ = parse_name(name)
            if their_suffix == suffix and theirs.items() <= entities.items():
                matching.append((len(theirs), name))
        yield from (folder / name for _, name in sorted(matching))


def _json_names(folder: Path) -> list[str]:
    """Return the JSON files of a folder; it may have been removed since it was listed."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]
    except FileNotFoundError:
        return []
