"""Views of a report: a picture in gray with outlines and letters above it as vectors.

Positions in a view are millimeters from its upper left corner. Outlines, letters and the scale bar
are SVG, so that they stay sharp at any size and can be switched off.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image as Raster
from scipy import ndimage
from skimage.measure import find_contours

from spinalprep.image import Image

COLOURS = {
    "cord": "#ff5a4d",
    "automatic": "#4dc3ff",
    "template": "#ffd24d",
    "gray matter": "#7dff7d",
    "lesion": "#ff6dff",
}
DASHED = ("automatic", "template")  # told apart without color as well
DOUBT = "#ff9f1c"
LEVEL = "#ffd24d"
BAR_MM = 10.0
SMOOTH = 0.45  # standard deviation in voxels of the mask, against their corners
SHOWN_PERCENT = (1.0, 98.0)
NEAR_MM = 6.0  # cord and fluid: what the gray values are chosen for
LETTER_SHARE, LARGEST_LETTER_MM = 0.07, 4.0  # height, of the smaller side of a view
LETTER_PIXELS = 17.0  # height in a view that fills its place on the screen

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """Gray values that are shown as black and as white."""

    low: float
    high: float


@dataclass(frozen=True)
class View:
    """A picture and what is drawn above it.

    Attributes
    ----------
    pictures : tuple of str
        ``data:`` addresses; of two, the second is shown in place of the first by a slider.
    width_mm, height_mm : float
    overlay : Markup
        SVG elements, in mm from the upper left corner.
    alt : str
        What is seen, for readers who do not see it.
    caption : str
    doubtful : bool
        Whether the outline of the cord is doubtful here.
    anchor : str
        Name to link to, empty for none.
    """

    pictures: tuple[str, ...]
    width_mm: float
    height_mm: float
    overlay: Markup
    alt: str
    caption: str = ""
    doubtful: bool = False
    anchor: str = ""

    @property
    def svg(self) -> Markup:
        """What is drawn above the picture, as one element."""
        box = f"0 0 {self.width_mm:g} {self.height_mm:g}"
        return Markup(
            '<svg viewBox="{}" aria-hidden="true" style="position:absolute;inset:0;width:100%;'
            'height:100%">{}</svg>'
        ).format(box, self.overlay)

    @property
    def html(self) -> Markup:
        """The view alone, for a page without style sheet."""
        return Markup(
            '<div style="position:relative;display:inline-block;vertical-align:top;margin:2px;'
            'width:{}px;aspect-ratio:{:.4f}"><img src="{}" alt="{}" '
            'style="width:100%;height:100%;display:block">{}</div>'
        ).format(
            round(min(340.0, 4.0 * self.width_mm)),
            self.width_mm / self.height_mm,
            self.pictures[0],
            self.alt,
            self.svg,
        )


def window_around(image: Image, cord: Image | None) -> Window:
    """Return gray values that show the cord and the fluid around it.

    Parameters
    ----------
    image : Image
    cord : Image or None
        Mask on the grid of the image; without it the whole image counts.
    """
    values = image.data
    if cord is not None and cord.data.shape == values.shape and (cord.data > 0.5).any():
        distance = ndimage.distance_transform_edt(cord.data <= 0.5, sampling=cord.voxel_sizes)
        values = values[distance <= NEAR_MM]
    low, high = np.percentile(values, SHOWN_PERCENT)
    return Window(float(low), float(max(high, low + 1e-6)))


def encode(plane: Plane, window: Window) -> str:
    """Return a plane (first axis to the right, second upwards) as a gray PNG, ``data:`` address."""
    scaled = (plane - window.low) / (window.high - window.low)
    pixels = np.round(255 * np.clip(np.nan_to_num(scaled), 0, 1)).astype(np.uint8).T[::-1]
    buffer = io.BytesIO()
    Raster.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def outline(name: str, plane: Plane, pixel_mm: float, voxel_mm: tuple[float, float]) -> Markup:
    """Return the smooth outline at one half of a mask in a plane, nothing where there is none.

    Parameters
    ----------
    name : str
        One of `COLOURS`.
    plane : ndarray, shape (width, height)
        Mask or probability, first axis to the right, second upwards.
    pixel_mm : float
    voxel_mm : tuple of float
        Size of the mask's voxels along both axes; the outline is smooth below it.
    """
    if plane.max(initial=0.0) < 0.25:
        return Markup()
    spread = [SMOOTH * size / pixel_mm for size in voxel_mm]
    smooth = np.pad(ndimage.gaussian_filter(plane.astype(float), spread), 1)
    level = 0.5 * min(1.0, float(smooth.max()))
    height = plane.shape[1] * pixel_mm
    path = ""
    contours = find_contours(smooth, level)  # type: ignore[no-untyped-call]
    for line in contours:
        x = (line[:, 0] - 0.5) * pixel_mm
        y = height - (line[:, 1] - 0.5) * pixel_mm
        points = " L".join(f"{a:.2f} {b:.2f}" for a, b in zip(x, y, strict=True))
        path += f"M{points}Z"
    dash = Markup(' stroke-dasharray="4 3"') if name in DASHED else ""
    return Markup(
        '<path class="line" d="{}" fill="none" stroke="{}" stroke-width="1.4" '
        'vector-effect="non-scaling-stroke"{}/>'
    ).format(path, COLOURS[name], dash)


def outlines(masks: Mapping[str, Plane], pixel_mm: float, voxel_mm: tuple[float, float]) -> Markup:
    """Return the outlines of several masks in a plane."""
    drawn = (outline(name, plane, pixel_mm, voxel_mm) for name, plane in masks.items())
    return Markup().join(drawn)


def side_by_side(views: Sequence[View]) -> Markup:
    """Return several views for a page without style sheet."""
    return Markup().join(view.html for view in views)


@dataclass(frozen=True)
class Sides:
    """Letters at the four sides of a view; ``at`` is where those above and below stand, 0 to 1."""

    left: str
    right: str
    top: str
    bottom: str
    at: float


AXIAL = Sides("R", "L", "A", "P", 0.5)  # radiological: the patient's right is on the left
SAGITTAL = Sides("A", "P", "S", "I", 0.3)  # in the middle is the cord
CORONAL = Sides("R", "L", "S", "I", 0.3)


def letter_mm(width: float, height: float, place: tuple[float, float]) -> float:
    """Return the height of letters, in mm, so that they have `LETTER_PIXELS` on the screen.

    Parameters
    ----------
    width, height : float
        Of the view, in mm.
    place : tuple of float
        Largest width and height of the view on the screen, in pixels.

    Examples
    --------
    >>> letter_mm(90.0, 330.0, (560.0, 660.0))
    8.5
    """
    return LETTER_PIXELS / min(place[0] / width, place[1] / height)


def marks(
    sides: Sides, width: float, height: float, inset_mm: float = 0.0, letter: float | None = None
) -> Markup:
    """Return the letters of the sides and a bar of 10 mm.

    All sizes are in mm; ``inset_mm`` is how far the letters at the left and right stand inside,
    ``letter`` how high letters are.
    """
    size = letter or min(LETTER_SHARE * min(width, height), LARGEST_LETTER_MM)
    pad = 0.35 * size
    free = width - pad - max(BAR_MM, 2.8 * size)  # the bar and its text begin here
    raised = 1.6 * size if sides.at * width + 0.5 * size > free else 0.0
    places = (
        (sides.left, pad + inset_mm, height / 2, "start"),
        (sides.right, width - pad - inset_mm, height / 2, "end"),
        (sides.top, sides.at * width, size, "middle"),
        (sides.bottom, sides.at * width, height - pad - raised, "middle"),
    )
    letters = Markup().join(words(x, y, size, text, anchor=at) for text, x, y, at in places)
    right, y = width - pad, height - pad
    bar = Markup(
        '<path class="bar" d="M{} {}h{}" stroke="white" stroke-width="2" '
        'vector-effect="non-scaling-stroke"/>'
    ).format(f"{right - BAR_MM:.2f}", f"{y:.2f}", f"{BAR_MM:g}")
    return letters + bar + words(right, y - 0.3 * size, 0.85 * size, "10 mm", anchor="end")


def words(
    x: float,
    y: float,
    size: float,
    text: str,
    *,
    anchor: str = "start",
    colour: str = "white",
    rim: str = "black",
) -> Markup:
    """Return a text with a rim, at its baseline."""
    place = (f"{x:.2f}", f"{y:.2f}", f"{size:.2f}")
    return Markup(
        '<text x="{}" y="{}" font-size="{}" text-anchor="{}" fill="{}" stroke="{}" '
        'stroke-width="{}" paint-order="stroke" font-family="sans-serif">{}</text>'
    ).format(*place, anchor, colour, rim, f"{0.18 * size:.2f}", escape(text))
