"""Several aligned images of one person, looked at together."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import InputError
from spinalprep.image import Image, on_grid_of, sample, upright
from spinalprep.networks.predict import (
    Prediction,
    Volume,
    inside,
    look_along,
    mean_maps,
    shown_windows,
)
from spinalprep.networks.views import LESION_VIEWS
from spinalprep.networks.weights import Model


def segment_together(
    images: Mapping[str, Image],
    centerline: Centerline,
    model: Model,
    coverage: Mapping[str, Image] | None = None,
    views: int = LESION_VIEWS,
) -> Prediction:
    """Map cord, gray matter and lesions in any subset of the contrasts of a network.

    Parameters
    ----------
    images : mapping of str to Image, shape (I, J, K)
        By contrast (``contrasts`` on the card, see `hemis.CONTRASTS`), all brought to one grid.
    centerline : Centerline
        RAS+ mm.
    model : Model
        Of task ``hemis``.
    coverage : mapping of str to Image, optional
        Where in the grid a contrast was acquired, 0 or 1; by default everywhere. In sections in
        which it was not, the others decide.
    views : int
        See `segment`.

    Returns
    -------
    prediction : Prediction
        On that grid.

    Raises
    ------
    InputError
        If there is no image, one is of another contrast, or they lie on several grids.
    """
    known = [str(name) for name in model.card["contrasts"]]
    if not images or not set(images) <= set(known):
        raise InputError(
            f"images of {', '.join(sorted(images)) or 'no contrast'}; "
            f"expected one or more of {', '.join(known)}"
        )
    first = upright(next(iter(images.values())))
    there = {name: on_grid_of(first, image, f"the {name}") for name, image in images.items()}
    seen = {
        name: on_grid_of(first, mask, f"the coverage of the {name}")
        for name, mask in (coverage or {}).items()
    }

    def look(points: NDArray[np.float64], heights: NDArray[np.float64]) -> list[Volume]:
        channels = int(model.card["channels"]) // len(known)
        shape = (len(points), len(known), channels, *points.shape[1:3])
        shown, valid = np.zeros(shape, np.float32), np.zeros(points.shape[:3], bool)
        for name, image in there.items():
            own = _acquired(image, points, seen.get(name))
            rows = np.flatnonzero(own.any(axis=(1, 2)))  # what is usual is so in these alone
            if len(rows):
                windows = shown_windows(image, points[rows], heights[rows], own[rows], model)
                shown[rows, known.index(name)] = windows
            valid |= own
        return mean_maps(shown.reshape(len(points), -1, *shape[3:]), valid, model, views)

    return look_along(next(iter(images.values())), centerline, model, look)


def _acquired(
    image: Image, points: NDArray[np.float64], coverage: Image | None
) -> NDArray[np.bool_]:
    valid = inside(image, points)
    return valid if coverage is None else valid & (sample(coverage, points) >= 0.5)
