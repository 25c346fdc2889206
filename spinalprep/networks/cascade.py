"""The whole way from an image to its cord: centerline first, then everything along it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from spinalprep.cord.centerline import Centerline, centerline_from_mask, fit_centerline
from spinalprep.cord.ends import clip_centerline, cord_extent, describe_ends
from spinalprep.cord.mask import binarise
from spinalprep.cord.trace import trace_centerline
from spinalprep.errors import ModelError
from spinalprep.image import Image
from spinalprep.networks.predict import (
    VIEWS,
    Prediction,
    find_heat,
    grey_matter,
    lesions,
    segment,
)
from spinalprep.networks.weights import Model

ROLES = {"centerline": "finder", "cord": "segmenter", "gm": "grey", "lesion": "lesion"}


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


def by_role(models: Iterable[Model]) -> dict[str, Model]:
    """Return networks by the argument of `find_cord` that they are, as their cards' tasks say.

    Raises
    ------
    ModelError
        If a card's task is none of the cascade's, or two have the same.
    """
    found: dict[str, Model] = {}
    for model in models:
        task = str(model.card.get("task"))
        if task not in ROLES or ROLES[task] in found:
            expected = ", ".join(ROLES)
            raise ModelError(f"weights of task {task}; expected one each of {expected}")
        found[ROLES[task]] = model
    return found


def find_cord(
    image: Image,
    finder: Model,
    segmenter: Model,
    grey: Model | None = None,
    lesion: Model | None = None,
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
    lesion : Model, optional
        Of task ``lesion``; without it the lesions are the segmenter's.
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
    if lesion is not None:
        maps = replace(maps, lesion=lesions(image, line, lesion, views))
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
