"""The cord's sections laid on the template's: heights, centers, turns, sizes along the cord."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import InputError
from spinalprep.image import Float, Image, sample, upright
from spinalprep.registration.turn import (
    LEAST_GM,
    RADII_MM,
    find_turns,
    polar_sections,
    polar_slices,
)

SECTION_MM = 1.0  # step along the cord of the slice-wise fit
STRAIGHT = 1e-4  # by which the unit vectors of a straight template may differ from the world's
SMOOTH_MM = 8.0  # along the cord, of centers and sizes
MIDDLE_LEVEL = 5.5  # where an image of unknown levels is placed: the middle of C5


@dataclass(frozen=True)
class Channel:
    """One thing as subject and template show it, the cord or gray matter: soft masks."""

    subject: Image
    template: Image

    def upright(self) -> "Channel":
        """Return both in LAS.

        Raises
        ------
        InputError
            If the template is tilted, see `straight_template`.
        """
        return Channel(upright(self.subject), straight_template(self.template))


@dataclass(frozen=True)
class AlongCord:
    """Straight space of the subject to the template's world, slice by slice.

    A slice at arc length ``s`` goes to height ``z``; in it, offsets from the subject's cord are
    turned and scaled to the template's cord.

    Attributes
    ----------
    s, z : ndarray, shape (n,)
        Arc length in mm, rising, and the template's z in mm, falling.
    subject, template : ndarray, shape (n, 2)
        Centers of the cords, offsets to right and front, and RAS+ x and y.
    scale : ndarray, shape (n, 2)
        Template size over subject size, right-left and anterior-posterior of the cord.
    turn_deg : ndarray, shape (n,)
        By which the subject's cord is turned, from right towards front.
    """

    s: NDArray[np.float64]
    z: NDArray[np.float64]
    subject: NDArray[np.float64]
    template: NDArray[np.float64]
    scale: NDArray[np.float64]
    turn_deg: NDArray[np.float64]

    def to_template(self, sxy: Float) -> NDArray[np.float64]:
        """Map straight space, shape (..., 3), to RAS+ points of the template."""
        s = sxy[..., 0]
        subject, template, scale = (
            self._at(v, s) for v in (self.subject, self.template, self.scale)
        )
        xy = template + _turned(sxy[..., 1:] - subject, -self._angle(s)) * scale
        return np.concatenate([xy, _line(s, self.s, self.z)[..., None]], axis=-1)

    def to_straight(self, points: Float) -> NDArray[np.float64]:
        """Map RAS+ points of the template, shape (..., 3), to straight space."""
        s = _line(points[..., 2], self.z[::-1], self.s[::-1])
        subject, template, scale = (
            self._at(v, s) for v in (self.subject, self.template, self.scale)
        )
        xy = subject + _turned((points[..., :2] - template) / scale, self._angle(s))
        return np.concatenate([s[..., None], xy], axis=-1)

    def _angle(self, s: Float) -> NDArray[np.float64]:
        """Return the turn in radians."""
        return np.asarray(np.deg2rad(np.interp(s, self.s, self.turn_deg)))

    def _at(self, values: NDArray[np.float64], s: Float) -> NDArray[np.float64]:
        """Interpolate rows at arc lengths; constant beyond the ends."""
        return np.stack([np.interp(s, self.s, column) for column in values.T], axis=-1)


def _turned(xy: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn offsets by angles in radians, from right towards front."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = xy[..., 0], xy[..., 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


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
    through = scipy.interpolate.PchipInterpolator(known_s, known_z)
    curve = through(np.clip(s, known_s[0], known_s[-1]))
    rate = (known_z[-1] - known_z[0]) / (known_s[-1] - known_s[0])
    beyond = np.minimum(s - known_s[0], 0.0) + np.maximum(s - known_s[-1], 0.0)
    return np.asarray(curve + rate * beyond)


def fit_along(
    cord: Channel,
    space: StraightSpace,
    disc_s: Mapping[int, float],
    template_disc_z: Mapping[int, float],
    gm: Channel | None = None,
) -> AlongCord:
    """Fit heights, centers, turns and sizes of the subject's sections to the template's.

    Parameters
    ----------
    cord : Channel
        The cords, in any voxel order; the template's axes are those of its world.
    space : StraightSpace
        Of the subject.
    disc_s, template_disc_z : mapping of int to float
        Arc length of the subject's discs and heights of the template's, mm.
    gm : Channel, optional
        Gray matter: it tells how the cord is turned.

    Raises
    ------
    InputError
        If subject and template don't overlap along the cord, the mask is empty there, or the
        template is tilted.
    """
    cord, gm = cord.upright(), None if gm is None else gm.upright()
    length = space.centerline.length
    s = np.linspace(0.0, length, max(int(length / SECTION_MM) + 1, 4))
    z = map_heights(s, disc_s, template_disc_z, length)
    low, high = _cord_span(cord.template)
    covered = (z >= low) & (z <= high)
    if not covered.any():
        raise InputError(
            f"the cord would lie at z {z.min():.0f} to {z.max():.0f} mm of the template, which "
            f"covers {low:.0f} to {high:.0f} mm; check the disc labels or --level-hint"
        )
    step = max(float(s[1] - s[0]), 1e-6)
    inside = np.clip(z, low, high)
    own = _section_moments(cord.subject, space, s)
    model = _template_moments(cord.template, inside)
    centres, targets = (_smoothed(rows[:, :2], step) for rows in (own, model))
    size = np.sqrt(_sizes(model, 0.0).prod(axis=1) / _sizes(own, 0.0).prod(axis=1))
    middles = np.column_stack([s, centres]), np.column_stack([targets, inside])
    channels = [cord] if gm is None else [cord, gm]
    turn = _turns(channels, space, *middles, np.clip(size, 0.5, 2.0), step)
    ratio = _sizes(model, 0.0) / _sizes(own, np.deg2rad(turn))
    return AlongCord(s, z, centres, targets, _smoothed(np.clip(ratio, 0.5, 2.0), step), turn)


def _turns(
    channels: Sequence[Channel],
    space: StraightSpace,
    subject_sxy: NDArray[np.float64],
    template_xyz: NDArray[np.float64],
    size: NDArray[np.float64],
    step: float,
) -> NDArray[np.float64]:
    """Return the turn of every section in degrees, from the cord and, where seen, gray matter.

    The sections are around points of the subject's straight space and of the template.
    """
    own = [polar_sections(channel.subject, space, subject_sxy, size) for channel in channels]
    model = [polar_slices(channel.template, template_xyz) for channel in channels]
    if len(own) == 2:
        share = (own[1] * RADII_MM[:, None]).sum(axis=(1, 2)) / np.maximum(
            (own[0] * RADII_MM[:, None]).sum(axis=(1, 2)), 1e-6
        )
        own[1][share < LEAST_GM] = 0.0
    return find_turns(np.stack(own), np.stack(model), step).angle_deg


def _smoothed(rows: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Smooth rows along the cord."""
    smooth: NDArray[np.float64] = ndimage.gaussian_filter1d(
        rows, SMOOTH_MM / step, axis=0, mode="nearest"
    )
    return smooth


