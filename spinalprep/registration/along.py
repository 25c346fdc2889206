"""The cord's sections laid on the template's: heights, centres and sizes along the cord."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import InputError
from spinalprep.image import Float, Image, sample

SECTION_MM = 1.0  # step along the cord of the slice-wise fit
SMOOTH_MM = 8.0  # along the cord, of centres and sizes
MIDDLE_LEVEL = 5.5  # where an image of unknown levels is placed: the middle of C5


@dataclass(frozen=True)
class AlongCord:
    """Straight space of the subject to the template's world, slice by slice.

    A slice at arc length ``s`` goes to height ``z``; in it, offsets from the subject's cord are
    scaled to the template's cord.

    Attributes
    ----------
    s, z : ndarray, shape (n,)
        Arc length in mm, rising, and the template's z in mm, falling.
    subject, template : ndarray, shape (n, 2)
        Centres of the cords, offsets to right and front, and RAS+ x and y.
    scale : ndarray, shape (n, 2)
        Template size over subject size, right-left and anterior-posterior.
    """

    s: NDArray[np.float64]
    z: NDArray[np.float64]
    subject: NDArray[np.float64]
    template: NDArray[np.float64]
    scale: NDArray[np.float64]

    def to_template(self, sxy: Float) -> NDArray[np.float64]:
        """Map straight space, shape (..., 3), to RAS+ points of the template."""
        s = sxy[..., 0]
        subject, template, scale = (
            self._at(v, s) for v in (self.subject, self.template, self.scale)
        )
        xy = template + (sxy[..., 1:] - subject) * scale
        return np.concatenate([xy, _line(s, self.s, self.z)[..., None]], axis=-1)

    def to_straight(self, points: Float) -> NDArray[np.float64]:
        """Map RAS+ points of the template, shape (..., 3), to straight space."""
        s = _line(points[..., 2], self.z[::-1], self.s[::-1])
        subject, template, scale = (
            self._at(v, s) for v in (self.subject, self.template, self.scale)
        )
        xy = subject + (points[..., :2] - template) / scale
        return np.concatenate([s[..., None], xy], axis=-1)

    def _at(self, values: NDArray[np.float64], s: Float) -> NDArray[np.float64]:
        """Interpolate rows at arc lengths; constant beyond the ends."""
        return np.stack([np.interp(s, self.s, column) for column in values.T], axis=-1)


def map_heights(
    s: Float, disc_s: Mapping[int, float], disc_z: Mapping[int, float], length: float
) -> NDArray[np.float64]:
    """Return the template's z at arc lengths, from the discs that both know.

    Monotone cubic between discs, straight lines beyond; one disc fixes the shift alone, none
    puts the middle of the cord at the middle of C5.
    """
    shared = sorted(set(disc_s) & set(disc_z), key=lambda n: disc_s[n])
    if not shared:
        middle = np.interp(MIDDLE_LEVEL, sorted(disc_z), [disc_z[n] for n in sorted(disc_z)])
        return np.asarray(middle - (np.asarray(s) - length / 2))
    known_s = np.array([disc_s[n] for n in shared])
    known_z = np.array([disc_z[n] for n in shared])
    if len(shared) == 1:
        return np.asarray(known_z[0] - (np.asarray(s) - known_s[0]))
    curve = PchipInterpolator(known_s, known_z)(np.clip(s, known_s[0], known_s[-1]))
    rate = (known_z[-1] - known_z[0]) / (known_s[-1] - known_s[0])
    beyond = np.minimum(s - known_s[0], 0.0) + np.maximum(s - known_s[-1], 0.0)
    return np.asarray(curve + rate * beyond)


def fit_along(
    cord: Image,
    space: StraightSpace,
    discs: tuple[Mapping[int, float], Mapping[int, float]],
    template_cord: Image,
) -> AlongCord:
    """Fit heights, centres and sizes of the subject's sections to the template's."""
    length = space.centerline.length
    s = np.linspace(0.0, length, max(int(length / SECTION_MM) + 1, 4))
    z = map_heights(s, *discs, length)
    low, high = _cord_span(template_cord)
    covered = (z >= low) & (z <= high)
    if not covered.any():
        raise InputError(
            f"the cord would lie at z {z.min():.0f} to {z.max():.0f} mm of the template, which "
            f"covers {low:.0f} to {high:.0f} mm; check the disc labels or --level-hint"
        )
    subject = _section_moments(cord, space, s)
    template = _template_moments(template_cord, np.clip(z, low, high))
    scale = np.clip(template[:, 2:] / subject[:, 2:], 0.5, 2.0)
    smooth = SMOOTH_MM / max(s[1] - s[0], 1e-6)
    return AlongCord(
        s,
        z,
        ndimage.gaussian_filter1d(subject[:, :2], smooth, axis=0, mode="nearest"),
        ndimage.gaussian_filter1d(template[:, :2], smooth, axis=0, mode="nearest"),
        ndimage.gaussian_filter1d(scale, smooth, axis=0, mode="nearest"),
    )


def _section_moments(cord: Image, space: StraightSpace, s: Float) -> NDArray[np.float64]:
    """Return centre and standard deviations (right, front) of the cord's sections, (n, 4)."""
    half, spacing = 14.0, 0.5
    planes = sample(cord, space.sections(s, half, spacing))
    count = planes.shape[1]
    offsets = (np.arange(count) - count / 2 + 0.5) * spacing
    return _fill_gaps(_moments(planes.astype(float), offsets, offsets))


