"""From another contrast of the same person to the reference, measured around the cord."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.errors import InputError
from spinalprep.image import Image, grid_with_spacing, resample, to_world, upright
from spinalprep.registration.ants_arrays import ants, to_ants
from spinalprep.registration.information import normalised_mutual_information
from spinalprep.registration.resampling import inside, values_at
from spinalprep.registration.search import search_near, search_rigid
from spinalprep.registration.transform import LPS, Affine, Field, read_itk

AROUND_MM = 18.0  # cord, canal and the vertebrae beside them
WORKING_MM = 0.8  # finer voxels cost time and gain nothing for six numbers
LEAST_GAIN = 0.005  # of normalized mutual information, which is 1 for strangers
LEAST_SHARE = 0.25  # of what exceeds 1: chance has a peak, too
CLEAR_PEAK = 0.05  # of the headers: where two steps gain nothing then, more won't
BINS = 32
AWAY_MM = 3.0  # a wrong place beside the right one
FEWEST_VOXELS = 500
REACH_MM = 20.0  # beyond the ends of the moving image, for what lies there by wrong headers
WORTH = LEAST_GAIN / 2  # of one more step
SAMPLED = 1.0  # of the voxels around the cord, by ANTs
STEPS = "search", "Rigid", "near", "Rigid"
HALF, FULL = (40, 0), (40, 8)  # iterations at half and at full resolution


@dataclass(frozen=True)
class _Candidate:
    """A transform, and how alike it makes two images around the cord; NaN where that is unknown."""

    transform: Affine
    similarity: float

    @property
    def score(self) -> float:
        return self.similarity if np.isfinite(self.similarity) else 0.0


@dataclass(frozen=True)
class _Pair:
    """A moving image, the target that it is laid on, and the target's voxels that count."""

    moving: Image
    target: Image
    around: NDArray[np.bool_]

    def judged(self, transform: Affine) -> _Candidate:
        """Return a transform with what it reaches."""
        reached = similarity(self.moving, self.target, self.around, transform)
        return _Candidate(transform, reached)


@dataclass(frozen=True)
class Coregistration:
    """How one image was brought to another.

    Attributes
    ----------
    forward : Affine
        Resamples the moving image on the reference's grid (``t1w_to_t2w``).
    inverse : Affine
        The other way.
    before, after : float
        Normalized mutual information around the cord, by the headers and by the registration;
        NaN where the two don't overlap.
    accepted : bool
        False where the registration gained too little: ``forward`` is then the identity.
    peak : float
        What the similarity by the headers has over the best of those moved by 3 mm to the left,
        right, back or front: where it is positive, they are a local optimum in plane. NaN where
        too little is in both images.
    """

    forward: Affine
    inverse: Affine
    before: float
    after: float
    accepted: bool
    peak: float

    @property
    def gain(self) -> float:
        """What the registration gained over the headers."""
        return self.after - self.before

    @property
    def headers_hold(self) -> bool:
        """Whether nothing was gained because the headers are right by themselves."""
        least = max(LEAST_GAIN, LEAST_SHARE * (self.before - 1.0))
        return not self.accepted and self.peak >= least  # NaN holds nothing

    @property
    def overlapping(self) -> bool:
        """Whether enough is in both images to compare them, by the headers or as registered."""
        return bool(np.isfinite(self.before) or np.isfinite(self.after))


