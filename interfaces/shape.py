"""Tasks that measure the shape of the cord."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.files import read_centerline
from spinalprep.cord.shape import measure_slices
from spinalprep.cord.whole import total_table
from spinalprep.engine.tasks import define_task
from spinalprep.image import load
from spinalprep.levels.files import read_levels
from spinalprep.levels.slices import measure_levels, slice_levels
from spinalprep.normative.calibration import calibrate_norms, load_calibration
from spinalprep.normative.table import (
    Norms,
    Subject,
    load_norms,
    normalise_compression,
    score_slices,
)
from spinalprep.tables import read_table, write_table


@define_task(outputs=["table"])
def MeasureSlices(
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None,
    gm: NiftiGz | None,
    spread: NiftiGz | None,
    gm_found: bool,
    doubtful: list[int],
) -> File:
    """Measure area and shape in every slice, with the vertebral level where it is known."""
    grey, sd = (load(file.fspath) if file is not None else None for file in (gm, spread))
    line = read_centerline(Path(centerline.fspath))
    mask = load(cord.fspath)
    table = measure_slices(mask, line, grey, sd, gm_found=gm_found, doubtful=doubtful)
    table.insert(0, "vertebral_level", np.nan)
    if vertebrae is not None:
        table["vertebral_level"] = slice_levels(load(vertebrae.fspath), table["slice"].tolist())
    return write_table(table, Path("perslice.tsv"))


@define_task(outputs=["table"])
def MeasureLevels(
    perslice: File,
    levels: File | None,
    norms: File | None,
    calibration: File | None,
    age: float | None,
    sex: str | None,
) -> File:
    """Average the slices of every vertebral level, and hold them against healthy people.

    Without a calibration of the masks nobody is held against anybody.
    """
    table = read_table(Path(perslice.fspath))
    found = read_levels(Path(levels.fspath)) if levels is not None else None
    healthy = _comparable(norms, calibration) if norms is not None else None
    summary = measure_levels(table, found, healthy, Subject(age, sex))
    return write_table(summary, Path("perlevel.tsv"))


@define_task(outputs=["table"])
def MeasureTotal(perslice: File) -> File:
    """Average the slices that count, and add up the volume of all; needs no level."""
    return write_table(total_table(read_table(Path(perslice.fspath))), Path("total.tsv"))


@define_task(outputs=["table"])
def ShapeOnTemplate(
    perslice: File,
    centerline: File,
    forward: NiftiGz,
    template_cord: NiftiGz,
    template_levels: NiftiGz,
    levels: File | None,
) -> File:
    """Bring the measures to the template's slices, with levels where they are known."""
    from spinalprep.registration.coverage import shape_on_template
    from spinalprep.registration.transform import read_itk

    table = shape_on_template(
        read_table(Path(perslice.fspath)),
        read_centerline(Path(centerline.fspath)),
        read_itk(Path(forward.fspath)),
        load(template_cord.fspath),
        load(template_levels.fspath),
    )
    if levels is not None and not read_levels(Path(levels.fspath)).known:
        table["vertebral_level"] = np.nan
    return write_table(table, Path("template_slices.tsv"))


@define_task(outputs=["table"])
def ScoreSlices(
    table: File, norms: File, calibration: File | None, age: float | None, sex: str | None
) -> File:
    """Hold the shape on PAM50's slices against healthy people, where masks are calibrated."""
    measured, subject = read_table(Path(table.fspath)), Subject(age, sex)
    scored = score_slices(measured, _comparable(norms, calibration), subject)
    even = normalise_compression(scored, load_norms(Path(norms.fspath)))
    return write_table(even, Path("scored_slices.tsv"))


def _comparable(norms: File, calibration: File | None) -> Norms:
    """Read the healthy people as the masks would have measured them."""
    found = load_calibration(Path(calibration.fspath)) if calibration is not None else None
    return calibrate_norms(load_norms(Path(norms.fspath)), found)
