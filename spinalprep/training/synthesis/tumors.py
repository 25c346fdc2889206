"""Necks become pairs of T2w and Gd-T1w patches with something drawn into the cord.

What `synthesis.volumes` does for straightened cords, for the networks of tumors: intensities are
drawn per tissue (after SynthSeg, Billot et al. 2023, Medical Image Analysis 86:102789,
doi:10.1016/j.media.2023.102789) or are a person's own, whose second contrast is made up.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from spinalprep.phantom.anatomy import TISSUES, VESSEL
from spinalprep.phantom.images import INTENSITY
from spinalprep.training.material.necks import Neck
from spinalprep.training.synthesis.batch import Batch
from spinalprep.training.synthesis.growths import (
    RADII_MM,
    Chance,
    Growth,
    Section,
    draw_other,
    draw_tumor,
)

CLASSES = ("tumor", "edema", "cavity", "abnormality")
TUBE_MM = 15.0  # half width of what the first network finds
NEAR_MM, FAR_MM = 7.0, 15.0  # from the centerline: what moves with the cord, and what stays
GLOWS = 0.2  # mean enhancement of a tumor that is seen in Gd-T1w
FAINT, CLEAR = 0.1, 0.3  # least T2w signal, cord to fluid, of a tumor seen elsewhere and not


@dataclass(frozen=True)
class TumorRanges:
    """Ranges of what is drawn.

    Attributes
    ----------
    size : tuple of int
        Voxels of a patch: superior-inferior, anterior-posterior, right-left.
    shift_mm : tuple of float
        Largest offset of the cord from the middle, front to back and right to left.
    tumors : float
        Share of patches with a tumor.
    turn_deg, zoom : float
        Largest turn about an axis, largest change of size in the sagittal plane.
    without_t1w, without_t2w : float
        Share of patches that lack a contrast; of two channels alone. T2w is taken away only where
        a tumor, if there is one, enhances.
    moved : float
        Share of patches in which the second contrast lies a voxel or so beside the first.
    soft : bool
        Teach shares of voxels in place of masks.
    """

    size: tuple[int, int, int] = (64, 40, 16)
    shift_mm: tuple[float, float] = (8.0, 4.0)
    tumors: float = 0.5
    turn_deg: float = 5.0
    zoom: float = 0.1
    without_t1w: float = 0.2
    without_t2w: float = 0.1
    moved: float = 0.3
    soft: bool = False


@dataclass(frozen=True)
class Levels:
    """Intensities of one contrast.

    Attributes
    ----------
    base : Tensor, shape (I, J, K)
        Without what is drawn.
    cord, fluid, bright : float
        Of the cord, of the fluid around it, and of what is brightest (fat in T1w).
    """

    base: Tensor
    cord: float
    fluid: float
    bright: float


def make_tumors(
    necks: list[Neck], ranges: TumorRanges, draw: torch.Generator, tube: bool = False
) -> Batch:
    """Return one random patch of each neck.

    Parameters
    ----------
    necks : list of Neck
        N of them; one may come several times.
    ranges : TumorRanges
    draw : torch.Generator
        The only source of chance.
    tube : bool
        Show T2w alone and teach where the cord is: a tube of 30 mm.

    Returns
    -------
    batch : Batch
        Image (N, 2, *size), T2w and Gd-T1w, or (N, 1, *size) with ``tube``; truth (N, 4, *size) of
        `CLASSES`, or (N, 1, *size).
    """
    images, truths = zip(*(_patch(neck, ranges, draw, tube) for neck in necks), strict=True)
    image, truth = torch.stack(images), torch.stack(truths)
    weight = torch.ones(len(necks), truth.shape[1], 1, 1, 1)
    return Batch(image, truth if ranges.soft else (truth >= 0.5).float(), weight)


def _patch(
    neck: Neck, ranges: TumorRanges, draw: torch.Generator, tube: bool
) -> tuple[Tensor, Tensor]:
    """Return image and truth of one patch."""
    chance = Chance(draw)
    ijk = _voxels(neck, ranges, chance)
    place = _at(torch.from_numpy(neck.place), ijk, neck.cord.shape)
    s, away = place[0], place[1:]
    u, v = (away[n] * neck.spacing_mm / r for n, r in zip((2, 1), RADII_MM, strict=True))
    reach = 0.35 * ranges.size[0] * neck.spacing_mm
    middle = float(s[tuple(n // 2 for n in s.shape)]) + chance.between(-reach, reach)
    drawn = draw_tumor if chance.happens(ranges.tumors) else draw_other
    growth = drawn(Section(s, u, v), middle, draw)
    distance = away.square().sum(dim=0).sqrt() * neck.spacing_mm
    source = _source(ijk, away, distance, growth.widening)
    cord = _at(torch.from_numpy(neck.cord)[None], source, neck.cord.shape)[0]
    seen = _seen(neck, ijk, chance)
    glows = _glows(growth)
    lost = "" if tube else _lost(ranges, glows or drawn is draw_other, chance)
    names = ("T2w",) if tube else ("T2w", "T1w")
    least = FAINT if glows and lost != "T1w" else CLEAR
    shown = [_shown(neck, source, cord, growth, chance, name, least) for name in names]
    image = torch.stack([_acquired(one, seen, chance) for one in shown])
    if tube:
        along = (s >= 0) & (s <= neck.length_mm)
        return image, (_paired((distance <= TUBE_MM) & along) * seen)[None]
    if chance.happens(ranges.moved):
        image = torch.stack([image[0], _moved(image[1], chance)]) * seen
    if lost:
        image[names.index(lost)] = 0.0
    return image, _truth(growth, cord, with_edema=lost != "T2w") * seen


def _voxels(neck: Neck, ranges: TumorRanges, chance: Chance) -> Tensor:
    """Return the places of a patch in a neck's voxels, (I, J, K, 3); left and right at random."""
    size = (ranges.size[0], ranges.size[1], 2 * ranges.size[2])
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    scale = torch.ones(3)
    scale[:2] = 1 + chance.between(-ranges.zoom, ranges.zoom)
    scale[2] = 1.0 if chance.happens(0.5) else -1.0
    grid = grid * scale
    for first, second in ((0, 1), (0, 2), (1, 2)):
        turn = torch.deg2rad(torch.tensor(chance.between(-ranges.turn_deg, ranges.turn_deg)))
        a, b = grid[..., first].clone(), grid[..., second].clone()
        grid[..., first] = a * torch.cos(turn) - b * torch.sin(turn)
        grid[..., second] = a * torch.sin(turn) + b * torch.cos(turn)
    number = int(torch.randint(len(neck.inside), (1,), generator=chance.draw))
    middle = torch.from_numpy(neck.inside[number]).float()
    far = 2.0 if chance.happens(0.15) else 1.0
    for axis, shift in zip((1, 2), ranges.shift_mm, strict=True):
        middle[axis] += chance.between(-shift, shift) * far / neck.spacing_mm
    return grid + middle


