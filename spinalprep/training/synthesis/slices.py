"""Labeled slices become images of any contrast, resolution and field of view.

Domain randomisation after SynthSeg (Billot et al. 2023, Medical Image Analysis 86:102789,
doi:10.1016/j.media.2023.102789): what a network should not depend on is drawn anew for
every sample. Label maps are intensity clusters with the drawn cord and gray matter laid over.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spinalprep.networks.window import HIGH, LOW, differences
from spinalprep.training.material.slices import CLUSTERS, Slices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.chance import chance, smooth_noise, uniform
from spinalprep.training.synthesis.lesions import (
    change_at_random,
    draw_clouds,
    draw_ellipses,
    draw_lookalikes,
)

USUAL_SHIFT_SD_PX = 0.5  # by which the usual section lies beside the slice
USUAL_SCALE = 0.06  # by which it is larger or smaller
USUAL_NOISE = 0.4  # share of the noise that is left in it
SLICE_GAIN = 0.15  # by which slices are brighter or darker than their neighbors
COARSE = 3.1  # pixels; larger voxels are read as inference does, linearly


@dataclass(frozen=True)
class SliceRanges:
    """Ranges of what is drawn; probabilities 0 to 1, lengths in pixels unless said.

    Attributes
    ----------
    size : int
        Height and width of a sample.
    shift : float
        Largest offset of the cord from the center of the sample.
    away : float
        Share of samples that are centered far from the cord.
    recoloured : float
        Share of samples whose intensities are drawn per label.
    lesions : float
        Share of samples with drawn-in lesions.
    exact : bool
        Show those with loose masks recoloured only, so that the mask is the edge; where the middle
        is learned, not needed.
    black : float
        Share of samples seen through a small window.
    smallest_window : float
        Smallest edge of that window.
    thick, thickest : float
        Share of samples cut by thick sagittal (one in five: coronal) slices, and the thickest.
    noise : float
        Largest standard deviation of the noise, as a share of the window's range.
    voxel_noise : float
        The same of noise in the acquired voxels, of which the window's pixels are interpolated.
    flat : float
        Share of samples squeezed from front to back by up to 45 %, as a compressed cord is.
    realistic : bool
        Draw lesions of any shape, towards the fluid, and what only looks like one.
    faults : float
        Share of samples whose outline is hidden, see `synthesis.faults`.
    faint : float
        Share of samples in much noise, as at the end of a coil.
    most_noise : float
        The largest standard deviation of that.
    """

    size: int
    shift: float
    away: float = 0.0
    recoloured: float = 0.55
    lesions: float = 0.45
    black: float = 0.35
    smallest_window: float = 30.0
    exact: bool = True
    thick: float = 0.0
    thickest: float = 10.0
    noise: float = 0.09
    voxel_noise: float = 0.0
    flat: float = 0.0
    realistic: bool = False
    faults: float = 0.0
    faint: float = 0.0
    most_noise: float = 0.2


def make_slices(
    slices: Slices, index: np.ndarray, ranges: SliceRanges, draw: torch.Generator
) -> Batch:
    """Return one batch of random images of chosen slices.

    Parameters
    ----------
    slices : Slices
        The material.
    index : ndarray of int, shape (N,)
        Which slices.
    ranges : SliceRanges
        What is drawn from.
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    batch : Batch
        Channels of the truth: cord, gray matter, lesion.
    """
    real, clusters, cord, gm, real_lesion = _warp(slices, index, ranges, draw)
    lesion = torch.zeros_like(cord)
    if not ranges.realistic:
        lesion = draw_ellipses(cord, ranges.lesions, draw)
    painted = paint(real, clusters, cord, gm, draw)
    drawn = torch.from_numpy(slices.has_cord[index])[:, None, None, None]
    loose = torch.from_numpy(slices.loose_masks[index] & ranges.exact)[:, None, None, None]
    pick = (chance(ranges.recoloured, len(index), draw) | loose) & drawn
    pick = pick & (real_lesion.amax(dim=(1, 2, 3), keepdim=True) < 0.5)  # a lesion is what shows
    image = torch.where(pick, painted, vary(real, draw))
    if ranges.realistic:
        image = draw_lookalikes(image, cord, draw)
        image, lesion = draw_clouds(image, cord, gm, ranges.lesions, draw)
    else:
        image = change_at_random(image, lesion, draw)
    inside = clusters.sum(dim=1, keepdim=True) > 0.5
    image = _acquire(image, ranges, draw)
    image, inside = black_out(image, inside, ranges, draw)
    truth = torch.cat([cord, gm, torch.maximum(lesion, real_lesion)], dim=1) * inside
    known = np.stack([slices.has_cord, slices.has_gm, slices.has_lesion], axis=1)[index]
    weight = torch.from_numpy(known.astype(np.float32))[:, :, None, None]
    return Batch(differ(scale(image, inside)), truth, weight)


def _warp(
    slices: Slices, index: np.ndarray, ranges: SliceRanges, draw: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Sample intensities, clusters (one-hot), cord, gray matter, lesions on one random grid.

    The intensities have a second channel where there are usual sections.
    """
    count, full = len(index), slices.image.shape[-1]
    centre = torch.from_numpy(slices.centre[index])[:, None, None]
    points = draw_points(count, ranges, draw) + centre
    flow = to_flow(points, full)
    planes = slices.image, slices.cord, slices.gm, slices.lesion
    warped = read_planes(np.stack([plane[index] for plane in planes], axis=1), flow)
    real = warped[:, :1]
    if slices.usual.size:
        near = near_flow(flow, full, draw)
        real = torch.cat([real, read_planes(slices.usual[index][:, None], near)], dim=1)
    clusters = read_clusters(slices.clusters[index], flow)
    return real, clusters, warped[:, 1:2], warped[:, 2:3], warped[:, 3:]


