"""Slices with sections along the cord beside them become images of any contrast.

As `synthesis.slices`, whose steps these are: a sample's sections are laid side by side, colored
as one image, and taken apart again, so that the same tissue has the same gray in all of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spinalprep.networks.window import HIGH, LOW, Beside
from spinalprep.training.material.slices import Slices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.chance import chance, uniform
from spinalprep.training.synthesis.faults import hide_outlines
from spinalprep.training.synthesis.lesions import change_at_random, draw_ellipses
from spinalprep.training.synthesis.slices import (
    SliceRanges,
    black_out,
    coarsen,
    draw_bias,
    draw_points,
    paint,
    read_clusters,
    read_planes,
    some_coarser,
    to_flow,
    vary,
)

SHIFT_SD_PX = 1.0  # by which the centerline strays from section to section
SCALE = 0.05  # by which sections of one cord are larger or smaller than they were drawn
ODD = 0.35  # share of samples whose cord is another one here, as compressed or swollen
ODD_SCALE = 0.35  # by which, in either direction
ODD_REACH_PX = 14.0, 60.0  # from the center: of the cord alone, or of the sac with it
MEDIAN_NOISE = 0.15, 0.5  # share of the noise that is left in a median


@dataclass(frozen=True)
class Scene:
    """Sections of samples, shape (N, S, H, W) each; of clusters, one-hot, (N, S, 10, H, W)."""

    real: Tensor
    clusters: Tensor
    cord: Tensor
    gm: Tensor
    lesion: Tensor


def make_sections(
    slices: Slices,
    index: np.ndarray,
    ranges: SliceRanges,
    draw: torch.Generator,
    beside: Beside,
) -> Batch:
    """Return one batch of random images of chosen slices, with sections beside them.

    Parameters
    ----------
    slices : Slices
        The material, with labeled usual sections where a median is wanted.
    index : ndarray of int, shape (N,)
        Which slices.
    ranges : SliceRanges
        What is drawn from.
    draw : torch.Generator
        The only source of chance.
    beside : Beside
        Which sections.

    Returns
    -------
    batch : Batch
        Image (N, channels, H, W), the slice first; channels of the truth, of that slice: cord,
        gray matter, lesion.
    """
    scene = _warp(slices, index, ranges, draw, beside)
    image, lesion = _colour(scene, _recoloured(slices, index, ranges, scene, draw), ranges, draw)
    seen = hide_outlines(image, scene.cord, scene.gm, ranges.faults, draw, beside)
    image = _add_noise(coarsen(seen.image, ranges, draw), ranges, draw, beside)
    inside = scene.clusters[:, :1].sum(dim=2) > 0.5
    shown, inside = black_out(image, inside, ranges, draw)
    truth = torch.cat([seen.cord, seen.gm, torch.maximum(lesion, scene.lesion)], dim=1) * inside
    known = np.stack([slices.has_cord, slices.has_gm, slices.has_lesion], axis=1)[index]
    weight = torch.from_numpy(known.astype(np.float32))[:, :, None, None]
    return Batch(_scale(shown, inside), truth, weight)


def _warp(
    slices: Slices, index: np.ndarray, ranges: SliceRanges, draw: torch.Generator, beside: Beside
) -> Scene:
    """Sample all sections on one random grid, each a little off it."""
    points = draw_points(len(index), ranges, draw)
    up = np.where(torch.rand((len(index),), generator=draw).numpy() < 0.5, 1.0, -1.0)
    parts = [_read(slices, index, points)]
    usual = _deformed(points, draw)
    if beside.neighbours_mm > 0:
        for side in (-1.0, 1.0):
            between = points + (usual - points) * torch.rand((len(index), 1, 1, 1), generator=draw)
            away = side * up * beside.neighbours_mm
            there = np.array(
                [slices.beside(index[n : n + 1], away[n])[0] for n in range(len(index))]
            )
            parts.append(_read(slices, there, _strayed(between, draw)))
    if beside.median_mm > 0:
        parts.append(_read(slices, index, _strayed(usual, draw), usual=True))
    real, clusters, cord, gm = (torch.stack(part, dim=1) for part in zip(*parts, strict=True))
    flow = to_flow(points + torch.from_numpy(slices.centre[index])[:, None, None], _full(slices))
    lesion = read_planes(slices.lesion[index][:, None], flow)
    return Scene(real, clusters, cord, gm, lesion)


def _full(slices: Slices) -> int:
    return int(slices.image.shape[-1])


def _deformed(points: Tensor, draw: torch.Generator) -> Tensor:
    """Return pixels of what is usual around a cord that is narrow, flat or wide in this slice.

    A network that is shown neighbors must not take their outline where the slice shows its own.
    """
    count = len(points)
    odd = chance(ODD, count, draw).permute(0, 2, 3, 1)
    by = odd * uniform(-ODD_SCALE, ODD_SCALE, (count, 1, 1, 2), draw)
    reach = uniform(*ODD_REACH_PX, (count, 1, 1, 1), draw)
    near = torch.exp(-((points.norm(dim=-1, keepdim=True) / reach) ** 4))
    return points * (1 + by * near)


def _strayed(points: Tensor, draw: torch.Generator) -> Tensor:
    """Return pixels of a section that lies a little elsewhere and is a little larger."""
    count = len(points)
    scale = uniform(1 - SCALE, 1 + SCALE, (count, 1, 1, 2), draw)
    return points * scale + torch.randn((count, 1, 1, 2), generator=draw) * SHIFT_SD_PX


def _read(
    slices: Slices, index: np.ndarray, points: Tensor, usual: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return intensities, clusters, cord and gray matter of sections, (N, H, W) each."""
    flow = to_flow(points + torch.from_numpy(slices.centre[index])[:, None, None], _full(slices))
    planes = slices.image, slices.cord, slices.gm
    labels = slices.clusters
    if usual:
        planes, labels = (slices.usual, slices.usual_cord, slices.usual_gm), slices.usual_clusters
    warped = read_planes(np.stack([plane[index] for plane in planes], axis=1), flow)
    return warped[:, 0], read_clusters(labels[index], flow), warped[:, 1], warped[:, 2]


