"""Vertebral levels as label maps on the cord."""

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.image import Image, to_voxel, to_world
from spinalprep.levels.discs import Levels


def label_vertebrae(cord: Image, centerline: Centerline, levels: Levels) -> NDArray[np.int16]:
    """Give every cord voxel the number of its vertebral level.

    The border between two levels is the plane orthogonal to the centerline at the disc.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask, or probability (0.5 and over counts).
    centerline : Centerline
        RAS+ mm.
    levels : Levels
        On that centerline.

    Returns
    -------
    labels : ndarray of int16, shape (I, J, K)
        C1 = 1; 0 outside the cord, and beyond the discs that are known or placed.
    """
    labels = np.zeros(cord.shape, np.int16)
    ijk = np.argwhere(cord.data >= 0.5)
    if not len(ijk):
        return labels
    s = centerline.project(to_world(ijk.astype(float), cord.affine))[:, 0]
    labels[tuple(ijk.T)] = levels.number_at(s)
    return labels


def label_discs(like: Image, centerline: Centerline, levels: Levels) -> NDArray[np.int16]:
    """Mark each disc by one voxel, where its plane meets the centerline.

    Returns
    -------
    labels : ndarray of int16, shape (I, J, K)
        On the grid of ``like``; discs outside it, or beyond the cord, are left out.
    """
    labels = np.zeros(like.shape, np.int16)
    for disc, s in levels.disc_s.items():
        if not -0.5 <= s <= centerline.length + 0.5:
            continue
        ijk = np.rint(to_voxel(centerline.at(s), like.affine)).astype(int)
        if np.all((ijk >= 0) & (ijk < like.shape)):
            labels[tuple(ijk)] = disc
    return labels
