"""The centerline: a smooth curve through the cord, measured along its arc."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from spinalprep.cord.section import cord_sections
from spinalprep.cord.spline import smooth_curve
from spinalprep.errors import EmptyMaskError, InputError
from spinalprep.image import Float, Image, back_on, reorient, to_voxel, to_world, upright

SPACING_MM = 0.5
SMOOTHING_MM = 8.0  # bends of a wavelength of 100 mm lose 2 % of their amplitude
NEWTON_STEPS = 8
DIGITS = 5  # of millimeters that a file keeps
ROUNDS = 3  # of fitting a curve and measuring anew where each point lies along it
ANTERIOR = np.array([0.0, 1.0, 0.0])

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Centerline:
    """A curve from superior to inferior, in RAS+ mm, with a frame in every point.

    The frame follows the body: ``anterior`` is the world's anterior axis made orthogonal to
    the tangent, ``right`` completes it. It has no torsion of its own, so that a rotation of the
    cord about its axis stays visible, and it is defined for every tilt but 90 degrees.

    Attributes
    ----------
    points : ndarray of float64, shape (N, 3)
        RAS+ mm, equidistant in arc length, superior first.
    """

    points: Points

    def __repr__(self) -> str:
        ends = (" ".join(f"{x:.1f}" for x in self.points[n]) for n in (0, -1))
        return f"Centerline of {self.length:.1f} mm, {' to '.join(ends)} (RAS+ mm)"

    @cached_property
    def arc(self) -> NDArray[np.float64]:
        """Arc length of every point from the superior end in mm, shape (N,)."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """Length in mm."""
        return float(self.arc[-1])

    @cached_property
    def _spline(self) -> "scipy.interpolate.CubicSpline":
        return scipy.interpolate.CubicSpline(self.arc, self.points, bc_type="natural")

    @cached_property
    def tangent(self) -> Points:
        """Unit tangents that point to inferior, shape (N, 3)."""
        return self.frame(self.arc)[2]

    @cached_property
    def right(self) -> Points:
        """Unit vectors to the right, shape (N, 3)."""
        return self.frame(self.arc)[0]

    @cached_property
    def anterior(self) -> Points:
        """Unit vectors to the front, shape (N, 3)."""
        return self.frame(self.arc)[1]

    @cached_property
    def curvature(self) -> NDArray[np.float64]:
        """Curvature at every point in 1/mm, shape (N,): one over the radius of the bend."""
        bend: NDArray[np.float64] = np.linalg.norm(self._spline(self.arc, 2), axis=-1)
        return bend

    @cached_property
    def twist_deg(self) -> NDArray[np.float64]:
        """Angle of the body's frame against one without torsion, shape (N,); 0 at the top.

        The frame without torsion is carried along by parallel transport, by two reflections
        from point to point [1]_. In a neck that bends in the sagittal plane alone both agree.

        References
        ----------
        .. [1] Wang et al. (2008), "Computation of rotation minimizing frames", ACM Trans.
           Graphics 27(1):2, doi:10.1145/1330511.1330513.
        """
        carried = [self.anterior[0]]
        for n, step in enumerate(np.diff(self.points, axis=0)):
            across = step / np.linalg.norm(step)
            vector = carried[-1] - 2 * (across @ carried[-1]) * across
            tangent = self.tangent[n] - 2 * (across @ self.tangent[n]) * across
            again = self.tangent[n + 1] - tangent
            length = float(again @ again)
            carried.append(vector - (2 * (again @ vector) / length * again if length else 0.0))
        along = np.array(carried)
        right = np.einsum("ni,ni->n", self.anterior, np.cross(self.tangent, along))
        front = np.einsum("ni,ni->n", self.anterior, along)
        return np.asarray(np.rad2deg(np.arctan2(-right, front)))

    def at(self, s: Float | float) -> Points:
        """Return the points at arc lengths ``s`` (mm, any shape); straight beyond the ends."""
        s = np.asarray(s, float)
        inside = np.clip(s, 0.0, self.length)
        points: Points = self._spline(inside) + (s - inside)[..., None] * self._slope(inside)
        return points

    def frame(self, s: Float | float) -> tuple[Points, Points, Points]:
        """Return the unit vectors (right, anterior, tangent) at arc lengths ``s``, RAS+."""
        tangent = self._slope(np.clip(np.asarray(s, float), 0.0, self.length))
        anterior = ANTERIOR - (tangent @ ANTERIOR)[..., None] * tangent
        anterior /= np.linalg.norm(anterior, axis=-1, keepdims=True)
        return np.cross(tangent, anterior), anterior, tangent

    def _slope(self, s: Float) -> Points:
        slope = self._spline(s, 1)
        unit: Points = slope / np.linalg.norm(slope, axis=-1, keepdims=True)
        return unit

    def project(self, points: Float) -> Points:
        """Return arc length and offsets of points.

        Parameters
        ----------
        points : ndarray, shape (..., 3)
            RAS+ mm.

        Returns
        -------
        sxy : ndarray of float64, shape (..., 3)
            Arc length of the foot point (negative or over ``length`` beyond the ends), then the
            offsets to the right and to the front in mm.

        Notes
        -----
        The nearest sample starts Newton steps on ``(p - C(s)) . C'(s) = 0``.
        """
        points = np.asarray(points, float)
        flat = points.reshape(-1, 3)
        s = self.arc[scipy.spatial.cKDTree(self.points).query(flat)[1]]
        moving = np.arange(len(flat))
        for _ in range(NEWTON_STEPS):
            step = self._newton_step(flat[moving], s[moving])
            s[moving] += step
            moving = moving[np.abs(step) > 1e-7]
            if not len(moving):
                break
        right, anterior, _ = self.frame(s)
        apart = flat - self.at(s)
        x = np.einsum("mi,mi->m", apart, right)
        y = np.einsum("mi,mi->m", apart, anterior)
        return np.stack([s, x, y], axis=-1).reshape(points.shape)

    def _newton_step(self, points: Points, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what takes ``s`` nearer to the feet of points; along the curve at most 3 mm."""
        inside = np.clip(s, 0.0, self.length)
        slope = self._slope(inside)
        apart = points - self._spline(inside)
        bend = np.where(s == inside, np.einsum("mi,mi->m", apart, self._spline(inside, 2)), 0.0)
        ahead = np.einsum("mi,mi->m", apart, slope) - (s - inside)
        leaves = ((s <= 0.0) & (ahead < 0.0)) | ((s >= self.length) & (ahead > 0.0))
        step = np.clip(ahead / np.maximum(1.0 - bend, 0.2), -3.0, 3.0)
        return np.where(leaves, ahead, step)  # beyond the ends the curve is straight

    def to_table(self) -> pd.DataFrame:
        """Return one row per point: arc length, position, tangent and frame, RAS+ mm."""
        columns = {"s_mm": self.arc}
        vectors = {
            "": self.points,
            "tangent_": self.tangent,
            "right_": self.right,
            "anterior_": self.anterior,
        }
        for prefix, values in vectors.items():
            unit = "" if prefix else "_mm"
            columns |= {f"{prefix}{axis}{unit}": values[:, n] for n, axis in enumerate("xyz")}
        return pd.DataFrame(columns)

    def as_saved(self) -> "Centerline":
        """Return the curve as its file keeps it: points rounded to 1e-5 mm."""
        return Centerline(np.round(self.points, DIGITS))

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "Centerline":
        """Return the centerline that `to_table` wrote."""
        return cls(table[["x_mm", "y_mm", "z_mm"]].to_numpy(np.float64))


