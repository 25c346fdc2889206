"""Tasks that turn lesion probabilities into lesions and their measures."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.cord.files import read_centerline
from spinalprep.image import load, save
from spinalprep.lesion.instances import lesion_instances, lesion_volumes, share_outside
from spinalprep.lesion.measures import measure_lesions, sum_lesions, top_of_c1
from spinalprep.lesion.regions import dominant_columns, measure_regions
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.tables import write_table
from spinalprep.template.regions import list_regions


@python.define(outputs=["mask", "instances", "soft", "volumes", "outside"])
def SeparateLesions(
    lesion: NiftiGz, cord: NiftiGz, threshold: float, min_mm3: float, min_length_mm: float
) -> tuple[NiftiGz, NiftiGz, NiftiGz, list[float], float]:
    """Separate the lesions inside the cord; tell what share of voxels lay outside."""
    probability, mask = load(lesion.fspath), load(cord.fspath)
    labels = lesion_instances(probability, mask, threshold, min_mm3, min_length_mm)
    return (
        save(mask.with_data(labels > 0), Path("lesion.nii.gz"), dtype=np.uint8),
        save(mask.with_data(labels), Path("lesions.nii.gz"), dtype=np.int16),
        save(probability.with_data(probability.data * (mask.data > 0)), Path("soft.nii.gz")),
        lesion_volumes(mask.with_data(labels)),
        share_outside(probability, mask, threshold),
    )


@python.define(outputs=["table", "regions", "totals"])
def MeasureLesions(
    instances: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    vertebrae: NiftiGz | None,
    levels: File | None,
    template_z: dict[int, float],
    shares: File | None,
    names: list[str],
    combined: dict[str, list[int]],
) -> tuple[File, File, File]:
    """Measure every lesion, all together, and where they lie."""
    labels, mask = load(instances.fspath), load(cord.fspath)
    line = read_centerline(Path(centerline.fspath))
    vertebra = load(vertebrae.fspath) if vertebrae is not None else None
    found = read_levels(Path(levels.fspath)) if levels is not None else Levels({})
    share = np.load(shares.fspath) if shares is not None and found.known else None
    table = measure_lesions(labels, mask, line, vertebra, top_of_c1(found.disc_s, template_z))
    where = measure_regions(labels, mask, vertebra, share, list_regions(names, combined))
    columns = dominant_columns(where)
    return (
        write_table(table.merge(columns, on="lesion", how="left"), Path("lesions.tsv")),
        write_table(where, Path("regions.tsv")),
        write_table(sum_lesions(table, labels, mask), Path("totals.tsv")),
    )