def _recoloured(
    slices: Slices, index: np.ndarray, ranges: SliceRanges, scene: Scene, draw: torch.Generator
) -> Tensor:
    """Return which samples are recoloured, shape (N, 1, 1, 1)."""
    drawn = torch.from_numpy(slices.has_cord[index])[:, None, None, None]
    loose = torch.from_numpy(slices.loose_masks[index] & ranges.exact)[:, None, None, None]
    pick = (chance(ranges.recoloured, len(index), draw) | loose) & drawn
    return pick & (scene.lesion.amax(dim=(1, 2, 3), keepdim=True) < 0.5)


def _colour(
    scene: Scene, pick: Tensor, ranges: SliceRanges, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return intensities (N, S, H, W) and the lesions drawn into the slice (N, 1, H, W)."""
    real, cord, gm = (_side_by_side(part)[:, None] for part in (scene.real, scene.cord, scene.gm))
    painted = paint(real, _side_by_side(scene.clusters), cord, gm, draw)
    row = torch.where(pick, painted, vary(real, draw))
    image = torch.stack(torch.split(row[:, 0], scene.real.shape[-1], dim=-1), dim=1)
    lesion = draw_ellipses(scene.cord[:, :1], ranges.lesions, draw)
    own = change_at_random(image[:, :1], lesion, draw)
    return torch.cat([own, image[:, 1:]], dim=1), lesion


def _side_by_side(sections: Tensor) -> Tensor:
    """Lay sections (N, S, ..., H, W) in a row, (N, ..., H, S W)."""
    return torch.cat(list(sections.unbind(dim=1)), dim=-1)


def _add_noise(image: Tensor, ranges: SliceRanges, draw: torch.Generator, beside: Beside) -> Tensor:
    """Add bias and noise; a median holds less of it."""
    count, sections = image.shape[:2]
    noise = some_coarser(torch.randn(image.shape, generator=draw), draw)
    usual = uniform(0.0, ranges.noise, (count, 1, 1, 1), draw)
    much = uniform(ranges.noise, max(ranges.most_noise, ranges.noise), (count, 1, 1, 1), draw)
    level = torch.where(chance(ranges.faint, count, draw), much, usual)
    share = uniform(0.6, 1.2, (count, sections, 1, 1), draw)
    share[:, 0] = 1.0
    if beside.median_mm > 0:
        share[:, -1:] = uniform(*MEDIAN_NOISE, (count, 1, 1, 1), draw)
    return image * draw_bias(image, draw) + noise * level * share


def _scale(image: Tensor, inside: Tensor) -> Tensor:
    """Scale each section as `networks.window.scale_window` does."""
    scaled = torch.zeros_like(image)
    for n, seen in enumerate(inside[:, 0]):
        if int(seen.sum()) < 16:
            continue
        low, high = np.percentile(image[n][:, seen].numpy(), [LOW, HIGH], axis=1)
        least, most = (torch.from_numpy(v.astype(np.float32))[:, None, None] for v in (low, high))
        scaled[n] = ((image[n] - least) / (most - least).clamp(min=1e-6)).clamp(0, 1)
    return scaled * inside
