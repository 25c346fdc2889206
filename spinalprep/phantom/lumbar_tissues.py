"""Tissues of a lumbar synthetic subject, and to which published structure each belongs."""

import numpy as np
from numpy.typing import NDArray

# Structure of every tissue, by its place in `lumbar.structures.STRUCTURES`.
STRUCTURE_OF = {
    "air": 0,
    "skin": 0,
    "subcutaneous fat": 5,
    "muscle": 11,
    "intramuscular fat": 7,
    "retroperitoneal fat": 8,
    "organ": 0,
    "other organ": 0,
    "gas": 0,
    "mesenteric fat": 0,
    "ligament": 0,
    "cortex": 1,
    "marrow": 1,
    "changed marrow": 1,
    "fatty marrow": 1,
    "sacral cortex": 2,
    "sacral marrow": 2,
    "sacral remnant": 2,
    "annulus": 3,
    "nucleus": 3,
    "dark nucleus": 3,
    "csf": 4,
    "cord": 4,
    "cauda equina": 4,
    "epidural fat": 6,
    "root": 9,
    "flowing blood": 10,
    "slow blood": 10,
    "basivertebral vein": 10,
}
TISSUES = tuple(STRUCTURE_OF)
NUMBER = {name: n for n, name in enumerate(TISSUES)}
BONE = tuple(NUMBER[n] for n in ("cortex", "marrow", "changed marrow", "fatty marrow"))
SACRUM = tuple(NUMBER[n] for n in ("sacral cortex", "sacral marrow", "sacral remnant"))
DISC = tuple(NUMBER[n] for n in ("annulus", "nucleus", "dark nucleus"))


def to_structures(tissues: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the structure, 0 to 11, of every voxel of a map of tissues.

    Examples
    --------
    >>> to_structures(np.array([NUMBER["air"], NUMBER["csf"], NUMBER["root"]], np.uint8)).tolist()
    [0, 4, 9]
    """
    table = np.array([STRUCTURE_OF[name] for name in TISSUES], np.uint8)
    structures: NDArray[np.uint8] = table[tissues]
    return structures
