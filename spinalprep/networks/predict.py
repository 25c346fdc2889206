"""From an image to probabilities."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.cord.carried import carry_outline
from spinalprep.cord.centerline import Centerline, cross_slices
from spinalprep.cord.straight import StraightSpace
from spinalprep.cord.visible_edge import MovedOutline, move_outline, visible_edge
from spinalprep.image import Image, back_on, sample, to_voxel, to_world, upright
from spinalprep.networks.parallel import run_parts
from spinalprep.networks.patches import predict_stacks
from spinalprep.networks.temperature import sharpen, sharpen_spread
from spinalprep.networks.views import LESION_VIEWS, VIEWS
from spinalprep.networks.weights import Model
from spinalprep.networks.window import (
    CORD_SIZE,
    CORD_SPACING_MM,
    HEAT_SPACING_MM,
    Beside,
    axial_at,
    differences,
    scale_window,
    usual_sections,
    with_sections_beside,
)

BATCH = 4
CLASSES = ("cord", "gm", "lesion")
HEAT_SLICES_MM = 2.0
TILT_DEG = 15.0  # a cord more oblique is cut across its centerline
THICK = 2.5  # slices thicker than so many pixels are never cut across
Volume = NDArray[np.float32]
Look = Callable[[NDArray[np.float64], NDArray[np.float64]], list[Volume]]  # points, heights: maps


@dataclass(frozen=True)
class Prediction:
    """Probabilities on the grid of the image, float32, shape (I, J, K) each.

    Attributes
    ----------
    cord, gm, lesion : ndarray
        Mean over the views of a window (as it is, mirrored, darker, brighter); of cord and gray
        matter at the temperature on the model's card.
    sd : ndarray
        Standard deviation of the cord over these views; 0 with one view.
    plain : ndarray
        The cord at temperature 1, by which its ends are judged.
    moved : MovedOutline or None
        How far the outline was moved to the visible edge; None where it was not to be.
    """

    cord: Volume
    gm: Volume
    lesion: Volume
    sd: Volume
    plain: Volume
    moved: MovedOutline | None = None


def find_heat(image: Image, model: Model) -> Image:
    """Map the probability that the centerline passes.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    model : Model
        Of task ``centerline``.

    Returns
    -------
    heat : Image
        0 to 1; axial pixels of 1 mm, the slices of the image; voxel order LAS.

    Notes
    -----
    Where slices are thin, one every 2 mm is looked at; in between the heat is interpolated.
    """
    coarse = axial_at(image, HEAT_SPACING_MM)
    seen = _spaced(coarse.shape[2], float(coarse.voxel_sizes[2]))
    slices = np.stack([scale_window(coarse.data[:, :, k]) for k in seen])
    smallest = 128  # the size in training: norms see as much black as they did there
    pad = [max(smallest - n, 0) for n in slices.shape[1:]]
    margins = [(n // 2, n - n // 2) for n in pad]
    padded = np.pad(slices, ((0, 0), *margins))
    heat = _probabilities(model, padded[:, None])[:, 0]
    inner = heat[
        :,
        margins[0][0] : margins[0][0] + slices.shape[1],
        margins[1][0] : margins[1][0] + slices.shape[2],
    ]
    return coarse.with_data(_between(np.moveaxis(inner, 0, -1), seen))


def _spaced(count: int, thickness_mm: float) -> NDArray[np.intp]:
    """Return the slices that are looked at: about every 2 mm, and the last."""
    step = max(int(HEAT_SLICES_MM / thickness_mm + 1e-3), 1)
    return np.unique(np.append(np.arange(0, count, step), count - 1))


def _between(maps: Volume, seen: NDArray[np.intp]) -> Volume:
    """Interpolate maps (I, J, n) of some slices at every slice from the first to the last."""
    every = np.arange(seen[-1] + 1)
    after = np.searchsorted(seen, every)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(seen[after] - seen[before], 1)
    share = ((every - seen[before]) / gap).astype(np.float32)
    filled = maps[:, :, before] * (1 - share) + maps[:, :, after] * share
    return np.ascontiguousarray(filled, np.float32)


def segment(image: Image, centerline: Centerline, model: Model, views: int = VIEWS) -> Prediction:
    """Map cord, gray matter and lesion along the centerline.

    Parameters
    ----------
    image : Image, shape (I, J, K)
        Any voxel order.
    centerline : Centerline
        RAS+ mm.
    model : Model
        Of task ``cord``.
    views : int
        How many, 1 to 4, in the order of `Prediction`.

    Notes
    -----
    Windows of the size and spacing on the model's card, around the centerline: axial slices as
    they were acquired, or, for a cord tilted by more than 15 degrees in nearly isotropic voxels,
    sections across the centerline, as for every network in three dimensions. What a network does
    not tell (``classes`` on its card) is zero. The temperature sharpens what is on the voxels
    already, so that no mask depends on it.
    """
    seen = upright(image)

    def look(points: NDArray[np.float64], heights: NDArray[np.float64]) -> list[Volume]:
        valid = inside(seen, points)
        return mean_maps(shown_windows(seen, points, heights, valid, model), valid, model, views)

    return look_along(image, centerline, model, look)


def look_along(image: Image, centerline: Centerline, model: Model, look: Look) -> Prediction:
    """Bring what is seen in windows along the centerline to the voxels of an image.

    Parameters
    ----------
    image, centerline, model
        See `segment`.
    look : callable
        From points (n, W, W, 3) in RAS+ mm and heights (n,) in mm to the maps of `mean_maps`.
    """
    given, image = image, upright(image)
    cosines = np.clip(np.abs(centerline.tangent @ _normal(image)), 0.0, 1.0)
    tilt = float(np.degrees(np.arccos(cosines.min())))
    sizes = image.voxel_sizes
    deep = "depth" in model.card
    oblique = tilt > TILT_DEG and sizes[2] / sizes[:2].min() <= THICK
    cut = _across if deep or oblique else _axial
    maps = cut(image, centerline, model, look)
    cord, gm, lesion, sd = (back_on(volume, given) for volume in maps)
    temperature = float(model.card.get("temperature", 1.0))
    return Prediction(
        sharpen(cord, temperature),
        sharpen(gm, temperature),
        lesion,
        sharpen_spread(sd, cord, temperature),
        cord,
    )


def segment_cord(
    image: Image,
    centerline: Centerline,
    model: Model,
    views: int = VIEWS,
    *,
    at_edge: bool = False,
) -> Prediction:
    """Map the cord, and carry its outline where it ran away from the cord; see `carry_outline`.

    Parameters
    ----------
    image, centerline, model, views
        As in `segment`.
    at_edge : bool
        Move the outline to the edge that the image shows; see `visible_edge`.

    Notes
    -----
    ``plain``, by which the ends of the cord are judged, has no carried outlines; it is moved
    along with the cord.
    """
    found = segment(image, centerline, model, views)
    carried = carry_outline(image, found.cord, centerline)
    found = replace(found, cord=carried.cord(found.cord), sd=carried.spread(found.sd))
    if not at_edge:
        return found
    volumes = [image.with_data(volume) for volume in (found.cord, found.sd, found.plain)]
    shift = visible_edge(image, volumes[0])
    cord, sd, plain = move_outline(volumes[0], volumes, shift)
    return replace(found, cord=cord, sd=sd, plain=plain, moved=shift.summary())


def grey_matter(
    image: Image, centerline: Centerline, cord: Volume, model: Model, views: int = VIEWS
) -> Volume:
    """Map the gray matter with a network of its own, shape (I, J, K).

    Parameters
    ----------
    image, centerline, views
        As in `segment`.
    cord : ndarray of float32, shape (I, J, K)
        Probability of the cord, which that of its gray matter never exceeds.
    model : Model
        Of task ``gm``: finer windows.
    """
    inside: Volume = np.minimum(segment(image, centerline, model, views).gm, cord)
    return inside


def lesions(
    image: Image, centerline: Centerline, model: Model, views: int = LESION_VIEWS
) -> Volume:
    """Map lesions with a network of their own, shape (I, J, K).

    Parameters
    ----------
    image, centerline
        As in `segment`.
    model : Model
        Of task ``lesion``: narrower windows.
    views : int
        At most two are looked at: a lesion is no other one in a brighter window.
    """
    return segment(image, centerline, model, min(views, LESION_VIEWS)).lesion


def window_of(model: Model) -> tuple[int, float]:
    """Return edge in pixels and pixel in mm of the windows that a network was trained for."""
    spacing_mm = model.card.get("spacing", [CORD_SPACING_MM])[0]
    return int(model.card.get("window", CORD_SIZE)), float(spacing_mm)


def _axial(image: Image, centerline: Centerline, model: Model, look: Look) -> list[Volume]:
    """Predict in the axial slices that the centerline crosses."""
    size, spacing_mm = window_of(model)
    ends = np.sort(to_voxel(centerline.points[[0, -1]], image.affine)[:, 2])
    first, last = max(int(np.ceil(ends[0] - 0.75)), 0), min(int(ends[1] + 0.75), image.shape[2] - 1)
    slices = np.arange(first, last + 1)
    centres = _crossings(image, centerline, slices)
    pitch = spacing_mm / image.voxel_sizes[:2]
    offsets = np.arange(size) - size / 2 + 0.5
    ijk = np.empty((len(slices), size, size, 3))
    ijk[..., 0] = centres[:, None, None, 0] + (offsets * pitch[0])[None, :, None]
    ijk[..., 1] = centres[:, None, None, 1] + (offsets * pitch[1])[None, None, :]
    ijk[..., 2] = slices[:, None, None]
    heights = np.asarray(slices * float(image.voxel_sizes[2]))
    maps = look(to_world(ijk, image.affine), heights)
    volumes = [np.zeros(image.shape, np.float32) for _ in maps]
    grid = np.indices(image.shape[:2]).astype(float)
    for n, k in enumerate(slices):
        where = [(grid[axis] - centres[n, axis]) / pitch[axis] + size / 2 - 0.5 for axis in (0, 1)]
        for volume, values in zip(volumes, maps, strict=True):
            volume[:, :, k] = ndimage.map_coordinates(values[n], where, order=1, cval=0.0)
    return volumes


def _across(image: Image, centerline: Centerline, model: Model, look: Look) -> list[Volume]:
    """Predict in sections orthogonal to the centerline, and bring them back to the voxels."""
    size, spacing_mm = window_of(model)
    half_mm = size * spacing_mm / 2
    space = StraightSpace(centerline)
    step = float(model.card["spacing"][0] if "depth" in model.card else image.voxel_sizes.min())
    s: NDArray[np.float64] = np.asarray(np.arange(-2.0, centerline.length + 2.0, step))
    maps = look(space.sections(s, half_mm, spacing_mm), s)
    near = _voxels_near(image, centerline, half_mm)
    sxy = space.from_world(to_world(near.astype(np.float64), image.affine))
    where = [(sxy[:, 0] - s[0]) / step] + [(sxy[:, n] + half_mm) / spacing_mm - 0.5 for n in (1, 2)]
    volumes = []
    for values in maps:
        volume = np.zeros(image.shape, np.float32)
        volume[tuple(near.T)] = ndimage.map_coordinates(values, where, order=1, cval=0.0)
        volumes.append(volume)
    return volumes


def _voxels_near(image: Image, centerline: Centerline, reach_mm: float) -> NDArray[np.intp]:
    """Return the voxels (n, 3) of every slice that may lie within ``reach_mm`` of the line."""
    cosines = np.abs(centerline.tangent @ _normal(image))
    lean = max(float(cosines.min()), 0.2)
    in_plane = reach_mm / lean + 5.0  # a margin for bends
    k = np.arange(image.shape[2])
    across, along = (
        (np.arange(image.shape[n])[:, None] - middle) * image.voxel_sizes[n]
        for n, middle in enumerate(_crossings(image, centerline, k).T)
    )
    heights = to_voxel(centerline.points, image.affine)[:, 2]
    beyond = (5.0 + reach_mm * np.sqrt(1 - lean**2)) / image.voxel_sizes[2]
    seen = (k >= heights.min() - beyond) & (k <= heights.max() + beyond)
    return np.argwhere((np.hypot(across[:, None], along[None]) <= in_plane) & seen)


def _crossings(
    image: Image, centerline: Centerline, slices: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the voxel indices (n, 2) at which the line crosses axial slices."""
    line = centerline.at(np.arange(-5.0, centerline.length + 5.0, 0.25))
    return cross_slices(to_voxel(line, image.affine), slices)


