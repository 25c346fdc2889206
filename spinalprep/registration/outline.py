"""The cord's outline laid on another, slice by slice, with the inside drawn along smoothly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.registration.slices import gather

Array = NDArray[np.float32]

RAYS = 64
RAY_MM = 12.0  # farther than any cord's edge from its center
RAY_STEP_MM = 0.25
WAVES = 12  # of the outline, around the cord
STEEPEST = 4  # power of the radius by which the finest waves fade; those above move along rays
ALONG_MM = 1.0  # standard deviation of the smoothing along the cord, at least
PASSES = 4
BORDER_MM = 3.5  # of the slices that stays where it is
LEAST_MM = 1.0  # a shorter ray is no cord
OUTWARDS = 2  # and outwards
BLUR_MM = 0.8  # in plane: what is kinked at the outline would not survive a coarser grid


def lay_outlines(
    fixed: Array,
    moving: Array,
    spacing: tuple[float, float],
    start: Array | None = None,
    passes: int = PASSES,
    smooth_mm: float = ALONG_MM,
) -> Array:
    """Return the displacements that bring the outline of one cord to another's.

    Parameters
    ----------
    fixed, moving : ndarray of float32, shape (Z, X, Y)
        Soft masks of two cords on one grid, nearly in place.
    spacing : tuple of float
        Distance of slices and size of a pixel in mm.
    start : ndarray of float32, shape (Z, X, Y, 2), optional
        Displacements to begin with.
    passes : int
        How often what is left is laid on again.
    smooth_mm : float
        Standard deviation of the smoothing along the cord.

    Returns
    -------
    there : ndarray of float32, shape (Z, X, Y, 2)
        Pixels from a point of ``fixed`` to its place in ``moving``; zero at the border.

    Notes
    -----
    Along each ray from the center of ``fixed`` the mask's second moment gives the radius of an
    outline of the same area, ``sqrt(2 int m r dr)``. The difference of the two radii is
    written as waves around the cord. Inside, wave n up to 4 moves points by the conjugate of
    ``z^(n-1)``, the smoothest motion that an outline allows: wave 1 shifts, wave 2 stretches.
    Finer waves move points along the rays and fade by the power 4 of the radius; outside, all
    fade by the power ``min(n, 2)``.
    """
    along, pixel = spacing
    there = np.zeros((*fixed.shape, 2), np.float32) if start is None else start
    centre = _centres(fixed, along)
    own = _radii(fixed, centre, pixel)
    plane = _Plane.of(own, centre, fixed.shape, pixel)
    for _ in range(passes):
        moved = gather(moving[..., None], there)[..., 0]
        other = _radii(moved, centre, pixel)
        known = (own > LEAST_MM) & (other > LEAST_MM)
        apart = np.where(known, other - own, 0.0)
        apart = ndimage.gaussian_filter1d(apart, smooth_mm / along, axis=0, mode="nearest")
        step = plane.spread(apart)
        there = step + gather(there, step)
    return there


def _centres(mask: Array, along: float) -> Array:
    """Return the center of mass of each slice in pixels, smooth along the stack, (Z, 2)."""
    mass = np.maximum(mask.sum(axis=(1, 2)), 1e-6)
    x = mask.sum(axis=2) @ np.arange(mask.shape[1]) / mass
    y = mask.sum(axis=1) @ np.arange(mask.shape[2]) / mass
    middles = np.stack([x, y], axis=-1)
    smooth: Array = ndimage.gaussian_filter1d(middles, ALONG_MM / along, axis=0, mode="nearest")
    return smooth


def _radii(mask: Array, centre: Array, pixel: float) -> Array:
    """Return the radius of the outline in mm along each ray, shape (Z, RAYS)."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    r = np.arange(RAY_STEP_MM / 2, RAY_MM, RAY_STEP_MM)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None] * r[:, None] / pixel
    k = np.broadcast_to(np.arange(len(mask))[:, None, None], (len(mask), RAYS, len(r)))
    where = np.stack([k, *np.moveaxis(centre[:, None, None] + ray, -1, 0)])
    values = ndimage.map_coordinates(mask, where, order=1)
    radii: Array = np.sqrt(2 * RAY_STEP_MM * (values * r).sum(axis=-1))
    return radii


@dataclass(frozen=True)
class _Plane:
    """Where the pixels of each slice are, seen from the cord's center, (Z, X, Y).

    ``turn`` is the direction as a complex number, ``within`` the radius over the outline's, at
    most 1, ``beyond`` the inverse of it, at most 1, and ``taper`` is zero at the slices' border.
    """

    turn: NDArray[np.complex64]
    within: Array
    beyond: Array
    taper: Array
    pixel: float

    @classmethod
    def of(cls, own: Array, centre: Array, shape: tuple[int, ...], pixel: float) -> "_Plane":
        x = (np.arange(shape[1]) - centre[:, :1])[:, :, None]
        y = (np.arange(shape[2]) - centre[:, 1:])[:, None, :]
        r = np.maximum(np.hypot(x, y), 1e-3)
        turn = (x + 1j * y) / r
        share = (r * pixel / _around(own, turn)).astype(np.float32)
        edge = min(shape[1:]) / 2
        taper = np.clip((edge - BORDER_MM / pixel - r) / (edge / 3), 0, 1) / pixel
        within, beyond = np.minimum(share, 1), 1 / np.maximum(share, 1)
        return cls(turn.astype(np.complex64), within, beyond, taper.astype(np.float32), pixel)

    def spread(self, apart: Array) -> Array:
        """Return the displacement (Z, X, Y, 2) in pixels of an outline moved by ``apart``."""
        waves = (np.fft.rfft(apart, axis=1)[:, : WAVES + 1] / RAYS).astype(np.complex64)
        waves[:, 1:] *= 2
        wave = np.moveaxis(waves, 1, 0)[:, :, None, None]
        fine = np.zeros_like(self.turn)  # by Horner's rule
        for n in range(WAVES, STEEPEST, -1):
            fine = (fine + wave[n]) * self.turn
        fine *= self.turn**STEEPEST
        total = (fine.real * self.fade(STEEPEST, OUTWARDS) + wave[0].real * self.fade(1, 1)) * (
            self.turn
        )
        back = self.turn.conj()
        for n in range(1, STEEPEST + 1):
            total += wave[n].conj() * back ** (n - 1) * self.fade(n - 1, min(n, OUTWARDS))
        total *= self.taper
        spread = np.stack([total.real, total.imag], axis=-1)
        blur = BLUR_MM / self.pixel
        soft: Array = ndimage.gaussian_filter(spread, (0, blur, blur, 0))
        return soft

    def fade(self, inwards: int, outwards: int) -> Array:
        """Return powers of the radius, 1 at the outline, that fade to the center and outwards."""
        faded: Array = self.within**inwards * self.beyond**outwards
        return faded


def _around(radii: Array, turn: NDArray[np.complexfloating]) -> Array:
    """Return the outline's radius in mm in the direction of every pixel."""
    position = np.angle(turn) / (2 * np.pi) * RAYS % RAYS
    k = np.broadcast_to(np.arange(len(radii))[:, None, None], position.shape)
    around = np.concatenate([radii, radii[:, :1]], axis=1)
    found: Array = np.maximum(ndimage.map_coordinates(around, [k, position], order=1), LEAST_MM)
    return found