def _section_moments(cord: Image, space: StraightSpace, s: Float) -> NDArray[np.float64]:
    """Return center and covariance (right, front) of the cord's sections, (n, 5)."""
    half, spacing = 14.0, 0.5
    planes = sample(cord, space.sections(s, half, spacing))
    count = planes.shape[1]
    offsets = (np.arange(count) - count / 2 + 0.5) * spacing
    return _fill_gaps(_moments(planes.astype(float), offsets, offsets))


def _template_moments(template_cord: Image, z: Float) -> NDArray[np.float64]:
    """Return center (RAS+ x, y) and covariance of the template's cord at heights, (n, 5)."""
    affine = template_cord.affine
    x = affine[0, 3] + affine[0, 0] * np.arange(template_cord.shape[0])
    y = affine[1, 3] + affine[1, 1] * np.arange(template_cord.shape[1])
    k = (z - affine[2, 3]) / affine[2, 2]
    nearest = np.clip(np.rint(k).astype(int), 0, template_cord.shape[2] - 1)
    planes = np.moveaxis(template_cord.data[:, :, nearest].astype(float), -1, 0)
    return _fill_gaps(_moments(planes, x, y))


def _moments(planes: NDArray[np.float64], x: Float, y: Float) -> NDArray[np.float64]:
    """Return mean x, y and variance x, y, xy of planes (n, X, Y), shape (n, 5); NaN if empty."""
    mass = planes.sum(axis=(1, 2))
    mass = np.where(mass > 3, mass, np.nan)
    by_x, by_y = planes.sum(axis=2), planes.sum(axis=1)
    mean_x, mean_y = by_x @ x / mass, by_y @ y / mass
    xx, yy = by_x @ x**2 / mass - mean_x**2, by_y @ y**2 / mass - mean_y**2
    xy = np.einsum("nij,i,j->n", planes, x, y) / mass - mean_x * mean_y
    return np.stack([mean_x, mean_y, xx, yy, xy], axis=-1)


