"""What may be done to probability maps after the networks; nothing of it is by default."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.mask import binarise
from spinalprep.image import Image
from spinalprep.networks.cascade import Found
from spinalprep.networks.crf import refine

EDGE = "edge"  # done by `cascade.find_cord`, before the ends of the cord are found
STEPS = ("crf", EDGE, "largest")


def post_process(
    found: Found[Image, Centerline], image: Image, steps: Collection[str]
) -> Found[Image, Centerline]:
    """Return what was found after some of ``STEPS``.

    Parameters
    ----------
    found : Found
        Of `cascade.find_cord`.
    image : Image, shape (I, J, K)
        Intensities of the same voxels.
    steps : collection of str
        ``crf``: `crf.refine` of the maps of cord and lesions. ``edge``: nothing, it is done already
        where `cascade.find_cord` was asked for it. ``largest``: of each map, what is not connected
        with its largest component gets probability 0; the centerline already sees to that for most
        of the cord, and a person with two lesions keeps one.
    """
    cord, lesion = found.probability, found.lesion
    if "crf" in steps:
        cord, lesion = (map_.with_data(refine(map_, image)) for map_ in (cord, lesion))
    if "largest" in steps:
        cord, lesion = (map_.with_data(keep_largest(map_.data)) for map_ in (cord, lesion))
    if not steps:
        return found
    mask = cord.with_data(binarise(cord, found.centerline).astype(found.cord.data.dtype))
    return replace(found, cord=mask, probability=cord, lesion=lesion)


def keep_largest(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """Return a map (I, J, K) without the voxels from ``threshold`` on that are not of the largest.

    Components have 26 neighbors; of two as large the first stays.

    Examples
    --------
    >>> keep_largest(np.array([[[0.75, 0.25, 1.0, 0.5]]], np.float32)).tolist()
    [[[0.0, 0.25, 1.0, 0.5]]]
    """
    labels, count = ndimage.label(probability >= threshold, structure=np.ones((3, 3, 3)))
    if count < 2:
        return probability
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    rest = (labels > 0) & (labels != largest)
    return np.where(rest, 0, probability).astype(np.float32)