def _at(volume: Tensor, ijk: Tensor, full: tuple[int, ...], mode: str = "bilinear") -> Tensor:
    """Sample a volume (C, I, J, K) over the box of ``full`` voxels at their indices."""
    grid = torch.stack([2 * (ijk[..., n] + 0.5) / full[n] - 1 for n in range(3)], dim=-1).flip(-1)
    found: Tensor = functional.grid_sample(
        volume[None], grid[None], mode=mode, padding_mode="border", align_corners=False
    )[0]
    return found


def _source(ijk: Tensor, away: Tensor, distance: Tensor, widening: Tensor) -> Tensor:
    """Return from where in the neck each voxel of the patch is taken."""
    share = ((FAR_MM - distance) / (FAR_MM - NEAR_MM)).clamp(0, 1)
    back = share * (1 / widening - 1)
    return ijk + (away * back).movedim(0, -1)


def _shown(
    neck: Neck,
    source: Tensor,
    cord: Tensor,
    growth: Growth,
    chance: Chance,
    contrast: str,
    least: float,
) -> Tensor:
    """Return one contrast of a patch with what was drawn; a tumor is ``least`` bright in T2w."""
    levels = (
        _digital(neck, source, chance, contrast)
        if neck.tissue is not None
        else _real(neck, source, cord, chance, contrast)
    )
    step = levels.fluid - levels.cord
    image = levels.base
    texture = chance.noise(image, 4.0)
    wet = {
        "edema": chance.between(0.15, 0.65),
        "lesion": chance.between(0.2, 0.8),
        "tumor": chance.between(least, 0.75),
        "cavity": chance.between(0.8, 1.1),
    }
    if contrast == "T1w":  # darker, and less so, where it is wet
        dry = chance.between(0.2, 0.7)
        wet = {name: share * (dry if name != "cavity" else 1.0) for name, share in wet.items()}
    for name, rough in (("edema", 0.1), ("lesion", 0.1), ("tumor", 0.2), ("cavity", 0.03)):
        level = levels.cord + step * (wet[name] + rough * texture)
        if name == "tumor" and contrast == "T1w":
            taken = growth.enhancement
            level = level * (1 - taken.clamp(0, 1)) + taken * levels.bright
        share = getattr(growth, name) * cord
        image = image * (1 - share) + level * share
    if contrast == "T2w":
        image = image * (1 - 0.8 * growth.rim * cord)
    return image


