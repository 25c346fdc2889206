"""Tasks that turn lesion probabilities into lesions and their measures."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.image import load, save
from spinalprep.interfaces.cord import read_centerline
from spinalprep.interfaces.tables import write_table
from spinalprep.lesion.instances import lesion_instances, share_outside
from spinalprep.lesion.measures import measure_lesions


@python.define(outputs=["mask", "instances", "soft", "outside"])
def SeparateLesions(
    lesion: NiftiGz, cord: NiftiGz, threshold: float, min_mm3: float
) -> tuple[NiftiGz, NiftiGz, NiftiGz, float]:
    """Separate the lesions inside the cord; tell what share of voxels lay outside."""
    probability, mask = load(lesion.fspath), load(cord.fspath)
    labels = lesion_instances(probability, mask, threshold, min_mm3)
    return (
        save(mask.with_data(labels > 0), Path("lesion.nii.gz"), dtype=np.uint8),
        save(mask.with_data(labels), Path("lesions.nii.gz"), dtype=np.int16),
        save(probability.with_data(probability.data * (mask.data > 0)), Path("soft.nii.gz")),
        share_outside(probability, mask, threshold),
    )


@python.define(outputs=["table"])
def MeasureLesions(
    instances: NiftiGz, cord: NiftiGz, centerline: File, vertebrae: NiftiGz | None
) -> File:
    """Measure every lesion along the centerline."""
    levels = load(vertebrae.fspath) if vertebrae is not None else None
    line = read_centerline(Path(centerline.fspath))
    table = measure_lesions(load(instances.fspath), load(cord.fspath), line, levels)
    return write_table(table, "lesions.tsv")
