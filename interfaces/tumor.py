"""Tasks that find an intramedullary tumor and what goes with it."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.files import read_centerline
from spinalprep.engine.tasks import define_task
from spinalprep.image import load, save
from spinalprep.lesion.tumors import TumorRule, call_tumors, measure_tumors
from spinalprep.levels.discs import Levels
from spinalprep.levels.files import read_levels
from spinalprep.networks.tumor_maps import Structures
from spinalprep.tables import write_table


@define_task(outputs=["tube", "warnings"])
def FindTumorCord(
    t2w: NiftiGz, centerline: File, weights: File, card: File, said: list[str]
) -> tuple[NiftiGz, list[str]]:
    """Find the cord as a tube with a network, or around the centerline where it sees none.

    Its warnings come after what was ``said`` before.
    """
    from spinalprep.networks.tumor import cascade_tube
    from spinalprep.networks.weights import load_model

    line = read_centerline(Path(centerline.fspath))
    tube, warnings = cascade_tube(load(t2w.fspath), line, load_model(Path(weights.fspath)))
    return save(tube, Path("tube.nii.gz"), dtype=np.uint8), [*said, *warnings]


@define_task(outputs=["tube"])
def TubeAroundCenterline(like: NiftiGz, centerline: File) -> NiftiGz:
    """Draw a tube around the centerline."""
    from spinalprep.networks.tumor import tube_around

    tube = tube_around(read_centerline(Path(centerline.fspath)), load(like.fspath))
    return save(tube, Path("tube.nii.gz"), dtype=np.uint8)


@define_task(outputs=["tumor", "edema", "cavity", "abnormality"])
def MapTumors(
    t2w: NiftiGz | None,
    gd_t1w: NiftiGz | None,
    tube: NiftiGz | None,
    weights: File,
    card: File,
) -> tuple[NiftiGz, NiftiGz, NiftiGz, NiftiGz]:
    """Map tumor, edema, cavity and the whole of them within the tube's box."""
    from spinalprep.networks.tumor import Contrasts, map_tumors
    from spinalprep.networks.weights import load_model

    seen = Contrasts(*(load(i.fspath) if i is not None else None for i in (t2w, gd_t1w)))
    box = load(tube.fspath) if tube is not None else None
    found = map_tumors(seen, load_model(Path(weights.fspath)), box)
    tumor, edema, cavity, whole = (
        save(seen.grid.with_data(soft), Path(f"{name}.nii.gz")) for name, soft in found.items()
    )
    return tumor, edema, cavity, whole


@define_task(outputs=["tumor", "edema", "cavity", "abnormality"])
def CallTumors(
    tumor: NiftiGz, edema: NiftiGz, cavity: NiftiGz, abnormality: NiftiGz, rule: TumorRule
) -> tuple[NiftiGz, NiftiGz, NiftiGz, NiftiGz]:
    """Turn probabilities into masks."""
    soft = [load(file.fspath) for file in (tumor, edema, cavity, abnormality)]
    masks = call_tumors(Structures(*(i.data for i in soft)), soft[0].voxel_volume, rule)
    one, two, three, whole = (
        save(soft[0].with_data(mask), Path(f"called-{name}.nii.gz"), dtype=np.uint8)
        for name, mask in masks.items()
    )
    return one, two, three, whole


@define_task(outputs=["table"])
def MeasureTumors(
    tumor: NiftiGz,
    edema: NiftiGz,
    cavity: NiftiGz,
    abnormality: NiftiGz,
    cord: NiftiGz,
    centerline: File,
    levels: File | None,
    gd_t1w: NiftiGz | None,
) -> File:
    """Measure every structure along and across the cord."""
    masks = Structures(*(load(i.fspath).data > 0 for i in (tumor, edema, cavity, abnormality)))
    table = measure_tumors(
        masks,
        load(cord.fspath),
        read_centerline(Path(centerline.fspath)),
        read_levels(Path(levels.fspath)) if levels is not None else Levels({}),
        load(gd_t1w.fspath) if gd_t1w is not None else None,
    )
    return write_table(table, Path("tumor.tsv"))
