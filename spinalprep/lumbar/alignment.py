"""Structures of a lumbar spine from T2w, and T1w brought to it without a cord to go by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image
from spinalprep.lumbar.spine import LEAST_CANAL_MM3
from spinalprep.lumbar.structures import CANAL, Alignment
from spinalprep.networks.lumbar import map_structures
from spinalprep.networks.weights import Model
from spinalprep.registration.coregister import coregister

ALIKE = 1.01  # normalized mutual information; of noise it is up to 1.001


@dataclass(frozen=True)
class AlignedT1w:
    """T1w as it lies to T2w.

    Attributes
    ----------
    image : Image or None
        On its own grid, moved; None where it can't be told how the two lie to each other.
    alignment : Alignment
    gain : float
        Of normalized mutual information around the canal, over the headers; NaN if not compared.
    """

    image: Image | None
    alignment: Alignment
    gain: float


def align_t1w(t1w: Image, t2w: Image, structures: Image) -> AlignedT1w:
    """Register T1w to T2w around the canal.

    Parameters
    ----------
    t1w, t2w : Image
        Any grids and voxel orders.
    structures : Image of int
        What was found in T2w alone, see `structures.STRUCTURES`; its canal, which goes on where the
        cord has ended, says where the two are compared: within 18 mm, so that vertebrae, discs and
        the fat between them count as well.

    Returns
    -------
    aligned : AlignedT1w
        Registered where that gains enough (`coregister`); by the headers where these hold, where
        the two are alike by them and no better place was found, or where T2w shows no canal to go
        by; else refused.
    """
    canal = structures.data == CANAL
    if canal.sum() * structures.voxel_volume < LEAST_CANAL_MM3:
        return AlignedT1w(t1w, Alignment.HEADERS, float("nan"))
    pieces, _ = ndimage.label(canal)
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    fit = coregister(t1w, t2w, structures.with_data(largest.astype(np.float32)))
    if fit.accepted:
        moved = Image(t1w.data, np.linalg.inv(fit.forward.matrix) @ t1w.affine)
        return AlignedT1w(moved, Alignment.REGISTERED, fit.gain)
    if fit.headers_hold or fit.before >= ALIKE:  # thick slices look alike a step aside, too
        return AlignedT1w(t1w, Alignment.HEADERS, fit.gain)
    return AlignedT1w(None, Alignment.REFUSED, fit.gain)


def map_both(
    t2w: Image | None, t1w: Image | None, model: Model, like: Image
) -> tuple[NDArray[np.float32], Alignment | None]:
    """Map the structures from one contrast, or from T2w and T1w brought to it.

    Parameters
    ----------
    t2w, t1w, model, like
        As in `map_structures`.

    Returns
    -------
    probabilities : ndarray of float32, shape (C, I, J, K)
        Of T2w alone where T1w is refused.
    alignment : Alignment or None
        How T1w came to T2w; None where there is only one of them.
    """
    if t2w is None or t1w is None:
        return map_structures(t2w, t1w, model, like), None
    alone = map_structures(t2w, None, model, like)
    structures = like.with_data(alone.argmax(axis=0).astype(np.uint8))
    aligned = align_t1w(t1w, t2w, structures)
    if aligned.image is None:
        return alone, aligned.alignment
    return map_structures(t2w, aligned.image, model, like), aligned.alignment