def _digital(neck: Neck, source: Tensor, chance: Chance, contrast: str) -> Levels:
    """Color the tissues of a digital person."""
    assert neck.tissue is not None
    usual = torch.tensor(INTENSITY[contrast])
    jitter = torch.exp(0.2 * torch.randn(len(TISSUES), generator=chance.draw))
    colours = usual * jitter + 0.05 * torch.rand(len(TISSUES), generator=chance.draw)
    cord, fluid = TISSUES.index("white matter"), TISSUES.index("csf")
    if chance.happens(0.25):  # surroundings of any color
        any_colour = torch.rand(len(TISSUES), generator=chance.draw)
        any_colour[cord : cord + 2], any_colour[fluid] = colours[cord : cord + 2], colours[fluid]
        colours = any_colour
    if contrast == "T1w" and chance.happens(0.5):  # blood with contrast agent
        colours[VESSEL] = chance.between(0.5, 1.2)
    tissue = torch.from_numpy(neck.tissue)[None].float()
    labels = _at(tissue, source, neck.cord.shape, mode="nearest")[0].long()
    base = colours[labels] * (1 + 0.08 * chance.noise(source[..., 0], 3.0))
    mean = float(colours[cord : cord + 2].mean())
    return Levels(base, mean, float(colours[fluid]), max(float(colours[1]), 1.2 * mean))


def _real(neck: Neck, source: Tensor, cord: Tensor, chance: Chance, contrast: str) -> Levels:
    """Return a person's own image, or the other contrast made up from it."""
    assert neck.image is not None
    both = torch.stack([torch.from_numpy(neck.image), torch.from_numpy(neck.fluid)])
    image, fluid = _at(both, source, neck.cord.shape)
    image = image.clamp(min=0) ** chance.between(0.75, 1.3)
    own = _mean(image, cord, 0.4)
    if contrast == "T2w":
        return Levels(image, own, max(_mean(image, fluid, 0.9), own + 0.1), 1.0)
    level, dark = chance.between(0.35, 0.65), chance.between(0.03, 0.25)
    made = level * (image / max(own, 0.05)) ** chance.between(0.15, 0.7)
    base = made.clamp(max=1.3) * (1 - fluid) + dark * fluid
    base = base * (1 + 0.05 * chance.noise(base, 4.0))
    return Levels(base, _mean(base, cord, level), dark, max(1.0, 1.3 * level))


