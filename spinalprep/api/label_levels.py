"""Vertebral levels of a segmented cord."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from spinalprep.api.html import Card, page
from spinalprep.api.load import load
from spinalprep.api.segment import Segmentation, draw_along, on_grid, packaged
from spinalprep.api.volume import ImageLike, Volume, brought_back
from spinalprep.cord.centerline import Centerline
from spinalprep.errors import UsageError
from spinalprep.image import Image, upright
from spinalprep.levels.carry import Source, choose_source
from spinalprep.levels.detect import find_discs, weigh_signs
from spinalprep.levels.discs import Levels, discs_from_labels, level_name, parse_hint
from spinalprep.levels.elsewhere import detect_elsewhere
from spinalprep.levels.label import label_discs, label_vertebrae
from spinalprep.levels.number import (
    levels_from_hint_and_signs,
    levels_from_labels_and_signs,
    levels_from_signs,
)
from spinalprep.levels.sequence import Evidence
from spinalprep.template.files import Template, resolve_template
from spinalprep.template.levels import disc_heights


@dataclass(frozen=True, repr=False, eq=False)
class VertebralLevels:
    """The vertebral levels of a cord, which may be unknown.

    Attributes
    ----------
    found : Segmentation
        The segmentation of the cord.
    levels : Levels
        Positions of the discs along the centerline, and their source.
    vertebrae : Volume of int16, shape (I, J, K), or None
        Level of every voxel of the cord: C1 = 1, T1 = 8, L1 = 20; 0 elsewhere.
    discs : Volume of int16, shape (I, J, K), or None
        One voxel per disc, where its plane meets the centerline; disc n lies above vertebra n.
    template : Template
        The template whose disc spacings are used to place discs that were not detected.
    warnings : tuple of str
        Contradictions between the image and a hint, or between images.
    """

    found: Segmentation
    levels: Levels
    vertebrae: Volume | None
    discs: Volume | None
    template: Template
    warnings: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether levels could be determined."""
        return self.levels.known

    @property
    def source(self) -> str:
        """Source of the levels; ``unknown`` if there is none.

        ``manual``, ``hint``, ``hint+detected``, ``detected``, or ``detected in T1w`` (another
        image of the session, by its name in ``others``).
        """
        return self.levels.source

    @property
    def confidence(self) -> float:
        """Probability that detected levels are correct; 1 with labels or a hint, 0 if unknown."""
        return self.levels.confidence

    @property
    def names(self) -> list[str]:
        """Names of the levels of the cord in view, from superior to inferior."""
        if self.vertebrae is None:
            return []
        return [level_name(int(n)) for n in np.unique(self.vertebrae.data) if n > 0]

    def __repr__(self) -> str:
        if not self.known:
            return "VertebralLevels: unknown"
        how = f"{self.source}, confidence {self.confidence:.3f}"
        return f"VertebralLevels: {' '.join(self.names)} ({how})"

    def _repr_html_(self) -> str:
        heights = {
            f"disc {level_name(n - 1)}/{level_name(n)}": float(self.found.centerline.at(s)[2])
            for n, s in self.levels.disc_s.items()
            if 0 <= s <= self.found.centerline.length
        }
        rows: list[tuple[str, object]] = [("warning", text) for text in self.warnings]
        return page(Card(repr(self), rows, draw_along(self.found, heights)))


