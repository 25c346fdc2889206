"""Evenness of an image: a mask of the neck, N4 bias field correction, denoising."""

import ants
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from spinalprep.errors import InputError
from spinalprep.image import (
    Image,
    back_on,
    grid_with_spacing,
    on_grid_of,
    resample,
    to_voxel,
    to_world,
    upright,
)
from spinalprep.registration.ants_arrays import from_ants, to_ants

FIELD_VOXELS = 6000  # of the body, on which the field is fitted, about
FIELD_SPACING = 4.0, 8.0  # mm between them
SPLINE_DISTANCE = 100  # mm between the knots at the first of the levels; halved at each
ROUNDS = [100, 100]  # of every level; 40 left most of a coil's field where it was
FEWEST_VOXELS = 500
STRONGEST_FIELD = 20.0  # times the median by which the field may brighten or darken


def neck_mask(image: Image) -> Image:
    """Return the part of the field of view that is body, far and dark parts included.

    Parameters
    ----------
    image : Image
        Any voxel order, any contrast; negative values count as air.

    Returns
    -------
    mask : Image
        uint8 on the grid of ``image``. Where air and tissue can't be told apart (a small
        field of view in the neck), everything that is not empty.

    Notes
    -----
    Otsu's threshold is taken on the logarithm of the smoothed image: with a surface coil
    the far side of the neck is closer to the near side than to air only on that scale.
    """
    given, image = image, upright(image)
    sigma = np.minimum(2.0 / image.voxel_sizes, np.asarray(image.shape) / 4)
    smooth = ndimage.gaussian_filter(image.data.astype(np.float32), sigma, mode="nearest")
    ceiling = float(np.percentile(smooth, 99))
    if ceiling <= 0:
        return given.with_data(np.ones(given.shape, np.uint8))
    logs = np.log(np.maximum(smooth, ceiling / 500))
    body = logs > threshold_otsu(logs)  # type: ignore[no-untyped-call]
    apart = float(np.median(logs[body]) - np.median(logs[~body])) if (~body).any() else 0.0
    if apart < np.log(3):  # tissue next to tissue, no air
        return given.with_data((given.data > 0).astype(np.uint8))
    whole = _whole(body, image.voxel_sizes).astype(np.uint8)
    return given.with_data(back_on(whole, given))