def _mean(image: Tensor, share: Tensor, otherwise: float) -> float:
    """Return the mean over a share of the voxels; something else where it is nowhere."""
    total = float(share.sum())
    return float((image * share).sum()) / total if total > 20 else otherwise


def _seen(neck: Neck, ijk: Tensor, chance: Chance) -> Tensor:
    """Return where there is an image, (I, J, K/2); some fields of view end within the patch."""
    last = torch.tensor(neck.cord.shape) - 0.5
    there = ((ijk >= -0.5) & (ijk <= last)).all(dim=-1)
    seen = (_paired(there) >= 1.0).float()
    if chance.happens(0.15):
        lost = int(chance.between(0.05, 0.5) * len(seen))
        seen[:lost] = 0.0
    return seen


def _acquired(image: Tensor, seen: Tensor, chance: Chance) -> Tensor:
    """Return what a scanner makes of a patch: thick slices, bias, noise; z-scored, (I, J, K/2)."""
    sagittal = chance.happens(0.7)
    along = 1.0 if sagittal else chance.between(1.5, 5.0)
    across = chance.between(1.0, 2.5) if sagittal else 1.0
    thick = (along, 1.3 if chance.happens(0.3) else 1.0, across)
    pooled = functional.avg_pool3d(image[None, None], (1, 1, 2))
    shape = pooled.shape[2:]
    coarse = [max(round(n / mm), 4) for n, mm in zip(shape, thick, strict=True)]
    low = functional.interpolate(pooled, coarse, mode="area")
    blurred = functional.interpolate(low, shape, mode="trilinear")[0, 0]
    biased = blurred * torch.exp(chance.between(0.0, 0.25) * chance.noise(blurred, 40.0))
    noise = torch.randn(biased.shape, generator=chance.draw) * chance.between(0.02, 0.25)
    if chance.happens(0.4):  # away from the coil noise grows, once the bias is corrected
        along_axis = torch.linspace(-1.0, 1.0, len(noise))[:, None, None]
        noise = noise * torch.exp(chance.between(-1.2, 1.2) * along_axis)
    noisy = biased + noise * biased[seen > 0].std().clamp(min=1e-3) if seen.any() else biased
    inside = noisy[seen > 0] if seen.any() else noisy
    scored = (noisy - inside.mean()) / inside.std().clamp(min=1e-3)
    return (scored * chance.between(0.85, 1.15) + chance.between(-0.25, 0.25)) * seen


def _glows(growth: Growth) -> bool:
    """Tell whether there is a tumor that enhances enough to be seen by that alone."""
    total = float(growth.tumor.sum())
    return total > 0 and float((growth.enhancement * growth.tumor).sum()) >= GLOWS * total


def _lost(ranges: TumorRanges, seen_in_t1w: bool, chance: Chance) -> str:
    """Return which contrast a patch lacks; T2w only where the other shows what there is."""
    if chance.happens(ranges.without_t1w):
        return "T1w"
    return "T2w" if seen_in_t1w and chance.happens(ranges.without_t2w) else ""


def _moved(image: Tensor, chance: Chance) -> Tensor:
    """Return a contrast (I, J, K) whose registration is a voxel or so off in the sagittal plane."""
    steps = [round(chance.between(-1.4, 1.4)) for _ in range(2)]
    return torch.roll(image, steps, dims=(0, 1))


def _truth(growth: Growth, cord: Tensor, with_edema: bool) -> Tensor:
    """Return the shares of `CLASSES`; edema is not asked for where T2w, which shows it, lacks."""
    parts = [getattr(growth, name) * cord for name in CLASSES[:3]]
    if not with_edema:
        parts[1] = torch.zeros_like(parts[1])
    whole = torch.stack(parts).sum(dim=0).clamp(max=1)
    return torch.stack([_paired(part) for part in (*parts, whole)])


def _paired(share: Tensor) -> Tensor:
    """Average two voxels side by side to one of the network's."""
    return functional.avg_pool3d(share.float()[None], (1, 1, 2))[0]
