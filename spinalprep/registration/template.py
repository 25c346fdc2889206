"""From the reference image to the template, along the cord."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.image import Float, Image, to_world
from spinalprep.registration.along import AlongCord, Channel, covered_span, fit_along
from spinalprep.registration.deform import deform_slices
from spinalprep.registration.outline import ALONG_MM, lay_outlines
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.slices import invert_slices
from spinalprep.registration.transform import (
    Chain,
    Field,
    Transform,
    as_field,
    balanced,
    jacobian_determinant,
)
from spinalprep.registration.turn import LEAST_GM

HALF_BOX_MM = 16.0  # half the edge of the deformable step's box
BOX_SPACING_MM = (0.5, 0.5, 1.0)
SOFT_MM = 0.5
OF_A_SLICE = 0.5  # of the slices' distance outlines are smoothed along the cord
GM_WEIGHT = 1.0
BEYOND_MM = 6.0  # by which a cord that leaves the field of view is continued
FIELD_MM = 0.7  # in plane, between the points of a stored field
FIELD_STRETCH = 1.5  # along the cord, where all is smoother, over in plane
MOST_FIELD_POINTS = 10_000_000
INVERSE_STEPS = 8
NEAR_ENOUGH_MM = 5e-4
AROUND = 6  # voxels around the template's cord


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

    def as_saved(self) -> "TemplateFit":
        """Return the fit with its fields as files keep them."""
        forward, inverse = self.forward.as_saved(), self.inverse.as_saved()
        return replace(self, forward=forward, inverse=inverse)


@dataclass(frozen=True)
class _ToSubject:
    """Template points to subject points: the slice-wise map, then along the centerline."""

    along: AlongCord
    space: StraightSpace

    def apply(self, points: Float) -> NDArray[np.float64]:
        return self.space.to_world(self.along.to_straight(np.asarray(points, float)))


@dataclass(frozen=True)
class _Inverse:
    """The inverse of a field, from a map that nearly is: steps of its own error."""

    field: Field
    nearly: Transform

    def apply(self, points: Float) -> NDArray[np.float64]:
        target = np.reshape(points, (-1, 3)).astype(float)
        start = self.nearly.apply(target)
        found, off = start.copy(), np.arange(len(start))
        for _ in range(INVERSE_STEPS):
            reached = self.field.apply(found[off])
            far = np.abs(reached - target[off]).max(axis=1) > NEAR_ENOUGH_MM
            off, reached = off[far], reached[far]
            if not len(off):
                break
            found[off] += start[off] - self.nearly.apply(reached)
        return found.reshape(np.shape(points))


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
    gm: Channel | None = None,
) -> TemplateFit:
    """Register the reference image to a straight template through their cords.

    Parameters
    ----------
    cord : Image, shape (I, J, K)
        Cord of the subject, mask or probability, any voxel order.
    centerline : Centerline
        RAS+ mm.
    disc_s : mapping of int to float
        Arc length of the known discs in mm; empty where the levels are unknown: the middle of
        the cord is then placed at the middle of C5.
    template_cord : Image
        Cord of the template, any voxel order, upright along z.
    template_disc_z : mapping of int to float
        Height of the template's discs, RAS+ mm.
    gm : Channel, optional
        Gray matter of both, where the contrast shows it: probabilities.

    Returns
    -------
    fit : TemplateFit

    Raises
    ------
    InputError
        If subject and template don't overlap along the cord, or the template is tilted.

    Notes
    -----
    Straight along the centerline, heights by monotone cubic interpolation between discs [1]_;
    slice by slice the center, turn and size of the cord, then its outline, and with ``gm``
    diffeomorphic demons [2]_ on cord and gray matter. The steps are composed before anything
    is resampled; the inverse is that of the field that is stored.

    References
    ----------
    .. [1] Fritsch and Carlson (1980), SIAM J. Numer. Anal. 17:238-246, doi:10.1137/0717021.
    .. [2] Vercauteren et al. (2009), NeuroImage 45:S61-S72,
       doi:10.1016/j.neuroimage.2008.10.040.
    """
    space = StraightSpace(centerline)
    seen = [Channel(cord, template_cord), *([gm] if gm is not None else [])]
    seen = [channel.upright() for channel in seen]
    cord, template_cord = seen[0].subject, seen[0].template
    channels = [Channel(_beyond_the_view(c.subject), c.template) for c in seen]
    along = fit_along(channels[0], space, disc_s, template_disc_z, *channels[1:])
    warp, unwarp = _deform(channels, _ToSubject(along, space), along)
    there = Chain((warp, _ToSubject(along, space)))
    back = Chain((_FromSubject(along, space), unwarp))
    forward = _forward_field(there, template_cord, along)
    inverse = _inverse_field(forward, back, cord, centerline)
    return _judge(cord, template_cord, forward, inverse, along)


def _forward_field(there: Transform, template_cord: Image, along: AlongCord) -> Field:
    """Store the map of template points over the whole template, exact near its cord."""
    return as_field(there, *_field_grid(template_cord), _path(along, template_cord))


def _inverse_field(forward: Field, nearly: Transform, cord: Image, centerline: Centerline) -> Field:
    """Store the inverse of ``forward`` over the whole reference, exact near the cord."""
    grid, near = _field_grid(cord), centerline.points
    back = _Inverse(forward, as_field(nearly, *grid, near))
    return balanced(as_field(back, *grid, near), back, near)


def _deform(
    channels: list[Channel], to_subject: Transform, along: AlongCord
) -> tuple[Field, Field]:
    """Fit the sections; return the map of template points and its inverse."""
    grid = _box(along, channels[0].template)
    moving = np.stack([_slices(resample_through(c.subject, to_subject, grid)) for c in channels])
    fixed = np.stack([_slices(resample_through(c.template, Chain(()), grid)) for c in channels])
    spacing = float(grid[1][2, 2]), BOX_SPACING_MM[0]
    smooth = max(ALONG_MM, OF_A_SLICE * float(channels[0].subject.voxel_sizes[2]))
    there = lay_outlines(fixed[0], moving[0], spacing, smooth_mm=smooth)
    if len(channels) > 1:
        fixed[1] *= _seen(moving)
        there = deform_slices(fixed, moving, (1.0, GM_WEIGHT), spacing, there)
        there = lay_outlines(fixed[0], moving[0], spacing, there, 2, smooth)
    fields = [_as_field(pixels, grid[1]) for pixels in (there, invert_slices(there))]
    return fields[0], fields[1]


def _slices(image: Image) -> NDArray[np.float32]:
    """Return slices first, blurred in plane by 0.5 mm: an edge that can be followed."""
    sigma = SOFT_MM / BOX_SPACING_MM[0]
    soft = ndimage.gaussian_filter(image.data, (sigma, sigma, 0.0))
    return np.ascontiguousarray(np.moveaxis(soft, 2, 0))


def _seen(moving: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 for slices in which the subject's gray matter is seen, else 0, (Z, 1, 1)."""
    cord, gm = moving.sum(axis=(2, 3))
    return np.asarray(gm > LEAST_GM * cord, np.float32)[:, None, None]


