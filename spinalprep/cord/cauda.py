"""Whether what is called cord looks like cauda equina or a filled sac instead, in T2w."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.edge import steps_across
from spinalprep.image import Image, to_voxel

Array = NDArray[np.float64]

STEP_MM = 1.0  # along the centerline
HALF_MM, PIXEL_MM = 10.0, 0.5  # of a section
ALONG_MM = 10.0  # over which sections are averaged: noise goes, strands of nerve roots stay
INSIDE_MM = 1.2  # from the outline inwards, where the texture is measured
NEAR_MM, FAR_MM = 0.7, 2.2  # from the outline outwards, where the fluid is
LEAST_MM2 = 5.0
LEAST_CORE = 12  # pixels; a smaller section is measured closer to its outline
HALF = 0.5
# Chosen on 18 synthetic lumbar images (seeds 126000 to 126005) in view of the eight T2w of
# bids-dev and bids-neck, whose cords have at most 0.06, and 0.21 and more where an end is not
# doubtful.
MOTTLED = 0.1  # standard deviation within, over the signal around
FAINT = 0.4  # darker than around by a smaller share: roots and fluid are mixed
INVERTED = -0.05  # brighter than around: the section holds fluid
# A syrinx, too, but in a rim of cord: its outline is seen along 0.93 of it and more, that of cauda
# equina along 0.75 at most in nine of ten sections (synthetic patients 125910 and 125911).
CLOSED = 0.85  # share of the outline at which it gets brighter outwards
LEAST_STEP = 0.05  # of the signal around


def cauda_length(image: Image, probability: Image, centerline: Centerline) -> float:
    """Return the length of what is called cord, but does not look like one, in a T2w image.

    Parameters
    ----------
    image, probability : Image, shape (I, J, K)
        T2w, and the probability of the cord; any voxel orders.
    centerline : Centerline
        Through the cord, RAS+ mm.

    Returns
    -------
    length : float
        In mm along the centerline. A section counts where it is mottled and hardly darker than what
        is around it, as roots between fluid are, or brighter than that, as a section of the sac;
        unless it is darker all round its edge, as a cord with a syrinx.

    Notes
    -----
    A cord in T2w is even and darker than the fluid around it. Where no fluid is seen around, as
    beside a stenosis, it is still even. Sections are averaged over 10 mm along the cord, which
    takes away noise, but not the strands of the cauda equina, which run along.
    """
    s: Array = np.arange(0.0, centerline.length + 1e-6, STEP_MM).astype(np.float64)
    grey, soft = (_sections(volume, centerline, s) for volume in (image, probability))
    return STEP_MM * sum(_not_cord(*section) for section in zip(grey, soft, strict=True))


def _sections(image: Image, centerline: Centerline, s: Array) -> Array:
    """Return sections (n, W, W) across the centerline, each the mean over 10 mm along it."""
    offsets = np.arange(-HALF_MM, HALF_MM + 1e-6, PIXEL_MM)
    right, anterior, _ = centerline.frame(s)
    points = (
        centerline.at(s)[:, None, None]
        + offsets[None, :, None, None] * right[:, None, None]
        + offsets[None, None, :, None] * anterior[:, None, None]
    )
    ijk = np.moveaxis(to_voxel(points, image.affine), -1, 0)
    values = ndimage.map_coordinates(image.data.astype(np.float64), ijk, order=1, mode="nearest")
    count = round(ALONG_MM / STEP_MM)
    return np.asarray(ndimage.uniform_filter1d(values, count, axis=0, mode="nearest"))


def _not_cord(grey: Array, soft: Array) -> bool:
    """Tell whether one section looks like cauda equina or fluid."""
    mask = soft >= HALF
    if mask.sum() * PIXEL_MM**2 < LEAST_MM2:
        return False
    depth = ndimage.distance_transform_edt(mask, sampling=PIXEL_MM)
    away = ndimage.distance_transform_edt(~mask, sampling=PIXEL_MM)
    core = depth > INSIDE_MM
    if core.sum() <= LEAST_CORE:
        core = depth > INSIDE_MM / 2
    around = float(np.median(grey[(away > NEAR_MM) & (away < FAR_MM)]))
    if around <= 0:
        return False
    darker = 1.0 - float(grey[core].mean()) / around
    mottled = float(grey[core].std()) / around > MOTTLED
    if not ((mottled and darker < FAINT) or darker < INVERTED):
        return False
    steps = steps_across(grey, soft, HALF, np.array([PIXEL_MM, PIXEL_MM]))
    return steps is None or float(np.mean(steps.step > LEAST_STEP * around)) < CLOSED