def fit_centerline(
    points: Float,
    weights: Float | None = None,
    smoothing_mm: float = SMOOTHING_MM,
    spacing_mm: float = SPACING_MM,
) -> Centerline:
    """Fit a smooth curve through points that lie near the center of the cord.

    Parameters
    ----------
    points : ndarray of float, shape (M, 3)
        RAS+ mm, in order along the cord, either end first; at least two.
    weights : ndarray of float, shape (M,), optional
        Trust in every point.
    smoothing_mm : float
        Half the amplitude of a bend of wavelength 2 pi ``smoothing_mm`` is kept.
    spacing_mm : float
        Distance of the points of the result.

    Returns
    -------
    centerline : Centerline
        From the first to the last point.

    Raises
    ------
    InputError
        If there are fewer than two points.

    Notes
    -----
    `spinalprep.cord.spline.smooth_curve`, in the arc length of the smooth curve itself: circles
    are kept as they are, up to the ends, and a stray slice does not bend the rest.
    """
    points = np.asarray(points, np.float64)
    if len(points) < 2:
        raise InputError(
            f"the cord is visible in {len(points)} slice only; expected at least 2 to determine "
            "its direction"
        )
    if points[0, 2] < points[-1, 2]:
        points = points[::-1]
        weights = None if weights is None else np.asarray(weights)[::-1]
    trust = np.ones(len(points)) if weights is None else np.maximum(weights, 1e-3)
    steps = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-6)
    along: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(steps)])
    for _ in range(ROUNDS):
        curve = smooth_curve(along, points, trust, smoothing_mm)
        fine = np.linspace(0.0, along[-1], max(int(along[-1] / (spacing_mm / 4)), 8))
        line = Centerline(_equidistant(curve(fine), spacing_mm))
        foot = np.maximum.accumulate(line.project(points)[:, 0]) + 1e-6 * np.arange(len(points))
        along = foot - foot[0]  # noise lengthens chords: measure again along the smooth curve
    return line


