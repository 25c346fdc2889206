"""Straightened cords become random volumes: the image generator in three dimensions.

What `synthesis.slices` does with slices, for what a 3D network sees (after SynthSeg, Billot et al.
2023, Medical Image Analysis 86:102789, doi:10.1016/j.media.2023.102789).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from spinalprep.networks.window import HIGH, LOW
from spinalprep.training.material.straightened import StraightVolume
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.chance import chance, uniform

KNOTS = 6  # of a random curve through intensities


@dataclass(frozen=True)
class VolumeRanges:
    """Ranges of what is drawn; lengths in voxels.

    Attributes
    ----------
    size, depth : int
        Edge of a section, and sections of a volume.
    shift : float
        Largest offset of the cord from the middle of the section.
    turn_rad, zoom : float
        Largest turn about the cord, and largest change of size as a logarithm.
    recoloured, lesions : float
        Share of volumes whose intensities are drawn per label, and that get lesions.
    thickest : float
        Thickest slices, along the cord.
    noise : float
        Largest standard deviation of the noise, as a share of the range of intensities.
    """

    size: int = 64
    depth: int = 48
    shift: float = 6.0
    turn_rad: float = 0.4
    zoom: float = 0.3
    recoloured: float = 0.5
    lesions: float = 0.45
    thickest: float = 10.0
    noise: float = 0.09


def make_volumes(cords: list[StraightVolume], ranges: VolumeRanges, draw: torch.Generator) -> Batch:
    """Return one random volume of each cord.

    Parameters
    ----------
    cords : list of StraightVolume
        N of them; one may come several times.
    ranges : VolumeRanges
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    batch : Batch
        Image (N, 1, size, size, depth), truth (N, 3, ...) of cord, gray matter and lesion, weight
        (N, 3, 1, 1, 1), zero where nobody drew gray matter or knows of lesions.
    """
    parts = [_warp(one, ranges, draw) for one in cords]
    image, cord, gm = (torch.stack([part[n] for part in parts])[:, None] for n in range(3))
    lesion = torch.stack([_lesions(one[0], ranges, draw) for one in cord])[:, None]
    image = torch.where(
        chance(ranges.recoloured, len(image), draw, axes=3),
        _recolour(image, cord, gm, draw),
        _curve(image, draw, sorted_share=0.9),
    )
    change = _uniform(0.12, 0.55, len(image), draw)
    sign = torch.where(chance(0.75, len(image), draw, axes=3), 1.0, -1.0)
    image = _acquire(image + lesion * change * sign, ranges, draw)
    weight = torch.ones(len(image), 3, 1, 1, 1)
    weight[:, 1, 0, 0, 0] = torch.tensor([float(one.has_gm) for one in cords])
    weight[:, 2, 0, 0, 0] = torch.tensor([float(one.lesion_free) for one in cords])
    return Batch(_scale(image), torch.cat([cord, gm, lesion], dim=1), weight)


def _uniform(low: float, high: float, count: int, draw: torch.Generator) -> Tensor:
    return uniform(low, high, (count, 1, 1, 1, 1), draw)


def _warp(one: StraightVolume, ranges: VolumeRanges, draw: torch.Generator) -> Tensor:
    """Cut image, cord and gray matter on one random grid, (3, size, size, depth)."""
    chance = torch.rand(7, generator=draw) * 2 - 1
    turn, flip = chance[0] * ranges.turn_rad, 1.0 if chance[1] > 0 else -1.0
    zoom = torch.exp(chance[2:5] * ranges.zoom)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in (ranges.size,) * 2]
    along = torch.arange(ranges.depth, dtype=torch.float32) - (ranges.depth - 1) / 2
    i, j, k = torch.meshgrid(axes[0], axes[1], along, indexing="ij")
    i, j, k = i * zoom[0] * flip, j * zoom[1], k * zoom[2]
    shift = (torch.rand(2, generator=draw) * 2 - 1) * ranges.shift
    full = one.image.shape
    room = max((full[2] - float(k.max() - k.min()) - 1) / 2, 0.0)
    i, j = i * torch.cos(turn) - j * torch.sin(turn), i * torch.sin(turn) + j * torch.cos(turn)
    places = (i + shift[0], j + shift[1], k + chance[5] * room)
    grid = torch.stack([2 * place / n for place, n in zip(places, full, strict=True)], dim=-1)
    soft = torch.stack([torch.from_numpy(part) for part in (one.image, one.cord, one.gm)])
    flow = grid.flip(-1)[None]  # grid_sample wants the last axis first
    cut: Tensor = functional.grid_sample(
        soft[None], flow, padding_mode="border", align_corners=False
    )[0]
    return cut


def _lesions(cord: Tensor, ranges: VolumeRanges, draw: torch.Generator) -> Tensor:
    """Draw up to two soft ellipsoids, longer than wide, inside a cord (size, size, depth)."""
    lesion = torch.zeros_like(cord)
    places = torch.nonzero(cord > 0.6)
    if float(torch.rand(1, generator=draw)) >= ranges.lesions or not len(places):
        return lesion
    axes = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32) for n in cord.shape), indexing="ij"
    )
    for _ in range(int(torch.randint(1, 3, (1,), generator=draw))):
        middle = places[int(torch.randint(len(places), (1,), generator=draw))].float()
        radii = 1.5 + torch.rand(3, generator=draw) * torch.tensor([5.0, 5.0, 18.0])
        apart = torch.stack(
            [(axis - at) / radius for axis, at, radius in zip(axes, middle, radii, strict=True)]
        )
        soft = torch.clamp(2.0 - 1.5 * apart.square().sum(dim=0).sqrt(), 0, 1)
        lesion = torch.maximum(lesion, soft)
    return lesion * cord


def _recolour(image: Tensor, cord: Tensor, gm: Tensor, draw: torch.Generator) -> Tensor:
    """Color everything anew: surroundings by a curve, fluid, white and gray matter by chance."""
    count = len(image)
    base = _curve(image, draw, sorted_share=0.4)
    blur = functional.avg_pool3d(cord, (11, 11, 5), stride=1, padding=(5, 5, 2))
    canal = torch.sigmoid((blur - _uniform(0.02, 0.3, count, draw)) * 40)
    fluid = _uniform(0.0, 1.0, count, draw)
    there = chance(0.6, count, draw, axes=3)
    base = torch.where(there, base * (1 - canal) + fluid * canal, base)
    around = functional.max_pool3d(cord, (9, 9, 1), stride=1, padding=(4, 4, 0)) * (1 - cord)
    ring = (around * base).sum(dim=(2, 3, 4), keepdim=True)
    ring = ring / around.sum(dim=(2, 3, 4), keepdim=True).clamp(min=1)
    step = _uniform(0.06, 0.6, count, draw) * torch.where(ring > 0.5, -1.0, 1.0)
    white = ring + step
    grey = white + _uniform(-0.25, 0.25, count, draw)
    return base * (1 - cord) + (white * (1 - gm) + grey * gm) * cord


def _curve(image: Tensor, draw: torch.Generator, sorted_share: float) -> Tensor:
    """Send intensities through a random curve; rising or falling for a share of the volumes."""
    knots = torch.rand((len(image), KNOTS), generator=draw)
    ordered = knots.sort(dim=1).values
    falling = torch.rand((len(image), 1), generator=draw) < 0.3
    plain = torch.rand((len(image), 1), generator=draw) < sorted_share
    knots = torch.where(plain, torch.where(falling, ordered.flip(1), ordered), knots)
    place = (image.clamp(0, 1.2) / 1.2 * (KNOTS - 1)).clamp(max=KNOTS - 1 - 1e-3)
    left = place.floor().long()
    rows = torch.arange(len(image))[:, None, None, None, None]
    return knots[rows, left] * (1 - (place - left)) + knots[rows, left + 1] * (place - left)


def _acquire(image: Tensor, ranges: VolumeRanges, draw: torch.Generator) -> Tensor:
    """Lower the resolution, in plane and along the cord; add bias and noise."""
    samples = []
    for one in image:
        coarse = torch.exp(torch.rand(3, generator=draw) * torch.tensor([0.8, 0.8, 1.0]))
        if float(torch.rand(1, generator=draw)) < 0.6:
            coarse[2] = 1 + float(torch.rand(1, generator=draw)) * (ranges.thickest - 1)
        shape = [max(round(n / float(c)), 4) for n, c in zip(one.shape[1:], coarse, strict=True)]
        low = functional.interpolate(one[None], shape, mode="area")
        samples.append(functional.interpolate(low, one.shape[1:], mode="trilinear"))
    blurred = torch.cat(samples)
    knots = torch.randn((len(image), 1, 4, 4, 4), generator=draw)
    field = functional.interpolate(knots, image.shape[2:], mode="trilinear", align_corners=True)
    bias = torch.exp(field * _uniform(0.0, 0.35, len(image), draw))
    noise = torch.randn(image.shape, generator=draw)
    return blurred * bias + noise * _uniform(0.0, ranges.noise, len(image), draw)


def _scale(image: Tensor) -> Tensor:
    """Scale every section as `networks.window.scale_window` does."""
    rows = image.movedim(-1, 2).flatten(3)  # (N, 1, depth, pixels)
    shares = torch.tensor([LOW / 100, HIGH / 100])
    low, high = torch.quantile(rows, shares, dim=3)
    low, high = low[:, :, None, None], high[:, :, None, None]
    scaled: Tensor = ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    return scaled
