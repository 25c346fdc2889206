"""Tasks that turn lesion probabilities into lesions and their measures."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.cord.files import read_centerline
from spinalprep.image import load, save
from spinalprep.lesion.calling import DRAWN, LesionRule, call_lesions
from spinalprep.lesion.evidence import evidence_table
from spinalprep.lesion.instances import lesion_volumes, share_outside
from spinalprep.lesion.measures import measure_lesions, sum_lesions, top_of_c1
from spinalprep.lesion.regions import dominant_columns, measure_regions
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.tables import read_table, write_table
from spinalprep.template.regions import list_regions


@python.define(outputs=["mask", "instances", "soft", "evidence", "volumes", "refused", "outside"])
def CallLesions(
    lesion: NiftiGz,
    image: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    threshold: float,
    min_mm3: float,
    drawn: bool,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, list[float], list[float], float]:
    """Call the lesions inside the cord; tell what the image shows of each, and was refused."""
    probability, mask = load(lesion.fspath), load(cord.fspath)
    rule = DRAWN if drawn else LesionRule(threshold, min_mm3)
    line = read_centerline(Path(centerline.fspath))
    called = call_lesions(probability, load(image.fspath), mask, line, rule)
    soft = probability.data * (mask.data > 0) * ~called.beside_refused()
    return (
        save(mask.with_data(called.labels > 0), Path("lesion.nii.gz"), dtype=np.uint8),
        save(mask.with_data(called.labels), Path("lesions.nii.gz"), dtype=np.int16),
        save(probability.with_data(soft), Path("soft.nii.gz")),
        write_table(evidence_table(called.evidence), Path("evidence.tsv")),
        lesion_volumes(mask.with_data(called.labels)),
        lesion_volumes(mask.with_data(called.refused)),
        share_outside(probability, mask, rule.threshold),
    )


@python.define(outputs=["table", "regions", "totals"])
def MeasureLesions(
    instances: NiftiGz,
    evidence: File,
    refused: list[float],
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None,
    levels: File | None,
    template_z: dict[int, float],
    shares: File | None,
    names: list[str],
    combined: dict[str, list[int]],
    doubtful: list[int],
) -> tuple[File, File, File]:
    """Measure every lesion, all together, and where they lie."""
    labels, mask = load(instances.fspath), load(cord.fspath)
    line = read_centerline(Path(centerline.fspath))
    vertebra = load(vertebrae.fspath) if vertebrae is not None else None
    found = read_levels(Path(levels.fspath)) if levels is not None else Levels({})
    share = np.load(shares.fspath) if shares is not None and found.known else None
    top = top_of_c1(found.disc_s, template_z)
    table = measure_lesions(labels, mask, line, vertebra, top, doubtful)
    where = measure_regions(labels, mask, vertebra, share, list_regions(names, combined))
    for more in (read_table(Path(evidence.fspath)), dominant_columns(where)):
        table = table.merge(more, on="lesion", how="left")
    return (
        write_table(table, Path("lesions.tsv")),
        write_table(where, Path("regions.tsv")),
        write_table(sum_lesions(table, labels, mask, refused), Path("totals.tsv")),
    )