def near_flow(flow: Tensor, full: int, draw: torch.Generator) -> Tensor:
    """Return where the usual section is read: a little beside the slice, larger or smaller."""
    shape = (len(flow), 1, 1, 2)
    near = flow * uniform(1 - USUAL_SCALE, 1 + USUAL_SCALE, shape, draw)
    return near + torch.randn(shape, generator=draw) * 2 * USUAL_SHIFT_SD_PX / full


def draw_points(count: int, ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Return where a sample's pixels are read, from the center of its cord, (N, H, W, 2)."""
    size = ranges.size
    angle = uniform(-0.45, 0.45, (count,), draw)
    zoom = torch.exp(
        uniform(-0.37, 0.33, (count, 1), draw) + uniform(-0.12, 0.12, (count, 2), draw)
    )
    zoom = zoom * _squeeze(count, ranges.flat, draw)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=1)
    axis = torch.arange(size, dtype=torch.float32) - size / 2 + 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)[None]
    mirror = torch.where(torch.rand((count, 1), generator=draw) < 0.5, -1.0, 1.0)
    factors = zoom * torch.cat([mirror, torch.ones(count, 1)], dim=1)
    points = torch.einsum("nab,nijb->nija", turn, (grid * factors[:, None, None]))
    bend = smooth_noise((count, 2, 0), 6, size, draw).permute(0, 2, 3, 1)
    points = points + bend * uniform(0.0, 0.025, (count, 1, 1, 1), draw) * size
    return points + _offsets(count, ranges, draw)[:, None, None]


def to_flow(points: Tensor, full: int) -> Tensor:
    """Return pixels of the material as grid_sample wants them: -1 to 1, the last axis first."""
    return (points * 2 / full - 1 + 1 / full).flip(-1)


def read_planes(planes: np.ndarray, flow: Tensor) -> Tensor:
    """Sample planes (N, C, H, W)."""
    soft = torch.from_numpy(planes)
    return functional.grid_sample(soft, flow, mode="bilinear", align_corners=False)


def read_clusters(clusters: np.ndarray, flow: Tensor) -> Tensor:
    """Sample clusters (N, H, W), one-hot."""
    labels = torch.from_numpy(clusters.astype(np.float32))[:, None]
    nearest = functional.grid_sample(labels, flow, mode="nearest", align_corners=False)
    one_hot = functional.one_hot(nearest[:, 0].long(), CLUSTERS + 1)[..., 1:].permute(0, 3, 1, 2)
    return one_hot.float()


def _squeeze(count: int, share: float, draw: torch.Generator) -> Tensor:
    """Return by how much coarser some samples are read from front to back, shape (N, 2)."""
    factor = torch.ones(count, 2)
    if share > 0:
        flat = chance(share, count, draw)[:, 0, 0, 0]
        factor[:, 1] = torch.where(flat, uniform(1.0, 1.8, (count,), draw), factor[:, 1])
    return factor


