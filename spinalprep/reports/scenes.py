"""What a page shows of a cord: axial tiles, the cord as a whole, every lesion in three planes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from spinalprep.image import Image, to_voxel, to_world
from spinalprep.reports import planes, views
from spinalprep.reports.planes import Course
from spinalprep.reports.views import View, Window

MOST_TILES, FEW_TILES = 32, 8
WIDE_MM, BEYOND_MM, SHADOW_MM = 45.0, 12.0, 8.0
LESION_HALF_MM, MOST_LESIONS = 20.0, 12
TICK_MM, HATCH_MM = 20.0, 4.0
OVERVIEW_PIXELS = (560.0, 660.0)  # largest width and height, as style.css has them


@dataclass(frozen=True)
class Scene:
    """An image, and what is known of the cord in it.

    Attributes
    ----------
    image : Image
        Reference image, in the voxel order LAS.
    points : ndarray, shape (N, 3)
        Centerline, RAS+ mm.
    window : Window
    masks : mapping of str to Image
        By the names of `views.COLOURS`.
    levels : mapping of int to str
        Vertebral level of a slice.
    doubtful : collection of int
        Slices in which the outline is doubtful.
    discs : mapping of str to float
        Name and z (RAS+ mm) of discs to mark.
    """

    image: Image
    points: NDArray[np.float64]
    window: Window
    masks: Mapping[str, Image] = field(default_factory=dict)
    levels: Mapping[int, str] = field(default_factory=dict)
    doubtful: Collection[int] = ()
    discs: Mapping[str, float] = field(default_factory=dict)

    def caption(self, course: Course, n: int) -> str:
        """Return number, level and position of a slice."""
        k = int(course.slices[n])
        parts = [str(k), self.levels.get(k, ""), f"z {course.centres[n, 2]:.1f} mm"]
        return " · ".join(part for part in parts if part)


def axial_tiles(scene: Scene, most: int = MOST_TILES, second: Image | None = None) -> list[View]:
    """Return axial windows of 40 mm around the cord, from superior to inferior.

    Parameters
    ----------
    scene : Scene
    most : int
        At most so many, evenly distributed.
    second : Image or None
        Another image on the same grid, shown in place of the first by a slider.
    """
    course = planes.course_through(scene.image, scene.points)
    count = min(len(course.slices), most)
    chosen = np.unique(np.linspace(0, len(course.slices) - 1, count).round().astype(int))[::-1]
    window = views.window_around(second, scene.masks.get("cord")) if second is not None else None
    return [_tile(scene, course, int(n), (second, window)) for n in chosen]


def _tile(
    scene: Scene, course: Course, n: int, other: tuple[Image | None, Window | None] = (None, None)
) -> View:
    """Return the axial window of a slice; ``other`` is a second image with its gray values."""
    pictures = [views.encode(planes.across(scene.image, course, n), scene.window)]
    second, window = other
    if second is not None and window is not None:
        pictures.append(views.encode(planes.across(second, course, n), window))
    drawn = {name: planes.across(mask, course, n) for name, mask in scene.masks.items()}
    side = 2 * planes.AXIAL_HALF_MM
    unsure = int(course.slices[n]) in scene.doubtful
    overlay = views.outlines(drawn, planes.AXIAL_PIXEL_MM, _across(scene)) + views.marks(
        views.AXIAL, side, side
    )
    caption = scene.caption(course, n) + (" · doubtful" if unsure else "")
    seen = [name for name, plane in drawn.items() if plane.max() >= 0.5]
    alt = f"Axial {caption}; outlined: {', '.join(seen) or 'nothing'}"
    return View(tuple(pictures), side, side, overlay, alt, caption, unsure)


def overview(scene: Scene, lesions: Image | None = None) -> list[View]:
    """Return the sagittal and the coronal plane that follow the cord.

    Parameters
    ----------
    scene : Scene
    lesions : Image or None
        Lesions with their numbers.
    """
    course = planes.course_through(scene.image, scene.points, BEYOND_MM)
    shown = []
    for name, sides in (("sagittal", views.SAGITTAL), ("coronal", views.CORONAL)):
        masks = {key: mask for key, mask in scene.masks.items() if key not in views.DASHED}
        view = _plane(scene, course, name, masks)
        height, width = view.height_mm, view.width_mm
        size = views.letter_mm(width, height, OVERVIEW_PIXELS)
        notes = _doubt(scene, course, width) + _levels(scene, course, width, size)
        notes += _discs(scene, course, width, size) + _heights(course, width, 0.8 * size)
        notes += _numbers(course, name, lesions, (width, size))
        notes += views.marks(sides, width, height, 2.8 * size, size)
        alt = f"Curved {name} plane along the cord, z {_span(course)} mm, superior at the top"
        overlay = view.overlay + notes
        shown.append(View(view.pictures, width, height, overlay, alt, f"{name}, along the cord"))
    return shown


def _span(course: Course) -> str:
    z = course.centres[[0, -1], 2]
    return f"{z.max():.0f} to {z.min():.0f}"


def _plane(
    scene: Scene,
    course: Course,
    name: str,
    masks: Mapping[str, Image],
    half_mm: float = WIDE_MM,
    aside_mm: float = 0.0,
) -> View:
    """Return a plane along the cord with outlines, without letters."""
    grey = planes.along(scene.image, course, name, half_mm, aside_mm)
    drawn = {
        key: _shadow(mask, course, name)
        if half_mm == WIDE_MM and key == "lesion"
        else planes.along(mask, course, name, half_mm, aside_mm)
        for key, mask in masks.items()
    }
    pixel = planes.PIXEL_MM
    width, height = grey.shape[0] * pixel, grey.shape[1] * pixel
    picture = views.encode(grey, scene.window)
    return View((picture,), width, height, views.outlines(drawn, pixel, _along(scene)), "")


def _shadow(mask: Image, course: Course, name: str) -> NDArray[np.float32]:
    """Return a mask projected through the cord: a lesion beside the middle is seen as well."""
    layers = np.arange(-SHADOW_MM, SHADOW_MM + 0.5)
    seen = [planes.along(mask, course, name, WIDE_MM, float(at)) for at in layers]
    shadow: NDArray[np.float32] = np.max(seen, axis=0)
    return shadow


def _across(scene: Scene) -> tuple[float, float]:
    """Return the size of voxels in an axial plane."""
    left, front, _ = scene.image.voxel_sizes
    return float(left), float(front)


def _along(scene: Scene) -> tuple[float, float]:
    """Return the size of voxels across and along the cord."""
    left, front, up = scene.image.voxel_sizes
    return float(max(left, front)), float(up)


def _levels(scene: Scene, course: Course, width: float, size: float) -> Markup:
    """Return names of the vertebral levels, and lines between them."""
    drawn = Markup()
    slices: dict[str, list[int]] = {}
    for k, level in scene.levels.items():
        slices.setdefault(level, []).append(k)
    total = course.height_mm
    for level, ks in slices.items():
        low, high = course.up_mm(min(ks) - 0.5), course.up_mm(max(ks) + 0.5)
        drawn += _line(total - high, width, views.LEVEL)
        middle = total - (low + high) / 2
        baseline = float(np.clip(middle + 0.35 * size, size, total - 0.25 * size))
        drawn += views.words(0.25 * size, baseline, size, level, colour=views.LEVEL)
    return drawn


def _discs(scene: Scene, course: Course, width: float, size: float) -> Markup:
    """Return the discs that are marked by name."""
    drawn = Markup()
    for name, z in scene.discs.items():
        y = _row(course, z)
        drawn += _line(y, width, views.LEVEL)
        drawn += views.words(0.25 * size, y - 0.2 * size, size, name, colour=views.LEVEL)
    return drawn


def _row(course: Course, z: float) -> float:
    """Return where a scanner height lies in a plane along the cord, mm from its top."""
    heights = course.centres[:, 2]
    order = np.argsort(heights)
    k = float(np.interp(z, heights[order], course.slices[order]))
    return course.height_mm - course.up_mm(k)


def _line(y: float, width: float, colour: str) -> Markup:
    return Markup(
        '<path class="line" d="M0 {}H{}" stroke="{}" stroke-width="0.8" stroke-opacity="0.7" '
        'vector-effect="non-scaling-stroke"/>'
    ).format(f"{y:.2f}", f"{width:g}", colour)


def _doubt(scene: Scene, course: Course, width: float) -> Markup:
    """Hatch the stretches in which the outline is doubtful."""
    drawn = Markup()
    for first, last in _stretches(scene.doubtful):
        top, end = (course.height_mm - course.up_mm(k) for k in (last + 0.5, first - 0.5))
        starts = np.arange(top - end, width, HATCH_MM)
        lines = (_diagonal(float(x), (top, end), width) for x in starts)
        drawn += Markup(
            '<path d="{}M0 {top}H{w}M0 {end}H{w}" stroke="{}" stroke-width="1.2" '
            'stroke-opacity="0.75" vector-effect="non-scaling-stroke"/>'
        ).format("".join(lines), views.DOUBT, top=f"{top:.2f}", end=f"{end:.2f}", w=f"{width:g}")
    return drawn


def _stretches(slices: Collection[int]) -> list[tuple[int, int]]:
    """Return first and last slice of every run of neighboring slices."""
    ordered = np.array(sorted(slices), int)
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) != 1) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs if len(run)]


def _diagonal(x: float, band: tuple[float, float], width: float) -> str:
    """Return a line that rises to the right from ``x`` at the lower end of a band, cut at 0."""
    top, end = band
    left, right = max(x, 0.0), min(x + end - top, width)
    return f"M{left:.2f} {end - (left - x):.2f}L{right:.2f} {end - (right - x):.2f}"


def _heights(course: Course, width: float, size: float) -> Markup:
    """Return scanner heights every 20 mm, on the right."""
    z = course.centres[:, 2]
    if len(z) < 2 or not np.ptp(z):
        return Markup()
    first, last = np.ceil(z.min() / TICK_MM), np.floor(z.max() / TICK_MM)
    drawn = Markup()
    for tick in np.arange(first, last + 1) * TICK_MM:
        y = _row(course, float(tick))
        if not 1.5 * size < y < course.height_mm - 3 * size:  # the bar and letters are there
            continue
        text = f"z {tick + 0.0:.0f}"
        drawn += views.words(width - 0.3 * size, y + 0.3 * size, size, text, anchor="end")
    return drawn


def _numbers(
    course: Course, name: str, lesions: Image | None, sizes: tuple[float, float]
) -> Markup:
    """Return the numbers of the lesions beside them; ``sizes`` of the plane and of letters."""
    drawn, (width, size) = Markup(), sizes
    for number, ijk in _centres(lesions):
        n = int(np.clip(round(ijk[2]) - course.slices[0], 0, len(course.slices) - 1))
        away = to_world(np.array([ijk]), lesions.affine)[0] - course.centres[n]  # type: ignore[union-attr]
        x = width / 2 + float(away @ (-course.front if name == "sagittal" else course.left))
        y = course.height_mm - course.up_mm(ijk[2])
        colour = views.COLOURS["lesion"]
        drawn += views.words(x + 5, y + 0.35 * size, 1.3 * size, str(number), colour=colour)
    return drawn


def _centres(lesions: Image | None) -> list[tuple[int, NDArray[np.float64]]]:
    """Return number and mean voxel of every lesion."""
    if lesions is None:
        return []
    labels = np.round(lesions.data).astype(int)
    numbers = [int(n) for n in np.unique(labels) if n > 0]
    return [(n, np.argwhere(labels == n).mean(axis=0)) for n in numbers]


def lesion_views(scene: Scene, lesions: Image, prefix: str) -> Sequence[tuple[int, list[View]]]:
    """Return number and three planes through every lesion.

    Parameters
    ----------
    scene : Scene
    lesions : Image
        Lesions with their numbers, on the grid of the scene's image.
    prefix : str
        How anchors begin.
    """
    whole = planes.course_through(scene.image, scene.points, LESION_HALF_MM)
    return [
        (number, _three_planes(scene, whole, lesions, (number, ijk), f"{prefix}-lesion-{number}"))
        for number, ijk in _centres(lesions)[:MOST_LESIONS]
    ]


def _three_planes(
    scene: Scene,
    whole: Course,
    lesions: Image,
    which: tuple[int, NDArray[np.float64]],
    anchor: str,
) -> list[View]:
    """Return an axial, a sagittal and a coronal view through a lesion."""
    number, ijk = which
    alone = lesions.with_data((np.round(lesions.data) == number).astype(np.float32))
    k = int(np.argmax(alone.data.sum(axis=(0, 1))))
    n = int(np.clip(k - whole.slices[0], 0, len(whole.slices) - 1))
    masks = {"cord": scene.masks["cord"], "lesion": alone}
    here = Scene(scene.image, scene.points, scene.window, masks, scene.levels, scene.doubtful)
    tile = _tile(here, whole, n)
    alt = f"Lesion {number}, axial, {scene.caption(whole, n)}"
    shown = [
        View(
            tile.pictures, tile.width_mm, tile.height_mm, tile.overlay, alt, tile.caption,
            tile.doubtful, anchor,
        )
    ]  # fmt: skip
    away = to_world(np.array([ijk]), lesions.affine)[0] - whole.centres[n]
    reach = max(1, round(LESION_HALF_MM / whole.spacing_mm))
    part = whole.part(round(float(ijk[2])) - reach, round(float(ijk[2])) + reach)
    for name, sides, aside in (
        ("sagittal", views.SAGITTAL, float(away @ whole.left)),
        ("coronal", views.CORONAL, float(away @ whole.front)),
    ):
        plane = _plane(here, part, name, masks, LESION_HALF_MM, aside)
        overlay = plane.overlay + views.marks(sides, plane.width_mm, plane.height_mm)
        where = ("left", "right") if name == "sagittal" else ("anterior", "posterior")
        caption = f"{name}, {abs(aside):.1f} mm {where[aside < 0]} of the centerline"
        alt = f"Lesion {number}, {caption}"
        shown.append(View(plane.pictures, plane.width_mm, plane.height_mm, overlay, alt, caption))
    return shown


def points_of(mask: Image) -> NDArray[np.float64]:
    """Return the voxels of a centerline mask, RAS+ mm, upwards."""
    ijk = np.argwhere(mask.data > 0).astype(float)
    return to_world(ijk[np.argsort(ijk[:, 2])], mask.affine)


def between(points: NDArray[np.float64], mask: Image) -> NDArray[np.float64]:
    """Return the points of a centerline in the slices that a mask of it has."""
    k = to_voxel(points, mask.affine)[:, 2]
    seen = np.flatnonzero((mask.data > 0).any(axis=(0, 1)))
    kept: NDArray[np.float64] = points[(k >= seen[0] - 0.5) & (k <= seen[-1] + 0.5)]
    return kept
