"""From the reference image to the template, along the cord."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ants
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.errors import InputError
from spinalprep.image import Float, Image, sample
from spinalprep.registration.ants_arrays import to_ants
from spinalprep.registration.transform import (
    Chain,
    Field,
    Transform,
    as_field,
    jacobian_determinant,
    read_itk,
    resample_through,
)

SECTION_MM = 1.0  # step along the cord of the slice-wise fit
HALF_BOX_MM = 16.0  # half the edge of the deformable step's box
BOX_SPACING_MM = (0.5, 0.5, 1.0)
SMOOTH_MM = 8.0  # along the cord, of centres and sizes
FIELD_SPACING_MM = (1.0, 1.0, 1.5)
MOST_FIELD_POINTS = 700_000
MIDDLE_LEVEL = 5.5  # where an image of unknown levels is placed: the middle of C5


@dataclass(frozen=True)
class TemplateFit:
    """How the reference image was brought to the template.

    Attributes
    ----------
    forward : Field
        Resamples the reference on the template's grid; covers the whole template.
    inverse : Field
        Resamples the template on the reference's grid; covers the whole reference.
    dice_subject, dice_template : float
        Overlap of the two cords on the subject's and on the template's grid, within the slices
        that the subject's cord covers.
    jacobian_min : float
        Smallest local change of volume of ``forward`` inside the covered template cord.
    span_z_mm : tuple of float
        Lowest and highest template z that the subject's cord covers.
    """

    forward: Field
    inverse: Field
    dice_subject: float
    dice_template: float
    jacobian_min: float
    span_z_mm: tuple[float, float]


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


@dataclass(frozen=True)
class _ToSubject:
    """Template points to subject points: the slice-wise map, then along the centerline."""

    along: AlongCord
    space: StraightSpace

    def apply(self, points: Float) -> NDArray[np.float64]:
        return self.space.to_world(self.along.to_straight(np.asarray(points, float)))


@dataclass(frozen=True)
class _FromSubject:
    """Subject points to template points."""

    along: AlongCord
    space: StraightSpace

    def apply(self, points: Float) -> NDArray[np.float64]:
        return self.along.to_template(self.space.from_world(np.asarray(points, float)))


def register_to_template(
    cord: Image,
    centerline: Centerline,
    disc_s: Mapping[int, float],
    template_cord: Image,
    template_disc_z: Mapping[int, float],
    sloppy: bool = False,
) -> TemplateFit:
    """Register the reference image to a straight template through their cords.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Cord of the subject, mask or probability, voxel order LAS.
    centerline : Centerline
        RAS+ mm.
    disc_s : mapping of int to float
        Arc length of the known discs in mm; empty where the levels are unknown: the middle of
        the cord is then placed at the middle of C5.
    template_cord : Image
        Cord of the template, upright along z.
    template_disc_z : mapping of int to float
        Height of the template's discs, RAS+ mm.
    sloppy : bool
        Fewer iterations of the deformable step.

    Returns
    -------
    fit : TemplateFit

    Raises
    ------
    InputError
        If subject and template don't overlap along the cord.

    Notes
    -----
    Straight along the centerline, heights by monotone cubic interpolation between discs [1]_,
    centre and size of the cord slice by slice, then SyN [2]_ within the slices on the two
    cords. The steps are composed before anything is resampled.

    References
    ----------
    .. [1] Fritsch and Carlson (1980), SIAM J. Numer. Anal. 17:238-246, doi:10.1137/0717021.
    .. [2] Avants et al. (2008), Medical Image Analysis 12:26-41,
       doi:10.1016/j.media.2007.06.004.
    """
    space = StraightSpace(centerline)
    along = _fit_along(cord, space, (disc_s, template_disc_z), template_cord)
    to_subject, from_subject = _ToSubject(along, space), _FromSubject(along, space)
    warp, unwarp = _deform(cord, to_subject, template_cord, along, sloppy)
    forward = as_field(Chain((warp, to_subject)), *_coarse(template_cord, FIELD_SPACING_MM))
    spacing = _affordable(cord)
    inverse = as_field(Chain((from_subject, unwarp)), *_coarse(cord, (spacing,) * 3))
    return _judge(cord, template_cord, (forward, inverse), along)


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


def _fit_along(
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


def _covered_span(along: AlongCord, template_cord: Image) -> tuple[float, float]:
    """Return the heights that subject and template share."""
    low, high = _cord_span(template_cord)
    return max(low, float(along.z.min())), min(high, float(along.z.max()))


def _deform(
    cord: Image, to_subject: Transform, template_cord: Image, along: AlongCord, sloppy: bool
) -> tuple[Field, Field]:
    """Fit the outlines within the slices; return the map of template points and its inverse."""
    grid = _box(along, template_cord)
    fixed = _softened(resample_through(template_cord, Chain(()), grid))
    moving = _softened(resample_through(cord, to_subject, grid))
    with tempfile.TemporaryDirectory() as folder:
        fit: dict[str, Any] = ants.registration(
            fixed=to_ants(fixed),
            moving=to_ants(moving),
            type_of_transform="SyNOnly",
            initial_transform=_identity_file(Path(folder)),
            outprefix=f"{folder}/syn_",
            syn_metric="meansquares",
            reg_iterations=(10, 0) if sloppy else (30, 20),
            grad_step=0.2,
            flow_sigma=2,
            total_sigma=0,
            restrict_transformation=(1, 1, 0),
        )
        warp = _field_among(fit["fwdtransforms"])
        unwarp = _field_among(fit["invtransforms"])
    return warp, unwarp


def _softened(image: Image) -> Image:
    """Blur a cord in plane by 0.5 mm: an edge that a metric can follow."""
    return image.with_data(ndimage.gaussian_filter(image.data, (1.0, 1.0, 0.0)))


def _identity_file(folder: Path) -> list[str]:
    """Write an identity for ANTs to start from: the slices are in place already."""
    transform = ants.create_ants_transform(transform_type="AffineTransform", dimension=3)
    path = folder / "identity.mat"
    ants.write_transform(transform, str(path))
    return [str(path)]


def _field_among(paths: list[str]) -> Field:
    """Read the displacement field among the files that ANTs wrote."""
    found = [read_itk(Path(path)) for path in paths if path.endswith(".nii.gz")]
    if len(found) != 1 or not isinstance(found[0], Field):
        raise TypeError(f"ANTs returned {len(found)} fields; expected 1")
    return found[0]


def _box(
    along: AlongCord, template_cord: Image
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the grid of the deformable step: 32 mm in plane, the shared heights."""
    low, high = _covered_span(along, template_cord)
    centre = np.nanmean(along.template, axis=0)
    edge = round(2 * HALF_BOX_MM / BOX_SPACING_MM[0])
    count = max(int((high - low) / BOX_SPACING_MM[2]), 8)
    affine = np.diag([-BOX_SPACING_MM[0], BOX_SPACING_MM[1], (high - low) / count, 1.0])
    affine[:3, 3] = centre[0] + HALF_BOX_MM, centre[1] - HALF_BOX_MM, low + affine[2, 2] / 2
    return (edge + 1, edge + 1, count), affine