def coregister(
    moving: Image, reference: Image, reference_cord: Image | None, sloppy: bool = False
) -> Coregistration:
    """Register one contrast to the reference: rigid, and affine where that gains enough.

    Parameters
    ----------
    moving, reference : Image
        Two contrasts of one person, any grids and voxel orders.
    reference_cord : Image or None
        Cord of ``reference``, any grid; what is compared lies within 18 mm of it.
    sloppy : bool
        Fewer iterations.

    Returns
    -------
    fit : Coregistration
        The identity, and no similarity, where the two show no common part of the cord.

    Notes
    -----
    A search finds the start; ANTs [1]_ and a search nearby refine it, by Mattes mutual
    information. An affine transform has to gain 0.005 over the rigid one. Candidates compete by
    normalized mutual information [2]_ around the cord, and the best is refused where it gains less
    than 0.005 over the headers, or, where too little is in both to judge these, stays within 0.05
    of chance. ANTs jitters the points that it samples, from the seed in ``ANTS_RANDOM_SEED``.

    References
    ----------
    .. [1] Avants et al. (2011), NeuroImage 54:2033-2044, doi:10.1016/j.neuroimage.2010.09.025.
    .. [2] Studholme et al. (1999), Pattern Recognition 32:71-86,
       doi:10.1016/S0031-3203(98)00091-0.
    """
    moving, target = upright(moving), _working_copy(upright(reference))
    around = _around(reference_cord, target) & _in_reach(moving, target)
    if around.sum() < FEWEST_VOXELS:
        unknown, still = float("nan"), Affine.identity()
        return Coregistration(still, still, unknown, unknown, False, unknown)
    pair = _Pair(moving, target, around)
    headers = pair.judged(Affine.identity())
    beside = [pair.judged(aside).similarity for aside in _beside()]
    peak = headers.similarity - max(beside) if np.isfinite(beside).all() else float("nan")
    fits = [headers]
    for kind in STEPS[:2] if sloppy else STEPS:
        if _settled(fits, peak):
            break
        if kind == "Rigid" and len(fits) > 2 and _gained(fits) < _gained(fits[:-1]) + WORTH:
            continue  # the search nearby found nothing: it would be the same fit once more
        best = max(fits, key=lambda fit: fit.score)
        fits.append(pair.judged(_step(pair, kind, best.transform, sloppy)))
    best = max(fits, key=lambda fit: fit.score)
    if not _settled(fits, peak):
        best = _affine(pair, best, sloppy)
        fits.append(best)
    known = np.isfinite(headers.similarity)
    accepted = _gained(fits) >= (LEAST_GAIN if known else CLEAR_PEAK)
    forward = best.transform if accepted else Affine.identity()
    before, after = headers.similarity, best.similarity
    return Coregistration(forward, forward.inverse(), before, after, accepted, peak)


def similarity(
    moving: Image, reference: Image, around: NDArray[np.bool_], transform: Affine
) -> float:
    """Return normalized mutual information, (H(a) + H(b)) / H(a, b), inside a mask.

    What exceeds one is multiplied by the share of the mask that both images cover: few points
    look alike by chance, and leaving the image must never pay.

    Parameters
    ----------
    moving, reference : Image
        Any grids.
    around : ndarray of bool
        Voxels of ``reference`` that count.
    transform : Affine
        Reference points to moving points.

    Returns
    -------
    similarity : float
        1 for images that know nothing of each other, 2 for equal ones that cover the mask; NaN
        where fewer than a third of the mask, or 500 voxels, are inside both.
    """
    points = to_world(np.argwhere(around).astype(np.float64), reference.affine)
    found, shared = values_at(moving, transform.apply(points))
    count = int(shared.sum())
    if count < max(len(points) / 3, FEWEST_VOXELS):
        return float("nan")
    there = reference.data[around][shared]
    joint = np.histogram2d(_ranked(there), _ranked(found), BINS)[0]
    excess = normalised_mutual_information(joint) - 1.0
    return 1.0 + excess * count / len(points)


def _beside() -> list[Affine]:
    """Return shifts to the left, right, back and front."""
    steps = [(sign * AWAY_MM, axis) for axis in (0, 1) for sign in (-1, 1)]
    matrices = np.tile(np.eye(4), (len(steps), 1, 1))
    for matrix, (step, axis) in zip(matrices, steps, strict=True):
        matrix[axis, 3] = step
    return [Affine(matrix) for matrix in matrices]


def _gained(fits: list[_Candidate]) -> float:
    """Return what the best candidate gains over the headers (all of it where these fail)."""
    before = fits[0].similarity
    return max(fit.score for fit in fits) - (before if np.isfinite(before) else 1.0)


def _settled(fits: list[_Candidate], peak: float) -> bool:
    """Tell whether the headers stand out, and two steps gained nothing over them."""
    return len(fits) > 2 and peak >= CLEAR_PEAK and _gained(fits) < WORTH


