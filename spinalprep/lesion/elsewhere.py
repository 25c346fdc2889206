"""Lesions in another image of the session: its own cord, its own lesions, and their way back."""

from dataclasses import dataclass

import numpy as np

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import NoCordError
from spinalprep.image import Image
from spinalprep.lesion.aligned import AlignedLesions, OwnLesions, align_lesions
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.levels.carry import ASIDE_MM, aside_mm
from spinalprep.networks.cascade import Found, Networks, find_cord
from spinalprep.networks.weights import Model
from spinalprep.registration.transform import Transform


@dataclass(frozen=True)
class Reference:
    """The reference, as another image finds it.

    Attributes
    ----------
    cord : Image, shape (I, J, K)
        Mask.
    centerline : Centerline
        RAS+ mm.
    to_image : Transform
        Points of the reference to points of the image, RAS+ mm.
    to_reference : Transform
        The other way.
    """

    cord: Image
    centerline: Centerline
    to_image: Transform
    to_reference: Transform


def segment_elsewhere(
    image: Image, name: str, networks: Networks[Model]
) -> tuple[Found[Image, Centerline] | None, list[str]]:
    """Find the cord and the lesions of another image, as in a reference.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Bias-corrected; any voxel order.
    name : str
        What the image is called.
    networks : Networks of Model

    Returns
    -------
    found : Found or None
        None where the networks see no cord.
    warnings : list of str
    """
    try:
        return find_cord(image, networks), []
    except NoCordError:
        return None, [f"no cord was found in {name}: lesions were not looked for there"]


def lesions_elsewhere(
    name: str,
    image: Image,
    found: tuple[Image, Image, Centerline],
    reference: Reference,
    rule: LesionRule,
) -> tuple[list[AlignedLesions], list[str]]:
    """Call the lesions of another image on its own grid and bring them to the reference.

    Parameters
    ----------
    name : str
        What the image is called.
    image : Image, shape (I, J, K)
        Bias-corrected.
    found : tuple of Image, Image and Centerline
        Probability of lesions and mask of the cord on the image's grid, and its centerline.
    reference : Reference
    rule : LesionRule
        As in the reference.

    Returns
    -------
    lesions : list of AlignedLesions
        One, or none where the image does not show the reference's cord.
    warnings : list of str
        Why the image was left out; which lesions have no place in the reference.
    """
    probability, cord, line = found
    apart = aside_mm(line, reference.to_reference, reference.centerline)
    if not apart <= ASIDE_MM:
        why = (
            "too little of its cord is in the reference"
            if np.isnan(apart)
            else f"its cord is {apart:.0f} mm away from that of the reference"
        )
        return [], [f"lesions of {name} are not used: {why}"]
    called = call_lesions(probability, image, cord, line, rule)
    own = OwnLesions(probability, cord, called)
    aligned = align_lesions(name, own, reference.to_image, reference.cord)
    warnings = [
        f"a lesion of {volume:.0f} mm3 in {name} is outside the cord that the reference shows: it "
        "is in no mask and no row of the tables"
        for volume in aligned.beyond_mm3
    ]
    return [aligned], warnings