def centerline_from_mask(cord: Image, smoothing_mm: float = SMOOTHING_MM) -> Centerline:
    """Fit the centerline through the centers of mass of the axial slices of a cord mask.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Mask or probability, any voxel order.
    smoothing_mm : float
        See `fit_centerline`.

    Raises
    ------
    EmptyMaskError
        If no voxel is over zero.
    InputError
        If only one slice has cord.
    """
    upright = reorient(cord)
    mass = cord_sections(upright.data)
    area = mass.sum(axis=(0, 1))
    if not area.any():
        raise EmptyMaskError("the cord mask is empty; expected at least two slices")
    slices = np.flatnonzero(area > 0)
    i = np.einsum("ijk,i->k", mass, np.arange(mass.shape[0]))[slices] / area[slices]
    j = np.einsum("ijk,j->k", mass, np.arange(mass.shape[1]))[slices] / area[slices]
    centres = to_world(np.stack([i, j, slices], axis=-1), upright.affine)
    trust = np.minimum(area[slices] / np.median(area[slices]), 1.0)
    return fit_centerline(centres[::-1], trust[::-1], smoothing_mm)


def rasterise(centerline: Centerline, like: Image) -> NDArray[np.bool_]:
    """Mark one voxel in every axial slice of a grid that the centerline crosses.

    Parameters
    ----------
    centerline : Centerline
        RAS+ mm.
    like : Image, shape (I, J, K)
        Any image on the grid, any voxel order.

    Returns
    -------
    mask : ndarray of bool, shape (I, J, K)
    """
    given, like = like, upright(like)
    ijk = to_voxel(centerline.at(np.arange(0.0, centerline.length, 0.1)), like.affine)
    k = ijk[:, 2]
    shape: Sequence[int] = like.shape
    first, last = max(int(np.ceil(k.min() - 0.5)), 0), min(int(k.max() + 0.5), shape[2] - 1)
    slices = np.arange(first, last + 1)
    rows, columns = np.rint(cross_slices(ijk, slices)).astype(int).T
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    mask = np.zeros(shape, bool)
    mask[rows[inside], columns[inside], slices[inside]] = True
    return back_on(mask, given)


def cross_slices(ijk: Points, slices: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return where a curve crosses axial slices; beyond its ends, where it ends.

    Parameters
    ----------
    ijk : ndarray of float, shape (N, 3)
        Points of the curve, in voxels.
    slices : ndarray of int, shape (M,)
        Indices k.

    Returns
    -------
    places : ndarray of float64, shape (M, 2)
        Voxel indices i and j.
    """
    ijk = ijk[np.argsort(ijk[:, 2])]
    return np.stack([np.interp(slices, ijk[:, 2], ijk[:, n]) for n in (0, 1)], axis=-1)


def _equidistant(curve: Points, spacing_mm: float) -> Points:
    """Return a polyline resampled to points about ``spacing_mm`` apart."""
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(round(float(arc[-1]) / spacing_mm) + 1, 4)
    spline = scipy.interpolate.CubicSpline(arc, curve, bc_type="natural")
    points: Points = spline(np.linspace(0.0, arc[-1], count))
    return points
