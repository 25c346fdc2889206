"""Lumbar slices of tissues become T2w and T1w images, with the structures in them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spinalprep.lumbar.structures import STRUCTURES
from spinalprep.phantom.lumbar_tissues import TISSUES, to_structures
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.chance import chance, smooth_noise, uniform

# Usual intensities in T2w and T1w; fat under the skin is 1.
USUAL = {
    "air": (0.0, 0.0),
    "skin": (0.35, 0.4),
    "subcutaneous fat": (1.0, 1.0),
    "muscle": (0.2, 0.38),
    "intramuscular fat": (0.85, 0.9),
    "retroperitoneal fat": (0.85, 0.9),
    "organ": (0.35, 0.45),
    "other organ": (0.5, 0.4),
    "gas": (0.02, 0.02),
    "mesenteric fat": (0.8, 0.9),
    "ligament": (0.07, 0.15),
    "cortex": (0.08, 0.12),
    "marrow": (0.42, 0.55),
    "changed marrow": (0.7, 0.6),
    "fatty marrow": (0.75, 0.9),
    "sacral cortex": (0.08, 0.12),
    "sacral marrow": (0.48, 0.6),
    "sacral remnant": (0.3, 0.35),
    "annulus": (0.13, 0.28),
    "nucleus": (0.8, 0.36),
    "dark nucleus": (0.33, 0.34),
    "csf": (1.15, 0.18),
    "cord": (0.5, 0.42),
    "cauda equina": (0.62, 0.36),
    "epidural fat": (0.9, 0.95),
    "root": (0.42, 0.38),
    "flowing blood": (0.05, 0.12),
    "slow blood": (0.4, 0.3),
    "basivertebral vein": (0.75, 0.35),
}
BRIGHT = 0.98  # share of the body that is darker than what becomes 1
GROUPS = {"fat": 0.15, "marrow": 0.3, "csf": 0.2, "nucleus": 0.3, "blood": 0.5}  # move together


@dataclass(frozen=True)
class LumbarRanges:
    """What a sample is drawn from; lengths in mm, the rest shares or factors.

    Attributes
    ----------
    size : tuple of int
        Rows (superior-inferior) and columns of a patch, in pixels of 1 mm.
    rotation_deg, shift : float
        Largest, the latter as a share of the patch.
    zoom : tuple of float
        Factor on the size of what is shown.
    flip : float
        Share of samples that are mirrored from front to back.
    no_t1w, no_t2w : float
        Shares without one of the contrasts, which is then zero.
    spread : float
        Standard deviation of the logarithm of a tissue's intensity.
    noise : float
        Largest, as a share of the bright tissues.
    band, cropped : float
        Shares with a dark belly (saturation band), and with a field of view smaller than the patch.
    """

    size: tuple[int, int] = (192, 160)
    rotation_deg: float = 20.0
    shift: float = 0.1
    zoom: tuple[float, float] = (0.8, 1.3)
    flip: float = 0.0
    no_t1w: float = 0.35
    no_t2w: float = 0.12
    spread: float = 0.16
    noise: float = 0.06
    band: float = 0.4
    cropped: float = 0.4


def make_lumbar_batch(
    tissues: NDArray[np.uint8], ranges: LumbarRanges, draw: torch.Generator
) -> Batch:
    """Return samples of slices.

    Parameters
    ----------
    tissues : ndarray of uint8, shape (N, 2, Z, A)
        See `material.lumbar.LumbarSlices`.
    ranges : LumbarRanges
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    batch : Batch
        Image (N, 2, Z, A): T2w and T1w, 0 to about 1; truth (N, 12, Z, A): one structure a pixel.
    """
    count = len(tissues)
    middle = torch.from_numpy(tissues[:, 0].astype(np.int64))
    beside = torch.from_numpy(tissues[:, 1].astype(np.int64))
    values = _intensities(count, ranges, draw)
    part = uniform(0.5, 1.0, (count, 1, 1, 1), draw)
    painted = part * _looked_up(values, middle) + (1 - part) * _looked_up(values, beside)
    grid = _grid(count, middle.shape[1:], ranges, draw)
    image = functional.grid_sample(painted, grid, align_corners=False)
    view = _field_of_view(count, ranges, draw)
    image = _acquired(image, ranges, draw) * view
    structures = torch.from_numpy(to_structures(tissues[:, 0]))[:, None].float()
    seen = functional.grid_sample(structures, grid, mode="nearest", align_corners=False)
    truth = (
        functional.one_hot((seen * view)[:, 0].long(), len(STRUCTURES)).permute(0, 3, 1, 2).float()
    )
    return Batch(image, truth, torch.ones(count, len(STRUCTURES), 1, 1))


def draw_lumbar_batch(
    tissues: NDArray[np.uint8], count: int, ranges: LumbarRanges, seed: int, step: int
) -> Batch:
    """Return the batch of a step, of so many slices; the same for the same seed and step.

    See `make_lumbar_batch`.
    """
    chance = np.random.default_rng([seed, step])
    draw = torch.Generator().manual_seed(int(chance.integers(2**62)))
    return make_lumbar_batch(tissues[chance.choice(len(tissues), count)], ranges, draw)


def _intensities(count: int, ranges: LumbarRanges, draw: torch.Generator) -> Tensor:
    """Return an intensity of every tissue, (N, 2, tissues)."""
    usual = torch.tensor([USUAL[name] for name in TISSUES]).T
    moved = ranges.spread * torch.randn((count, 2, len(TISSUES)), generator=draw)
    for word, spread in GROUPS.items():
        members = torch.tensor([word in name for name in TISSUES]).float()
        moved = moved + spread * torch.randn((count, 2, 1), generator=draw) * members
    values = usual * moved.exp() + 0.03 * torch.rand((count, 2, len(TISSUES)), generator=draw)
    values[:, :, 0] = 0.0
    return values


def _looked_up(values: Tensor, tissues: Tensor) -> Tensor:
    """Return images (N, 2, H, W) of tissues (N, H, W) by their intensities."""
    return torch.stack([own[:, of] for own, of in zip(values, tissues, strict=True)])


def _grid(count: int, size: tuple[int, ...], ranges: LumbarRanges, draw: torch.Generator) -> Tensor:
    """Return where each pixel of a patch lies in a slice, in torch's terms, (N, H, W, 2)."""
    rows, columns = (torch.arange(n) - (n - 1) / 2 for n in ranges.size)
    turn = torch.deg2rad(uniform(-ranges.rotation_deg, ranges.rotation_deg, (count, 1, 1), draw))
    zoom = uniform(*ranges.zoom, (count, 1, 1), draw)
    mirrored = torch.where(chance(ranges.flip, count, draw)[:, 0], -1.0, 1.0)
    i, j = rows[None, :, None] / zoom, columns[None, None, :] * mirrored / zoom
    row, column = i * turn.cos() - j * turn.sin(), i * turn.sin() + j * turn.cos()
    # The spine: 80 mm to the front of a slice's back, and at any height.
    free = max(size[0] - ranges.size[0], 0) / 2 + ranges.shift * ranges.size[0]
    row = row + (size[0] - 1) / 2 + uniform(-free, free, (count, 1, 1), draw)
    aside = 12 + 2 * ranges.shift * ranges.size[1]
    column = column + 90 + uniform(-aside, aside, (count, 1, 1), draw)
    height, width = size
    return torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], dim=-1)