def _whole(body: NDArray[np.bool_], voxel_sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Keep the largest piece, close gaps of 10 mm in plane and fill holes slice by slice."""
    pieces, count = ndimage.label(body)
    if count > 1:
        sizes = np.bincount(pieces.ravel())[1:]
        body = np.isin(pieces, 1 + np.flatnonzero(sizes >= 0.1 * sizes.max()))
    reach = np.maximum(np.rint(5.0 / voxel_sizes[:2]).astype(int), 1)
    disc = np.hypot(*np.ogrid[-1 : 1 : 1j * (2 * reach[0] + 1), -1 : 1 : 1j * (2 * reach[1] + 1)])
    grown = np.pad(body, [(reach[0], reach[0]), (reach[1], reach[1]), (0, 0)])
    whole = np.empty_like(grown)
    for k in range(grown.shape[2]):
        closed = ndimage.binary_closing(grown[:, :, k], disc <= 1.01)
        whole[:, :, k] = ndimage.binary_fill_holes(closed | grown[:, :, k])
    return whole[reach[0] : -reach[0], reach[1] : -reach[1]]


def correct_bias(
    image: Image, mask: Image | None = None, sloppy: bool = False
) -> tuple[Image, Image]:
    """Divide an image by the smooth field of its coil.

    Parameters
    ----------
    image : Image
        Any voxel order, finite; values of zero and below stay as they are but for the division.
    mask : Image or None
        Body, on the same voxels; by default `neck_mask`.
    sloppy : bool
        Fewer iterations, for tests.

    Returns
    -------
    corrected, field : tuple of Image
        float32, on the grid of ``image``. The field has a median of 1 in the mask, so that the
        scale is kept.

    Raises
    ------
    InputError
        If too little of the image is body, or ``mask`` is on another grid.

    Notes
    -----
    N4 (Tustison et al. 2010, IEEE TMI, doi:10.1109/TMI.2010.2046908) on a copy with voxels of
    4 to 8 mm, by the size of the body; slices that are thicker are kept, where a shrink factor
    would thin them out.
    """
    given, image = image, upright(image)
    mask = neck_mask(image) if mask is None else on_grid_of(image, mask, "the mask of the body")
    body = mask.data > 0
    coarse, coarse_mask = _coarse(image, body)
    if int(coarse_mask.data.sum()) < FEWEST_VOXELS // 4 or int(body.sum()) < FEWEST_VOXELS:
        raise InputError(
            f"only {int(body.sum())} voxels of the image belong to the body; expected at least "
            f"{FEWEST_VOXELS} for the bias correction: skip it with --skip n4"
        )
    fitted = ants.n4_bias_field_correction(
        to_ants(coarse),
        mask=to_ants(coarse_mask),
        shrink_factor=1,
        spline_param=SPLINE_DISTANCE,
        convergence={"iters": [10, 10] if sloppy else ROUNDS, "tol": 1e-4},
        return_bias_field=True,
    )
    field = _spread(from_ants(fitted), image)
    field /= np.median(field[body])
    np.clip(field, 1 / STRONGEST_FIELD, STRONGEST_FIELD, out=field)
    corrected, field = (back_on(values, given) for values in (image.data / field, field))
    return given.with_data(corrected), given.with_data(field)


def _coarse(image: Image, body: NDArray[np.bool_]) -> tuple[Image, Image]:
    """Return image and mask (float32, 0 or 1) on voxels of 4 to 8 mm, means not samples."""
    wanted = np.cbrt(float(body.sum()) * image.voxel_volume / FIELD_VOXELS)
    spacing = np.maximum(image.voxel_sizes, np.clip(wanted, *FIELD_SPACING))
    shape, affine = grid_with_spacing(image, spacing.tolist())
    blur = np.where(spacing > image.voxel_sizes, 0.4 * spacing / image.voxel_sizes, 0)
    counted = body & (image.data > 0)
    weight = ndimage.gaussian_filter(counted.astype(np.float32), blur, mode="nearest")
    total = ndimage.gaussian_filter(np.where(counted, image.data, 0), blur, mode="nearest")
    mean = image.with_data(total / np.maximum(weight, 1e-3))
    share = resample(image.with_data(weight), shape, affine)
    values = resample(mean, shape, affine)
    inside = (share.data > 0.5) & (values.data > 0)
    return values.with_data(np.where(inside, values.data, 1)), values.with_data(
        inside.astype(np.float32)
    )


def _spread(field: Image, image: Image) -> NDArray[np.float32]:
    """Return a coarse positive field at the voxels of ``image`` (interpolating its logarithm)."""
    logs = np.log(np.maximum(field.data, 1e-6))
    corners = to_voxel(to_world(np.eye(4)[:, :3], image.affine), field.affine)
    origin, steps = corners[3], np.diag(corners[:3] - corners[3])
    axes = [
        start + step * np.arange(n)
        for start, step, n in zip(origin, steps, image.shape, strict=True)
    ]
    for axis, position in enumerate(axes):
        logs = _interpolate(logs, position, axis)
    return np.asarray(np.exp(logs), np.float32)


def _interpolate(
    values: NDArray[np.float32], position: NDArray[np.float64], axis: int
) -> NDArray[np.float32]:
    """Interpolate along one axis, constant beyond the ends."""
    last = values.shape[axis] - 1
    place = np.clip(position, 0, last)
    low = np.minimum(np.floor(place).astype(int), max(last - 1, 0))
    share = (place - low).astype(np.float32)
    share = share.reshape([-1 if other == axis else 1 for other in range(3)])
    below = np.take(values, low, axis)
    above = np.take(values, np.minimum(low + 1, last), axis)
    return np.asarray(below * (1 - share) + above * share, np.float32)


def denoise(image: Image) -> Image:
    """Return the image without Rician noise.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.

    Notes
    -----
    Adaptive non-local means (Manjon et al. 2010, doi:10.1002/jmri.22003) as in ANTs.
    """
    given, image = image, upright(image)
    lowest = float(min(image.data.min(), 0))
    shifted = image.with_data(image.data - lowest)
    clean = from_ants(ants.denoise_image(to_ants(shifted))).data + lowest
    return given.with_data(back_on(clean, given))
