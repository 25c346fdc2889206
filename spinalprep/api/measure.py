"""Tables of cord measures."""

import logging
from typing import Literal

import numpy as np
import pandas as pd

from spinalprep.api.label_levels import VertebralLevels
from spinalprep.api.register import Registration
from spinalprep.api.segment import Segmentation
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.whole import total_table
from spinalprep.errors import UsageError
from spinalprep.image import load, upright
from spinalprep.levels.slices import measure_levels, slice_levels, with_level_names
from spinalprep.normative.calibration import MaskSource, calibrate_norms, load_calibration
from spinalprep.normative.table import (
    Norms,
    Subject,
    load_norms,
    normalise_compression,
    score_slices,
)
from spinalprep.registration.coverage import shape_on_template
from spinalprep.tables import as_saved

By = Literal["level", "slice", "total", "template_slice"]
_log = logging.getLogger("spinalprep")


def measure(
    found: Segmentation,
    levels: VertebralLevels | None = None,
    fit: Registration | None = None,
    *,
    by: By = "level",
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
) -> pd.DataFrame:
    """Measure area, diameters, compression and gray matter of a cord, with intervals.

    Parameters
    ----------
    found : Segmentation
        From `segment`.
    levels : VertebralLevels, optional
        From `label_levels`; needed for a row per level.
    fit : Registration, optional
        From `register`; needed for a row per slice of the template.
    by : str
        ``level``, ``slice`` (of the image), ``total`` (the whole cord) or ``template_slice``.
    age, sex
        Age in years and sex, ``F`` or ``M``. With both, z-scores relative to healthy adults are
        computed if the masks are of the kind that was calibrated; otherwise a warning gives the
        reason.

    Returns
    -------
    table : DataFrame
        Column names end with the unit (``area_mm2``, ``tilt_deg``) and are described in
        docs/outputs.md. ``vertebral_level`` is a name (``C3``). Numbers have six digits and are
        equal to those in the tables of the App.

    Raises
    ------
    UsageError
        If ``by`` is unknown, or is ``template_slice`` without a registration and known levels.

    Examples
    --------
    >>> import spinalprep as sp
    >>> image = sp.example()
    >>> found = sp.segment(image, views=1)
    >>> table = sp.measure(found, sp.label_levels(image, found, template="Generic"))
    >>> table[["vertebral_level", "area_mm2"]].round(0).head(3)
      vertebral_level  area_mm2
    0              C2     ...
    1              C3     ...
    2              C4     ...
    """
    slices = _slices(found, levels)
    subject, norms = Subject(age, sex), load_norms()
    if by in ("level", "template_slice") and age is not None and sex is not None:
        norms = _comparable(found)
    if by == "slice":
        return with_level_names(slices)
    if by == "total":
        return as_saved(total_table(slices))
    if by == "level":
        if levels is None or not levels.known:
            _log.warning(
                "levels are unknown: there is no row per level; by='slice' needs no levels"
            )
        known = levels.levels if levels is not None and levels.known else None
        return with_level_names(as_saved(measure_levels(slices, known, norms, subject)))
    if by == "template_slice":
        table = with_level_names(as_saved(_on_template(slices, levels, fit, norms, subject)))
        table.insert(0, "vertebral_level", table.pop("vertebral_level"))  # as in the App's table
        return table
    raise UsageError(f"by={by!r}; expected level, slice, total or template_slice")


def measure_sections(found: Segmentation) -> pd.DataFrame:
    """Return a row per slice, with all digits; see `measure_slices`."""
    grey, spread = found.grey_matter, found.spread
    return measure_slices(
        upright(found.probability),
        found.centerline,
        upright(grey) if grey is not None else None,
        upright(spread) if spread is not None else None,
        gm_found="gm" not in found.drawn,
        doubtful=found.doubtful,
    )


def _slices(found: Segmentation, levels: VertebralLevels | None) -> pd.DataFrame:
    """Return a row per slice with its level, as a number, as a file keeps it."""
    table = measure_sections(found)
    table.insert(0, "vertebral_level", np.nan)
    if levels is not None and levels.vertebrae is not None:
        table["vertebral_level"] = slice_levels(levels.vertebrae, table["slice"].tolist())
    return as_saved(table)


def _on_template(
    slices: pd.DataFrame,
    levels: VertebralLevels | None,
    fit: Registration | None,
    norms: Norms,
    subject: Subject,
) -> pd.DataFrame:
    """Bring the shape to the slices of the template; z-scores on those of PAM50."""
    if fit is None or levels is None or not levels.known:
        raise UsageError(
            "by='template_slice' needs known levels and a registration; call measure(found, "
            "levels, fit)"
        )
    template = fit.template
    cord, vertebrae = load(template.cord), load(template.levels)
    table = shape_on_template(slices, fit.found.centerline, fit.fit.forward, cord, vertebrae)
    if template.name != "PAM50":
        return table
    scored = score_slices(as_saved(table), norms, subject)
    return normalise_compression(scored, load_norms())


def _comparable(found: Segmentation) -> Norms:
    """Return healthy people as the masks would have measured them; nobody where none can tell."""
    image, card = found.image, found.cards.get("cord")
    altered = image.altered + (("a manual centerline",) if "centerline" in found.drawn else ())
    if found.spread is not None and not found.spread.data.any():
        altered += ("one view",)
    source = MaskSource(
        contrast=image.contrast,
        weights=None if card is None or "cord" in found.drawn else str(card["sha256"]),
        temperature=float(card.get("temperature", 1.0)) if card is not None else 1.0,
        voxel_mm=tuple(float(edge) for edge in np.linalg.norm(image.affine[:3, :3], axis=0)),
        altered=altered,
    )
    reason = load_calibration().refuses(source)
    if reason:
        _log.warning("no z-scores: %s", reason)
    return calibrate_norms(load_norms(), None if reason else load_calibration())
