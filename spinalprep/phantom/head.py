"""The upper end of a digital spine: C2 with its tooth, the arches of C1, the base of the skull.

There is no disc between C1 and C2. What tells one cervical level from the next in an image is
here: the long body of C2 with the odontoid process above the first disc, C2/C3.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Float

TOOTH_MM = 16.0  # of the odontoid process above the level of the C1/C2 joint
ARCH_MM = 8.0  # of C1's arches above it


def draw_head(
    labels: NDArray[np.uint8],
    sxy: tuple[Float, Float, Float],
    disc_s: Mapping[int, float],
    codes: Mapping[str, int],
) -> None:
    """Draw what lies above C2/C3 over the tissues of a neck, in place.

    Parameters
    ----------
    labels : ndarray of uint8, shape (...)
        Tissues around the canal; cord and fluid are drawn over it afterwards.
    sxy : tuple of ndarray
        Straight coordinates in mm.
    disc_s : mapping of int to float
        Arc length of the discs; 2 and 3 are needed.
    codes : mapping of str to int
        Number of a tissue.
    """
    s, x, y = sxy
    joint = disc_s[2]
    size = (disc_s[3] - disc_s[2]) / 20.0
    tip = joint - TOOTH_MM * size
    arch = joint - ARCH_MM * size
    front = (y > 5.0) & (s < disc_s[3] - 2.5)
    labels[front & (s < joint + 4.0) & (np.abs(x) <= 16.0) & (y <= 24.0)] = codes["muscle"]
    narrow = np.clip((joint + 6.0 * size - s) / (6.0 * size), 0.0, 1.0)  # from body to tooth
    half, deep = 13.0 - 8.0 * narrow, 15.5 - 4.5 * narrow
    tooth = front & (s >= tip) & (np.abs(x) <= half) & (y >= 6.5) & (y <= 6.5 + deep)
    tooth &= ((s - tip) >= 4.0) | (((y - 12.0) / 5.5) ** 2 + ((s - tip - 4.0) / 4.0) ** 2 <= 1.0)
    labels[tooth] = codes["bone"]
    behind = (y < -8.0) & (s < disc_s[3] - 5.0)
    labels[behind & (np.abs(x) <= 16.0) & (y > -32.0)] = codes["muscle"]
    _ellipse(labels, (s - joint - 5.0 * size, x, y + 20.0), (8.0, 5.0, 11.0), codes["bone"])
    _ellipse(labels, (s - arch, x, y + 12.5), (4.5, 15.0, 3.5), codes["bone"])
    _ellipse(labels, (s - arch, x, y - 21.5), (5.5, 10.0, 3.0), codes["bone"])
    skull = (s < tip - 3.0) & (np.abs(x) <= 30.0)
    climb = 0.9 * np.maximum(tip - 3.0 - s, 0.0)
    labels[skull & (y >= 6.0 + climb) & (y <= 14.0 + climb)] = codes["bone"]
    labels[skull & (y > 0.0) & (y < 6.0 + climb)] = codes["csf"]
    labels[skull & (y <= 0.0) & (y > -12.0 - climb)] = codes["csf"]
    labels[skull & (y <= -12.0 - climb) & (y > -20.0 - climb)] = codes["bone"]


def _ellipse(
    labels: NDArray[np.uint8],
    apart: tuple[Float, Float, Float],
    half: tuple[float, float, float],
    code: int,
) -> None:
    """Fill an ellipsoid around the origin of ``apart``."""
    a, b, c = (np.asarray(d) / h for d, h in zip(apart, half, strict=True))
    labels[a**2 + b**2 + c**2 <= 1.0] = code