def _offsets(count: int, ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Return where the sample's center lies from the cord, shape (N, 2)."""
    near = uniform(-ranges.shift, ranges.shift, (count, 2), draw)
    angle = uniform(0.0, 2 * np.pi, (count, 1), draw)
    far = torch.cat([torch.cos(angle), torch.sin(angle)], dim=1) * ranges.size * 0.8
    return torch.where(chance(ranges.away, count, draw)[:, 0, 0], far, near)


def paint(
    real: Tensor, clusters: Tensor, cord: Tensor, gm: Tensor, draw: torch.Generator
) -> Tensor:
    """Color everything anew; the cord keeps a distance from what surrounds it."""
    base, texture = _surroundings(real, clusters, draw)
    base = _halo(base, cord, draw)
    around = _widened(cord, 9) * (1 - cord)
    ring = (around * base[:, :1]).sum(dim=(2, 3), keepdim=True)
    ring = ring / around.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    white = ring + _step_between(ring, draw)
    grey = white + uniform(-0.25, 0.25, ring.shape, draw)
    inner = white * (1 - gm) + grey * gm + texture
    return base * (1 - cord) + inner * cord


def _widened(mask: Tensor, edge: int) -> Tensor:
    """Return the maximum within a square, rows first: faster than at once."""
    rows = functional.max_pool2d(mask, (edge, 1), stride=1, padding=(edge // 2, 0))
    return functional.max_pool2d(rows, (1, edge), stride=1, padding=(0, edge // 2))


def _surroundings(real: Tensor, clusters: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Recolour by a random curve, or cluster by cluster; return it and the cord's own texture."""
    count = len(real)
    means = torch.rand((count, CLUSTERS, 1, 1), generator=draw)
    sizes = clusters.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    own = (real[:, :1] * clusters).sum(dim=(2, 3), keepdim=True) / sizes
    texture = real - (own * clusters).sum(dim=1, keepdim=True)
    texture = texture * uniform(0.0, 1.2, (count, 1, 1, 1), draw)
    by_cluster = (means * clusters).sum(dim=1, keepdim=True) + texture
    return torch.where(chance(0.5, count, draw), _curve(real, draw), by_cluster), texture


def _step_between(ring: Tensor, draw: torch.Generator) -> Tensor:
    """Draw the step from the surroundings to the cord, 0.06 to 0.6, up or down where it fits."""
    count = len(ring)
    size = uniform(0.06, 0.6, (count, 1, 1, 1), draw)
    sign = torch.where(chance(0.5, count, draw), 1.0, -1.0)
    there = ring + sign * size
    return size * torch.where(there > 1.2, -1.0, torch.where(there < -0.2, 1.0, sign))


def _curve(real: Tensor, draw: torch.Generator) -> Tensor:
    """Send intensities through a random curve of six knots: other grays, the same shapes."""
    knots = torch.rand((len(real), 6), generator=draw)
    plain = torch.rand((len(real), 1), generator=draw) < 0.6
    descending = torch.rand((len(real), 1), generator=draw) < 0.4
    ordered = knots.sort(dim=1).values
    knots = torch.where(plain, torch.where(descending, ordered.flip(1), ordered), knots)
    place = (real.clamp(0, 1.2) / 1.2 * 5).clamp(max=4.999)
    left = place.floor().long()
    rows = torch.arange(len(real))[:, None, None, None]
    share = place - left
    return knots[rows, left] * (1 - share) + knots[rows, left + 1] * share


def _halo(base: Tensor, cord: Tensor, draw: torch.Generator) -> Tensor:
    """Lay one gray around the cord, as fluid lies: the label's edge is then the only edge."""
    count, size = len(cord), cord.shape[-2:]
    blur = functional.avg_pool2d(cord, 11, stride=1, padding=5)
    wavy = blur + 0.06 * smooth_noise((count, 1, 0), 8, size, draw)
    canal = torch.sigmoid((wavy - uniform(0.02, 0.3, (count, 1, 1, 1), draw)) * 40)
    grey = torch.rand((count, 1, 1, 1), generator=draw)
    there = chance(0.6, count, draw)
    return torch.where(there, base * (1 - canal) + grey * canal, base)


def vary(real: Tensor, draw: torch.Generator) -> Tensor:
    """Change real intensities by a random gamma; invert some."""
    gamma = torch.exp(uniform(-0.6, 0.6, (len(real), 1, 1, 1), draw))
    varied = real.clamp(min=0) ** gamma
    return torch.where(chance(0.12, len(real), draw), 1.0 - varied, varied)


def _acquire(image: Tensor, ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Blur, lower the resolution, add bias and noise."""
    return add_noise(coarsen(image, ranges, draw), ranges, draw)


def add_noise(image: Tensor, ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Add bias, a gain of the slice, and noise to samples at their resolution."""
    bias = draw_bias(image, draw)
    if image.shape[1] > 1:
        bias = bias * _slice_gain(image, draw)
    noise = _noise_of(image, draw)
    noise = some_coarser(noise, draw)
    return image * bias + noise * uniform(0.0, ranges.noise, (len(image), 1, 1, 1), draw)


def coarsen(image: Tensor, ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Blur, and lower the resolution; all channels of a sample alike."""
    parts = torch.split(image, 1)
    return torch.cat([coarsen_one(one, draw_voxel(ranges, draw), ranges, draw) for one in parts])


def coarsen_one(
    sample: Tensor, edges: Tensor, ranges: SliceRanges, draw: torch.Generator
) -> Tensor:
    """Read a sample (1, C, H, W) from voxels with edges of so many pixels, (2,)."""
    size = sample.shape[-1]
    shape = [max(round(size / float(c)), 8) for c in edges]
    low = functional.interpolate(sample, shape, mode="area")
    if ranges.voxel_noise > 0:
        low = low + _noise_of(low, draw) * uniform(0.0, ranges.voxel_noise, (1,), draw)
    mode = "bicubic" if bool(torch.rand((1,), generator=draw) < 0.5) else "bilinear"
    mode = "bilinear" if float(edges.max()) > COARSE else mode
    return functional.interpolate(low, (size, size), mode=mode, align_corners=False)


def draw_bias(image: Tensor, draw: torch.Generator) -> Tensor:
    """Return smooth gains of every sample, (N, 1, H, W)."""
    strength = uniform(0.0, 0.35, (len(image), 1, 1, 1), draw)
    return torch.exp(smooth_noise((len(image), 1, 0), 4, image.shape[-1], draw) * strength)


def some_coarser(noise: Tensor, draw: torch.Generator) -> Tensor:
    """Smooth half of the samples' noise, as where voxels are larger than pixels."""
    grain = functional.avg_pool2d(noise, 3, stride=1, padding=1) * 2.0
    return torch.where(chance(0.5, len(noise), draw), grain, noise)


def _noise_of(image: Tensor, draw: torch.Generator) -> Tensor:
    """Return noise of one; a median over slices, the usual section, holds less of it."""
    noise = torch.randn(image.shape, generator=draw)
    noise[:, 1:] *= USUAL_NOISE
    return noise


def _slice_gain(image: Tensor, draw: torch.Generator) -> Tensor:
    """Return how much brighter than its neighbors a slice is, 1 for the usual section."""
    count, size = len(image), image.shape[-1]
    smooth = smooth_noise((count, 1, 0), 3, size, draw) * uniform(0, 0.6, (count, 1, 1, 1), draw)
    own = torch.exp((uniform(-1, 1, (count, 1, 1, 1), draw) + smooth) * SLICE_GAIN)
    return torch.cat([own, torch.ones_like(own)], dim=1)


def draw_voxel(ranges: SliceRanges, draw: torch.Generator) -> Tensor:
    """Draw the edges of the acquired voxels in pixels, at least 1, shape (2,)."""
    edges = torch.exp(uniform(-0.5, 1.1, (2,), draw)).clamp(min=1.0)
    if ranges.thick > 0:
        thick, coronal = torch.rand((2,), generator=draw).tolist()
        if thick < ranges.thick:
            edges[int(coronal < 0.2)] = uniform(COARSE, ranges.thickest, (1,), draw)[0]
    return edges


def black_out(
    image: Tensor, inside: Tensor, ranges: SliceRanges, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Keep a random rectangle of some samples, as a small field of view would."""
    size = ranges.size
    axis = torch.arange(size, dtype=torch.float32)
    edges = uniform(ranges.smallest_window, size * 0.9, (len(image), 2), draw)
    middle = size / 2 + uniform(-0.2, 0.2, (len(image), 2), draw) * edges
    rows = (axis[None] - middle[:, :1]).abs() <= edges[:, :1] / 2
    columns = (axis[None] - middle[:, 1:]).abs() <= edges[:, 1:] / 2
    window = (rows[:, :, None] & columns[:, None, :])[:, None]
    window = window | ~chance(ranges.black, len(image), draw)
    return image * window, inside & window


def differ(image: Tensor) -> Tensor:
    """Put the difference from the usual section in its place, as inference does."""
    if image.shape[1] > 1:
        apart = differences(image[:, 1].numpy(), image[:, 0].numpy())
        image = torch.stack([image[:, 0], torch.from_numpy(apart)], dim=1)
    return image


def scale(image: Tensor, inside: Tensor) -> Tensor:
    """Scale each sample as `networks.window.scale_window` does."""
    scaled = torch.zeros_like(image)
    for n in range(len(image)):
        values = image[n, :1][inside[n]]
        if values.numel() < 16:
            continue
        low, high = np.percentile(values.numpy(), [LOW, HIGH])
        scaled[n] = ((image[n] - float(low)) / max(float(high - low), 1e-6)).clamp(0, 1)
    return scaled * inside