def inside(image: Image, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether points (..., 3) in RAS+ mm lie in a voxel of an image."""
    ijk = to_voxel(points, image.affine)
    valid: NDArray[np.bool_] = np.all((ijk > -0.5) & (ijk < np.asarray(image.shape) - 0.5), axis=-1)
    return valid


def shown_windows(
    image: Image,
    points: NDArray[np.float64],
    heights: NDArray[np.float64],
    valid: NDArray[np.bool_],
    model: Model,
) -> Volume:
    """Return windows scaled, with what the card of a network says beside, (n, channels, W, W).

    Parameters
    ----------
    image : Image, shape (I, J, K)
    points : ndarray of float, shape (n, W, W, 3)
        RAS+ mm.
    heights : ndarray of float, shape (n,)
        In mm, along the cord.
    valid : ndarray of bool, shape (n, W, W)
        Where the image has values.
    model : Model
    """
    ijk = to_voxel(points, image.affine)
    last = np.asarray(image.shape) - 1.0
    windows = sample(image, to_world(np.clip(ijk, 0.0, last), image.affine))
    scaled = np.stack([scale_window(w, v) for w, v in zip(windows, valid, strict=True)])
    shown = with_sections_beside(scaled, heights, Beside(**model.card.get("beside", {})))
    if "usual_mm" in model.card:
        usual = usual_sections(scaled, heights, float(model.card["usual_mm"]))
        shown = np.stack([scaled, differences(usual, scaled)], axis=1)
    return shown


def mean_maps(shown: Volume, valid: NDArray[np.bool_], model: Model, views: int) -> list[Volume]:
    """Return mean maps of `CLASSES` and the cord's spread over the views, (n, W, W) each."""
    looks: list[Callable[[], Volume]] = [
        lambda: _probabilities(model, shown),
        lambda: _probabilities(model, shown[:, :, ::-1])[:, :, ::-1],
        lambda: _probabilities(model, shown**1.3),
        lambda: _probabilities(model, shown**0.75),
    ]
    found = [look() for look in looks[:views]]
    mean = np.mean(found, axis=0) * valid[:, None]
    spread = np.std([view[:, 0] for view in found], axis=0) * valid
    told = list(model.card.get("classes", CLASSES))
    nothing = np.zeros_like(mean[:, 0])
    maps = [mean[:, told.index(name)] if name in told else nothing for name in CLASSES]
    return [*maps, spread]


def _probabilities(model: Model, windows: Volume) -> Volume:
    """Run a network over windows (n, channels, H, W), a few at a time; to (n, C, H, W)."""
    if "depth" in model.card:
        run = partial(run_parts, model.network, finish=torch.sigmoid)
        return predict_stacks(windows[:, 0], int(model.card["depth"]), run)
    shown = torch.from_numpy(np.ascontiguousarray(windows, np.float32))
    shown = shown.contiguous(memory_format=torch.channels_last)  # a third faster on a CPU
    found = run_parts(model.network, torch.split(shown, BATCH), torch.sigmoid)
    values: Volume = torch.cat(found).numpy()
    return values


def _normal(image: Image) -> NDArray[np.float64]:
    """Return the unit normal of the axial slices."""
    normal = np.cross(image.affine[:3, 0], image.affine[:3, 1])
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit
