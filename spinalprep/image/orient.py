"""Turn the voxel axes of an image; no value is interpolated."""

import nibabel as nib
import numpy as np

from spinalprep.image.volume import PAM50_AXES, Image


def reorient(image: Image, axes: str = PAM50_AXES) -> Image:
    """Return ``image`` with its voxel axes pointing to ``axes``, by flips and swaps only.

    Parameters
    ----------
    image : Image
        Any voxel order.
    axes : str
        Where the axes point, in nibabel's letters. The default, LAS, is PAM50's order
        (SCT, which names where an axis starts, calls it RPI).

    Examples
    --------
    >>> import numpy as np
    >>> turned = reorient(Image(np.arange(24.0).reshape(2, 3, 4), np.eye(4)), "LAS")
    >>> turned.axes, float(turned.data[0, 0, 0])
    ('LAS', 12.0)
    """
    start = nib.orientations.io_orientation(image.affine)
    change = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt(tuple(axes)))
    data = np.ascontiguousarray(nib.orientations.apply_orientation(image.data, change))
    affine = image.affine @ nib.orientations.inv_ornt_aff(change, image.shape)
    return Image(data, np.asarray(affine, np.float64))
