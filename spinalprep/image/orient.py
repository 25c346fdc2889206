"""Turn the voxel axes of an image; no value is interpolated.

Algorithms that look at axial slices work on `upright` images, and bring what they made `back_on`
the grid that they were given: they take any voxel order. Axial slices are counted upwards, from 0,
the lowest; in an upright image that is the third index.
"""

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
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
    change = nib.orientations.ornt_transform(start, _directions(axes))
    data = np.ascontiguousarray(nib.orientations.apply_orientation(image.data, change))
    affine = image.affine @ nib.orientations.inv_ornt_aff(change, image.shape)
    return Image(data, np.asarray(affine, np.float64))


def upright(image: Image) -> Image:
    """Return an image with its axes pointing to left, anterior, superior: itself if they do.

    Parameters
    ----------
    image : Image
        Any voxel order.

    Returns
    -------
    upright : Image
        Voxel order LAS, in the memory order of a NIfTI file.
    """
    if image.axes == PAM50_AXES:
        return image
    turned = reorient(image)
    return turned.with_data(np.asfortranarray(turned.data))


def back_on(data: NDArray[Any], like: Image) -> NDArray[Any]:
    """Bring values on the grid of ``upright(like)`` to that of ``like``.

    Parameters
    ----------
    data : ndarray, shape (I, J, K)
        On the grid of ``upright(like)``.
    like : Image
        Any voxel order.

    Returns
    -------
    values : ndarray, the shape of ``like``

    Examples
    --------
    >>> import numpy as np
    >>> lying = Image(np.arange(24.0).reshape(2, 3, 4), np.diag([2.0, -1, -3, 1]))
    >>> bool((back_on(upright(lying).data, lying) == lying.data).all())
    True
    """
    if like.axes == PAM50_AXES:
        return data
    goal = nib.orientations.io_orientation(like.affine)
    change = nib.orientations.ornt_transform(_directions(PAM50_AXES), goal)
    return np.ascontiguousarray(nib.orientations.apply_orientation(data, change))


def on_grid_of(grid: Image, image: Image, what: str) -> Image:
    """Return an image in the voxel order of another; refuse one that has other voxels.

    Parameters
    ----------
    grid : Image
        Any voxel order.
    image : Image
        The same voxels in any order.
    what : str
        What ``image`` is, for the message.

    Raises
    ------
    InputError
        If the two do not have the same voxels.
    """
    turned = image if image.axes == grid.axes else reorient(image, grid.axes)
    if not turned.same_grid(grid):
        raise InputError(
            f"{what} has {_described(turned)}; expected {_described(grid)}: resample it first"
        )
    return turned


def _described(image: Image) -> str:
    """Return the grid of an image in words."""
    shape = " x ".join(str(n) for n in image.shape)
    sizes = " x ".join(f"{size:.3g}" for size in image.voxel_sizes)
    corner = ", ".join(f"{value:.1f}" for value in image.affine[:3, 3])
    return f"{shape} voxels of {sizes} mm from ({corner})"


def _directions(axes: str) -> NDArray[np.float64]:
    """Return nibabel's orientation of axes that point to letters."""
    return np.asarray(nib.orientations.axcodes2ornt(tuple(axes)), np.float64)
