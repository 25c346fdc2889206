"""Outlines that are hidden: what defeats a segmentation, drawn into samples.

Fluid as gray as the cord, a cord at the wall of its sac, flow voids, thick slices of a tilted cord.
None moves the cord. `phantom.faults` draws such things into whole images, for tests; ranges here
are wider.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from spinalprep.networks.window import Beside
from spinalprep.training.synthesis.chance import smooth_noise, uniform

LENGTH_MM = 5.0, 70.0  # of a fault, along the cord
RING_PX = 3.0, 13.0  # of fluid
RIM_PX = 1.6  # of the cord, where fluid shares the pixels
NEAR = 0.25  # of the step from cord to fluid, by which gray fluid differs from the cord
SHARES = {"fluid": 0.5, "wall": 0.15, "voids": 0.15, "thick": 0.2}
WALL_PX = 5.0
VOIDS_PX = 8.0
THICKEST_PX = 6.0  # by which a cord moves within a slice
COPIES = 5
LEAST_PX = 20.0  # of cord: in less of it nothing is hidden
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What is left to see: images (N, S, H, W); truth of the slices, (N, 1, H, W) each."""

    image: Tensor
    cord: Tensor
    gm: Tensor


def hide_outlines(
    image: Tensor, cord: Tensor, gm: Tensor, share: float, draw: torch.Generator, beside: Beside
) -> Seen:
    """Draw a fault into a share of the samples.

    Parameters
    ----------
    image, cord, gm : Tensor, shape (N, S, H, W)
        Sections, the slice first, then as in `with_sections_beside`.
    share : float
        Of the samples.
    draw : torch.Generator
        The only source of chance.
    beside : Beside
        Which sections there are: a fault is seen in those that it is long enough to reach.
    """
    image, cord, gm = image.clone(), cord.clone(), gm.clone()
    chosen = torch.rand((len(image),), generator=draw) < share
    for n in torch.nonzero(chosen & (cord[:, 0].sum(dim=(1, 2)) > LEAST_PX))[:, 0].tolist():
        kind = int(torch.multinomial(torch.tensor(list(SHARES.values())), 1, generator=draw))
        reached = _reached(beside, draw)
        if list(SHARES)[kind] == "thick":
            image[n], cord[n], gm[n] = _thicken(torch.stack([image[n], cord[n], gm[n]]), draw)
            continue
        drawn = {"fluid": _fluid, "wall": _wall, "voids": _voids}[list(SHARES)[kind]]
        around = _Around(cord[n], gm[n], draw)
        grey = torch.rand((1,), generator=draw).item()
        for s in reached:
            image[n, s] = torch.from_numpy(drawn(image[n, s].numpy(), around, s, grey))
    return Seen(image, cord[:, :1], gm[:, :1])


def _reached(beside: Beside, draw: torch.Generator) -> list[int]:
    """Return the sections that a fault of random length around the slice changes."""
    length = float(uniform(*LENGTH_MM, (1,), draw))
    below = float(torch.rand((1,), generator=draw)) * length
    parts, reached = (below, length - below), [0]
    if beside.neighbours_mm > 0:
        reached += [n + 1 for n, part in enumerate(parts) if part >= beside.neighbours_mm]
    if beside.median_mm > 0 and sum(min(p, beside.median_mm) for p in parts) > beside.median_mm:
        reached.append(beside.channels - 1)
    return reached