def label_levels(
    image: ImageLike,
    found: Segmentation,
    *,
    discs: ImageLike | None = None,
    hint: str | None = None,
    others: Mapping[str, ImageLike] | None = None,
    template: str | Path | Template | None = None,
) -> VertebralLevels:
    """Determine vertebral levels from disc labels, a hint, or discs detected in the image.

    If levels cannot be found in the image, they can come from further images of the session, as in
    the App.

    Parameters
    ----------
    image : Scan, path, nibabel image or Volume, shape (I, J, K)
        The image that was segmented.
    found : Segmentation
        From `segment`.
    discs : image, optional
        Disc labels on the grid of the image, any voxel order: the value n marks the disc above
        vertebra n (3 is C2/C3).
    hint : str, optional
        ``"C3@z=12.5"`` (middle of a vertebral body) or ``"C2/C3@z=20"`` (disc); several are
        separated by commas. z in RAS+ mm.
    others : mapping of str to image, optional
        Further images of the session by their contrasts (``{"T1w": "sub-01_T1w.nii.gz"}``), any
        grid. They are used if levels cannot be determined with certainty in the image itself, and
        neither discs nor a hint are given: they are registered to the image, and their discs are
        transferred to it. If several provide levels, the one with the largest extent along the
        spine is used; if two disagree, levels stay unknown.
    template : str, path or Template, optional
        ``"PAM50"``, ``"Generic"`` or a folder; its disc spacings are used to place discs that
        are not detected.
        Default: PAM50 if it is found on this machine, else the embedded template.

    Returns
    -------
    levels : VertebralLevels
        ``levels.known`` is False if the levels cannot be determined with certainty.

    Raises
    ------
    InputError
        If labels or hint do not fit the cord.
    UsageError
        If the hint cannot be parsed, or both discs and a hint are given.
    TemplateError
        If there is no such template.

    Examples
    --------
    >>> import spinalprep as sp
    >>> image = sp.example()
    >>> found = sp.segment(image, views=1)
    >>> sp.label_levels(image, found, template="Generic")
    VertebralLevels: C2 C3 C4 C5 C6 C7 T1 T2 (detected, confidence 0.99...)
    """
    if discs is not None and hint is not None:
        raise UsageError("both discs and a hint were given; expected one of them")
    las, line = upright(load(image)), found.centerline
    model = find_template(template)
    template_z = heights_of(model)
    evidence = _see_discs(las, line)
    warnings: list[str] = []
    if discs is not None:
        labelled = discs_from_labels(on_grid(discs, las, "discs"), line)
        levels = levels_from_labels_and_signs(labelled, template_z, line.length, evidence)
    elif hint is not None:
        levels, warnings = levels_from_hint_and_signs(parse_hint(hint), line, template_z, evidence)
    else:
        levels = levels_from_signs(evidence, template_z, line.length)
    if not levels.known and discs is None and hint is None and others:
        levels, warnings = _seen_elsewhere(las, found, others, template_z)
    return _drawn(found, levels, model, warnings)


def find_template(template: str | Path | Template | None) -> Template:
    """Return a template by its name, its folder, or as it is; looked up once."""
    return template if isinstance(template, Template) else _resolved(template)


@cache
def _resolved(template: str | Path | None) -> Template:
    return resolve_template(template)


@cache
def heights_of(template: Template) -> Mapping[int, float]:
    """Return the z of a template's discs, RAS+ mm; read once."""
    return disc_heights(template)


def _see_discs(image: Image, line: Centerline) -> Evidence:
    """Return the signs of discs along the cord."""
    model = packaged("discs")
    return weigh_signs(*find_discs(image, line, model), model.card["scale"])


def _seen_elsewhere(
    image: Image,
    found: Segmentation,
    others: Mapping[str, ImageLike],
    template_z: Mapping[int, float],
) -> tuple[Levels, list[str]]:
    """Return the levels that other images of the session show, and why some were not used."""
    from spinalprep.registration.coregister import coregister

    sources: list[Source] = []
    warnings: list[str] = []
    networks = packaged("centerline"), packaged("discs")
    for name, other in others.items():
        moving = upright(load(other))
        fit = coregister(moving, image, upright(found.cord))
        shown, why = detect_elsewhere(
            moving, name, *networks, fit.inverse, found.centerline, template_z
        )
        sources += shown
        warnings += why
    levels, disagreement = choose_source(sources, found.centerline.length)
    return levels, warnings + disagreement


def _drawn(
    found: Segmentation, levels: Levels, template: Template, warnings: list[str]
) -> VertebralLevels:
    """Draw levels on the cord."""
    vertebrae = discs = None
    if levels.known:
        cord, line = upright(found.cord), found.centerline
        vertebrae = brought_back(label_vertebrae(cord, line, levels), found.cord, np.int16)
        discs = brought_back(label_discs(cord, line, levels), found.cord, np.int16)
    return VertebralLevels(found, levels, vertebrae, discs, template, tuple(warnings))
