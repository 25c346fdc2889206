"""Straight space: the body as seen along the centerline.

A point of straight space is ``(s, x, y)``: arc length from the superior end, offset to the right,
offset to the front, all in mm. Straight to curved is closed form, ``C(s) + x R(s) + y A(s)``;
curved to straight is the projection on the centerline, by Newton steps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import Centerline, Points
from spinalprep.image import Float, Image, sample


@dataclass(frozen=True)
class StraightSpace:
    """The two maps between RAS+ mm and straight space.

    Attributes
    ----------
    centerline : Centerline
        What the space is straight along.
    """

    centerline: Centerline

    def to_world(self, sxy: Float) -> Points:
        """Return the RAS+ points of ``(s, x, y)``, shape (..., 3); exact."""
        sxy = np.asarray(sxy, float)
        right, anterior, _ = self.centerline.frame(sxy[..., 0])
        points: Points = (
            self.centerline.at(sxy[..., 0]) + sxy[..., 1:2] * right + sxy[..., 2:3] * anterior
        )
        return points

    def from_world(self, points: Float) -> Points:
        """Return ``(s, x, y)`` of RAS+ points, shape (..., 3).

        Unique within the radius of curvature of the centerline; farther away the foot point
        nearest to the closest sample is taken.
        """
        return self.centerline.project(points)

    def sections(self, s: Float, half_width_mm: float, spacing_mm: float) -> Points:
        """Return the points of square sections orthogonal to the centerline.

        Parameters
        ----------
        s : ndarray of float, shape (n,)
            Arc lengths in mm.
        half_width_mm, spacing_mm : float
            Half the edge of a section, and the distance of its points.

        Returns
        -------
        points : ndarray of float64, shape (n, W, W, 3)
            RAS+ mm; axis 1 runs from left to right, axis 2 from posterior to anterior.
        """
        half = round(half_width_mm / spacing_mm)
        offsets = (np.arange(2 * half) - half + 0.5) * spacing_mm
        right, anterior, _ = self.centerline.frame(s)
        sideways = offsets[:, None] * right[:, None]
        forward = offsets[:, None] * anterior[:, None]
        middle = self.centerline.at(s)[:, None, None]
        points: Points = middle + sideways[:, :, None] + forward[:, None]
        return points

    def straighten(
        self, image: Image, half_width_mm: float, spacing_mm: float, order: int = 1
    ) -> Image:
        """Return an image resampled along the centerline.

        Returns
        -------
        straight : Image, shape (W, W, S)
            Voxel order LAS: the affine maps voxels to ``(x, y, -s)``.
        """
        count = int(np.ceil(self.centerline.length / spacing_mm)) + 1
        s = np.arange(count) * spacing_mm
        values: NDArray[np.float32] = sample(
            image, self.sections(s, half_width_mm, spacing_mm), order
        )
        data = np.moveaxis(values, 0, -1)[::-1, :, ::-1]  # right to left, front kept, up kept
        width = data.shape[0]
        edge = (width / 2 - 0.5) * spacing_mm
        affine = np.diag([-spacing_mm, spacing_mm, spacing_mm, 1.0])
        affine[:3, 3] = [edge, -edge, -s[-1]]
        return Image(np.ascontiguousarray(data), affine)
