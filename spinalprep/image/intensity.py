"""Intensities brought to a common scale."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image.volume import Float

DECILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
SCALE = (0.0, 1.0)  # where the first and the last landmark come to lie


def scale_percentiles(
    data: Float, low: float = 1.0, high: float = 99.0, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Scale so that the percentiles ``low`` and ``high`` become 0 and 1; clip what is beyond.

    Parameters
    ----------
    data : ndarray, shape (I, J, K)
        Intensities.
    low, high : float
        Percentiles, 0 to 100.
    mask : ndarray of bool or None
        Voxels whose percentiles count; by default all.

    Returns
    -------
    scaled : ndarray of float32, shape (I, J, K)
        In [0, 1]; zero everywhere where the percentiles are equal.

    Raises
    ------
    EmptyMaskError
        If no voxel counts.

    Examples
    --------
    >>> scale_percentiles(np.array([0.0, 5.0, 10.0]), 0, 100)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    bottom, top = np.percentile(_counted(data, mask), [low, high])
    if top <= bottom:
        return np.zeros(data.shape, np.float32)
    return np.asarray(np.clip((data - bottom) / (top - bottom), 0, 1), np.float32)


def find_landmarks(
    data: Float, mask: NDArray[np.bool_] | None = None, percentiles: Sequence[float] = DECILES
) -> NDArray[np.float64]:
    """Return the intensities at the deciles (and at 1 and 99 %) of the voxels that count.

    Raises
    ------
    EmptyMaskError
        If no voxel counts.
    """
    return np.asarray(np.percentile(_counted(data, mask), percentiles), np.float64)


def learn_standard(landmarks: Sequence[Float]) -> NDArray[np.float64]:
    """Return the standard landmarks of several images of one contrast.

    Parameters
    ----------
    landmarks : sequence of ndarray, shape (L,)
        `find_landmarks` of each image.

    Returns
    -------
    standard : ndarray of float64, shape (L,)
        Rising from 0 to 1: the mean over the images, each stretched to that range first.

    Raises
    ------
    InputError
        If there is no image, or one whose first and last landmarks are equal.

    Notes
    -----
    Training of Nyul and Udupa [1]_ with the landmarks of the deciles [2]_.

    References
    ----------
    .. [1] Nyul, Udupa (1999), Magn. Reson. Med. 42:1072-1081.
    .. [2] Nyul, Udupa, Zhang (2000), IEEE TMI 19:143-150, doi:10.1109/42.836373.
    """
    if not len(landmarks):
        raise InputError("no image to learn intensities from; expected at least one")
    rows = np.stack([np.asarray(row, np.float64) for row in landmarks])
    width = rows[:, -1:] - rows[:, :1]
    if (width <= 0).any():
        raise InputError("an image has one intensity only; expected contrast to learn from")
    low, high = SCALE
    return np.asarray(np.mean(low + (high - low) * (rows - rows[:, :1]) / width, axis=0))


def apply_standard(data: Float, landmarks: Float, standard: Float) -> NDArray[np.float32]:
    """Map intensities so that an image's landmarks come to lie on the standard ones.

    Linear between landmarks; the first and the last segment go on beyond them, so that the
    order of intensities is kept and nothing is clipped.

    Parameters
    ----------
    data : ndarray, shape (I, J, K)
        Intensities.
    landmarks, standard : ndarray, shape (L,)
        Of the image (`find_landmarks`) and of its contrast (`learn_standard`).

    Returns
    -------
    mapped : ndarray of float32, shape (I, J, K)
    """
    known = np.asarray(landmarks, np.float64)
    step = np.concatenate([[True], np.diff(known) > 0])
    known, goal = known[step], np.asarray(standard, np.float64)[step]
    if len(known) < 2:
        return np.zeros(data.shape, np.float32)
    slopes = np.diff(goal) / np.diff(known)
    mapped = np.interp(data, known, goal)
    mapped += slopes[0] * np.minimum(data - known[0], 0)
    mapped += slopes[-1] * np.maximum(data - known[-1], 0)
    return np.asarray(mapped, np.float32)


def _counted(data: Float, mask: NDArray[np.bool_] | None) -> Float:
    """Return the voxels that count."""
    values = data if mask is None else data[mask]
    if not values.size:
        raise EmptyMaskError("the mask has no voxel; expected at least 1")
    return values
