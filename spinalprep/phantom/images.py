"""Images of a synthetic subject."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Float, Image
from spinalprep.phantom.anatomy import TISSUES, Person

# air, fat, muscle, bone, disc, csf, white matter, gray matter, lesion, vessel
INTENSITY = {
    "T2w": (0.01, 0.75, 0.22, 0.38, 0.45, 1.00, 0.42, 0.50, 0.78, 0.05),
    "T1w": (0.01, 0.95, 0.45, 0.60, 0.42, 0.15, 0.62, 0.54, 0.46, 0.10),
    "T2starw": (0.01, 0.40, 0.40, 0.15, 0.45, 0.90, 0.50, 0.68, 0.80, 0.85),
    "MTS": (0.01, 0.60, 0.35, 0.35, 0.40, 0.80, 0.40, 0.50, 0.58, 0.90),
}
MT_RATIO = (0.0, 0.05, 0.40, 0.20, 0.25, 0.05, 0.45, 0.38, 0.25, 0.05)
SCALE = 800.0


def las_grid(
    shape: Sequence[int], spacing: Sequence[float], middle: Sequence[float] | Float
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return a grid in LAS voxel order around a point: shape, and affine of voxels to RAS+ mm.

    Parameters
    ----------
    shape : sequence of int, length 3
    spacing : sequence of float, length 3
        Voxel sizes in mm.
    middle : sequence of float, length 3
        Middle of the grid, RAS+ mm.

    Examples
    --------
    >>> las_grid((3, 3, 5), (1.0, 1.0, 2.0), (0.0, 4.0, 0.0))[1][:3, 3].tolist()
    [1.0, 3.0, -4.0]
    """
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = np.asarray(middle, float) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return (shape[0], shape[1], shape[2]), affine


def render(
    person: Person,
    contrast: str,
    grid: tuple[Sequence[int], Float],
    seed: int,
    *,
    noise: float = 0.03,
    pulse: bool = False,
) -> Image:
    """Return an image of a person.

    Parameters
    ----------
    person : Person
        Who.
    contrast : str
        ``T2w``, ``T1w``, ``T2starw`` or ``MTS``.
    grid : tuple of (shape, affine)
        Voxels to RAS+ mm.
    seed : int
        Of texture, bias field and noise.
    noise : float
        Standard deviation of Rician noise, as a share of the CSF's T2w intensity.
    pulse : bool
        Of MTS: whether the magnetisation transfer pulse is on.

    Returns
    -------
    image : Image
        float32; partial volume from 2 x 2 x 2 points a voxel.
    """
    shape, affine = grid
    chance = np.random.default_rng([seed, sorted(INTENSITY).index(contrast)])
    levels = np.array(INTENSITY[contrast]) * (1 - np.array(MT_RATIO) * pulse)
    shares = person.labels_on(shape, affine, fine=2)
    return acquire(shares, levels, affine, chance, noise)


def acquire(
    shares: NDArray[np.float32],
    levels: Float,
    affine: Float,
    chance: np.random.Generator,
    noise: float = 0.03,
) -> Image:
    """Return an image of tissues: their intensities with texture, bias field and Rician noise.

    Parameters
    ----------
    shares : ndarray of float32, shape (tissues, I, J, K)
        Share of every tissue in a voxel; air first.
    levels : ndarray of float, shape (tissues,)
        Intensities, 1 is that of CSF in T2w.
    affine : ndarray of float, shape (4, 4)
        Voxels to RAS+ mm.
    chance : numpy.random.Generator
        The only source of chance.
    noise : float
        See `render`.
    """
    shape = shares.shape[1:]
    clean = np.tensordot(np.asarray(levels).astype(np.float32), shares, axes=1)
    body = 1 - shares[TISSUES.index("air")]
    texture = ndimage.gaussian_filter(chance.standard_normal(shape), 1.0) * 0.12
    signal = clean * (1 + texture * body) * _bias(shape, chance)
    real = signal + noise * chance.standard_normal(shape)
    imaginary = noise * chance.standard_normal(shape)
    return Image((SCALE * np.hypot(real, imaginary)).astype(np.float32), np.asarray(affine, float))


def _bias(shape: Sequence[int], chance: np.random.Generator) -> NDArray[np.float64]:
    """Return a smooth field around one: a surface coil behind the neck."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    slope = chance.uniform(-0.25, 0.25, 3)
    return np.asarray(np.exp(slope[0] * x + slope[1] * y + slope[2] * z - 0.15 * z**2))