def _as_field(pixels: NDArray[np.float32], affine: NDArray[np.float64]) -> Field:
    """Return in-plane displacements in pixels as millimeters of the world."""
    shift = np.zeros((*pixels.shape[:3], 3), np.float32)
    shift[..., 0], shift[..., 1] = pixels[..., 0] * affine[0, 0], pixels[..., 1] * affine[1, 1]
    return Field(np.ascontiguousarray(np.moveaxis(shift, 0, 2)), affine)


def _path(along: AlongCord, template_cord: Image) -> NDArray[np.float64]:
    """Return points of the template's axis where the subject's cord lies, RAS+ mm."""
    low, high = covered_span(along, template_cord)
    inside = (along.z >= low) & (along.z <= high)
    return np.column_stack([along.template, along.z])[inside]


def _beyond_the_view(cord: Image) -> Image:
    """Repeat the first and last axial slice: an oblique section at the end is then whole."""
    count = int(np.ceil(BEYOND_MM / cord.voxel_sizes[2]))
    affine = cord.affine.copy()
    affine[:3, 3] -= affine[:3, 2] * count
    return Image(np.pad(cord.data, [(0, 0), (0, 0), (count, count)], mode="edge"), affine)


def _box(
    along: AlongCord, template_cord: Image
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the grid of the deformable step: 32 mm in plane, the shared heights."""
    low, high = covered_span(along, template_cord)
    centre = np.nanmean(along.template, axis=0)
    edge = round(2 * HALF_BOX_MM / BOX_SPACING_MM[0])
    count = max(int((high - low) / BOX_SPACING_MM[2]), 8)
    affine = np.diag([-BOX_SPACING_MM[0], BOX_SPACING_MM[1], (high - low) / count, 1.0])
    affine[:3, 3] = centre[0] + HALF_BOX_MM, centre[1] - HALF_BOX_MM, low + affine[2, 2] / 2
    return (edge + 1, edge + 1, count), affine


def _field_grid(image: Image) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the grid of a stored field, from face to face of an image: 0.7 x 0.7 x 1.05 mm.

    It is coarser where that would be too many points.
    """
    extent: NDArray[np.float64] = np.array(image.shape) * image.voxel_sizes
    affordable = float((extent.prod() / FIELD_STRETCH / MOST_FIELD_POINTS) ** (1 / 3))
    spacing = max(FIELD_MM, affordable) * np.array([1.0, 1.0, FIELD_STRETCH])
    count = np.maximum(np.ceil(extent / spacing).astype(int), 1) + 1
    step = np.diag([*(np.array(image.shape) / (count - 1)), 1.0])
    step[:3, 3] = -0.5
    return (int(count[0]), int(count[1]), int(count[2])), image.affine @ step


def _judge(
    cord: Image, template_cord: Image, forward: Field, inverse: Field, along: AlongCord
) -> TemplateFit:
    """Measure the overlap both ways and the smallest Jacobian."""
    span = covered_span(along, template_cord)
    whole = _cord_box(template_cord)
    there = _between(whole, span)
    warped = resample_through(whole, inverse, (cord.shape, cord.affine)).data > 0.5
    own = cord.data > 0.5
    rows = own.any(axis=(0, 1)) & warped.any(axis=(0, 1))
    moved = resample_through(cord, forward, (there.shape, there.affine)).data > 0.5
    inside = there.data > 0.5
    local = jacobian_determinant(as_field(forward, there.shape, there.affine))[inside]
    return TemplateFit(
        forward,
        inverse,
        _dice(own[:, :, rows], warped[:, :, rows]),
        _dice(inside, moved),
        float(local.min()) if local.size else float("nan"),
        span,
    )


def _cord_box(template_cord: Image) -> Image:
    """Return the template's cord with little around it in plane."""
    found: NDArray[np.bool_] = template_cord.data > 0
    flat: NDArray[np.bool_] = np.any(found, axis=2)
    x, y = (np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0))
    corner = np.array([max(x[0] - AROUND, 0), max(y[0] - AROUND, 0), 0])
    data = template_cord.data[corner[0] : x[-1] + AROUND + 1, corner[1] : y[-1] + AROUND + 1]
    affine = template_cord.affine.copy()
    affine[:3, 3] = to_world(corner.astype(float), affine)
    return Image(data, affine)


def _between(template_cord: Image, span: tuple[float, float]) -> Image:
    """Return the axial slices of an upright image between two heights."""
    affine = template_cord.affine.copy()
    z = affine[2, 3] + affine[2, 2] * np.arange(template_cord.shape[2])
    slices = np.flatnonzero((z >= span[0]) & (z <= span[1]))
    affine[:3, 3] += affine[:3, 2] * slices[0]
    return Image(template_cord.data[:, :, slices[0] : slices[-1] + 1], affine)


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return float(2.0 * np.count_nonzero(a & b) / total) if total else float("nan")
