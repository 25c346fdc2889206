"""Planes along and across the cord, sampled for pictures.

Rows follow the axial slices. Between slices values are interpolated along the cord, not straight
up: in thick slices of a tilted cord the outline would have stairs otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinalprep.image import Image, sample, to_voxel, to_world

AXIAL_HALF_MM, AXIAL_PIXEL_MM = 20.0, 0.25
PIXEL_MM = 0.5

Floats = NDArray[np.float64]
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Course:
    """Where the cord is in every axial slice that is shown.

    Attributes
    ----------
    slices : ndarray of int, shape (N,)
        Neighboring slices, upwards.
    centres : ndarray, shape (N, 3)
        RAS+ mm.
    left, front : ndarray, shape (3,)
        Unit vectors in the slice, to the patient's left and front (RAS+).
    spacing_mm : float
        Distance of the slices.
    """

    slices: NDArray[np.intp]
    centres: Floats
    left: Floats
    front: Floats
    spacing_mm: float

    @property
    def height_mm(self) -> float:
        """Height of a plane along the cord, from face to face of the outermost slices."""
        return len(self.slices) * self.spacing_mm

    def up_mm(self, k: float) -> float:
        """Return the height of slice ``k`` above the lower end of a plane."""
        return (k - float(self.slices[0]) + 0.5) * self.spacing_mm

    def part(self, low: int, high: int) -> "Course":
        """Return the slices from ``low`` to ``high``, both included."""
        kept = (self.slices >= low) & (self.slices <= high)
        return Course(self.slices[kept], self.centres[kept], self.left, self.front, self.spacing_mm)


def course_through(image: Image, points: Floats, beyond_mm: float = 0.0) -> Course:
    """Return where a centerline passes the slices of an image.

    Parameters
    ----------
    image : Image
        In the voxel order LAS.
    points : ndarray, shape (N, 3)
        Centerline, RAS+ mm.
    beyond_mm : float
        How far the picture goes on beyond the ends, as far as there are slices.
    """
    ijk = to_voxel(points, image.affine)
    ijk = ijk[np.argsort(ijk[:, 2])]
    thick = float(image.voxel_sizes[2])
    more = round(beyond_mm / thick)
    low = max(0, int(np.floor(ijk[0, 2] + 0.5)) - more)
    high = min(image.shape[2] - 1, int(np.ceil(ijk[-1, 2] - 0.5)) + more)
    slices = np.arange(low, max(low, high) + 1)
    inside = [np.interp(slices, ijk[:, 2], ijk[:, axis]) for axis in (0, 1)]
    centres = to_world(np.column_stack([*inside, slices]), image.affine)
    unit = image.affine[:3, :2] / image.voxel_sizes[:2]
    return Course(slices, centres, unit[:, 0], unit[:, 1], thick)


def across(image: Image, course: Course, n: int, half_mm: float = AXIAL_HALF_MM) -> Plane:
    """Return the axial window around the cord in the n-th slice of a course.

    Radiological: the first axis goes from the patient's right to the left, the second to the front.
    """
    offsets = np.arange(-half_mm, half_mm, AXIAL_PIXEL_MM) + AXIAL_PIXEL_MM / 2
    grid = offsets[:, None, None] * course.left + offsets[None, :, None] * course.front
    return sample(image, course.centres[n] + grid)


def along(image: Image, course: Course, view: str, half_mm: float, aside_mm: float = 0.0) -> Plane:
    """Return the plane that follows the cord.

    Parameters
    ----------
    image : Image
    course : Course
    view : str
        ``sagittal``: the first axis goes from front to back; ``coronal``: from the patient's right
        to the left. The second goes upwards.
    half_mm : float
        Half of its width.
    aside_mm : float
        How far the plane lies to the left of the centerline (sagittal), or in front (coronal).
    """
    if view == "sagittal":
        direction, other = -course.front, course.left
    else:
        direction, other = course.left, course.front
    offsets = np.arange(-half_mm, half_mm, PIXEL_MM) + PIXEL_MM / 2
    points = course.centres[None] + offsets[:, None, None] * direction + aside_mm * other
    rows = sample(image, points)  # (across, slices)
    count = max(1, round(course.height_mm / PIXEL_MM))
    at = np.clip(
        ((np.arange(count) + 0.5) * PIXEL_MM) / course.spacing_mm - 0.5, 0, rows.shape[1] - 1
    )
    lower = np.minimum(at.astype(int), max(rows.shape[1] - 2, 0))
    share = (at - lower).astype(np.float32)
    upper = np.minimum(lower + 1, rows.shape[1] - 1)
    plane: Plane = rows[:, lower] * (1 - share) + rows[:, upper] * share
    return plane