def _acquired(image: Tensor, ranges: LumbarRanges, draw: torch.Generator) -> Tensor:
    """Return images as a scanner shows them: blur, coil, dark belly, noise, scale."""
    count, _, height, width = image.shape
    body = (image > 0).float()
    texture = functional.avg_pool2d(torch.randn(image.shape, generator=draw), 3, 1, 1)
    image = image * (1 + uniform(0.0, 0.5, (count, 2, 1, 1), draw) * texture)
    image = _blurred(image, uniform(0.3, 1.0, (count, 1, 1, 1), draw))
    column = torch.arange(width)[None, None, None, :] / width
    reach = 1 / uniform(0.4, 5.0, (count, 1, 1, 1), draw)
    row = torch.linspace(-1, 1, height)[None, None, :, None]
    ends = uniform(0.0, 0.7, (count, 1, 1, 1), draw) * row**4
    field = 0.15 * smooth_noise((count, 2, 4), 4, max(height, width), draw)[:, :, :height, :width]
    image = image * torch.exp(field - reach * column - ends)
    image = image * _belly(count, (height, width), ranges, draw)
    scale = _scale(image, body)
    noise = uniform(0.005, ranges.noise, (count, 1, 1, 1), draw) * scale
    real, imaginary = (torch.randn(image.shape, generator=draw) * noise for _ in range(2))
    image = torch.hypot(image + real, imaginary)
    image = image / scale * uniform(0.85, 1.15, (count, 1, 1, 1), draw)
    lost = torch.rand((count, 1, 1, 1), generator=draw)
    shown = torch.cat([lost > ranges.no_t2w, lost < 1 - ranges.no_t1w], dim=1)
    return (image * shown).clamp(0, 1.5)


def _blurred(image: Tensor, sd: Tensor) -> Tensor:
    """Blur each sample by a Gaussian of its own, in pixels."""
    offsets = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(offsets**2) / (2 * sd[:, 0] ** 2))  # (N, 1, 5)
    kernel = (kernel / kernel.sum(dim=-1, keepdim=True)).repeat_interleave(2, dim=0)
    flat = image.reshape(1, -1, *image.shape[2:])
    groups = flat.shape[1]
    flat = functional.conv2d(flat, kernel[:, :, None, :], padding=(0, 2), groups=groups)
    flat = functional.conv2d(flat, kernel[..., None], padding=(2, 0), groups=groups)
    return flat.reshape(image.shape)


def _belly(
    count: int, size: tuple[int, int], ranges: LumbarRanges, draw: torch.Generator
) -> Tensor:
    """Return a factor (N, 1, H, W) that is small in front of a slanted line, for some samples."""
    rows, columns = torch.linspace(-1, 1, size[0])[:, None], torch.linspace(-1, 1, size[1])
    line = uniform(0.3, 0.9, (count, 1, 1, 1), draw)
    slope = uniform(-0.3, 0.3, (count, 1, 1, 1), draw)
    dark = torch.sigmoid(12 * (columns + slope * rows - line))
    depth = uniform(0.5, 0.95, (count, 1, 1, 1), draw) * chance(ranges.band, count, draw)
    return 1 - depth * dark


def _field_of_view(count: int, ranges: LumbarRanges, draw: torch.Generator) -> Tensor:
    """Return 0 outside the field of view, 1 inside, (N, 1, H, W)."""
    inside = torch.ones(count, 1, *ranges.size)
    smaller = chance(ranges.cropped, count, draw)
    for axis, length in enumerate(ranges.size):
        cut = uniform(0.0, 0.3, (count, 2, 1, 1), draw) * smaller * length
        at = torch.arange(length).reshape((-1, 1) if axis == 0 else (1, -1))
        inside = inside * (at >= cut[:, :1]) * (at < length - cut[:, 1:])
    return inside


def _scale(image: Tensor, body: Tensor) -> Tensor:
    """Return what is nearly the brightest of each image, (N, 2, 1, 1)."""
    bright = torch.quantile((image * body).flatten(2)[..., ::3], BRIGHT, dim=-1)
    return bright.clamp(min=1e-3)[..., None, None]
