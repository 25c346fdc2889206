"""Lesions drawn into slices: where they lie, their shape, and how they show."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spinalprep.training.synthesis.chance import chance, smooth_noise, uniform

MOST = 3  # lesions of a slice
AREAS = 0.02, 0.9  # of the section
SHARPNESS = 2.5, 10.0  # power of the distance: 2 is a Gaussian, 10 has an edge
CONTRASTS = 0.18, 1.2  # of the step from the cord to what surrounds it
VIEWS = 0.6, 1.2  # times that, from one image of a person to another
LEAST_STEP = 0.1  # of the window's range, where cord and surroundings are alike
RARE = 0.4  # weight of gray matter and of the anterior columns, against 1 elsewhere


def draw_ellipses(cord: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Draw up to two soft-edged ellipses inside the cord, (N, 1, H, W)."""
    count, _, size, _ = cord.shape
    axis = torch.arange(size, dtype=torch.float32)
    lesion = torch.zeros_like(cord)
    for n in torch.nonzero(chance(share, count, draw)[:, 0, 0, 0])[:, 0].tolist():
        places = torch.nonzero(cord[n, 0] > 0.6)
        if not len(places):
            continue
        for _ in range(int(torch.randint(1, 3, (1,), generator=draw))):
            middle = places[int(torch.randint(len(places), (1,), generator=draw))].float()
            width, height, angle = uniform(0.0, 1.0, (3,), draw).tolist()
            a = axis[:, None] - middle[0]
            b = axis[None, :] - middle[1]
            turned = a * np.cos(angle * np.pi) + b * np.sin(angle * np.pi)
            across = -a * np.sin(angle * np.pi) + b * np.cos(angle * np.pi)
            distance = torch.sqrt(
                (turned / (1.5 + 5 * width)) ** 2 + (across / (1.5 + 5 * height)) ** 2
            )
            lesion[n, 0] = torch.maximum(lesion[n, 0], torch.clamp(2.0 - 1.5 * distance, 0, 1))
    return lesion * cord


def change_at_random(image: Tensor, lesion: Tensor, draw: torch.Generator) -> Tensor:
    """Brighten (three in four) or darken the lesions by a share of the window's range."""
    change = uniform(0.12, 0.55, (len(image), 1, 1, 1), draw)
    sign = torch.where(chance(0.75, len(image), draw), 1.0, -1.0)
    return image + lesion * change * sign