class _Around:
    """A fault of a sample: its side, its ragged width, in every section the same."""

    def __init__(self, cord: Tensor, gm: Tensor, draw: torch.Generator) -> None:
        self.cord, self.gm = cord.numpy(), gm.numpy()
        size = cord.shape[-1]
        low, high = RING_PX
        waves = smooth_noise((1, 1, 0), 6, size, draw)[0, 0].numpy()
        self.width = float(uniform(low, high, (1,), draw)) + waves * 0.8
        self.blots = smooth_noise((1, 1, 0), 14, size, draw)[0, 0].numpy()
        all_round, self.angle, wide, self.near = uniform(0.0, 1.0, (4,), draw).tolist()
        self.half_width = np.pi if all_round < 0.5 else np.deg2rad(40.0 + 70.0 * wide)

    def away(self, s: int) -> Array:
        """Return the distance from the outline, negative inside, in pixels."""
        mask = self.cord[s] >= 0.5
        outside = ndimage.distance_transform_edt(~mask)
        inside = ndimage.distance_transform_edt(mask)
        return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5), np.float32)

    def side(self, s: int, half_width: float) -> Array:
        """Return 1 on the side that is changed, 0 on the other."""
        if not (self.cord[s] >= 0.5).any():
            return np.zeros(self.cord[s].shape, np.float32)
        i, j = ndimage.center_of_mass(self.cord[s])
        rows, columns = np.indices(self.cord[s].shape)
        turned = np.arctan2(columns - j, rows - i) - 2 * np.pi * self.angle
        apart = np.abs(np.angle(np.exp(1j * turned)))
        return np.asarray(np.clip((half_width - apart) * 4 + 0.5, 0.0, 1.0), np.float32)

    def mean(self, image: Array, weight: Array) -> float:
        """Return the mean over a part, of the cord where the part is empty."""
        total = float(weight.sum())
        return float((image * weight).sum() / total) if total > 1 else float(image.mean())


def _blend(image: Array, grey: float, there: Array) -> Array:
    return np.asarray(image * (1 - there) + grey * there, np.float32)


def _fluid(image: Array, around: _Around, s: int, grey: float) -> Array:
    """Give fluid about the gray of white matter; some of it has a dark or bright membrane."""
    away = around.away(s)
    white = around.mean(image, around.cord[s] * (1 - around.gm[s]) * (away < -1.0))
    fluid = around.mean(image, ((away > 1.0) & (away < 4.0)).astype(np.float32))
    off = (grey - 0.5) * 2 * NEAR * (fluid - white) if around.near < 0.6 else 0.0
    outer = np.clip(around.width - away + 0.5, 0.0, 1.0)
    inner = np.clip(away + RIM_PX + 0.5, 0.0, 1.0)
    there = np.asarray(outer * inner * around.side(s, around.half_width), np.float32)
    changed = _blend(image, white + off, there)
    if around.near > 0.7:
        membrane = np.exp(-(((away - around.width) / 1.2) ** 2)) * (away > 0)
        line = np.asarray(membrane * around.side(s, around.half_width), np.float32)
        changed = _blend(changed, grey, line)
    return changed


def _wall(image: Array, around: _Around, s: int, grey: float) -> Array:
    """Let what lies beyond the fluid touch the cord on one side."""
    away, side = around.away(s), around.side(s, min(around.half_width, np.pi / 2))
    wide = around.width
    beyond = ((away > wide) & (away < wide + WALL_PX)) * side
    there = side * np.clip(wide - away + 0.5, 0.0, 1.0) * (1 - around.cord[s]) * (away > -1.0)
    return _blend(image, around.mean(image, beyond.astype(np.float32)), there)


def _voids(image: Array, around: _Around, s: int, grey: float) -> Array:
    """Let blots of another gray lie in the fluid, as where it flows."""
    away = around.away(s)
    blots = np.clip((around.blots - 0.4) * 3, 0.0, 1.0) * (away > 0.0) * (away < VOIDS_PX)
    return _blend(image, grey * 1.1, np.asarray(blots * (1 - around.cord[s]), np.float32))


def _thicken(parts: Tensor, draw: torch.Generator) -> Tensor:
    """Average copies of images and truth along a line, as a thick slice of a tilted cord does.

    Mostly from front to back, the second axis.
    """
    length = float(uniform(1.0, THICKEST_PX, (1,), draw))
    angle = np.pi / 2 + 0.5 * float(torch.randn((1,), generator=draw))
    size = parts.shape[-1]
    axis = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")[::-1], dim=-1)
    step = torch.tensor([np.sin(angle), np.cos(angle)], dtype=torch.float32) * 2 * length / size
    line = torch.linspace(-0.5, 0.5, COPIES)[:, None, None, None]
    flat = parts.flatten(0, 1)[None].expand(COPIES, -1, -1, -1)
    copies = functional.grid_sample(
        flat, grid + line * step, mode="bilinear", padding_mode="border", align_corners=False
    )
    return copies.mean(dim=0).view(parts.shape)
