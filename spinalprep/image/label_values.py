"""What the values of a label stand for: classes, or the share of each voxel."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.errors import EmptyMaskError, InputError

WHOLE = 1e-4  # a value this close to an integer is one: scl_slope rounds
BEYOND = 0.1  # interpolation overshoots 0 and 1 by less
HALF = 0.5  # a voxel belongs to a mask from this share on
EIGHT_BITS = 255
GRADES = 32  # as many values, up to 255, are shares in eight bits; no look-up table has them all
LARGEST = 2.0**32  # a class is an integer of at most 32 bits
SHOWN = 5


def label_values(
    data: NDArray[np.float32], name: str, role: str, value: int | None = None
) -> NDArray[np.float32]:
    """Return a label as everything downstream reads it: shares from 0 to 1, or disc numbers.

    Parameters
    ----------
    data : ndarray of float32, shape (I, J, K)
        As stored, finite.
    name : str
        What messages call the label.
    role : str
        ``cord``, ``gm``, ``lesion``, ``centerline`` or ``discs``.
    value : int or None
        Which class is meant, if a look-up table or the user says so.

    Returns
    -------
    values : ndarray of float32, shape (I, J, K)
        ``discs``: the whole numbers as they are. Otherwise 0 to 1. Whole numbers are classes: a
        single one is the structure, whatever its value; of several, the one that ``value``
        names. Numbered lesions (each in one piece) and the values along a centerline all count.
        Fractions are shares, of 1 or of 255.

    Raises
    ------
    InputError
        If there are several classes and nothing says which one is meant, if ``value`` does not
        occur, or if the values are neither classes nor shares (negative, or of over 32 bits).
    EmptyMaskError
        If there are shares, but none reaches 0.5.
    """
    positive = data[data != 0]
    if not len(positive):
        return np.zeros(data.shape, np.float32)
    if positive.min() < -BEYOND:
        raise InputError(
            f"{name} has negative values ({positive.min():g}); expected classes, or shares from 0 "
            "to 1: is it an image, or a distance map?"
        )
    if positive.max() >= LARGEST:
        raise InputError(
            f"{name} has values up to {positive.max():g}; expected classes, or shares from 0 to 1: "
            "is it an image?"
        )
    whole = bool(np.all(np.abs(positive - np.rint(positive)) < WHOLE))
    if role == "discs":
        return _numbers(data, name, whole)
    classes = np.unique(np.rint(positive)).astype(np.int64) if whole else np.zeros(0, np.int64)
    if not whole or _eight_bits(classes):
        return _shares(data, float(positive.max()), name, role)
    return _one_class(np.rint(data), classes[classes > 0], name, role, value)


def _numbers(data: NDArray[np.float32], name: str, whole: bool) -> NDArray[np.float32]:
    """Return disc numbers; a label that was interpolated has none."""
    if not whole:
        broken = data[np.abs(data - np.rint(data)) >= WHOLE][0]
        raise InputError(
            f"{name} has the value {broken:g}; expected whole numbers, one for each disc: if it "
            "was resampled, repeat that with nearest neighbors"
        )
    return np.asarray(np.rint(data), np.float32)


def _eight_bits(classes: NDArray[np.int64]) -> bool:
    """Tell whether whole numbers are shares stored in eight bits."""
    top = int(classes.max(initial=0))
    return len(classes) >= GRADES and EIGHT_BITS - 5 <= top <= EIGHT_BITS


def _shares(data: NDArray[np.float32], top: float, name: str, role: str) -> NDArray[np.float32]:
    """Return shares from 0 to 1."""
    if top > 1 + BEYOND:
        if not EIGHT_BITS / 2 <= top <= EIGHT_BITS + BEYOND:
            raise InputError(
                f"{name} has fractions up to {top:g}; expected shares (0 to 1, or 0 to 255) or "
                "whole numbers as classes: if it was resampled, repeat that with nearest "
                "neighbours"
            )
        data, top = data / np.float32(EIGHT_BITS), top / EIGHT_BITS
    if top < HALF and role != "centerline":
        raise EmptyMaskError(
            f"{name} is empty: its shares reach {top:.2f}, and a voxel belongs to the mask from "
            f"{HALF:g} on; rescale or threshold it"
        )
    return np.clip(data, np.float32(0), np.float32(1))


def _one_class(
    data: NDArray[np.float32],
    classes: NDArray[np.int64],
    name: str,
    role: str,
    value: int | None,
) -> NDArray[np.float32]:
    """Return 1 where the class is that is meant."""
    if value is not None and value not in classes:
        raise InputError(
            f"{name} has no voxel of the value {value}, which its look-up table or --label-values "
            f"names; it has {_listed(classes)}"
        )
    if value is not None:
        return np.asarray(data == value, np.float32)
    if len(classes) > 1 and role != "centerline" and not _numbered(data, classes, role):
        raise InputError(
            f"{name} has several classes ({_listed(classes)}), and nothing says which one is the "
            f"{role}: give --label-values {role}=VALUE, leave only that one, or put a table beside "
            "it (same name, .tsv, with the columns index and name)"
        )
    return np.asarray(data > 0, np.float32)


def _numbered(data: NDArray[np.float32], classes: NDArray[np.int64], role: str) -> bool:
    """Tell whether the classes are lesions with their numbers: each in one piece."""
    if role != "lesion":
        return False
    around = np.ones((3, 3, 3), bool)
    return all(ndimage.label(data == number, around)[1] == 1 for number in classes)


def _listed(classes: NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, classes[:SHOWN].tolist()))
    return f"{shown} and {len(classes) - SHOWN} more" if len(classes) > SHOWN else shown