def _coarse(
    image: Image, spacing: tuple[float, ...]
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return a grid of about ``spacing`` whose corner points are the image's corner voxels."""
    extent = (np.array(image.shape) - 1) * image.voxel_sizes
    count = np.maximum(np.ceil(extent / np.array(spacing)).astype(int), 1) + 1
    step = np.diag([*((np.array(image.shape) - 1) / (count - 1)), 1.0])
    return (int(count[0]), int(count[1]), int(count[2])), image.affine @ step


def _affordable(image: Image) -> float:
    """Return a spacing in mm of at most so many points over the image, at least 1 mm."""
    volume = float(np.prod(np.array(image.shape) * image.voxel_sizes))
    return max(1.0, (volume / MOST_FIELD_POINTS) ** (1 / 3))


def _judge(
    cord: Image, template_cord: Image, fields: tuple[Field, Field], along: AlongCord
) -> TemplateFit:
    """Measure the overlap both ways and the smallest Jacobian."""
    forward, inverse = fields
    low, high = _covered_span(along, template_cord)
    warped = resample_through(template_cord, inverse, (cord.shape, cord.affine)).data > 0.5
    own = cord.data > 0.5
    rows = own.any(axis=(0, 1)) & warped.any(axis=(0, 1))
    z = template_cord.affine[2, 3] + template_cord.affine[2, 2] * np.arange(template_cord.shape[2])
    slices = np.flatnonzero((z >= low) & (z <= high))
    affine = template_cord.affine.copy()
    affine[:3, 3] += affine[:3, 2] * slices[0]
    grid = (*template_cord.shape[:2], len(slices)), affine
    moved = resample_through(cord, forward, grid).data > 0.5
    there = template_cord.data[:, :, slices] > 0.5
    determinant = Image(jacobian_determinant(forward).astype(np.float32), forward.affine)
    local = resample_through(determinant, Chain(()), grid).data[there]
    return TemplateFit(
        forward,
        inverse,
        _dice(own[:, :, rows], warped[:, :, rows]),
        _dice(there, moved),
        float(local.min()) if local.size else float("nan"),
        (low, high),
    )


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return float(2.0 * int((a & b).sum()) / total) if total else float("nan")


def _line(x: Float, known_x: Float, known_y: Float) -> NDArray[np.float64]:
    """Interpolate on a rising ``known_x``; straight lines beyond the ends."""
    inside = np.interp(x, known_x, known_y)
    first = (known_y[1] - known_y[0]) / (known_x[1] - known_x[0])
    last = (known_y[-1] - known_y[-2]) / (known_x[-1] - known_x[-2])
    below, above = np.minimum(x - known_x[0], 0.0), np.maximum(x - known_x[-1], 0.0)
    return np.asarray(inside + first * below + last * above)
