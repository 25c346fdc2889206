"""From the cord to the template and back."""

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.engine.graph import can_do_without
from spinalprep.engine.tasks import define_workflow
from spinalprep.interfaces.template import (
    ApplyTransform,
    RegisterToTemplate,
    WarpAtlas,
    WarpImages,
    WarpLesions,
)
from spinalprep.registration.measures import TemplateMeasures

Fitted = tuple[
    NiftiGz,
    NiftiGz,
    TemplateMeasures,
    NiftiGz | None,
    NiftiGz | None,
    NiftiGz | None,
    NiftiGz,
    NiftiGz | None,
    NiftiGz | None,
    File | None,
]


@can_do_without("gm")
@define_workflow(
    outputs=[
        "forward",
        "inverse",
        "measures",
        "image",
        "cord",
        "coverage",
        "template_cord",
        "spinal_levels",
        "tracts",
        "shares",
    ]
)
def ToTemplate(
    image: NiftiGz,
    cord: NiftiGz,
    probability: NiftiGz,
    centerline: File,
    template_cord: NiftiGz,
    template_z: dict[int, float],
    images: bool = True,
    levels: File | None = None,
    gm: NiftiGz | None = None,
    template_gm: NiftiGz | None = None,
    template_spinal_levels: NiftiGz | None = None,
    atlas: File | None = None,
) -> Fitted:
    """Register, then resample each thing once; spinal levels and tracts where levels are known.

    Without ``images`` nothing is written on the template's own grid, the costliest of all.
    """
    fit = workflow.add(
        RegisterToTemplate(
            cord=probability,
            centerline=centerline,
            levels=levels,
            template_cord=template_cord,
            template_z=template_z,
            gm=gm,
            template_gm=template_gm,
        )
    )
    there = _images_in_template(fit.forward, image, probability, template_cord, images)
    warped_cord = ApplyTransform(
        moving=template_cord, field=fit.inverse, like=cord, order=1, threshold=0.5
    )
    own_cord = workflow.add(warped_cord, name="warp_template_cord").image
    spinal = tracts = shares = None
    if levels is not None and template_spinal_levels is not None:
        numbers = ApplyTransform(
            moving=template_spinal_levels, field=fit.inverse, like=cord, order=0, threshold=None
        )
        spinal = workflow.add(numbers, name="warp_spinal_levels").image
    if levels is not None and atlas is not None:
        warped = workflow.add(WarpAtlas(atlas=atlas, field=fit.inverse, cord=cord))
        tracts, shares = warped.tracts, warped.shares
    return fit.forward, fit.inverse, fit.measures, *there, own_cord, spinal, tracts, shares


def _images_in_template(
    forward: NiftiGz, image: NiftiGz, cord: NiftiGz, template_cord: NiftiGz, wanted: bool
) -> tuple[NiftiGz | None, NiftiGz | None, NiftiGz | None]:
    """Add image, cord and coverage on the template's grid, if they are wanted."""
    if not wanted:
        return None, None, None
    moved = workflow.add(WarpImages(image=image, cord=cord, field=forward, like=template_cord))
    return moved.image, moved.cord, moved.coverage


@define_workflow(outputs=["mask", "soft"])
def LesionInTemplate(
    mask: NiftiGz, soft: NiftiGz, forward: NiftiGz, template_cord: NiftiGz
) -> tuple[NiftiGz, NiftiGz]:
    """Resample the lesions, mask and probability, on the template's grid."""
    moved = workflow.add(WarpLesions(mask=mask, soft=soft, field=forward, like=template_cord))
    return moved.mask, moved.soft
