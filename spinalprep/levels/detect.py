"""Signs of discs along the cord: what a small network sees in the mid-sagittal plane."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.image import Image, sample
from spinalprep.levels.sequence import Evidence
from spinalprep.networks.parallel import run_whole
from spinalprep.networks.weights import Model
from spinalprep.networks.window import scale_window

BACK_MM, FRONT_MM = -22.0, 34.0  # of the plane, from the centerline
WIDTH = int(FRONT_MM - BACK_MM)  # columns of 1 mm
HEIGHT = 192  # rows of 1 mm that the network sees at once, as in training
SLAB_MM = 4.0  # half the thickness that is averaged
ABOVE_MM, BELOW_MM = 70.0, 30.0  # beyond the ends of the centerline, straight on
STRIDE = 48
THICKEST_MM = 3.0  # voxels longer along the cord: discs and bodies look alike in some contrast
C2_MM, C2_DEPTH_MM = (22, 4), (8, 18)  # above C2/C3 and before the cord: there is the body of C2
C2_SHARE = 0.85
BEYOND_C2_MM, CUT_RATIO = 30, 2.0  # with less above, any vertebra that the image cuts is like C2
AROUND_MM, LEAST_CONTRAST = (14.0, 7.0), 0.08  # of the parts that are brought to one contrast
VIEWS = ((0.0, 1.0), (0.0, 1.4), (0.0, 0.7), (-2.0, 1.0), (2.0, 1.0))  # mm to the right, gamma


@dataclass(frozen=True)
class Plane:
    """The mid-sagittal plane, straightened.

    Attributes
    ----------
    s : ndarray of float, shape (N,)
        Arc length of the rows, 1 mm apart.
    values : ndarray of float32, shape (N, 56)
        Scaled to [0, 1]; columns run from 22 mm behind the centerline to 34 mm before it.
    valid : ndarray of bool, shape (N, 56)
        Where the image has values.
    """

    s: NDArray[np.float64]
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


def sagittal_plane(image: Image, centerline: Centerline, right_mm: float = 0.0) -> Plane:
    """Return the plane along the cord, the mean over a slab of 8 mm.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    centerline : Centerline
        RAS+ mm; the plane goes straight on beyond its ends, as far as the image goes.
    right_mm : float
        Offset of the slab's middle.
    """
    s = np.arange(-ABOVE_MM, centerline.length + BELOW_MM).astype(np.float64)
    y = BACK_MM + 0.5 + np.arange(WIDTH)
    x = right_mm + np.arange(-SLAB_MM, SLAB_MM + 1)
    points = StraightSpace(centerline).to_world(
        np.stack(np.meshgrid(s, x, y, indexing="ij"), axis=-1)
    )
    values = sample(image, points, outside=np.nan)
    valid = np.isfinite(values).mean(axis=1) >= 0.5
    mean = np.where(valid, np.nansum(values, axis=1), 0) / np.maximum(
        np.isfinite(values).sum(axis=1), 1
    )
    near = valid[:, int(-BACK_MM) : int(-BACK_MM) + 12].mean(axis=1) >= 0.5
    rows = np.flatnonzero(near)
    part = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    scaled = scale_window(mean[part].astype(np.float32), valid[part])
    return Plane(s[part], scaled, valid[part])


def find_discs(
    image: Image, centerline: Centerline, model: Model
) -> tuple[Plane, NDArray[np.float32]]:
    """Map the signs of discs along the cord.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Voxels.
    centerline : Centerline
        RAS+ mm.
    model : Model
        Of task ``discs``.

    Returns
    -------
    plane : Plane
        What was looked at.
    signs : ndarray of float32, shape (2, N)
        Largest logit across every row of the plane: any disc, C2/C3; mean over views that
        differ in gamma and lie 2 mm to the left and right. Empty where voxels are longer than 3 mm
        along the cord.
    """
    planes = {right: sagittal_plane(image, centerline, right) for right in (0.0, -2.0, 2.0)}
    middle = planes[0.0]
    if not len(middle.s) or voxel_along(image, centerline) > THICKEST_MM:
        nothing = Plane(middle.s[:0], middle.values[:0], middle.valid[:0])
        return nothing, np.zeros((2, 0), np.float32)
    maps = []
    for right, gamma in VIEWS:
        plane = planes[right]
        there = np.isin(plane.s, middle.s)
        if not np.array_equal(plane.s[there], middle.s):
            continue
        values, valid = plane.values[there] ** gamma, plane.valid[there]
        maps.append(_logits(even_out(values, valid), model))
    return middle, row_signs(np.mean(maps, axis=0))


def even_out(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Bring every part of a plane to the same brightness and contrast.

    Bright fluid and fat leave bodies and discs a small part of the gray values.

    Parameters
    ----------
    values : ndarray of float32, shape (N, W)
        Scaled to [0, 1].
    valid : ndarray of bool, shape (N, W)
        Where there are values; elsewhere the result is zero.
    """

    def around(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values * there, AROUND_MM) / mass)

    there = valid.astype(np.float64)
    mass = np.maximum(ndimage.gaussian_filter(there, AROUND_MM), 1e-6)
    apart = values - around(values.astype(np.float64))
    even = 0.5 + apart / (4 * np.sqrt(around(apart**2)) + LEAST_CONTRAST)
    return np.where(valid, np.clip(even, 0, 1), 0).astype(np.float32)