def _ranked(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clip to the percentiles 1 and 99."""
    low, high = np.percentile(values, [1, 99])
    clipped: NDArray[np.float32] = np.clip(values, low, max(high, low + 1e-6))
    return clipped


def _working_copy(image: Image) -> Image:
    """Return the image at 0.8 mm where it is finer."""
    spacing = np.maximum(image.voxel_sizes, WORKING_MM)
    sigma = np.where(spacing > image.voxel_sizes * 1.1, 0.4 * spacing / image.voxel_sizes, 0.0)
    smooth = image.with_data(ndimage.gaussian_filter(image.data, sigma))
    return resample(smooth, *grid_with_spacing(image, spacing.tolist()))


def _around(cord: Image | None, target: Image) -> NDArray[np.bool_]:
    """Return the voxels within 18 mm of the cord, in plane; every voxel where it is unknown."""
    if cord is None:
        return np.ones(target.shape, bool)
    there = resample(cord, target.shape, target.affine).data > 0.25
    near = [
        ndimage.distance_transform_edt(~there[:, :, k], sampling=target.voxel_sizes[:2])
        <= AROUND_MM
        if there[:, :, k].any()
        else np.zeros(target.shape[:2], bool)
        for k in range(target.shape[2])
    ]
    return np.stack(near, axis=-1)


def _in_reach(moving: Image, target: Image) -> NDArray[np.bool_]:
    """Return the voxels of the target beside the moving image, or near its ends.

    Half of its size beyond each end, at most 20 mm: a short stack is judged where it lies.
    """
    more = np.ceil(np.minimum(REACH_MM / moving.voxel_sizes, np.array(moving.shape) / 2))
    affine = moving.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ more
    shape = np.array(moving.shape) + 2 * more.astype(int)
    larger = Image(np.broadcast_to(np.uint8(1), tuple(shape)), affine)
    within = inside(Affine.identity(), larger, (target.shape, target.affine))
    return np.asarray(within.data > 0)


def _step(pair: _Pair, kind: str, start: Affine, sloppy: bool) -> Affine:
    """Search, or run ANTs."""
    if kind == "search":
        return search_rigid(pair.moving, pair.target, pair.around)
    if kind == "near":
        return search_near(pair.moving, pair.target, pair.around, start)
    return _run_ants(pair, kind, start, (20, 0) if sloppy else FULL)


def _affine(pair: _Pair, rigid: _Candidate, sloppy: bool) -> _Candidate:
    """Return an affine transform where its six more parameters are worth it, else the rigid one.

    Half the resolution tells whether they may be: one person's contrasts differ by a motion, but
    for distortions.
    """
    coarse = pair.judged(_run_ants(pair, "Affine", rigid.transform, HALF))
    if coarse.score < rigid.score + LEAST_GAIN:
        return rigid
    if sloppy:
        return coarse
    fine = pair.judged(_run_ants(pair, "Affine", coarse.transform, FULL))
    return max(fine, coarse, key=lambda fit: fit.score)


def _run_ants(pair: _Pair, kind: str, start: Affine, iterations: tuple[int, int]) -> Affine:
    """Run ANTs once, rigid or affine."""
    with tempfile.TemporaryDirectory() as folder:
        fit: dict[str, Any] = ants.registration(
            fixed=to_ants(pair.target),
            moving=to_ants(pair.moving),
            mask=to_ants(pair.target.with_data(pair.around.astype(np.float32))),
            type_of_transform=kind,
            initial_transform=_start_file(start, Path(folder)),
            outprefix=f"{folder}/fit_",
            aff_metric="mattes",
            aff_sampling=BINS,
            aff_random_sampling_rate=SAMPLED,
            grad_step=0.05,
            aff_iterations=iterations,
            aff_shrink_factors=(2, 1),
            aff_smoothing_sigmas=(1, 0),
        )
        found = _read_fit(fit, Path(folder))
    if not isinstance(found, Affine):
        raise TypeError(f"ANTs returned {type(found).__name__} for {kind}")
    return found


def _read_fit(fit: Mapping[str, Any], folder: Path) -> Affine | Field:
    """Read what ANTs wrote; it does not tell of a disk that was full."""
    try:
        return read_itk(Path(fit["fwdtransforms"][0]))
    except (IndexError, InputError):
        (folder / "probe").write_bytes(bytes(1 << 16))  # OSError: No space left on device
        raise


def _start_file(start: Affine, folder: Path) -> list[str]:
    """Write the start as ANTs reads it."""
    matrix = LPS @ start.matrix @ LPS
    transform = ants.create_ants_transform(
        transform_type="AffineTransform",
        dimension=3,
        matrix=matrix[:3, :3],
        translation=matrix[:3, 3],
    )
    path = folder / "start.mat"
    ants.write_transform(transform, str(path))
    return [str(path)]
