"""From another contrast to the reference's grid."""

from typing import Any

from fileformats.generic import File
from fileformats.medimage import NiftiGz
from pydra.compose import workflow

from spinalprep.interfaces.coregister import Coregister


@workflow.define(outputs=["image", "forward", "inverse", "measures"])
def ToReference(
    moving: NiftiGz, reference: NiftiGz, cord: NiftiGz, seed: int, sloppy: bool
) -> tuple[NiftiGz, File, File, dict[str, Any]]:
    """Register, resample once."""
    fit = workflow.add(
        Coregister(moving=moving, reference=reference, cord=cord, seed=seed, sloppy=sloppy)
    )
    return fit.image, fit.forward, fit.inverse, fit.measures