def voxel_along(image: Image, centerline: Centerline) -> float:
    """Return the longest extent of a voxel along the middle of the cord in mm."""
    tangent = centerline.frame(centerline.length / 2)[2]
    return float(np.abs(image.affine[:3, :3].T @ tangent).max())


def row_signs(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest logit across every row, shape (..., N) of (..., N, W)."""
    signs: NDArray[np.float32] = logits.max(axis=-1)
    return signs


def _logits(values: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """Run the network over windows of a plane; the mean where they overlap, (2, N, W)."""
    count = len(values)
    padded = np.pad(values, ((0, max(HEIGHT - count, 0)), (0, 0)))
    starts = sorted({*range(0, len(padded) - HEIGHT, STRIDE), len(padded) - HEIGHT})
    shown = np.stack([padded[a : a + HEIGHT] for a in starts])[:, None]
    found = run_whole(model.network, torch.from_numpy(np.ascontiguousarray(shown))).numpy()
    ramp = np.minimum(np.arange(HEIGHT) + 1, np.arange(HEIGHT)[::-1] + 1)
    weight = np.minimum(ramp, 40).astype(np.float32)[:, None]  # less near a window's ends
    total = np.zeros((found.shape[1], *padded.shape), np.float32)
    mass = np.zeros((len(padded), 1), np.float32)
    for a, part in zip(starts, found, strict=True):
        total[:, a : a + HEIGHT] += part * weight
        mass[a : a + HEIGHT] += weight
    return np.asarray((total / mass)[:, :count], np.float32)


def weigh_signs(
    plane: Plane, signs: NDArray[np.float32], scale: Mapping[str, list[float]]
) -> Evidence:
    """Turn logits into likelihood ratios by the scale that was measured on synthetic subjects.

    A sign of C2/C3 counts where the body of C2 above it is in view, and for less where not much
    more is.

    Parameters
    ----------
    plane : Plane
        What was looked at.
    signs : ndarray of float32, shape (2, N)
        From `find_discs`.
    scale : mapping of str to [slope, offset, lowest, highest]
        For ``disc`` and ``c2c3``, from the card of the weights: the logarithm of the ratio is
        ``slope * logit + offset`` within its limits.
    """
    ratios = {}
    for values, name in zip(signs, ("disc", "c2c3"), strict=True):
        slope, offset, lowest, highest = scale[name]
        ratio = slope * values.astype(float) + offset
        if name == "c2c3":
            ratio -= np.where(_shown_above(plane, BEYOND_C2_MM), 0.0, CUT_RATIO)
        ratios[name] = np.clip(ratio, lowest, highest)
    c2c3 = ratios["c2c3"]
    there = _shown_above(plane, C2_MM[0])
    return Evidence(plane.s, ratios["disc"], np.where(there, c2c3, np.minimum(c2c3, 0)))


def _shown_above(plane: Plane, height_mm: int) -> NDArray[np.bool_]:
    """Tell for every row whether the spine above it is in view, up to a height."""
    depth = slice(int(C2_DEPTH_MM[0] - BACK_MM), int(C2_DEPTH_MM[1] - BACK_MM))
    shown = np.concatenate([[0.0], np.cumsum(plane.valid[:, depth].mean(axis=1))])
    rows = np.arange(len(plane.s))
    first, last = (np.maximum(rows - mm, 0) for mm in (height_mm, C2_MM[1]))
    share: NDArray[np.float64] = (shown[last] - shown[first]) / (height_mm - C2_MM[1])
    return np.asarray(share >= C2_SHARE)
