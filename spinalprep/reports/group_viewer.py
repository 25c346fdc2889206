"""The viewer of a group: its maps on the template, to scroll through in three planes."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinalprep.bids.atomic import put_text
from spinalprep.bids.group_names import MapKind, map_path
from spinalprep.bids.places import group_report_path, group_viewer_path
from spinalprep.group.design import EVERYBODY
from spinalprep.image import Image, load
from spinalprep.levels.discs import level_name
from spinalprep.reports.group import GroupFacts, group_map, p_map
from spinalprep.reports.group_effects import ALPHA, DIRECTION
from spinalprep.reports.group_figures import PROBABILITY, Anatomy
from spinalprep.reports.viewer_page import (
    COARSEST_MM,
    MARGINS_MM,
    Box,
    Page,
    encode,
    start_of,
)

KINDS: Mapping[MapKind, str] = {
    "probability": "lesion probability",
    "lower": "lesion probability, lower limit (95 %)",
    "upper": "lesion probability, upper limit (95 %)",
}
NODES = 16  # of the colors
SMOOTH = 0.6  # voxels: outlines of the template's masks
SHOWN_PERCENT = (0.5, 99.5)


@dataclass(frozen=True)
class Layer:
    """One map, ready to be shown.

    Attributes
    ----------
    name : str
    codes : Image
        0 where there is no value, 1 to 255 from `low` to `high`.
    people : Image or None
        How many cover each voxel.
    low, high : float
    none : str
        What no value means.
    colours : str
        Color map of matplotlib.
    percent : bool
        Whether values are fractions.
    """

    name: str
    codes: Image
    people: Image | None
    low: float
    high: float
    none: str
    colours: str = PROBABILITY
    percent: bool = True

    @property
    def scale(self) -> dict[str, Any]:
        """What the page is told of the colors."""
        codes = np.linspace(1, 255, NODES).round().astype(int)
        shades = (255 * mpl.colormaps[self.colours]((codes - 1) / 254)).round().astype(int)
        channels = {name: [0, *map(int, shades[:, n])] for n, name in enumerate("RGB")}
        nodes = [0, *map(int, codes)]
        colours = channels | {"A": [0] + [255] * NODES, "I": nodes}
        ends = {"low": self.low, "high": self.high, "percent": self.percent}
        return {"colours": colours, "none": self.none} | ends


def write_group_viewer(out_dir: Path, facts: GroupFacts) -> Path | None:
    """Write ``group_viewer.html`` from what lies in the output folder.

    Parameters
    ----------
    out_dir : Path
        Holds what the group level wrote.
    facts : GroupFacts

    Returns
    -------
    path : Path or None
        The page, as wide and as fine as `viewer_page.MOST_BYTES` allow; None where there is no
        map, and a page of an earlier run is removed.
    """
    path = group_viewer_path(out_dir)
    seen = _covered(out_dir, facts)
    whole = Box.around(seen, MARGINS_MM[0], 0.0) if seen is not None else None
    layers = list(_layers(out_dir, facts, whole)) if whole is not None else []
    if seen is None or whole is None or not layers:
        path.unlink(missing_ok=True)
        return None
    page = Page("Group maps", group_report_path(out_dir).name, facts.version)
    scene = _scene(whole, seen, facts)
    for coarsest_mm, margin_mm in itertools.product(COARSEST_MM, MARGINS_MM):
        box = Box.around(scene.cord, margin_mm, coarsest_mm)
        maps = [_averaged(box, layer.codes) for layer in layers]
        runs, shared = _runs(box, layers, maps), _shared(box, scene, maps[0])
        images = itertools.chain.from_iterable(part["volumes"].values() for part in [*runs, shared])
        if sum(map(len, images)) < 0.97 * page.bytes_left:
            break
    put_text(out_dir, path, page.render(runs, shared))
    return path


@dataclass(frozen=True)
class _Scene:
    """The template around the part of its cord that somebody covers."""

    cord: Image
    ground: Image
    outlines: Mapping[str, Image]
    levels: list[dict[str, Any]]
    first: int
    template: str


def _scene(whole: Box, seen: Image, facts: GroupFacts) -> _Scene:
    """Read the template, cropped to a box."""
    gm = load(facts.template_gm) if facts.template_gm is not None else None
    anatomy = Anatomy(load(facts.template_cord), load(facts.template_levels), gm)
    levels = [
        {"name": level_name(n), "low": int(k.min()), "high": int(k.max())}
        for n, k in anatomy.level_slices().items()
        if n > 0
    ]
    outlines = {"cord": anatomy.cord} | ({"gray matter": gm} if gm is not None else {})
    return _Scene(
        whole.crop(seen),
        whole.crop(_background(anatomy, facts)),
        {name: whole.crop(mask) for name, mask in outlines.items()},
        levels,
        int(whole.corner[2]),
        facts.template_name,
    )


def _covered(out_dir: Path, facts: GroupFacts) -> Image | None:
    """Return the template's cord in the slices that somebody covers; None where there are none."""
    coverage = group_map(out_dir, facts, "coverage", EVERYBODY)
    if coverage is None:
        return None
    cord, slices = load(facts.template_cord), (coverage.data > 0).any(axis=(0, 1))
    found = np.where(slices, cord.data > 0.5, False)
    return cord.with_data(found.astype(np.float32)) if found.any() else None


def _layers(out_dir: Path, facts: GroupFacts, whole: Box) -> Iterator[Layer]:
    """Return all maps, cropped to a box."""
    yield from _probabilities(out_dir, facts, whole)
    yield from _effects(out_dir, facts, whole)


