"""Labeled slices become several images of one person: any contrasts, nearly aligned.

Every image of a sample (a view) is drawn as `synthesis.slices` draws one, with a resolution, noise,
bias and field of view of its own. A contrast that nobody acquired is a recoloured one. The lesions
of a sample lie at one place and show differently from view to view.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spinalprep.networks.hemis import CONTRASTS
from spinalprep.training.material.contrasts import ContrastSlices
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.chance import chance, uniform
from spinalprep.training.synthesis.lesions import draw_lookalikes, draw_shared_clouds
from spinalprep.training.synthesis.slices import (
    SliceRanges,
    add_noise,
    black_out,
    coarsen_one,
    differ,
    draw_points,
    draw_voxel,
    near_flow,
    paint,
    read_clusters,
    read_planes,
    scale,
    to_flow,
    vary,
)

SAGITTAL = CONTRASTS.index("acq-sagittal_T2w")
LIMIT = 2.5  # standard deviations: no view lies further off


@dataclass(frozen=True)
class ContrastRanges(SliceRanges):
    """Ranges of what is drawn, beside those of single images.

    Attributes
    ----------
    hidden : float
        Share of views in which a lesion of the sample does not show; it shows in one at least.
    apart_px : float
        Standard deviation of how far views lie from the first of them, in either direction.
    thinnest : float
        Least thickness of sagittal slices in pixels; the greatest is ``thickest``.
    """

    hidden: float = 0.12
    apart_px: float = 0.6
    thinnest: float = 5.0


@dataclass(frozen=True)
class _Views:
    """Which sample and which contrast every view is of, shape (M,); samples come in order."""

    sample: NDArray[np.intp]
    contrast: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.sample)

    def one_each(self, draw: torch.Generator) -> Tensor:
        """Return True for one view of every sample, shape (M, 1, 1, 1)."""
        lot, sample = torch.rand((len(self),), generator=draw), torch.from_numpy(self.sample)
        best = torch.zeros(int(self.sample.max()) + 1).scatter_reduce(0, sample, lot, "amax")
        return (lot == best[sample])[:, None, None, None]


def make_contrasts(
    material: ContrastSlices,
    index: NDArray[np.intp],
    wanted: NDArray[np.bool_],
    ranges: ContrastRanges,
    draw: torch.Generator,
) -> Batch:
    """Return one batch of samples of chosen slices, in chosen contrasts.

    Parameters
    ----------
    material : ContrastSlices
        Slices with a drawn cord.
    index : ndarray of int, shape (N,)
        Which slices.
    wanted : ndarray of bool, shape (N, contrasts)
        In which contrasts, one at least; where a manual lesion shows, those that are there.
    ranges : ContrastRanges
        What is drawn from.
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    batch : Batch
        Image and difference from the usual section of every contrast, (N, 2 * contrasts, H, W),
        zero where it is missing; channels of the truth: cord, gray matter, lesion.
    """
    slices, full = material.slices, material.image.shape[-1]
    centre = torch.from_numpy(slices.centre[index])[:, None, None]
    flow = to_flow(draw_points(len(index), ranges, draw) + centre, full)
    planes = np.stack([plane[index] for plane in (slices.cord, slices.gm, slices.lesion)], axis=1)
    cord, gm, drawn = torch.split(read_planes(planes, flow), 1, dim=1)
    clusters = read_clusters(slices.clusters[index], flow)
    manual = drawn.amax(dim=(1, 2, 3)).numpy() >= 0.5
    seen = np.where(manual[:, None], material.shown[index], wanted)
    views = _Views(*np.nonzero(seen))
    image = _colour(material, index, views, flow, (clusters, cord, gm), ranges, draw)
    image = draw_lookalikes(image, cord[views.sample], draw)
    hidden = chance(ranges.hidden, len(views), draw) & ~views.one_each(draw)
    image, lesion = draw_shared_clouds(
        image, cord, gm, ranges.lesions, (views.sample, hidden), draw
    )
    image = _acquire(_move(image, views, ranges, draw), views, ranges, draw)
    inside = clusters.sum(dim=1, keepdim=True)[views.sample] > 0.5
    image, inside = black_out(image, inside, ranges, draw)
    shown = differ(scale(image, inside))
    grid = (len(index), len(CONTRASTS), 2, ranges.size, ranges.size)
    whole, within = torch.zeros(grid), torch.zeros(grid[:2] + grid[3:])
    whole[views.sample, views.contrast] = shown
    within[views.sample, views.contrast] = inside[:, 0].float()
    truth = torch.cat([cord, gm, torch.maximum(lesion, drawn)], dim=1)
    truth = truth * within.amax(dim=1, keepdim=True)
    known = np.stack([slices.has_cord, slices.has_gm, slices.has_lesion], axis=1)[index]
    weight = torch.from_numpy(known.astype(np.float32))[:, :, None, None]
    return Batch(whole.flatten(1, 2), truth, weight)


def _colour(
    material: ContrastSlices,
    index: NDArray[np.intp],
    views: _Views,
    flow: Tensor,
    masks: tuple[Tensor, Tensor, Tensor],
    ranges: ContrastRanges,
    draw: torch.Generator,
) -> Tensor:
    """Return intensities of the views and of their usual sections, (M, 2, H, W)."""
    slices, row, full = material.slices, index[views.sample], material.image.shape[-1]
    there = material.shown[row, views.contrast]
    contrast = np.where(there, views.contrast, material.shown[row].argmax(axis=1))
    own = flow[views.sample]
    planes = (
        read_planes(part[row, contrast][:, None].astype(np.float32), where)
        for part, where in (
            (material.image, own),
            (material.usual, near_flow(flow, full, draw)[views.sample]),
        )
    )
    real = torch.cat(list(planes), dim=1)
    clusters, cord, gm = (mask[views.sample] for mask in masks)
    painted = paint(real, clusters, cord, gm, draw)
    loose = torch.from_numpy(slices.loose_masks[row] & ranges.exact | ~there)[:, None, None, None]
    manual = torch.from_numpy(slices.lesion[row].max(axis=(1, 2)) >= 0.5)[:, None, None, None]
    pick = (chance(ranges.recoloured, len(views), draw) | loose) & ~manual
    return torch.where(pick, painted, vary(real, draw))


def _move(image: Tensor, views: _Views, ranges: ContrastRanges, draw: torch.Generator) -> Tensor:
    """Shift all views of a sample but one, as imperfect alignment leaves them."""
    away = torch.randn((len(views), 2), generator=draw).clamp(-LIMIT, LIMIT) * ranges.apart_px
    away = away * ~views.one_each(draw)[:, :, 0, 0]
    turn = torch.eye(2).expand(len(views), 2, 2)
    affine = torch.cat([turn, (away * 2 / image.shape[-1])[:, :, None]], dim=2)
    grid = functional.affine_grid(affine, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _acquire(image: Tensor, views: _Views, ranges: ContrastRanges, draw: torch.Generator) -> Tensor:
    """Lower the resolution, view by view, add bias and noise; sagittal slices are thick."""
    samples = []
    for n, contrast in enumerate(views.contrast):
        edges = draw_voxel(ranges, draw)
        if contrast == SAGITTAL:
            edges[0] = uniform(ranges.thinnest, ranges.thickest, (1,), draw)[0]
        samples.append(coarsen_one(image[n : n + 1], edges, ranges, draw))
    return add_noise(torch.cat(samples), ranges, draw)
