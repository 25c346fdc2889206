"""What a network is shown: windows of an image, scaled by what they show themselves.

Inference scales a window by `scale_window`, in which pixels outside the image do not count. The
generators of training scale their tensors themselves, between the same percentiles: those of
slices without what they blacked out, those of stacks section by section as a whole. `axial_at`,
`usual_sections`, `nearest_sections` and `differences` are used by both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.image import Image, resample, upright

LOW, HIGH = 1.0, 99.0
CORD_SPACING_MM = 0.5
CORD_SIZE = 112  # where a card does not say
HEAT_SPACING_MM = 1.0
GM_SPACING_MM = 0.25
MOST_SECTIONS = 31
NEAR, SEEN = 0.3, 0.4  # of an edge
ROUNDS, LEAST_APART = 8, 0.01
SLOPES = 0.5, 2.0


@dataclass(frozen=True)
class Beside:
    """Which sections along the cord a network is shown beside the one that it judges.

    Attributes
    ----------
    neighbours_mm : float
        The ones about so far below and above; 0 for none.
    median_mm : float
        The median of those within this reach; 0 for none.
    """

    neighbours_mm: float = 0.0
    median_mm: float = 0.0

    @property
    def channels(self) -> int:
        """How many images a sample has, its own included."""
        return 1 + 2 * (self.neighbours_mm > 0) + (self.median_mm > 0)


def with_sections_beside(
    windows: NDArray[np.float32], heights_mm: NDArray[np.float64], beside: Beside
) -> NDArray[np.float32]:
    """Stack every window with sections along the cord.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, H, W)
        Scaled, each centered on the cord.
    heights_mm : ndarray of float, shape (n,)
        Where along the cord they are.
    beside : Beside
        Which.

    Returns
    -------
    stacked : ndarray of float32, shape (n, channels, H, W)
        The window, its neighbors below and above, the median.
    """
    shown = [windows]
    if beside.neighbours_mm > 0:
        both = -beside.neighbours_mm, beside.neighbours_mm
        shown += [windows[nearest_sections(heights_mm, heights_mm + away)] for away in both]
    if beside.median_mm > 0:
        shown.append(usual_sections(windows, heights_mm, beside.median_mm))
    return np.stack(shown, axis=1)


def nearest_sections(
    heights_mm: NDArray[np.float64], wanted_mm: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the section nearest to every wanted height, the last one beyond an end.

    Examples
    --------
    >>> nearest_sections(np.array([0.0, 5.0, 10.0]), np.array([-8.0, 6.0, 99.0])).tolist()
    [0, 1, 2]
    """
    apart = np.abs(wanted_mm[:, None] - heights_mm[None, :])
    return np.asarray(apart.argmin(axis=1))


