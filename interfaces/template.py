"""Tasks between the reference image and the template."""

from pathlib import Path
from typing import Any

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import python

from spinalprep.image import load, save
from spinalprep.interfaces.cord import read_centerline
from spinalprep.interfaces.levels import read_levels


@python.define(outputs=["forward", "inverse", "measures"])
def RegisterToTemplate(
    cord: NiftiGz,
    centerline: File,
    levels: File | None,
    template_cord: NiftiGz,
    template_z: dict[int, float],
    gm: NiftiGz | None = None,
    template_gm: NiftiGz | None = None,
) -> tuple[NiftiGz, NiftiGz, dict[str, Any]]:
    """Register the cord, and grey matter that is seen, to the template's; a field each way."""
    from spinalprep.registration.template import register_to_template
    from spinalprep.registration.transform import write_itk

    known = read_levels(Path(levels.fspath)).disc_s if levels is not None else {}
    grey = None
    if gm is not None and template_gm is not None:
        grey = load(gm.fspath), load(template_gm.fspath)
    fit = register_to_template(
        load(cord.fspath),
        read_centerline(Path(centerline.fspath)),
        known,
        load(template_cord.fspath),
        template_z,
        grey,
    )
    measures = {
        "dice_subject": fit.dice_subject,
        "dice_template": fit.dice_template,
        "jacobian_min": fit.jacobian_min,
        "span_z_mm": list(fit.span_z_mm),
    }
    return (
        write_itk(fit.forward, Path("forward.nii.gz")),
        write_itk(fit.inverse, Path("inverse.nii.gz")),
        measures,
    )


@python.define(outputs=["image"])
def ApplyTransform(
    moving: NiftiGz, field: File, like: NiftiGz, order: int, threshold: float | None
) -> NiftiGz:
    """Resample once, through a field or an affine; with a threshold the result is a mask."""
    from spinalprep.registration.transform import read_itk, resample_through

    grid = load(like.fspath)
    transform = read_itk(Path(field.fspath))
    moved = resample_through(load(moving.fspath), transform, (grid.shape, grid.affine), order)
    if threshold is not None:
        mask = moved.with_data(moved.data >= threshold)
        return save(mask, Path("moved.nii.gz"), dtype=np.uint8)
    return save(moved, Path("moved.nii.gz"), dtype=np.int16 if order == 0 else np.float32)


@python.define(outputs=["tracts", "shares"])
def WarpAtlas(atlas: File, field: NiftiGz, cord: NiftiGz) -> tuple[NiftiGz, File]:
    """Bring every region of the atlas to the cord's grid; inside the cord they add up to one.

    ``shares`` holds the same for the cord's voxels alone, in C order, shape (M, regions).
    """
    from spinalprep.registration.atlas import warp_regions
    from spinalprep.registration.transform import read_itk
    from spinalprep.template.pack import read_packed

    mask = load(cord.fspath)
    transform = read_itk(Path(field.fspath))
    fractions = warp_regions(read_packed(Path(atlas.fspath)), transform, mask)
    shares = Path("shares.npy")
    np.save(shares, fractions[mask.data > 0])
    return save(mask.with_data(fractions), Path("tracts.nii.gz")), shares.absolute()


@python.define(outputs=["coverage"])
def MapCoverage(image: NiftiGz, field: NiftiGz, cord: NiftiGz) -> NiftiGz:
    """Mark what of the template the image shows."""
    from spinalprep.registration.coverage import map_coverage
    from spinalprep.registration.transform import read_itk

    there = load(cord.fspath)
    covered = map_coverage(load(image.fspath), read_itk(Path(field.fspath)), there)
    return save(there.with_data(covered), Path("coverage.nii.gz"), dtype=np.uint8)
