"""Task that finds the lumbar structures and measures them."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.engine.tasks import define_task
from spinalprep.image import load, resample_like, save
from spinalprep.image.volume import save_inside
from spinalprep.lumbar.measures import measure_lumbar
from spinalprep.lumbar.spine import (
    clean_spine,
    find_discs,
    name_discs,
    why_not_counted,
    why_not_lumbar,
)
from spinalprep.lumbar.structures import Alignment
from spinalprep.tables import write_table

REFUSED = (
    "T1w could not be registered to T2w: lumbar structures were looked for in T2w alone; check "
    "that both images show the same part of the spine"
)


@define_task(outputs=["structures", "soft", "table", "alignment", "warnings"])
def SegmentLumbar(
    reference: NiftiGz, t2w: NiftiGz | None, t1w: NiftiGz | None, weights: File, card: File
) -> tuple[NiftiGz | None, NiftiGz | None, File | None, str | None, list[str]]:
    """Map the structures of a lumbar spine and measure them; leave nothing where there is none."""
    from spinalprep.lumbar.alignment import map_both
    from spinalprep.networks.weights import load_model

    like = load(reference.fspath)
    bright, dark = (load(i.fspath) if i is not None else None for i in (t2w, t1w))
    soft, how = map_both(bright, dark, load_model(Path(weights.fspath)), like)
    alignment = how.value if how is not None else None
    structures = clean_spine(like.with_data(soft.argmax(axis=0).astype(np.uint8)))
    discs = find_discs(structures)
    reason = why_not_lumbar(structures, discs)
    if reason:
        refused = f"no lumbar spine in view: {reason}; --lumbar writes nothing"
        return None, None, None, alignment, [refused]
    named, unknown = name_discs(structures, discs), why_not_counted(structures, discs)
    here = resample_like(bright, like) if bright is not None else None
    table = measure_lumbar(structures, named, here)
    inside = like.with_data(soft[0] < 0.99)
    warnings = [REFUSED] if how is Alignment.REFUSED else []
    if unknown:
        warnings.append(f"lumbar levels are unknown: {unknown}")
    values = soft[1:][:, inside.data].T
    return (
        save(structures, Path("lumbar.nii.gz"), dtype=np.uint8),
        save_inside(values, inside, Path("lumbar-soft.nii.gz")),
        write_table(table, Path("lumbar.tsv")),
        alignment,
        warnings,
    )
