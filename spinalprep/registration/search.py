"""Rigid registration by search: slow gradients and thin slabs don't lead it astray."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from spinalprep.image import Image, to_world, upright
from spinalprep.registration.information import normalised_mutual_information
from spinalprep.registration.transform import Affine

BINS = 24
MOST_POINTS = 12_000
SHIFTS_MM = ((-9.0, -4.5, 0.0, 4.5, 9.0), (-9.0, -4.5, 0.0, 4.5, 9.0), (-6.0, 0.0, 6.0))
TURNS_DEG = ((-10.0, 0.0, 10.0), (0.0,), (-10.0, 0.0, 10.0))  # about right, front, up
KEPT = 8  # candidates of the coarse search that are polished
LEAST_OVERLAP = 1 / 3  # as `similarity` asks for: a short stack covers less of what lies around it
NEAR = (  # degrees about right, front, up; mm to right, front, up
    (0.0, 0.0, 0.0, 0.0, 0.0, -5.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, -2.5),
    (0.0, 0.0, 0.0, 0.0, 0.0, 2.5),
    (0.0, 0.0, 0.0, 0.0, 0.0, 5.0),
    (-7.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (7.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)


def search_rigid(moving: Image, target: Image, around: NDArray[np.bool_]) -> Affine:
    """Find the rigid map of target points to moving points that shares most information.

    Parameters
    ----------
    moving, target : Image
        Two contrasts, any grids, roughly aligned: within about 12 mm and 15 degrees.
    around : ndarray of bool
        Voxels of ``target`` that are compared.

    Returns
    -------
    rigid : Affine
        RAS+ mm.

    Notes
    -----
    A grid of shifts and turns on smoothed images, then Powell's method from the best eight,
    on finer ones. The measure is normalized mutual information less one, times the share of
    points inside both images, so that leaving the image never pays.
    """
    moving, points, values = upright(moving), *_points(target, around)
    coarse = _Cost(_smoothed(moving, 2.0), points[::4], values[::4])
    grid = [np.array(p) for p in product(*TURNS_DEG, *SHIFTS_MM)]
    ranked = sorted(grid, key=coarse)[:KEPT]
    fine = _Cost(_smoothed(moving, 0.7), points, values)
    polished = []
    for start in (np.zeros(6), *ranked):
        middle = _powell(coarse, start)
        polished.append((fine(middle), middle.tolist()))
    best = _powell(fine, np.array(min(polished)[1]))
    return fine.affine(best)


def search_near(moving: Image, target: Image, around: NDArray[np.bool_], start: Affine) -> Affine:
    """Find a better rigid map a few millimeters and degrees from ``start``, if there is one.

    The cord looks alike at every height, and a turn about the axis through the ears looks like
    a shift: from both sides of ``start`` these are tried again, on images less smoothed.

    Parameters
    ----------
    moving, target, around
        As in `search_rigid`.
    start : Affine
        Rigid.

    Returns
    -------
    rigid : Affine
        RAS+ mm; no worse than ``start``.
    """
    moving, points, values = upright(moving), *_points(target, around)
    fine = _Cost(_smoothed(moving, 0.7), points, values)
    rough = _Cost(_smoothed(moving, 1.2), points[::4], values[::4])
    here = rough.six(start)
    tried = [(fine(here), here.tolist())]
    for step in NEAR:
        found = _powell(rough, here + np.array(step))
        tried.append((fine(found), found.tolist()))
    return fine.affine(_powell(fine, np.array(min(tried)[1])))


@dataclass(frozen=True)
class _Cost:
    """Negative shared information as a function of turns (degrees) and shifts (mm)."""

    moving: Image
    points: NDArray[np.float64]
    values: NDArray[np.intp]

    @cached_property
    def middle(self) -> NDArray[np.float64]:
        """Return the middle of the points."""
        return np.asarray(self.points.mean(axis=0))

    @cached_property
    def voxels(self) -> NDArray[np.float64]:
        """Return the map of RAS+ mm to voxels of the moving image."""
        return np.asarray(np.linalg.inv(self.moving.affine), np.float64)

    def affine(self, six: NDArray[np.float64]) -> Affine:
        """Return the map: turned about the middle of the points, then shifted."""
        middle = self.middle
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", six[:3], degrees=True).as_matrix()
        matrix[:3, 3] = middle + six[3:] - matrix[:3, :3] @ middle
        return Affine(matrix)

    def six(self, rigid: Affine) -> NDArray[np.float64]:
        """Return turns (degrees) and shifts (mm) of a rigid map."""
        middle = self.middle
        turns = Rotation.from_matrix(rigid.matrix[:3, :3]).as_euler("xyz", degrees=True)
        return np.concatenate([turns, rigid.apply(middle) - middle])

    def __call__(self, six: NDArray[np.float64]) -> float:
        there = self.voxels @ self.affine(np.asarray(six)).matrix
        ijk = there[:3, :3] @ self.points.T
        ijk += there[:3, 3:]
        inside = np.ones(len(self.points), bool)
        for at, count in zip(ijk, self.moving.shape, strict=True):
            inside &= at >= 0
            inside &= at <= count - 1
        share = np.count_nonzero(inside) / len(inside)
        if share < LEAST_OVERLAP:
            return 1.0 - share
        values = self.values
        if share < 1.0:
            ijk, values = ijk[:, inside], values[inside]
        found = ndimage.map_coordinates(self.moving.data, ijk, order=1)
        low, high = _outer_percentiles(found)
        found -= low
        found /= max(high - low, 1e-6)
        found *= BINS
        bins = np.clip(found, 0, BINS - 1, out=found).astype(np.intp)
        joint = np.bincount(values * BINS + bins, minlength=BINS * BINS)
        return -share * (normalised_mutual_information(joint.reshape(BINS, BINS)) - 1.0)


def _outer_percentiles(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the percentiles 1 and 99, as numpy's, which takes longer to start than to find."""
    at = np.array([0.01, 0.99]) * (len(values) - 1)
    below = at.astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    ranked = np.partition(values, np.unique([*below, *above]))
    low, high = ranked[below] + (at - below) * (ranked[above] - ranked[below])
    return float(low), float(high)


def _powell(cost: _Cost, start: NDArray[np.float64]) -> NDArray[np.float64]:
    found = optimize.minimize(
        cost, start, method="Powell", options={"xtol": 0.02, "ftol": 1e-5, "maxiter": 8}
    )
    return np.asarray(found.x, np.float64)


def _points(
    target: Image, around: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return points and binned intensities of at most 12,000 voxels, evenly taken."""
    around, target = upright(target.with_data(around)).data, upright(target)
    ijk = np.argwhere(around)
    ijk = ijk[:: max(1, len(ijk) // MOST_POINTS)]
    values = _smoothed(target, 0.7).data[tuple(ijk.T)]
    low, high = np.percentile(values, [1, 99])
    bins = np.clip((values - low) / max(high - low, 1e-6) * BINS, 0, BINS - 1).astype(int)
    return to_world(ijk.astype(float), target.affine), bins


def _smoothed(image: Image, sigma_mm: float) -> Image:
    """Blur by a Gaussian, in mm, along the axes that are finer than it."""
    sigma = np.where(image.voxel_sizes < 2 * sigma_mm, sigma_mm / image.voxel_sizes, 0.0)
    return image.with_data(ndimage.gaussian_filter(image.data.astype(np.float32), sigma))
