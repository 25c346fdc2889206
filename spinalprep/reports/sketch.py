"""Sections of the cord as radiologists sketch them: the lesions of a level on the atlas.

The section is the participant's own, in the slice in which the lesions of the level are largest.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from markupsafe import Markup
from scipy import ndimage
from skimage.measure import find_contours

from spinalprep.image import Image
from spinalprep.image.volume import world_affine
from spinalprep.reports import planes, views
from spinalprep.reports.planes import AXIAL_PIXEL_MM, Course, Plane
from spinalprep.reports.scenes import Scene
from spinalprep.reports.views import View

HALF_MM = 10.0
SIDE_MM = 2 * HALF_MM
INK, PALE, THIN, LESION = "#1c2430", "#cfd5dc", "#7b8590", "#c2185b"
GREY_MATTER = "GM "  # how its regions of the atlas begin
TRACTS = {"DC": ("gracilis", "cuneatus"), "CST": ("lateral cortico",), "STT": ("spinothalamic",)}
LETTER_MM, SMALL_MM = 1.3, 0.75
SPREAD = 0.5  # voxels: outlines are smooth below their size


@dataclass(frozen=True)
class Atlas:
    """The template's atlas on the grid of the image: a file with one volume per region.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Region of every volume, as in the atlas.
    """

    path: Path
    names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Atlas | None":
        """Return the atlas of an output folder; None where there is none."""
        sidecar = path.with_suffix("").with_suffix(".json")
        if not path.is_file() or not sidecar.is_file():
            return None
        told = json.loads(sidecar.read_text(encoding="utf-8")).get("LabelMap", {})
        return cls(path, tuple(told[str(n)] for n in range(len(told)))) if told else None

    def regions(self, course: Course, n: int) -> dict[str, Plane]:
        """Return gray matter (``GM``) and some tracts with their side in a slice of a course."""
        found: Any = nib.loadsave.load(self.path)
        low = max(int(course.slices[n]) - 1, 0)
        slab = np.asarray(found.dataobj[:, :, low : low + 3, :], np.float32)
        affine = world_affine(found)
        affine[:3, 3] += low * affine[:3, 2]
        shown = {}
        for name, members in self._members().items():
            image = Image(slab[..., members].sum(axis=-1), affine)
            shown[name] = planes.across(image, course, n, HALF_MM)
        return shown

    def _members(self) -> dict[str, list[int]]:
        """Return the volumes of every region that is drawn."""
        members = {"GM": [n for n, s in enumerate(self.names) if s.startswith(GREY_MATTER)]}
        for short, parts in TRACTS.items():
            own = [n for n, name in enumerate(self.names) if any(part in name for part in parts)]
            for side in ("left", "right"):
                members[f"{short} {side}"] = [n for n in own if side in self.names[n].split()]
        return {name: found for name, found in members.items() if found}


@dataclass(frozen=True)
class Section:
    """What is drawn of one level.

    Attributes
    ----------
    level : str
        Its name; empty where it is unknown.
    n : int
        The slice, counted along the course.
    slices : tuple of int
        All slices of the level with a lesion, counted in the image.
    lesions : tuple of int
        Their numbers.
    """

    level: str
    n: int
    slices: tuple[int, ...]
    lesions: tuple[int, ...]


def section_sketches(scene: Scene, lesions: Image, atlas: Atlas | None) -> list[View]:
    """Return a drawing of the cord's section at every vertebral level with a lesion.

    Parameters
    ----------
    scene : Scene
    lesions : Image
        Lesions with their numbers, on the grid of the scene's image.
    atlas : Atlas or None
        Gray matter and tracts are drawn where there is one.

    Returns
    -------
    views : list of View
        Superior first. Without levels there is one drawing per lesion.
    """
    course = planes.course_through(scene.image, scene.points)
    labels = lesions.with_data(np.round(lesions.data).astype(np.float32))
    return [
        _sketch(scene, labels, course, section, atlas)
        for section in sections_with_lesions(scene, course, labels)
    ]


def sections_with_lesions(scene: Scene, course: Course, lesions: Image) -> list[Section]:
    """Return what is drawn, superior first."""
    areas = (lesions.data > 0).sum(axis=(0, 1))
    groups: dict[tuple[str, int], list[int]] = {}
    for k in map(int, course.slices[::-1]):
        if areas[k]:
            level = scene.levels.get(k, "")
            alone = 0 if level else int(lesions.data[:, :, k].max())
            groups.setdefault((level, alone), []).append(k)
    found = []
    for (level, _), ks in groups.items():
        largest = max(ks, key=lambda k: int(areas[k]))
        numbers = np.unique(lesions.data[:, :, ks])
        shown = tuple(int(number) for number in numbers if number > 0)
        found.append(Section(level, int(largest - course.slices[0]), tuple(ks), shown))
    return found


def _sketch(
    scene: Scene, lesions: Image, course: Course, section: Section, atlas: Atlas | None
) -> View:
    """Draw one section."""
    regions = atlas.regions(course, section.n) if atlas is not None else {}
    spread = SPREAD * float(max(scene.image.voxel_sizes[:2])) / AXIAL_PIXEL_MM
    drawn = _shape(regions.pop("GM", None), spread, f'fill="{PALE}"')
    for plane in regions.values():
        drawn += _shape(plane, spread, f'fill="none" stroke="{THIN}" stroke-width="0.09"')
    cord = planes.across(scene.masks["cord"], course, section.n, HALF_MM)
    drawn += _shape(cord, spread, f'fill="none" stroke="{INK}" stroke-width="0.25"')
    numbers = Markup()
    for number in section.lesions:
        alone = lesions.with_data((lesions.data == number).astype(np.float32))
        layers = [
            planes.across(alone, course, int(k - course.slices[0]), HALF_MM) for k in section.slices
        ]
        here = planes.across(alone, course, section.n, HALF_MM)
        shadow: Plane = np.max(layers, axis=0)
        if not shadow.any():
            continue  # it lies beyond the edge of the drawing
        drawn += _shape(here, spread, f'fill="{LESION}" fill-opacity="0.6"')
        drawn += _shape(
            shadow,
            spread,
            f'fill="none" stroke="{LESION}" stroke-width="0.14" stroke-dasharray="0.5 0.35"',
        )
        numbers += _text(*_middle(shadow), LETTER_MM, str(number))
    for name, plane in regions.items():
        if plane.max() >= 0.5:
            drawn += _text(*_middle(plane), SMALL_MM, name.partition(" ")[0])
    caption = _caption(section, course)
    picture = _picture(drawn + numbers + _letters())
    return View(
        (picture,), SIDE_MM, SIDE_MM, Markup(), f"Sketch of the section, {caption}", caption
    )


def _caption(section: Section, course: Course) -> str:
    """Return level, lesions and slice in words."""
    many = "lesion" if len(section.lesions) == 1 else "lesions"
    numbers = ", ".join(map(str, section.lesions))
    k, z = int(course.slices[section.n]), course.centres[section.n, 2]
    return f"{section.level or 'level unknown'}: {many} {numbers} · slice {k} · z {z:.1f} mm"


def _shape(plane: Plane | None, spread: float, style: str) -> Markup:
    """Return the outline of a mask, smoothed by ``spread`` pixels, at one half of what is left."""
    if plane is None or plane.max(initial=0.0) < 0.25:
        return Markup()
    smooth = np.pad(ndimage.gaussian_filter(plane.astype(float), spread), 1)
    level = 0.5 * min(1.0, float(smooth.max()))
    path = ""
    for line in find_contours(smooth, level):  # type: ignore[no-untyped-call]
        x = (line[:, 0] - 0.5) * AXIAL_PIXEL_MM
        y = SIDE_MM - (line[:, 1] - 0.5) * AXIAL_PIXEL_MM
        path += "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in zip(x, y, strict=True)) + "Z"
    return Markup('<path d="{}" fill-rule="evenodd" {}/>').format(path, Markup(style))


def _middle(plane: Plane) -> tuple[float, float]:
    """Return where a number stands: the pixel of a mask nearest to its center, mm."""
    ij = np.argwhere(plane >= 0.5 * plane.max())
    nearest = ij[np.linalg.norm(ij - ij.mean(axis=0), axis=1).argmin()]
    x, y = (nearest + 0.5) * AXIAL_PIXEL_MM
    return float(x), SIDE_MM - float(y)


def _text(x: float, y: float, size: float, text: str) -> Markup:
    """Return a text in the middle of a point."""
    return views.words(x, y + 0.35 * size, size, text, anchor="middle", colour=INK, rim="white")


def _letters() -> Markup:
    """Return the sides, as radiologists look, and a bar of 10 mm."""
    half, pad, size = HALF_MM, 1.0, LETTER_MM
    places = (
        ("R", pad, half),
        ("L", SIDE_MM - pad, half),
        ("A", half, pad),
        ("P", half - 2.5, SIDE_MM - pad),
    )
    letters = Markup().join(_text(x, y, size, letter) for letter, x, y in places)
    right, y = SIDE_MM - 0.6, SIDE_MM - 0.6
    bar = Markup('<path d="M{} {}h{}" stroke="{}" stroke-width="0.2"/>').format(
        f"{right - views.BAR_MM:g}", f"{y:g}", f"{views.BAR_MM:g}", INK
    )
    return (
        letters
        + bar
        + views.words(right, y - 0.4, 0.9 * size, "10 mm", anchor="end", colour=INK, rim="white")
    )


def _picture(drawn: Markup) -> str:
    """Return the drawing as a ``data:`` address."""
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{pixels}" '
        'height="{pixels}"><rect width="100%" height="100%" fill="white"/>{}</svg>'
    ).format(drawn, side=f"{SIDE_MM:g}", pixels=400)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")
