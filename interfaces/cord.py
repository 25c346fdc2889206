"""Tasks that find the cord."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.centerline import centerline_from_mask, rasterise
from spinalprep.cord.ends import trim_ends
from spinalprep.cord.files import read_centerline, write_centerline
from spinalprep.cord.mask import binarise, fill_drawn, mask_of_drawn
from spinalprep.cord.trace import find_centerline
from spinalprep.cord.visible_edge import MovedOutline
from spinalprep.engine.tasks import define_task
from spinalprep.image import load, save

LINE = Path("centerline.tsv")  # in the working folder of a task


@define_task(outputs=["heat"])
def FindHeat(image: NiftiGz, weights: File, card: File) -> NiftiGz:
    """Map the probability of the centerline with a network."""
    from spinalprep.networks.predict import find_heat
    from spinalprep.networks.weights import load_model

    heat = find_heat(load(image.fspath), load_model(Path(weights.fspath)))
    return save(heat, Path("heat.nii.gz"))


@define_task(outputs=["centerline", "confidence"])
def TraceCenterline(heat: NiftiGz) -> tuple[File, float]:
    """Find the best curve through a heat map; the confidence is the mean along it."""
    centerline, confidence = find_centerline(load(heat.fspath))
    return write_centerline(centerline, LINE), confidence


@define_task(outputs=["centerline"])
def CenterlineFromCord(cord: NiftiGz) -> File:
    """Fit the centerline through a cord mask."""
    return write_centerline(centerline_from_mask(load(cord.fspath)), LINE)


@define_task(outputs=["cord", "gm", "lesion", "uncertainty", "plain", "moved"])
def SegmentCord(
    image: NiftiGz, centerline: File, weights: File, card: File, at_edge: bool = False
) -> tuple[NiftiGz, NiftiGz, NiftiGz, NiftiGz, NiftiGz, MovedOutline | None]:
    """Map the probability of cord, gray matter and lesion; ``plain`` is before its temperature.

    ``at_edge``: the outline is moved to the edge that the image shows, ``moved`` says how far.
    """
    from spinalprep.networks.predict import segment_cord
    from spinalprep.networks.weights import load_model

    source = load(image.fspath)
    model = load_model(Path(weights.fspath))
    line = read_centerline(Path(centerline.fspath))
    found = segment_cord(source, line, model, at_edge=at_edge)
    cord, gm, lesion, sd, plain = (
        save(source.with_data(getattr(found, name)), Path(f"{name}.nii.gz"))
        for name in ("cord", "gm", "lesion", "sd", "plain")
    )
    return cord, gm, lesion, sd, plain, found.moved


@define_task(outputs=["gm"])
def SegmentGreyMatter(
    image: NiftiGz, centerline: File, cord: NiftiGz, weights: File, card: File
) -> NiftiGz:
    """Map the probability of gray matter with the network made for it."""
    from spinalprep.networks.predict import grey_matter
    from spinalprep.networks.weights import load_model

    source = load(image.fspath)
    line = read_centerline(Path(centerline.fspath))
    inside = load(cord.fspath).data
    found = grey_matter(source, line, inside, load_model(Path(weights.fspath)))
    return save(source.with_data(found), Path("gm.nii.gz"))


@define_task(outputs=["lesion"])
def SegmentLesions(image: NiftiGz, centerline: File, weights: File, card: File) -> NiftiGz:
    """Map the probability of lesions with the network made for them."""
    from spinalprep.networks.predict import lesions
    from spinalprep.networks.weights import load_model

    source = load(image.fspath)
    line = read_centerline(Path(centerline.fspath))
    found = lesions(source, line, load_model(Path(weights.fspath)))
    return save(source.with_data(found), Path("lesion.nii.gz"))


@define_task(outputs=["cord", "gm", "lesion", "centerline", "warnings", "unseen", "doubtful"])
def TrimEnds(
    cord: NiftiGz, gm: NiftiGz, lesion: NiftiGz, plain: NiftiGz, centerline: File
) -> tuple[NiftiGz, NiftiGz, NiftiGz, File, list[str], int, list[int]]:
    """Leave out what lies beyond the ends of the ``plain`` cord, and say where it is doubtful.

    ``unseen`` is the number of slices in which the centerline goes on without any cord,
    ``doubtful`` those of the cord in which its outline is.
    """
    soft, grey, lesions, judged = (load(file.fspath) for file in (cord, gm, lesion, plain))
    line = read_centerline(Path(centerline.fspath))
    kept = trim_ends(soft, grey, lesions, judged, line)
    return (
        save(kept.cord, Path("cord.nii.gz")),
        save(kept.gm, Path("gm.nii.gz")),
        save(kept.lesion, Path("lesion.nii.gz")),
        write_centerline(kept.centerline, LINE),
        kept.warnings,
        kept.unseen,
        kept.doubtful,
    )


@define_task(outputs=["cord"])
def BinariseCord(cord: NiftiGz, centerline: File) -> NiftiGz:
    """Threshold the cord and keep what the centerline runs through."""
    probability = load(cord.fspath)
    mask = binarise(probability, read_centerline(Path(centerline.fspath)))
    return save(probability.with_data(mask), Path("cord.nii.gz"), dtype=np.uint8)


@define_task(outputs=["cord", "probability", "warnings"])
def FillDrawnCord(cord: NiftiGz) -> tuple[NiftiGz, NiftiGz, list[str]]:
    """Fill the holes of a cord that a person drew, and say so; return its mask and its shares."""
    filled, warnings = fill_drawn(load(cord.fspath))
    mask = filled.with_data(mask_of_drawn(filled))
    return (
        save(mask, Path("cord.nii.gz"), dtype=np.uint8),
        save(filled, Path("probability.nii.gz")),
        list(warnings),
    )


@define_task(outputs=["mask"])
def RasteriseCenterline(centerline: File, like: NiftiGz) -> NiftiGz:
    """Mark one voxel of every axial slice that the centerline crosses."""
    grid = load(like.fspath)
    mask = rasterise(read_centerline(Path(centerline.fspath)), grid)
    return save(grid.with_data(mask), Path("centerline.nii.gz"), dtype=np.uint8)
