"""From the reference image to the template, along the cord."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.centerline import Centerline
from spinalprep.cord.straight import StraightSpace
from spinalprep.image import Float, Image
from spinalprep.registration.along import AlongCord, covered_span, fit_along
from spinalprep.registration.ants_arrays import ants, to_ants
from spinalprep.registration.transform import (
    Chain,
    Field,
    Transform,
    as_field,
    jacobian_determinant,
    read_itk,
    resample_through,
)

HALF_BOX_MM = 16.0  # half the edge of the deformable step's box
BOX_SPACING_MM = (0.5, 0.5, 1.0)
BEYOND_MM = 6.0  # by which a cord that leaves the field of view is continued
END_SLICES = 10  # repeated at both ends of the box
FIELD_SPACING_MM = (1.0, 1.0, 1.5)
MOST_FIELD_POINTS = 700_000


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
    longer = _beyond_the_view(cord)
    along = fit_along(longer, space, (disc_s, template_disc_z), template_cord)
    to_subject, from_subject = _ToSubject(along, space), _FromSubject(along, space)
    warp, unwarp = _deform(longer, to_subject, template_cord, along, sloppy)
    forward = as_field(Chain((warp, to_subject)), *_coarse(template_cord, FIELD_SPACING_MM))
    spacing = _affordable(cord)
    inverse = as_field(Chain((from_subject, unwarp)), *_coarse(cord, (spacing,) * 3))
    return _judge(cord, template_cord, (forward, inverse), along)


def _deform(
    cord: Image, to_subject: Transform, template_cord: Image, along: AlongCord, sloppy: bool
) -> tuple[Field, Field]:
    """Fit the outlines within the slices; return the map of template points and its inverse."""
    grid = _box(along, template_cord)
    fixed = _lengthened(resample_through(template_cord, Chain(()), grid))
    moving = _lengthened(resample_through(cord, to_subject, grid))
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


def _beyond_the_view(cord: Image) -> Image:
    """Repeat the first and last axial slice: an oblique section at the end is then whole."""
    count = int(np.ceil(BEYOND_MM / cord.voxel_sizes[2]))
    affine = cord.affine.copy()
    affine[:3, 3] -= affine[:3, 2] * count
    return Image(np.pad(cord.data, [(0, 0), (0, 0), (count, count)], mode="edge"), affine)


def _lengthened(image: Image) -> Image:
    """Blur a cord in plane by 0.5 mm and repeat its end slices.

    The blur gives an edge that a metric can follow; ANTs holds the border of the grid still,
    and the repeated slices keep that border away from the cord.
    """
    soft = ndimage.gaussian_filter(image.data, (1.0, 1.0, 0.0))
    affine = image.affine.copy()
    affine[:3, 3] -= affine[:3, 2] * END_SLICES
    return Image(np.pad(soft, [(0, 0), (0, 0), (END_SLICES, END_SLICES)], mode="edge"), affine)


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
    low, high = covered_span(along, template_cord)
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
    return float(max(1.0, (volume / MOST_FIELD_POINTS) ** (1 / 3)))


def _judge(
    cord: Image, template_cord: Image, fields: tuple[Field, Field], along: AlongCord
) -> TemplateFit:
    """Measure the overlap both ways and the smallest Jacobian."""
    forward, inverse = fields
    low, high = covered_span(along, template_cord)
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
    return float(2.0 * np.count_nonzero(a & b) / total) if total else float("nan")
