"""The cord's own frame: where its middle, its right and its front are in every section."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.errors import EmptyMaskError
from spinalprep.image import Float, Image, to_voxel, to_world, upright

Array = NDArray[np.float64]

TURN_MM = 5.0  # standard deviation of the smoothing of the cord's rotation
ROUND, OBLONG = 0.05, 0.15  # anisotropy under which a section has no long axis, and surely one
LEAST_VOXELS = 4  # of a section that has a shape
LEAST_SLOPE = 0.3  # cosine of the tilt beyond which slices tell nothing along the cord
FINEST_MM, COARSEST_MM = 0.25, 0.5  # pixel of a section
MARGIN, MARGIN_MM = 1.3, 1.5  # a section reaches so far beyond the cord


@dataclass(frozen=True)
class CordFrame:
    """Middle, rotation and size of the cord along its centerline.

    Attributes
    ----------
    centerline : Centerline
        RAS+ mm.
    s : ndarray of float64, shape (K,)
        Arc length of the sections in mm, ascending.
    centre : ndarray of float64, shape (K, 2)
        Offset of the cord's center to the right and to the front in mm.
    turn : ndarray of float64, shape (K,)
        Rotation about the tangent in radians, right towards front.
    half : ndarray of float64, shape (K, 2)
        Half diameters, right-left and anterior-posterior, of the ellipse of equal moments.
    """

    centerline: Centerline
    s: Array
    centre: Array
    turn: Array
    half: Array

    def at(self, s: Float) -> tuple[Array, Array, Array]:
        """Return center (..., 2), turn (...) and half diameters (..., 2) at arc lengths."""
        centre, half = (
            np.stack([np.interp(s, self.s, column) for column in values.T], axis=-1)
            for values in (self.centre, self.half)
        )
        return centre, np.asarray(np.interp(s, self.s, self.turn)), half

    def place(self, sxy: Float) -> tuple[Array, Array]:
        """Return offsets to the cord's own right and front.

        Parameters
        ----------
        sxy : ndarray, shape (..., 3)
            From `Centerline.project`.

        Returns
        -------
        uv : ndarray of float64, shape (..., 2)
            In mm.
        share : ndarray of float64, shape (..., 2)
            In half diameters: 1 is the cord's right (front) edge.
        """
        centre, turn, half = self.at(sxy[..., 0])
        x, y = np.moveaxis(sxy[..., 1:] - centre, -1, 0)
        uv = np.stack(
            [x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)], axis=-1
        )
        return uv, uv / half

    def axes_at(self, s: Float) -> tuple[Array, Array, Array, Array]:
        """Return the cord's middle and unit vectors right, front, tangent, each (..., 3), RAS+."""
        right, anterior, tangent = self.centerline.frame(s)
        centre, turn, _ = self.at(s)
        middle = self.centerline.at(s) + centre[..., :1] * right + centre[..., 1:] * anterior
        cosine, sine = np.cos(turn)[..., None], np.sin(turn)[..., None]
        return middle, cosine * right + sine * anterior, cosine * anterior - sine * right, tangent


def cord_frame(cord: Image, centerline: Centerline) -> CordFrame:
    """Find the cord's frame by the moments of its axial slices, seen along the tangent.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask, any voxel order.
    centerline : Centerline
        RAS+ mm.

    Raises
    ------
    EmptyMaskError
        If no slice has four voxels of cord.

    Notes
    -----
    The rotation is that of the long axis, which lies right-left in a neck. It is smoothed along
    the cord with the anisotropy as weight, and taken back to none where the cord is round, so
    that a round section does not turn the frame at random.
    """
    cord = upright(cord)
    ijk = np.argwhere(cord.data > 0)
    counts = np.bincount(ijk[:, 2], minlength=1)
    ijk = ijk[counts[ijk[:, 2]] >= LEAST_VOXELS]
    if not len(ijk):
        raise EmptyMaskError(f"no slice has {LEAST_VOXELS} voxels of cord; expected at least one")
    sxy = centerline.project(to_world(ijk.astype(float), cord.affine))
    slices, index = np.unique(ijk[:, 2], return_inverse=True)
    number = np.bincount(index)

    def average(values: Array) -> Array:
        return np.asarray(np.bincount(index, values, minlength=len(slices)) / number)

    s, x, y = (average(column) for column in sxy.T)
    dx, dy = sxy[:, 1] - x[index], sxy[:, 2] - y[index]
    moments = np.stack([average(dx * dx), average(dx * dy), average(dy * dy)], axis=-1)
    order = np.argsort(s)
    s, moments = s[order], moments[order]
    turn = _rotation(s, moments)
    along = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    half = np.stack([_spread(moments, along), _spread(moments, along[:, ::-1] * [-1, 1])], axis=-1)
    return CordFrame(centerline, s, np.stack([x, y], axis=-1)[order], turn, 2.0 * half)


