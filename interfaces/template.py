"""Tasks between the reference image and the template."""

from pathlib import Path

import numpy as np
from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.cord.files import read_centerline
from spinalprep.engine.tasks import define_task
from spinalprep.image import load, read_grid, save, save_inside
from spinalprep.levels.files import read_levels
from spinalprep.registration.measures import TemplateMeasures


@define_task(outputs=["forward", "inverse", "measures"])
def RegisterToTemplate(
    cord: NiftiGz,
    centerline: File,
    levels: File | None,
    template_cord: NiftiGz,
    template_z: dict[int, float],
    gm: NiftiGz | None = None,
    template_gm: NiftiGz | None = None,
) -> tuple[NiftiGz, NiftiGz, TemplateMeasures]:
    """Register the cord, and gray matter that is seen, to the template's; a field each way."""
    from spinalprep.registration.along import Channel
    from spinalprep.registration.template import register_to_template
    from spinalprep.registration.transform import write_itk

    known = read_levels(Path(levels.fspath)).disc_s if levels is not None else {}
    grey = None
    if gm is not None and template_gm is not None:
        grey = Channel(load(gm.fspath), load(template_gm.fspath))
    fit = register_to_template(
        load(cord.fspath),
        read_centerline(Path(centerline.fspath)),
        known,
        load(template_cord.fspath),
        template_z,
        grey,
    )
    measures = TemplateMeasures(
        dice_subject=fit.dice_subject,
        dice_template=fit.dice_template,
        jacobian_min=fit.jacobian_min,
        span_z_mm=fit.span_z_mm,
    )
    return (
        write_itk(fit.forward, Path("forward.nii.gz")),
        write_itk(fit.inverse, Path("inverse.nii.gz")),
        measures,
    )


@define_task(outputs=["image"])
def ApplyTransform(
    moving: NiftiGz, field: File, like: NiftiGz, order: int, threshold: float | None
) -> NiftiGz:
    """Resample once, through a field or an affine; with a threshold the result is a mask."""
    from spinalprep.registration.resampling import resample_through
    from spinalprep.registration.transform import read_itk

    transform = read_itk(Path(field.fspath))
    moved = resample_through(load(moving.fspath), transform, read_grid(like.fspath), order)
    if threshold is not None:
        mask = moved.with_data(moved.data >= threshold)
        return save(mask, Path("moved.nii.gz"), dtype=np.uint8)
    return save(moved, Path("moved.nii.gz"), dtype=np.int16 if order == 0 else np.float32)


@define_task(outputs=["tracts", "shares"])
def WarpAtlas(atlas: File, field: NiftiGz, cord: NiftiGz) -> tuple[NiftiGz, File]:
    """Bring every region of the atlas to the cord's grid; inside the cord they add up to one.

    ``tracts`` is zero outside the cord; ``shares`` holds its voxels alone, in C order, shape
    (M, regions).
    """
    from spinalprep.registration.atlas import warp_regions
    from spinalprep.registration.transform import read_itk
    from spinalprep.template.pack import read_packed

    mask = load(cord.fspath)
    transform = read_itk(Path(field.fspath))
    shares = warp_regions(read_packed(Path(atlas.fspath)), transform, mask)
    np.save("shares.npy", shares)
    inside = mask.with_data(mask.data > 0)
    return save_inside(shares, inside, Path("tracts.nii.gz")), Path("shares.npy").absolute()


@define_task(outputs=["image", "cord", "coverage"])
def WarpImages(
    image: NiftiGz, cord: NiftiGz, field: NiftiGz, like: NiftiGz
) -> tuple[NiftiGz, NiftiGz, NiftiGz]:
    """Bring image and cord to the template's grid, and mark what of it the image shows."""
    from spinalprep.registration.coverage import bring_to_template
    from spinalprep.registration.transform import read_itk

    transform, grid = read_itk(Path(field.fspath)), read_grid(like.fspath)
    moved = bring_to_template(load(image.fspath), load(cord.fspath), transform, grid)
    return (
        save(moved[0], Path("image.nii.gz")),
        save(moved[1], Path("cord.nii.gz"), dtype=np.uint8),
        save(moved[2], Path("coverage.nii.gz"), dtype=np.uint8),
    )


@define_task(outputs=["mask", "soft"])
def WarpLesions(
    mask: NiftiGz, soft: NiftiGz, field: NiftiGz, like: NiftiGz
) -> tuple[NiftiGz, NiftiGz]:
    """Bring lesions, mask and probability, to the template's grid."""
    from spinalprep.registration.resampling import Moving, resample_together
    from spinalprep.registration.transform import read_itk

    lesions = [Moving(load(mask.fspath), threshold=0.5), Moving(load(soft.fspath))]
    moved = resample_together(lesions, read_itk(Path(field.fspath)), read_grid(like.fspath))
    return (
        save(moved[0], Path("mask.nii.gz"), dtype=np.uint8),
        save(moved[1], Path("soft.nii.gz")),
    )
