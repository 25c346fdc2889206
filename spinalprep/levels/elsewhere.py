"""Discs in another image of the session: its cord, its discs, their places in the reference."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.trace import find_centerline
from spinalprep.errors import NoCordError
from spinalprep.image import Image
from spinalprep.levels.carry import ASIDE_MM, Source, aside_mm, carry_levels
from spinalprep.levels.detect import find_discs, weigh_signs
from spinalprep.levels.discs import DETECTED, extend
from spinalprep.levels.number import levels_from_signs
from spinalprep.networks.predict import find_heat
from spinalprep.networks.weights import Model
from spinalprep.registration.transform import Transform


def detect_elsewhere(
    image: Image,
    contrast: str,
    centerline_network: Model,
    disc_network: Model,
    to_reference: Transform,
    reference: Centerline,
    template_z: Mapping[int, float],
) -> tuple[list[Source], list[str]]:
    """Detect discs in an image and carry them to the reference.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    contrast : str
        What the image is called.
    centerline_network, disc_network : Model
        Of the tasks ``centerline`` and ``discs``.
    to_reference : Transform
        Points of the image to points of the reference, RAS+ mm.
    reference : Centerline
        Of the reference, RAS+ mm.
    template_z : mapping of int to float
        Disc to height in the template, mm, for the discs that were not seen.

    Returns
    -------
    sources : list of Source
        One, or none where the image is not sure, or doesn't show the reference's cord.
    warnings : list of str
        Why discs that are sure were not used.
    """
    try:
        line = find_centerline(find_heat(image, centerline_network))[0]
    except NoCordError:
        return [], []
    evidence = weigh_signs(*find_discs(image, line, disc_network), disc_network.card["scale"])
    found = levels_from_signs(evidence, {}, line.length)
    if not found.known:
        return [], []
    apart = aside_mm(line, to_reference, reference)
    if apart > ASIDE_MM:
        return [], [
            f"{contrast} shows vertebral levels, but its cord is {apart:.0f} mm away from that "
            "of the reference: its levels are not used"
        ]
    carried = carry_levels(found, line, to_reference, reference)
    if not carried.known or np.isnan(apart):
        return [], []
    levels = extend(
        replace(carried, source=f"{DETECTED} in {contrast}"), template_z, reference.length
    )
    return [Source(levels, _coverage(image))], []


def _coverage(image: Image) -> float:
    """Return the extent of an image from superior to inferior in mm."""
    return float(np.abs(image.affine[2, :3]) @ np.array(image.shape))