def cut_sections(
    volumes: Sequence[Image], frame: CordFrame, s: Array
) -> tuple[list[NDArray[np.float32]], Array, Array]:
    """Cut volumes across the cord.

    Parameters
    ----------
    volumes : sequence of Image, shape (I, J, K)
        Masks on one grid, any voxel order.
    frame : CordFrame
    s : ndarray, shape (S,)
        Arc lengths in mm.

    Returns
    -------
    sections : list of ndarray of float32, shape (S, U, V)
        Values in the plane orthogonal to the centerline, the cord's middle in the middle.
    u, v : ndarray of float64, shape (U,), (V,)
        Offsets to the cord's right and front in mm.

    Notes
    -----
    A point takes the values of the slice that is nearest along the cord, where the tangent
    through it meets that slice: a thick slice counts as a piece of cord, not as a block, so that
    tilt leaves no steps.
    """
    volumes = [upright(volume) for volume in volumes]
    affine = volumes[0].affine
    half = frame.at(s)[2].max(axis=0) * MARGIN + MARGIN_MM
    pixel = np.linalg.norm(affine[:3, :2], axis=0).min()
    step = float(np.clip(pixel / 2, FINEST_MM, COARSEST_MM))
    u, v = (np.arange(-n, n + 1) * step for n in np.ceil(half / step).astype(int))
    middle, right, front, tangent = frame.axes_at(s)
    points = (
        middle[:, None, None]
        + u[None, :, None, None] * right[:, None, None]
        + v[None, None, :, None] * front[:, None, None]
    )
    ijk = to_voxel(points, affine)
    slope = tangent @ np.linalg.inv(affine[:3, :3]).T
    steep = np.abs(slope[:, 2]) * np.linalg.norm(affine[:3, 2]) >= LEAST_SLOPE
    slope = np.where(steep[:, None], slope / np.where(steep, slope[:, 2], 1.0)[:, None], 0.0)
    ijk += (np.rint(ijk[..., 2]) - ijk[..., 2])[..., None] * slope[:, None, None]
    at = np.moveaxis(ijk, -1, 0).astype(np.float32)
    return (
        [
            ndimage.map_coordinates(volume.data.astype(np.float32), at, order=1, prefilter=False)
            for volume in volumes
        ],
        u,
        v,
    )


def _rotation(s: Array, moments: Array) -> Array:
    """Return the smooth rotation of the long axis in radians, shape (K,)."""
    weight = np.exp(-0.5 * ((s[:, None] - s[None, :]) / TURN_MM) ** 2)
    xx, xy, yy = (weight @ moments / weight.sum(axis=1, keepdims=True)).T
    stretch = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-9)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    angle = np.where(np.abs(angle) > np.pi / 4, angle - np.sign(angle) * np.pi / 2, angle)
    return np.asarray(angle * np.clip((stretch - ROUND) / (OBLONG - ROUND), 0.0, 1.0))


def _spread(moments: Array, direction: Array) -> Array:
    """Return the standard deviation of every section along a direction, at least 0.1 mm."""
    (xx, xy, yy), (a, b) = moments.T, direction.T
    return np.asarray(np.sqrt(np.maximum(a * a * xx + 2 * a * b * xy + b * b * yy, 0.01)))
