"""Tasks that measure maps by region."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.engine.tasks import define_task
from spinalprep.image import load, save
from spinalprep.levels.files import read_levels
from spinalprep.metrics.estimate import measure_metric
from spinalprep.metrics.maps import magnetization_transfer_ratio, sample_through
from spinalprep.metrics.shares import atlas_shares, tissue_shares
from spinalprep.tables import write_table


@define_task(outputs=["map"])
def MakeMtRatio(
    on: NiftiGz, off: NiftiGz, cord: NiftiGz, to_on: File | None, to_off: File | None
) -> NiftiGz:
    """Compare the images with and without the saturation pulse in the cord's voxels."""
    from spinalprep.registration.transform import read_itk

    mask = load(cord.fspath)
    signal = []
    for image, field in ((on, to_on), (off, to_off)):
        transform = read_itk(Path(field.fspath)) if field is not None else None
        order = 1 if field is None else 3
        signal.append(sample_through(load(image.fspath), transform, mask, order))
    ratio = np.full(mask.shape, np.nan, np.float32)
    ratio[mask.data > 0] = magnetization_transfer_ratio(*signal)
    return save(mask.with_data(ratio), Path("mtr.nii.gz"))


@define_task(outputs=["table"])
def MeasureMetric(
    image: File,
    cord: NiftiGz,
    transform: File | None,
    vertebrae: NiftiGz | None,
    levels: File | None,
    gm: NiftiGz | None,
    shares: File | None,
    names: list[str],
    combined: dict[str, list[int]],
    doubtful: list[int],
) -> File:
    """Measure a map in every region and level of the cord; unknown in ``doubtful`` slices."""
    from spinalprep.registration.transform import read_itk

    mask = load(cord.fspath)
    there = read_itk(Path(transform.fspath)) if transform is not None else None
    values = sample_through(load(Path(image.fspath)), there, mask)
    values[np.isin(np.nonzero(mask.data > 0)[2], doubtful)] = np.nan
    number = None
    if vertebrae is not None:
        number = load(vertebrae.fspath).data[mask.data > 0].astype(int)
    known = levels is not None and read_levels(Path(levels.fspath)).known
    if shares is not None and known:
        made_of = atlas_shares(np.load(shares.fspath), names, combined)
    else:
        made_of = tissue_shares(mask, load(gm.fspath) if gm is not None else None)
    table = measure_metric(values, made_of, number, mask.voxel_volume)
    return write_table(table, Path("metric.tsv"))
