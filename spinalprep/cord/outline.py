"""The outline of one section of the cord, and its shape."""

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

Array = NDArray[np.float64]

STEP_MM = 0.25  # of the grid on which a section is laid on its mirror image
MARGIN_MM = 1.0  # of that grid beyond the outline
FLAT_DEG = 45.0  # up to this angle the long axis is the right-left one
SHAPE = (
    "diameter_ap_mm",
    "diameter_rl_mm",
    "compression_ratio",
    "eccentricity",
    "orientation_deg",
    "solidity",
    "symmetry_rl",
    "symmetry_ap",
)


def measure_outline(weights: Array, plane: Array, level: float) -> dict[str, float]:
    """Measure the shape of one section.

    Parameters
    ----------
    weights : ndarray, shape (I, J)
        Mask or probability in one axial slice, one body.
    plane : ndarray, shape (2, 2)
        Steps of i and j, as columns, in mm to the cord's right and front: the slice projected
        along the tangent of the cord.
    level : float
        Where the outline is drawn; half of the plateau, so that a blur of the edge, by partial
        volume or along a thick oblique slice, leaves it where it is.

    Returns
    -------
    shape : dict
        By the names of `SHAPE`. ``diameter_ap_mm`` and ``diameter_rl_mm`` are the axes of the
        ellipse of equal second moments, the one nearer to front-back and the other;
        ``compression_ratio`` is the first over the second [1]_; ``eccentricity`` that of the
        ellipse; ``orientation_deg`` the angle of the right-left axis, positive where its right
        end is tilted to the front; ``solidity`` the share of the convex hull that is cord;
        ``symmetry_rl`` and ``symmetry_ap`` the overlap (Dice) of the section with its mirror
        image, right on left and front on back, about the ellipse's own axes. NaN where there is
        no outline.

    References
    ----------
    .. [1] Ogino et al. (1983), "Canal diameter, anteroposterior compression ratio, and
       spondylotic myelopathy of the cervical spine", Spine 8(1):1-15.
    """
    weights = np.pad(weights, 1)
    contours = find_contours(weights, level)  # type: ignore[no-untyped-call]
    longest = max(contours, key=len, default=np.empty((0, 2)))
    if len(longest) < 4:
        return dict.fromkeys(SHAPE, float("nan"))
    outline = longest @ plane.T
    area, centre, covariance = polygon_moments(outline)
    ellipse = _ellipse(covariance)
    right_left, front_back = _symmetry(weights, plane, outline, centre, ellipse["orientation_deg"])
    hull = scipy.spatial.ConvexHull(outline)
    return {
        **ellipse,
        "solidity": area / float(hull.volume),  # in a plane, scipy's volume is area
        "symmetry_rl": right_left,
        "symmetry_ap": front_back,
    }


def polygon_moments(outline: Array) -> tuple[float, Array, Array]:
    """Return area, center, shape (2,), and covariance, shape (2, 2), of a closed polygon.

    Parameters
    ----------
    outline : ndarray, shape (N, 2)
        Corners in order, the first once more at the end.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0.0, 0], [6, 0], [6, 6], [0, 6], [0, 0]])
    >>> polygon_moments(square)
    (36.0, array([3., 3.]), array([[3., 0.], [0., 3.]]))
    """
    middle = outline[:-1].mean(axis=0)
    here, there = outline[:-1] - middle, outline[1:] - middle
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    signed = cross.sum() / 2
    centre = cross @ (here + there) / (6 * signed)
    # Green's theorem: the integral of x y over the triangle of the origin and one edge
    both = here[:, :, None] * there[:, None, :]
    own = here[:, :, None] * here[:, None, :] + there[:, :, None] * there[:, None, :]
    second = np.einsum("n,nij->ij", cross, 2 * own + both + both.transpose(0, 2, 1))
    covariance = second / (24 * signed) - np.outer(centre, centre)
    return abs(float(signed)), centre + middle, covariance


def _ellipse(covariance: Array) -> dict[str, float]:
    """Return diameters, their ratio, eccentricity and orientation of the ellipse of moments."""
    values, vectors = np.linalg.eigh(covariance)
    minor, major = 4.0 * np.sqrt(np.maximum(values, 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    angle = (angle + 90.0) % 180.0 - 90.0
    lies_flat = abs(angle) <= FLAT_DEG
    front_back, right_left = (minor, major) if lies_flat else (major, minor)
    return {
        "diameter_ap_mm": float(front_back),
        "diameter_rl_mm": float(right_left),
        "compression_ratio": float(front_back / right_left) if right_left > 0 else float("nan"),
        "eccentricity": float(np.sqrt(1.0 - (minor / major) ** 2)) if major > 0 else float("nan"),
        "orientation_deg": angle if lies_flat else angle - float(np.copysign(90.0, angle)),
    }


def _symmetry(
    weights: Array, plane: Array, outline: Array, centre: Array, angle_deg: float
) -> tuple[float, float]:
    """Return the overlap of a section with its mirror images, right-left and front-back."""
    turn = np.deg2rad(angle_deg)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    reach = float(np.linalg.norm(outline - centre, axis=1).max()) + MARGIN_MM
    steps = np.arange(STEP_MM / 2, reach, STEP_MM)
    steps = np.concatenate([-steps[::-1], steps])
    own = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
    ij = (centre + own @ axes.T) @ np.linalg.inv(plane).T
    section = ndimage.map_coordinates(weights, np.moveaxis(ij, -1, 0), order=1)
    total = section.sum()
    return (
        float(np.minimum(section, section[::-1]).sum() / total),
        float(np.minimum(section, section[:, ::-1]).sum() / total),
    )