def _template_moments(template_cord: Image, z: Float) -> NDArray[np.float64]:
    """Return centre (RAS+ x, y) and standard deviations of the template's cord at heights."""
    affine = template_cord.affine
    x = affine[0, 3] + affine[0, 0] * np.arange(template_cord.shape[0])
    y = affine[1, 3] + affine[1, 1] * np.arange(template_cord.shape[1])
    k = (z - affine[2, 3]) / affine[2, 2]
    nearest = np.clip(np.rint(k).astype(int), 0, template_cord.shape[2] - 1)
    planes = np.moveaxis(template_cord.data[:, :, nearest].astype(float), -1, 0)
    return _fill_gaps(_moments(planes, x, y))


def _moments(planes: NDArray[np.float64], x: Float, y: Float) -> NDArray[np.float64]:
    """Return mean and standard deviation along both axes of planes (n, X, Y); NaN where empty."""
    mass = planes.sum(axis=(1, 2))
    mass = np.where(mass > 3, mass, np.nan)
    by_x, by_y = planes.sum(axis=2), planes.sum(axis=1)
    mean_x, mean_y = by_x @ x / mass, by_y @ y / mass
    sd_x = np.sqrt(by_x @ x**2 / mass - mean_x**2)
    sd_y = np.sqrt(by_y @ y**2 / mass - mean_y**2)
    return np.stack([mean_x, mean_y, sd_x, sd_y], axis=-1)


def _fill_gaps(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate rows that are NaN from their neighbours."""
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(known):
        raise InputError("the cord mask is empty along its centerline; correct the mask")
    index = np.arange(len(rows))
    return np.stack([np.interp(index, known, column[known]) for column in rows.T], axis=-1)


def _cord_span(template_cord: Image) -> tuple[float, float]:
    """Return the lowest and the highest z of the template's cord in mm."""
    slices = np.flatnonzero(template_cord.data.any(axis=(0, 1)))
    heights = template_cord.affine[2, 3] + template_cord.affine[2, 2] * slices
    return float(heights.min()), float(heights.max())


def covered_span(along: AlongCord, template_cord: Image) -> tuple[float, float]:
    """Return the heights that subject and template share."""
    low, high = _cord_span(template_cord)
    return max(low, float(along.z.min())), min(high, float(along.z.max()))


def _line(x: Float, known_x: Float, known_y: Float) -> NDArray[np.float64]:
    """Interpolate on a rising ``known_x``; straight lines beyond the ends."""
    inside = np.interp(x, known_x, known_y)
    first = (known_y[1] - known_y[0]) / (known_x[1] - known_x[0])
    last = (known_y[-1] - known_y[-2]) / (known_x[-1] - known_x[-2])
    below, above = np.minimum(x - known_x[0], 0.0), np.maximum(x - known_x[-1], 0.0)
    return np.asarray(inside + first * below + last * above)