def draw_clouds(
    image: Tensor, cord: Tensor, gm: Tensor, share: float, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw lesions of any shape, size and softness, as bright as fluid makes them.

    Parameters
    ----------
    image : Tensor, shape (N, 1 or 2, H, W)
        Intensities, and the usual section, in which long lesions are seen, too.
    cord, gm : Tensor, shape (N, 1, H, W)
        Share of each pixel that is cord, gray matter.
    share : float
        Of the samples that get lesions.
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    image, lesion : Tensor, shape (N, 1, H, W)
        With up to three lesions each, and where they are, 0 to 1.

    Notes
    -----
    A lesion holds more water than the tissue around it, so that its intensity goes from the cord's
    towards that of the fluid around the cord: brighter in T2w and T2*w, darker in T1w.
    """
    count, _, size, _ = cord.shape
    change, lesion = torch.zeros_like(cord), torch.zeros_like(cord)
    shown = chance(share, count, draw) & (cord.amax(dim=(2, 3), keepdim=True) > 0.6)
    weight = _where_lesions_lie(cord, gm)
    for _ in range(MOST):
        profile = _cloud(cord, weight, draw) * shown
        low, high = np.log(CONTRASTS)
        contrast = torch.exp(uniform(low, high, (count, 1, 1, 1), draw))
        texture = 1 + 0.15 * smooth_noise((count, 1, 0), 9, size, draw)
        change = torch.maximum(change, profile * contrast * texture)
        lesion = torch.maximum(lesion, ((profile - 0.5) * 6 + 0.5).clamp(0, 1))
        shown = shown & chance(0.4, count, draw)
    change = change * cord * step_to_fluid(image, cord)
    longer = torch.where(chance(0.3, count, draw), 1.0, 0.15) * uniform(
        0, 1, (count, 1, 1, 1), draw
    )
    shares = torch.cat([torch.ones_like(longer), longer], dim=1)[:, : image.shape[1]]
    return image + change * shares, lesion * cord


def draw_shared_clouds(
    image: Tensor,
    cord: Tensor,
    gm: Tensor,
    share: float,
    views: tuple[NDArray[np.intp], Tensor],
    draw: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw lesions as `draw_clouds` does, each into several images (views) of its sample.

    Parameters
    ----------
    image : Tensor, shape (M, 2, H, W)
        Intensities, and the usual section, of every view.
    cord, gm : Tensor, shape (N, 1, H, W)
        Of every sample.
    share : float
        Of the samples that get lesions.
    views : tuple
        Sample of every view, shape (M,), and whether lesions stay hidden in it, (M, 1, 1, 1).
    draw : torch.Generator
        The only source of chance.

    Returns
    -------
    image : Tensor, shape (M, 2, H, W)
    lesion : Tensor, shape (N, 1, H, W)
        The same in all views; how much it changes the intensities differs.
    """
    (count, _, size, _), (sample, hidden) = cord.shape, views
    change, lesion = torch.zeros_like(image[:, :1]), torch.zeros_like(cord)
    shown = chance(share, count, draw) & (cord.amax(dim=(2, 3), keepdim=True) > 0.6)
    weight = _where_lesions_lie(cord, gm)
    (low, high), (least, most) = np.log(CONTRASTS), np.log(VIEWS)
    for _ in range(MOST):
        profile = _cloud(cord, weight, draw) * shown
        usual = torch.exp(uniform(low, high, (count, 1, 1, 1), draw))[sample]
        own = torch.exp(uniform(least, most, (len(image), 1, 1, 1), draw)) * ~hidden
        texture = 1 + 0.15 * smooth_noise((len(image), 1, 0), 9, size, draw)
        change = torch.maximum(change, profile[sample] * usual * own * texture)
        lesion = torch.maximum(lesion, ((profile - 0.5) * 6 + 0.5).clamp(0, 1))
        shown = shown & chance(0.4, count, draw)
    inner = cord[sample]
    change = change * inner * step_to_fluid(image, inner)
    longer = torch.where(chance(0.3, count, draw), 1.0, 0.15) * uniform(
        0, 1, (count, 1, 1, 1), draw
    )
    shares = torch.cat([torch.ones_like(longer), longer], dim=1)[sample]
    return image + change * shares, lesion * cord


def step_to_fluid(image: Tensor, cord: Tensor) -> Tensor:
    """Return what surrounds the cord minus the cord, (N, 1, 1, 1), at least 0.1 up or down."""
    around = functional.max_pool2d(cord, 9, stride=1, padding=4)
    ring = (around - functional.max_pool2d(cord, 3, stride=1, padding=1)).clamp(min=0)
    step = _mean_over(image[:, :1], ring) - _mean_over(image[:, :1], cord)
    return torch.where(step < 0, step.clamp(max=-LEAST_STEP), step.clamp(min=LEAST_STEP))


def _mean_over(image: Tensor, mask: Tensor) -> Tensor:
    total = (image * mask).sum(dim=(2, 3), keepdim=True)
    return total / mask.sum(dim=(2, 3), keepdim=True).clamp(min=1e-3)


def _where_lesions_lie(cord: Tensor, gm: Tensor) -> Tensor:
    """Weigh the pixels: dorsal and lateral columns more than gray matter and anterior ones."""
    size = cord.shape[-1]
    axis = torch.arange(size, dtype=torch.float32)
    middle = _mean_over(axis[None, None, None, :].expand_as(cord), cord)
    spread = _mean_over((axis - middle).abs(), cord)
    anterior = (axis[None, None, None, :] - middle) > 0.5 * spread  # second axis of LAS: anterior
    inside = (cord > 0.6).float()
    return inside * torch.where(anterior, RARE, 1.0) * (1 - (1 - RARE) * gm)


def _cloud(cord: Tensor, weight: Tensor, draw: torch.Generator) -> Tensor:
    """Return one ragged ellipse per sample, 1 in the middle, a half at its edge."""
    count, _, size, _ = cord.shape
    flat = weight.flatten(1) + 1e-9
    place = torch.multinomial(flat, 1, generator=draw)[:, 0]
    middle = torch.stack([place // size, place % size], dim=1).float()
    low, high = np.log(AREAS)
    area = torch.exp(uniform(low, high, (count,), draw)) * cord.sum(dim=(1, 2, 3)).clamp(min=9)
    stretch = torch.exp(uniform(-0.5, 0.5, (count,), draw))
    radius = torch.sqrt(area / np.pi).clamp(min=1.2)
    angle = uniform(0.0, np.pi, (count,), draw)
    axis = torch.arange(size, dtype=torch.float32)
    a = (axis[None, :, None] - middle[:, 0, None, None]).expand(count, size, size)
    b = (axis[None, None, :] - middle[:, 1, None, None]).expand(count, size, size)
    cos, sin = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    along = (a * cos + b * sin) / (radius * stretch)[:, None, None]
    across = (-a * sin + b * cos) / (radius / stretch)[:, None, None]
    ragged = torch.exp(
        uniform(0.0, 0.5, (count, 1, 1), draw) * smooth_noise((count, 1, 0), 9, size, draw)[:, 0]
    )
    low, high = np.log(SHARPNESS)
    power = torch.exp(uniform(low, high, (count, 1, 1), draw))
    far = torch.sqrt(along**2 + across**2) * ragged
    return torch.exp2(-(far.clamp(max=8.0) ** power).clamp(max=30.0))[:, None]


def draw_lookalikes(image: Tensor, cord: Tensor, draw: torch.Generator) -> Tensor:
    """Draw what is bright in a cord and no lesion: truncation ringing, the central canal."""
    ringing = torch.where(chance(0.3, len(image), draw), _truncate(image, draw), image)
    size = cord.shape[-1]
    axis = torch.arange(size, dtype=torch.float32)
    i = _mean_over(axis[:, None].expand_as(cord), cord)
    j = _mean_over(axis[None, :].expand_as(cord), cord)
    width = uniform(0.6, 1.3, (len(image), 1, 1, 1), draw)
    far = (axis[:, None] - i) ** 2 + (axis[None, :] - j) ** 2
    canal = torch.exp(-far / (2 * width**2)) * uniform(0.1, 0.6, (len(image), 1, 1, 1), draw)
    there = chance(0.15, len(image), draw)
    return ringing + torch.where(there, canal, 0.0) * cord * step_to_fluid(image, cord)


def _truncate(image: Tensor, draw: torch.Generator) -> Tensor:
    """Leave out high spatial frequencies, as a coarse acquisition does: edges ring."""
    size = image.shape[-1]
    place = torch.fft.fftfreq(size).abs() * 2
    cut = uniform(0.3, 0.7, (len(image), 2), draw)
    kept = (place[None, :, None] <= cut[:, 0, None, None]) & (
        place[None, None, :] <= cut[:, 1, None, None]
    )
    low: Tensor = torch.fft.ifft2(torch.fft.fft2(image) * kept[:, None]).real
    return low