def _probabilities(out_dir: Path, facts: GroupFacts, whole: Box) -> list[Layer]:
    """Return probability and its interval, of everybody and by cohort."""
    sizes = {EVERYBODY: facts.people} | dict(facts.cohorts)
    found = {}
    for kind, cohort in itertools.product(KINDS, sizes):
        image = group_map(out_dir, facts, kind, cohort)
        if image is not None and np.isfinite(image.data).any():
            found[kind, cohort] = whole.crop(image)
    high = {
        kind: max([float(np.nanmax(i.data)) for (k, _), i in found.items() if k == kind] or [0.0])
        for kind in KINDS
    }
    people = {cohort: _people(out_dir, facts, whole, cohort, n) for cohort, n in sizes.items()}
    none, layers = f"fewer than {facts.min_n} participants", []
    for (kind, cohort), image in found.items():
        who = "all" if cohort == EVERYBODY else cohort
        ends = (0.0, max(high[kind], 0.01))
        name = f"{KINDS[kind]}, {who} (n = {sizes[cohort]})"
        layers.append(Layer(name, _coded(image, *ends), people[cohort], *ends, none))
    return layers


def _people(out_dir: Path, facts: GroupFacts, whole: Box, cohort: str, size: int) -> Image | None:
    """Return how many of a cohort cover each voxel, cropped to a box; None if that is unknown."""
    coverage = group_map(out_dir, facts, "coverage", cohort)
    if coverage is None:
        return None
    share = whole.crop(coverage)
    return share.with_data(np.round(share.data * size))


def _effects(out_dir: Path, facts: GroupFacts, whole: Box) -> Iterator[Layer]:
    """Return the effects of comparisons where p is small enough."""
    for comparison, question in facts.comparisons:
        at = map_path(out_dir, "effect", facts.template_name, name=comparison)
        for kind, how in ((comparison, ""), (f"{comparison}TFCE", " (TFCE)")):
            path = p_map(out_dir, facts, kind)
            if path is None or not at.is_file():
                continue
            effect, p = whole.crop(load(at)), whole.crop(load(path))
            shown = np.where(np.nan_to_num(p.data, nan=1.0) <= ALPHA, effect.data, np.nan)
            if not np.isfinite(shown).any():
                continue
            top = float(np.nanmax(np.abs(shown))) or 1.0  # no difference at all may be significant
            codes = _coded(effect.with_data(shown.astype(np.float32)), -top, top)
            none = f"not significant (corrected p > {ALPHA:g}) or not tested"
            name = f"effect{how}: {question}"
            yield Layer(name, codes, None, -top, top, none, DIRECTION, percent=False)


def _coded(image: Image, low: float, high: float) -> Image:
    """Return a map in 8 bits: 0 unknown, 1 to 255 from low to high."""
    known = np.isfinite(image.data)
    share = np.clip((np.where(known, image.data, low) - low) / (high - low), 0, 1)
    codes: NDArray[np.float32] = np.where(known, 1 + np.round(254 * share), 0).astype(np.float32)
    return image.with_data(codes)


def _averaged(box: Box, codes: Image) -> Image:
    """Return a coded map in a box, where voxels get coarser the mean of those that are known."""
    known = codes.with_data((codes.data > 0).astype(np.float32))
    weights, sums = box.cut(known).data, box.cut(codes).data  # unknown is 0 and adds nothing
    seen = box.cut(known, order=0)
    means = np.clip(np.round(sums / np.maximum(weights, 1e-6)), 1, 255)
    return seen.with_data(np.where(seen.data > 0, means, 0).astype(np.float32))


def _runs(box: Box, layers: list[Layer], maps: list[Image]) -> list[dict[str, Any]]:
    """Return what the page is told of every map; ``maps`` are the layers in the box."""
    runs = []
    for layer, codes in zip(layers, maps, strict=True):
        volumes = {"map": encode(codes)}
        if layer.people is not None:
            volumes["people"] = encode(box.cut(layer.people, order=0), np.uint16)
        runs.append({"name": layer.name, "volumes": volumes, "scale": layer.scale})
    return runs


def _shared(box: Box, scene: _Scene, first: Image) -> dict[str, Any]:
    """Return what all maps have in common: the template, its outlines and levels."""
    codes = first.data
    found = codes > 1  # more than an observed zero
    peak = [int(n) for n in np.unravel_index(codes.argmax(), codes.shape)]
    part = box.cut(scene.ground)
    low, high = np.percentile(box.part(scene.ground), SHOWN_PERCENT)
    grey = np.round(255 * np.clip((part.data - low) / max(high - low, 1e-6), 0, 1))
    volumes = {"image": encode(part.with_data(grey))}
    for name, mask in scene.outlines.items():
        smooth = ndimage.gaussian_filter(box.cut(mask).data, (SMOOTH, SMOOTH, 0))
        volumes[name] = encode(part.with_data(np.round(255 * np.clip(smooth, 0, 1))))
    return {
        "volumes": volumes,
        "window": [0.0, 255.0],
        "first": scene.first + int(box.corner[2]),
        "thick": float(box.spacing[2] / scene.ground.voxel_sizes[2]),
        "levels": scene.levels,
        "doubtful": [],
        "lesions": [],
        "start": peak if found.any() else start_of(box.cut(scene.cord).data > 0.5),
        "note": f"{scene.template} template, {box.note(scene.ground)}",
    }


def _background(anatomy: Anatomy, facts: GroupFacts) -> Image:
    """Return the template's T2-weighted image; a drawing of cord and gray matter without it."""
    if facts.template_t2 is not None:
        return load(facts.template_t2)
    grey = anatomy.gm.data if anatomy.gm is not None else 0.0
    return anatomy.cord.with_data((anatomy.cord.data + 0.5 * grey).astype(np.float32))
