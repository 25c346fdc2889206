"""Segmentation of the cord, its gray matter and lesions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from spinalprep.api.html import Card, page
from spinalprep.api.load import Scan, load
from spinalprep.api.volume import ImageLike, Volume, brought_back, to_spatial
from spinalprep.bids.lookups import label_value
from spinalprep.bids.names import SHOWS_GM
from spinalprep.cord.centerline import Centerline, centerline_from_mask
from spinalprep.cord.mask import fill_drawn, mask_of_drawn
from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.defaults import LESION_CONTRASTS
from spinalprep.errors import UsageError
from spinalprep.image import Image, upright
from spinalprep.image.drawn import read_drawn
from spinalprep.image.label_values import label_values
from spinalprep.image.sanity import conform_loaded_label
from spinalprep.lesion.calling import DRAWN, CalledLesions, LesionRule, call_lesions
from spinalprep.lesion.instances import lesion_volumes
from spinalprep.networks.cascade import TASKS, Found, Networks, find_cord
from spinalprep.networks.postprocess import EDGE, STEPS
from spinalprep.networks.postprocess import post_process as run_steps
from spinalprep.networks.views import VIEWS
from spinalprep.networks.weights import Model, load_model
from spinalprep.reports.scenes import FEW_TILES, Scene, axial_tiles, overview
from spinalprep.reports.views import side_by_side, window_around

Structure = Literal["cord", "centerline", "gm", "lesion"]
STRUCTURES: tuple[Structure, ...] = ("cord", "centerline", "gm", "lesion")


@dataclass(frozen=True, repr=False, eq=False)
class Segmentation:
    """The cord, gray matter and lesions of an image, on its grid.

    Attributes
    ----------
    image : Scan
        The segmented image.
    cord : Volume of uint8, shape (I, J, K)
        Mask, 0 or 1.
    probability : Volume of float32, shape (I, J, K)
        Probability of the cord, 0 to 1, from which areas are computed; a manual mask is unchanged.
    centerline : Centerline
        Through the center of the cord, RAS+ mm, superior first.
    grey_matter : Volume of float32 or None
        Probability, 0 to 1; None if it was not segmented.
    lesions : Volume of int32 or None
        Lesions 1 to N, the largest first; 0 elsewhere. None if they were not segmented.
    lesion_probability : Volume of float32 or None
        0 to 1.
    spread : Volume of float32 or None
        Standard deviation of the cord's probability over the augmented views; None for a manual
        mask.
    called : CalledLesions or None
        Image evidence of each lesion, and rejected candidates; voxel order LAS.
    confidence : float
        Confidence of the centerline, 0 to 1; 1 for a manual one.
    warnings : tuple of str
        Parts of the mask that were removed, filled or are doubtful.
    doubtful : tuple of int
        Axial slices in which the outline of the cord is doubtful; they are excluded from all
        means. Numbered upwards from 0, the lowest.
    drawn : frozenset of str
        Manual structures: ``cord``, ``centerline``, ``gm``, ``lesion``.
    cards : mapping of str to mapping
        The cards of the networks, by task.
    moved : MovedOutline or None
        How far the outline of the cord was moved to the visible edge; None where it was not to be.
    """

    image: Scan
    cord: Volume
    probability: Volume
    centerline: Centerline
    grey_matter: Volume | None
    lesions: Volume | None
    lesion_probability: Volume | None
    spread: Volume | None
    called: CalledLesions | None = None
    confidence: float = 1.0
    warnings: tuple[str, ...] = ()
    doubtful: tuple[int, ...] = ()
    drawn: frozenset[str] = frozenset()
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    moved: MovedOutline | None = None

    @property
    def volume_mm3(self) -> float:
        """Volume of the cord mask in mm3."""
        return float(np.count_nonzero(self.cord.data)) * self.cord.voxel_volume

    @property
    def lesion_volumes_mm3(self) -> list[float]:
        """Volume of the lesions 1 to N in mm3."""
        return lesion_volumes(self.lesions) if self.lesions is not None else []

    def __repr__(self) -> str:
        count, length = len(self.lesion_volumes_mm3), self.centerline.length
        parts = [f"cord of {self.volume_mm3:.0f} mm3 along {length:.0f} mm"]
        parts += ["gray matter"] if self.grey_matter is not None else []
        if self.lesions is not None:
            parts += [{0: "no lesion", 1: "1 lesion"}.get(count, f"{count} lesions")]
        return f"Segmentation: {', '.join(parts)}"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [("image", self.image)]
        rows += [("manual", ", ".join(sorted(self.drawn)))] if self.drawn else []
        sizes = ", ".join(f"{size:.1f}" for size in self.lesion_volumes_mm3)
        rows += [("lesions (mm3)", sizes)] if sizes else []
        rows += [("warning", text) for text in self.warnings]
        return page(Card(repr(self), rows, draw_along(self)))


def segment(
    image: ImageLike,
    *,
    grey_matter: bool | None = None,
    lesions: bool | LesionRule | None = None,
    drawn: Mapping[Structure, ImageLike] | None = None,
    models: Mapping[str, str | Path | Model] | None = None,
    views: int = VIEWS,
    post_process: Collection[str] = (),
) -> Segmentation:
    """Segment the cord of an image, its gray matter and its lesions.

    Parameters
    ----------
    image : Scan, path, nibabel image or Volume, shape (I, J, K)
        Any orientation. Anything but a `Scan` is passed through `load`, with bias correction.
    grey_matter : bool, optional
        Segment gray matter. By default it is segmented if the file name ends in a contrast that
        shows it (``T2starw``, ``MTS``).
    lesions : bool or LesionRule, optional
        Segment lesions; a `LesionRule` sets the criteria for a lesion. By default, lesions are
        segmented if the file name ends in ``T2w``, ``T2starw`` or no contrast (other contrasts give
        false lesions in healthy subjects).
    drawn : mapping of str to image, optional
        Manual masks, used instead of the networks: ``cord``, ``centerline`` (one voxel per
        slice), ``gm``, ``lesion``; on the grid of the image, any voxel order.
    models : mapping of str to path, optional
        Weights to use instead of the packaged ones: ``centerline``, ``cord``, ``gm``, ``lesion``.
    views : int
        Number of augmented views, 1 to 4; with a single view there is no spread.
    post_process : collection of str
        ``edge``, the outline of the cord is moved to the edge visible in the image (see
        `cord.visible_edge`); ``crf`` and ``largest``, see `networks.postprocess.post_process`.

    Returns
    -------
    found : Segmentation

    Raises
    ------
    NoCordError
        If there is no cord in the field of view.
    InputError
        If the image cannot be processed, or a label is on another grid.
    UsageError
        If an option has an unknown value.
    ModelError
        If weights are missing or corrupt.

    Examples
    --------
    >>> import spinalprep as sp
    >>> sp.segment(sp.example())
    Segmentation: cord of ... mm3 along ... mm, 1 lesion
    """
    _check_steps(post_process)
    scan, given = load(image), _read_drawn(drawn)
    shows_gm = grey_matter if grey_matter is not None else scan.contrast in SHOWS_GM
    las = upright(scan)
    labels = {name: on_grid(label, las, name) for name, label in given.items()}
    rule = DRAWN if "lesion" in labels else _lesion_rule(lesions, scan.contrast)
    wanted = {"lesion": rule not in (None, DRAWN), "gm": shows_gm and "gm" not in labels}
    networks = _networks(models or {}, [name for name, yes in wanted.items() if yes])
    line = _line(labels) if "cord" not in labels else None
    maps = find_cord(las, Networks(**networks), line, views=views, at_edge=EDGE in post_process)
    found = _with_drawn(run_steps(maps, las, post_process), labels)
    called = None
    if rule is not None:
        called = call_lesions(found.lesion, las, found.cord, found.centerline, rule)
    return Segmentation(
        image=scan,
        cord=brought_back(found.cord.data, scan, np.uint8),
        probability=_soft(found.probability, scan),
        centerline=found.centerline,
        grey_matter=_soft(found.gm, scan) if shows_gm or "gm" in labels else None,
        lesions=brought_back(called.labels, scan, np.int32) if called is not None else None,
        lesion_probability=_soft(found.lesion, scan) if called is not None else None,
        spread=_soft(found.uncertainty, scan) if "cord" not in labels else None,
        called=called,
        confidence=found.confidence,
        warnings=tuple(found.warnings),
        doubtful=tuple(found.doubtful),
        drawn=frozenset(labels),
        cards={name: model.card for name, model in networks.items()},
        moved=found.moved,
    )


def _check_steps(post_process: Collection[str]) -> None:
    """Refuse what is none of ``STEPS``."""
    unknown = sorted(set(post_process) - set(STEPS))
    if unknown:
        raise UsageError(f"post_process: got {unknown[0]!r}; expected some of {', '.join(STEPS)}")


def draw_along(found: Segmentation, discs: Mapping[str, float] | None = None) -> Markup:
    """Return pictures of the sagittal and coronal planes along the cord, with outlines.

    Parameters
    ----------
    found : Segmentation
    discs : mapping of str to float, optional
        Name and z (RAS+ mm) of what is marked.
    """
    lesions = upright(found.lesions) if found.lesions is not None else None
    return side_by_side(overview(replace(_scene(found), discs=discs or {}), lesions))


def draw_across(found: Segmentation, more: Mapping[str, Image]) -> Markup:
    """Return pictures of eight axial windows around the cord, with outlines."""
    scene = _scene(found)
    return side_by_side(axial_tiles(replace(scene, masks={**scene.masks, **more}), FEW_TILES))


def _scene(found: Segmentation) -> Scene:
    """Return the image around its cord."""
    image, masks = upright(found.image), _outlines(found)
    return Scene(image, found.centerline.points, window_around(image, masks["cord"]), masks)


def _outlines(found: Segmentation) -> dict[str, Image]:
    outlines: dict[str, Image] = {"cord": upright(found.cord)}
    if found.lesions is not None and found.lesions.data.any():
        lesions = upright(found.lesions)
        outlines["lesion"] = lesions.with_data((lesions.data > 0).astype(np.float32))
    return outlines


@cache
def packaged(name: str) -> Model:
    """Return packaged weights, read once."""
    return load_model(name)


def _lesion_rule(lesions: bool | LesionRule | None, contrast: str | None) -> LesionRule | None:
    """Return what has to be true of a lesion; None where none is looked for."""
    if isinstance(lesions, LesionRule):
        return lesions
    wanted = lesions if lesions is not None else contrast in (None, *LESION_CONTRASTS)
    return LesionRule() if wanted else None


def _networks(given: Mapping[str, str | Path | Model], beside: Sequence[str]) -> dict[str, Model]:
    """Return the networks that are packaged, or given in their place, by their tasks."""
    names = ("centerline", "cord", *beside)
    unknown = sorted(set(given) - set(TASKS))
    if unknown:
        raise UsageError(f"no network for {unknown[0]!r}; expected one of {', '.join(TASKS)}")
    models: dict[str, Model] = {}
    for name in names:
        weights = given.get(name)
        if weights is None:
            models[name] = packaged(name)
        else:
            models[name] = weights if isinstance(weights, Model) else load_model(weights)
    return models


def _read_drawn(drawn: Mapping[Structure, ImageLike] | None) -> Mapping[Structure, ImageLike]:
    unknown = sorted(set(drawn or {}) - set(STRUCTURES))
    if unknown:
        raise UsageError(
            f"drawn: unknown structure {unknown[0]!r}; expected one of {', '.join(STRUCTURES)}"
        )
    return drawn or {}


def on_grid(label: ImageLike, las: Image, role: str) -> Image:
    """Return a label that a person drew on the grid of an image, its values read as one of them."""
    source, name = to_spatial(label)
    if isinstance(source, Path):
        return read_drawn(source, las, role, label_value(source, role)).as_saved()
    name = name.replace("image", "label")
    found = conform_loaded_label(source, name, las)
    return found.with_data(label_values(found.data, name, role)).as_saved()


def _line(labels: Mapping[Structure, Image]) -> Centerline | None:
    """Return the centerline that a person drew."""
    drawn = labels.get("centerline")
    return centerline_from_mask(drawn).as_saved() if drawn is not None else None


def _with_drawn(
    found: Found[Image, Centerline], labels: Mapping[Structure, Image]
) -> Found[Image, Centerline]:
    """Put what a person drew in the place of what the networks found."""
    found = replace(found, gm=labels.get("gm", found.gm), lesion=labels.get("lesion", found.lesion))
    if "cord" not in labels:
        return found
    soft, warnings = fill_drawn(labels["cord"])
    soft = soft.as_saved()
    line = _line(labels) or centerline_from_mask(soft).as_saved()
    return replace(
        found,
        cord=soft.with_data(mask_of_drawn(soft)),
        probability=soft,
        centerline=line,
        confidence=1.0,
        warnings=list(warnings),
        doubtful=[],
        moved=None,
    )


def _soft(image: Image, scan: Scan) -> Volume:
    return brought_back(image.data, scan, np.float32)
