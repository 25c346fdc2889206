"""The whole way from an image to its cord: centerline first, then everything along it."""

from dataclasses import dataclass, replace

import numpy as np

from spinalprep.cord.centerline import Centerline, centerline_from_mask, fit_centerline
from spinalprep.cord.ends import clip_centerline, cord_extent, describe_ends
from spinalprep.cord.mask import binarise
from spinalprep.cord.trace import trace_centerline
from spinalprep.image import Image
from spinalprep.networks.predict import VIEWS, Prediction, find_heat, grey_matter, segment
from spinalprep.networks.weights import Model


@dataclass(frozen=True)
class Found:
    """The cord of an image.

    Attributes
    ----------
    cord : Image of bool, shape (I, J, K)
        Its mask.
    maps : Prediction
        Probabilities on the grid of the image; zero beyond the ends of the cord.
    centerline : Centerline
        Through the middle of the mask, RAS+ mm.
    confidence : float
        Mean heat along the curve that led to it, 0 to 1.
    warnings : tuple of str
        What was left out at the ends.
    """

    cord: Image
    maps: Prediction
    centerline: Centerline
    confidence: float
    warnings: tuple[str, ...]


def find_cord(
    image: Image,
    finder: Model,
    segmenter: Model,
    grey: Model | None = None,
    *,
    views: int = VIEWS,
) -> Found:
    """Find centerline, cord, grey matter and lesions.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Voxel order LAS.
    finder, segmenter : Model
        Of task ``centerline`` and of task ``cord``.
    grey : Model, optional
        Of task ``gm``; without it the grey matter is the segmenter's.

    views : int
        See `segment`.

    Raises
    ------
    NoCordError
        If the networks see none.
    """
    trace = trace_centerline(find_heat(image, finder))
    line = fit_centerline(trace.points, trace.confidence)
    maps = segment(image, line, segmenter, views)
    if grey is not None:
        maps = replace(maps, gm=grey_matter(image, line, maps.cord, grey, views))
    plain = image.with_data(maps.plain)
    first, last = cord_extent(plain)
    told = describe_ends(plain, first, last)
    inside = np.zeros(image.shape[2], bool)
    inside[first : last + 1] = True
    maps = replace(maps, cord=maps.cord * inside, gm=maps.gm * inside, lesion=maps.lesion * inside)
    line = clip_centerline(line, image, first, last)
    cord = image.with_data(binarise(image.with_data(maps.cord), line))
    confidence = float(trace.confidence.mean())
    return Found(cord, maps, centerline_from_mask(cord), confidence, told)
