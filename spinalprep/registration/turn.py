"""How far the cord is turned about its axis, section by section, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.straight import StraightSpace
from spinalprep.image import Float, Image, sample

Array = NDArray[np.float64]

MOST_DEG = 20
RAYS = 120
RADII_MM = np.arange(0.25, 9.0, 0.5)
BLUR_MM = 0.75
DOUBT_MM2 = 0.2  # squared difference of two sections that is one half in log-likelihood
TOGETHER_MM = 5.0  # of cord that errs alike: outlines are drawn on thick slices
MOST_MISFIT = 4.5  # a section counts no more than three standard deviations against an angle
USUAL_DEG = 8.0  # standard deviation of people's turns
LASTS_MM = 100.0  # of cord over which a turn is forgotten
SMOOTH_MM = 4.0
LEAST_GM = 0.03  # share of the cord under which nobody saw gray matter


@dataclass(frozen=True)
class Turns:
    """Rotation of the cord about its axis along it.

    Attributes
    ----------
    angle_deg : ndarray of float64, shape (n,)
        From right towards front, against the template's.
    sd_deg : ndarray of float64, shape (n,)
        Its standard deviation; near 8 where nothing tells, and the angle is then near 0.
    """

    angle_deg: Array
    sd_deg: Array


def find_turns(own: Array, model: Array, step_mm: float) -> Turns:
    """Find the angles at which sections lie best on those of a model.

    Parameters
    ----------
    own, model : ndarray of float, shape (C, n, R, A)
        Soft masks (cord, and gray matter where it is seen) in polar coordinates: radii of
        `RADII_MM`, angles evenly from right over front. A channel that is zero in ``own`` says
        nothing.
    step_mm : float
        Distance of the sections along the cord.

    Returns
    -------
    turns : Turns

    Notes
    -----
    The sum of squared differences at every angle is a circular correlation. Taken as a
    log-likelihood, it is joined with a prior (8 degrees around zero, an autoregressive course
    along the cord) and summed over all courses by the forward-backward algorithm [1]_: a round
    cord without gray matter has no angle, and gets none.

    References
    ----------
    .. [1] Rabiner (1989), "A tutorial on hidden Markov models", Proc. IEEE 77:257-286,
       doi:10.1109/5.18626.
    """
    angles: Array = np.arange(-MOST_DEG, MOST_DEG + 1.0, dtype=np.float64)
    each = [_misfit(a, b, angles) for a, b in zip(own, model, strict=True)]
    misfit = np.sum(each, axis=0) / (2 * DOUBT_MM2)
    misfit = np.minimum(misfit - misfit.min(axis=1, keepdims=True), MOST_MISFIT)
    kept = np.exp(-step_mm / LASTS_MM)
    apart = angles[:, None] - kept * angles
    walk = np.exp(-(apart**2) / (2 * USUAL_DEG**2 * (1 - kept**2)))
    usual = np.exp(-(angles**2) / (2 * USUAL_DEG**2))
    likelihood = np.exp(-misfit * min(step_mm / TOGETHER_MM, 1.0))
    share = _posterior(likelihood, walk / walk.sum(axis=0), usual)
    mean = share @ angles
    sd = np.sqrt(np.maximum(share @ angles**2 - mean**2, 0.0))
    smooth = ndimage.gaussian_filter1d(mean, SMOOTH_MM / step_mm, mode="nearest")
    return Turns(smooth, sd)


def polar_sections(image: Image, space: StraightSpace, centres: Float, scale: Float) -> Array:
    """Return the sections of an image in polar coordinates, in the template's size.

    Parameters
    ----------
    image : Image
        Soft mask.
    space : StraightSpace
    centres : ndarray, shape (n, 3)
        Middle of each section, ``(s, x, y)``.
    scale : ndarray, shape (n,)
        Template size over subject size.

    Returns
    -------
    sections : ndarray of float64, shape (n, R, A)
    """
    offsets = _rays()[None] / np.asarray(scale)[:, None, None, None]
    sxy = np.broadcast_to(np.asarray(centres)[:, None, None], (*offsets.shape[:3], 3)).copy()
    sxy[..., 1:] += offsets
    return sample(image, space.to_world(sxy)).astype(float)


def polar_slices(image: Image, centres: Float) -> Array:
    """Return axial slices of an upright image around RAS+ points (n, 3) in polar coordinates."""
    offsets = _rays()
    points = np.broadcast_to(
        np.asarray(centres)[:, None, None], (len(centres), *offsets.shape[:2], 3)
    )
    points = points.copy()
    points[..., :2] += offsets
    return sample(image, points).astype(float)


def _rays() -> Array:
    """Return the offsets to right and front, shape (R, A, 2) in mm."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    way = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    rays: Array = RADII_MM[:, None, None] * way
    return rays


def _misfit(own: Array, model: Array, angles: Array) -> Array:
    """Return the squared difference in mm2 of sections at angles, shape (n, angles)."""
    blur = (0, BLUR_MM / (RADII_MM[1] - RADII_MM[0]), BLUR_MM / 4 / (2 * np.pi / RAYS))
    a, b = (
        ndimage.gaussian_filter(x, blur, mode=("nearest", "nearest", "wrap")) for x in (own, model)
    )
    seen = a.sum(axis=(1, 2)) > 0
    cell = RADII_MM * (RADII_MM[1] - RADII_MM[0]) * 2 * np.pi / RAYS
    product = np.fft.rfft(a, axis=-1) * np.conj(np.fft.rfft(b, axis=-1))
    waves = (product * cell[:, None]).sum(axis=1)
    order = np.arange(waves.shape[1])
    turned = np.exp(1j * np.deg2rad(np.outer(order, angles)))
    double = np.where((order == 0) | (order == RAYS // 2), 1.0, 2.0)
    together = (waves * double @ turned).real / RAYS
    energy = ((a**2 + b**2) * cell[:, None]).sum(axis=(1, 2))
    misfit: Array = np.where(seen[:, None], energy[:, None] - 2 * together, 0.0)
    return misfit


def _posterior(likelihood: Array, walk: Array, usual: Array) -> Array:
    """Return the probability of every angle in every section, shape (n, angles)."""
    ahead, back = np.empty_like(likelihood), np.ones_like(likelihood)
    state = usual
    for n, likely in enumerate(likelihood):
        state = (walk @ state if n else state) * likely
        state = state / state.sum()
        ahead[n] = state
    for n in range(len(likelihood) - 2, -1, -1):
        back[n] = walk.T @ (likelihood[n + 1] * back[n + 1])
        back[n] /= back[n].sum()
    share: Array = ahead * back
    share /= share.sum(axis=1, keepdims=True)
    return share
