"""Lesions that images show, as a file: arrays of numpy, compressed."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np

from spinalprep.lesion.aligned import AlignedLesions
from spinalprep.lesion.evidence import Evidence

ARRAYS = ("probability", "covered", "labels", "reach_mm", "beyond_mm3")


def write_aligned(images: Sequence[AlignedLesions], path: Path) -> Path:
    """Write what images show on the grid of the reference; return the absolute path."""
    content = {"names": np.array([one.name for one in images], dtype=str)}
    for n, one in enumerate(images):
        content |= {f"{n}_{key}": np.asarray(getattr(one, key)) for key in ARRAYS}
        rows = [astuple(evidence) for evidence in one.evidence]
        content[f"{n}_evidence"] = np.array(rows, float).reshape(-1, 4)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **content)
    return path.absolute()


def read_aligned(path: Path) -> list[AlignedLesions]:
    """Read images as `write_aligned` wrote them."""
    with np.load(path) as content:
        return [
            AlignedLesions(
                str(name),
                content[f"{n}_probability"],
                content[f"{n}_covered"],
                content[f"{n}_labels"],
                tuple(
                    Evidence(share, z, cnr, int(places))
                    for share, z, cnr, places in content[f"{n}_evidence"].tolist()
                ),
                tuple(content[f"{n}_reach_mm"].tolist()),
                tuple(content[f"{n}_beyond_mm3"].tolist()),
            )
            for n, name in enumerate(content["names"].tolist())
        ]