def _sizes(rows: NDArray[np.float64], turn: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the standard deviations along axes turned by an angle, shape (n, 2)."""
    _, _, xx, yy, xy = rows.T
    cosine, sine = np.cos(turn), np.sin(turn)
    right = xx * cosine**2 + yy * sine**2 + 2 * xy * cosine * sine
    front = xx * sine**2 + yy * cosine**2 - 2 * xy * cosine * sine
    sizes: NDArray[np.float64] = np.sqrt(np.maximum(np.stack([right, front], axis=-1), 1e-3))
    return sizes


def _fill_gaps(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate rows that are NaN from their neighbors."""
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(known):
        raise InputError("the cord mask is empty along its centerline; correct the mask")
    index = np.arange(len(rows))
    return np.stack([np.interp(index, known, column[known]) for column in rows.T], axis=-1)


def straight_template(image: Image) -> Image:
    """Return an image of a template in LAS; refuse one whose axes are not those of its world.

    Raises
    ------
    InputError
        If it is tilted by more than the rounding of a header.
    """
    image = upright(image)
    axes = image.affine[:3, :3] / image.voxel_sizes
    if np.abs(axes - np.diag([-1.0, 1.0, 1.0])).max() > STRAIGHT:
        raise InputError(
            "the template is tilted against its own world; expected axes along left-right, "
            "back-front and up: resample it"
        )
    return image


def _cord_span(template_cord: Image) -> tuple[float, float]:
    """Return the lowest and the highest z of the template's cord in mm."""
    slices = np.flatnonzero(template_cord.data.any(axis=(0, 1)))
    heights = template_cord.affine[2, 3] + template_cord.affine[2, 2] * slices
    return float(heights.min()), float(heights.max())


def covered_span(along: AlongCord, template_cord: Image) -> tuple[float, float]:
    """Return the heights that subject and template share."""
    template_cord = straight_template(template_cord)
    low, high = _cord_span(template_cord)
    return max(low, float(along.z.min())), min(high, float(along.z.max()))


def _line(x: Float, known_x: Float, known_y: Float) -> NDArray[np.float64]:
    """Interpolate on a rising ``known_x``; straight lines beyond the ends."""
    inside = np.interp(x, known_x, known_y)
    first = (known_y[1] - known_y[0]) / (known_x[1] - known_x[0])
    last = (known_y[-1] - known_y[-2]) / (known_x[-1] - known_x[-2])
    below, above = np.minimum(x - known_x[0], 0.0), np.maximum(x - known_x[-1], 0.0)
    return np.asarray(inside + first * below + last * above)
