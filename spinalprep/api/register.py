"""Registration of a cord to a template, and resampling in both directions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinalprep.api.html import Card, page
from spinalprep.api.label_levels import VertebralLevels, find_template, heights_of
from spinalprep.api.segment import Segmentation, draw_across
from spinalprep.api.volume import ImageLike, Volume, brought_back, read_image
from spinalprep.errors import UsageError
from spinalprep.image import Image, load, upright
from spinalprep.registration.along import Channel
from spinalprep.registration.resampling import resample_through
from spinalprep.registration.template import TemplateFit, register_to_template
from spinalprep.registration.transform import Transform
from spinalprep.template.files import Template

Interpolation = Literal["nearest", "linear", "spline"]
ORDERS: dict[str, int] = {"nearest": 0, "linear": 1, "spline": 3}


@dataclass(frozen=True, repr=False, eq=False)
class Registration:
    """Transforms between an image and a template, for images and points.

    Attributes
    ----------
    found : Segmentation
        The segmentation of the cord.
    template : Template
        The template: name, release and files.
    fit : TemplateFit
        Displacement fields in both directions, and the quality of the fit.
    levels_known : bool
        If False, the position along the template is arbitrary.
    """

    found: Segmentation
    template: Template
    fit: TemplateFit
    levels_known: bool

    @property
    def dice(self) -> float:
        """Dice coefficient of the two cords on the grid of the image, 0 to 1."""
        return self.fit.dice_subject

    def to_template(self, image: ImageLike, interpolation: Interpolation = "spline") -> Volume:
        """Resample an image onto the grid of the template.

        Parameters
        ----------
        image : Volume, path or nibabel image
            In the world coordinates of the registered image, on any grid.
        interpolation : str
            ``nearest`` for labels, ``linear`` for masks and probabilities, ``spline`` for
            intensities.

        Returns
        -------
        resampled : Volume of float32
        """
        return _moved(image, self.fit.forward, load(self.template.cord), interpolation)

    def to_image(self, image: ImageLike, interpolation: Interpolation = "linear") -> Volume:
        """Resample an image in template space onto the grid of the registered image.

        Parameters
        ----------
        image : Volume, path or nibabel image
            For example ``fit.template.levels``; the files of the template are attributes of
        `template`.
        interpolation : str
            As for `to_template`.

        Returns
        -------
        resampled : Volume of float32
        """
        return _moved(image, self.fit.inverse, self.found.image, interpolation)

    def points_to_template(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the image, shape (..., 3), to the template; RAS+ mm."""
        return self.fit.inverse.apply(np.asarray(points, np.float64))

    def points_to_image(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the template, shape (..., 3), to the image; RAS+ mm."""
        return self.fit.forward.apply(np.asarray(points, np.float64))

    def __repr__(self) -> str:
        known = "" if self.levels_known else "; levels unknown, the position is arbitrary"
        return f"Registration to {self.template.name}: Dice {self.dice:.3f}{known}"

    def _repr_html_(self) -> str:
        low, high = self.fit.span_z_mm
        rows = [
            ("template", f"{self.template.name}, {self.template.version}"),
            ("covers z (mm)", f"{round(low)} to {round(high)}"),
            ("smallest Jacobian", f"{self.fit.jacobian_min:.2f}"),
        ]
        theirs: Image = upright(self.to_image(self.template.cord))
        return page(Card(repr(self), rows, draw_across(self.found, {"template": theirs})))


def register(
    found: Segmentation,
    levels: VertebralLevels | None = None,
    *,
    template: str | Path | Template | None = None,
) -> Registration:
    """Register a cord to a template, using its vertebral levels if they are known.

    Gray matter is also used if it was segmented.

    Parameters
    ----------
    found : Segmentation
        From `segment`.
    levels : VertebralLevels, optional
        From `label_levels`. Without known levels the middle of the cord is placed at the middle of
        C5: cross-sections match, but the position along the template is arbitrary.
    template : str, path or Template, optional
        As for `label_levels`; by default that of ``levels``.

    Returns
    -------
    fit : Registration
        Transforms images and points in both directions.

    Raises
    ------
    InputError
        If cord and template do not overlap.
    TemplateError
        If the template does not exist.

    Examples
    --------
    >>> import spinalprep as sp
    >>> found = sp.segment(sp.example(), views=1)
    >>> fit = sp.register(found, template="Generic")
    >>> fit
    Registration to Generic: Dice 0.9...; levels unknown, the position is arbitrary
    >>> there = fit.points_to_template(found.centerline.at(40.0))
    >>> bool(abs(fit.points_to_image(there) - found.centerline.at(40.0)).max() < 0.1)
    True
    """
    model = levels.template if levels is not None and template is None else find_template(template)
    grey = None
    if found.grey_matter is not None and model.gm is not None:
        grey = Channel(upright(found.grey_matter), load(model.gm))
    fit = register_to_template(
        upright(found.probability),
        found.centerline,
        levels.levels.disc_s if levels is not None else {},
        load(model.cord),
        heights_of(model),
        grey,
    )
    return Registration(found, model, fit.as_saved(), levels is not None and levels.known)


def _moved(
    image: ImageLike, transform: Transform, like: Image, interpolation: Interpolation
) -> Volume:
    """Resample on the grid of an image; in LAS, so that the order of voxels changes no digit."""
    if interpolation not in ORDERS:
        raise UsageError(f"interpolation={interpolation!r}; expected {', '.join(ORDERS)}")
    grid = upright(like)
    source, order = upright(read_image(image)), ORDERS[interpolation]
    moved = resample_through(source, transform, (grid.shape, grid.affine), order)
    return brought_back(moved.data, like, np.float32)
