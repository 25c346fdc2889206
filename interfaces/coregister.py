"""Tasks that bring the other contrasts to the reference."""

from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.engine.tasks import define_task
from spinalprep.image import load, save
from spinalprep.registration.measures import CoregistrationMeasures

NO_OVERLAP = (
    "too little of the cord is in both the reference and another contrast to register them; that "
    "contrast keeps the position that its header gives"
)


@define_task(outputs=["image", "forward", "inverse", "measures", "warnings"])
def Coregister(
    moving: NiftiGz, reference: NiftiGz, cord: NiftiGz, seed: int, sloppy: bool
) -> tuple[NiftiGz, File, File, CoregistrationMeasures, list[str]]:
    """Register one contrast to the reference around the cord; refuse what gains nothing.

    ANTs takes its ``seed`` from the environment; here it belongs to the key of the cache.
    """
    from spinalprep.registration.coregister import coregister
    from spinalprep.registration.resampling import resample_through
    from spinalprep.registration.transform import write_itk

    source, target = load(moving.fspath), load(reference.fspath)
    fit = coregister(source, target, load(cord.fspath), sloppy=sloppy)
    moved = resample_through(source, fit.forward, (target.shape, target.affine), order=3)
    return (
        save(moved, Path("moved.nii.gz")),
        write_itk(fit.forward, Path("forward.txt")),
        write_itk(fit.inverse, Path("inverse.txt")),
        CoregistrationMeasures(
            gain=fit.gain,
            accepted=fit.accepted,
            headers_hold=fit.headers_hold,
            before=fit.before,
            after=fit.after,
        ),
        [] if fit.overlapping else [NO_OVERLAP],
    )
