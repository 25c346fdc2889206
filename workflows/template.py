"""From the cord to the template and back."""

from typing import Any

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.template import (
    ApplyTransform,
    MapCoverage,
    RegisterToTemplate,
    WarpAtlas,
)


@workflow.define(
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
) -> tuple[
    NiftiGz,
    NiftiGz,
    dict[str, Any],
    NiftiGz | None,
    NiftiGz | None,
    NiftiGz | None,
    NiftiGz,
    NiftiGz | None,
    NiftiGz | None,
    File | None,
]:
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

    def move(name: str, moving: NiftiGz, way: str, order: int, threshold: float | None) -> NiftiGz:
        like, field = (template_cord, fit.forward) if way == "there" else (cord, fit.inverse)
        node = ApplyTransform(
            moving=moving, field=field, like=like, order=order, threshold=threshold
        )
        return workflow.add(node, name=name).image

    warped = warped_cord = seen = None
    if images:
        warped = move("warp_image", image, "there", 3, None)
        warped_cord = move("warp_cord", probability, "there", 1, 0.5)
        cover = MapCoverage(image=image, field=fit.forward, cord=warped_cord)
        seen = workflow.add(cover).coverage
    own_cord = move("warp_template_cord", template_cord, "back", 1, 0.5)
    spinal = tracts = shares = None
    if levels is not None and template_spinal_levels is not None:
        spinal = move("warp_spinal_levels", template_spinal_levels, "back", 0, None)
    if levels is not None and atlas is not None:
        warped_atlas = workflow.add(WarpAtlas(atlas=atlas, field=fit.inverse, cord=cord))
        tracts, shares = warped_atlas.tracts, warped_atlas.shares
    return (
        fit.forward,
        fit.inverse,
        fit.measures,
        warped,
        warped_cord,
        seen,
        own_cord,
        spinal,
        tracts,
        shares,
    )


@workflow.define(outputs=["mask", "soft"])
def LesionInTemplate(
    mask: NiftiGz, soft: NiftiGz, forward: NiftiGz, template_cord: NiftiGz
) -> tuple[NiftiGz, NiftiGz]:
    """Resample the lesions, mask and probability, on the template's grid."""

    def move(name: str, moving: NiftiGz, threshold: float | None) -> NiftiGz:
        node = ApplyTransform(
            moving=moving, field=forward, like=template_cord, order=1, threshold=threshold
        )
        return workflow.add(node, name=name).image

    return move("warp_lesion", mask, 0.5), move("warp_soft_lesion", soft, None)
