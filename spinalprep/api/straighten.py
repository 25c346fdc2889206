"""Images straightened along the cord."""

from spinalprep.api.load import load
from spinalprep.api.volume import ImageLike, Volume, as_volume
from spinalprep.cord.centerline import Centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.image import upright


def straighten(
    image: ImageLike,
    centerline: Centerline,
    *,
    half_width_mm: float = 30.0,
    spacing_mm: float = 0.5,
) -> Volume:
    """Resample an image along a centerline, so that the cord is straight.

    Parameters
    ----------
    image : Scan, path, nibabel image or Volume, shape (I, J, K)
        Any orientation. Anything but a `Scan` is passed through `load`, with bias correction.
    centerline : Centerline
        From `segment`, RAS+ mm.
    half_width_mm : float
        Half of the width of a cross-section.
    spacing_mm : float
        Edge length of a voxel.

    Returns
    -------
    straight : Volume of float32, shape (W, W, S)
        Voxel order LAS; the affine maps voxels to (x, y, -s) in mm: offset to the right of and
        anterior to the centerline, and arc length from its superior end, downwards.

    Examples
    --------
    >>> import spinalprep as sp
    >>> image = sp.example()
    >>> found = sp.segment(image, views=1)
    >>> sp.straighten(image, found.centerline, half_width_mm=20.0, spacing_mm=1.0)
    Volume of 40 x 40 x ... voxels of 1 x 1 x 1 mm, axes LAS, float32
    """
    space = StraightSpace(centerline)
    return as_volume(space.straighten(upright(load(image)), half_width_mm, spacing_mm))