def scale_window(
    window: NDArray[np.float32], valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Scale a window to [0, 1] between its percentiles 1 and 99.

    Parameters
    ----------
    window : ndarray of float32, shape (H, W)
        Intensities.
    valid : ndarray of bool, shape (H, W), optional
        Where the image has values; elsewhere the result is zero.

    Examples
    --------
    >>> scale_window(np.array([[0, 50, 100]], np.float32)).round(2).tolist()
    [[0.0, 0.5, 1.0]]
    """
    inside = window[valid] if valid is not None else window.ravel()
    if not inside.size:
        return np.zeros_like(window)
    low, high = np.percentile(inside, [LOW, HIGH])
    scaled = np.clip((window - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)
    return scaled if valid is None else np.where(valid, scaled, np.float32(0))


def usual_sections(
    windows: NDArray[np.float32], heights_mm: NDArray[np.float64], reach_mm: float
) -> NDArray[np.float32]:
    """Return what the cord usually looks like around every window.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, H, W)
        Scaled, each centered on the cord.
    heights_mm : ndarray of float, shape (n,)
        Where along the cord they are.
    reach_mm : float
        Windows within this distance count.

    Returns
    -------
    usual : ndarray of float32, shape (n, H, W)
        Median of at most 31 windows: what runs along the cord stays (gray matter, the central
        canal, ringing), what is shorter than the reach does not.
    """
    usual = np.empty_like(windows)
    for n, height in enumerate(heights_mm):
        near = np.flatnonzero(np.abs(heights_mm - height) <= reach_mm)
        chosen = near[np.linspace(0, len(near) - 1, min(len(near), MOST_SECTIONS)).astype(int)]
        usual[n] = np.median(windows[chosen], axis=0)
    return usual


def differences(usual: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how windows differ from usual sections in their grays.

    Parameters
    ----------
    usual, windows : ndarray of float32, shape (n, H, W)
        Scaled, the cord about in the middle.

    Returns
    -------
    apart : ndarray of float32, shape (n, H, W)
        ``window - (a * usual + b)``, doubled, around 0.5, from 0 to 1; 0.5 further than 0.4 of an
        edge from the middle, where canals differ from slice to slice.

    Notes
    -----
    Line ``a``, ``b`` by least absolute deviations (iteratively reweighted) within 0.3 of an edge
    of the middle: neither what lies beside the canal nor a small lesion changes the grays.
    """
    axes = [np.arange(size) - (size - 1) / 2 for size in windows.shape[1:]]
    far = np.hypot(axes[0][:, None], axes[1][None, :]) / windows.shape[1]
    x, y = (values[:, far <= NEAR].astype(np.float64) for values in (usual, windows))
    weight = ((x > 0) & (y > 0)) + 1e-6
    slope, shift = np.ones((len(x), 1)), np.zeros((len(x), 1))
    for _ in range(ROUNDS):
        own = weight / np.maximum(np.abs(y - slope * x - shift), LEAST_APART)
        total = own.sum(axis=1, keepdims=True)
        mean_x, mean_y = ((own * v).sum(axis=1, keepdims=True) / total for v in (x, y))
        spread = (own * (x - mean_x) ** 2).sum(axis=1, keepdims=True) / total
        both = (own * (x - mean_x) * (y - mean_y)).sum(axis=1, keepdims=True) / total
        slope = np.clip(both / np.maximum(spread, 1e-6), *SLOPES)
        shift = mean_y - slope * mean_x
    apart = windows - (slope[:, :, None] * usual + shift[:, :, None])
    shown = (far <= SEEN) & (usual > 0) & (windows > 0)
    result: NDArray[np.float32] = np.clip(np.where(shown, 2 * apart, 0.0) + 0.5, 0.0, 1.0)
    return result.astype(np.float32)


def axial_at(image: Image, spacing_mm: float) -> Image:
    """Return an image, LAS, with square axial pixels of ``spacing_mm``; slices stay as they are.

    Axes finer than the target are smoothed first, against aliasing.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    spacing_mm : float
        Edge of a pixel.
    """
    image = upright(image)
    ratio = spacing_mm / image.voxel_sizes[:2]
    sigma = [0.4 * r if r > 1.2 else 0.0 for r in ratio]
    smooth = image.with_data(ndimage.gaussian_filter(image.data, (*sigma, 0.0)))
    shape = [
        max(int(np.ceil(n / r - 1e-6)), 1) for n, r in zip(image.shape[:2], ratio, strict=True)
    ]
    step = np.eye(4)
    step[[0, 1], [0, 1]] = ratio
    step[:2, 3] = (ratio - 1) / 2
    grid = (shape[0], shape[1], image.shape[2])
    values = _resample_edge(smooth, grid, image.affine @ step)
    return Image(values, image.affine @ step)


def _resample_edge(
    image: Image, shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Resample; the last pixel may lie partly outside and repeats its neighbor."""
    step = np.linalg.norm(affine[:3, :2], axis=0) / image.voxel_sizes[:2]
    edge = int(np.ceil(step.max()))
    padded = np.pad(image.data, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    shift = np.eye(4)
    shift[:2, 3] = -edge
    return resample(Image(padded, image.affine @ shift), shape, affine).data
