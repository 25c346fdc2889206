"""Tasks that make an image fit to work on."""

import os
from pathlib import Path

from fileformats.generic import File
from fileformats.medimage import NiftiGz

from spinalprep.engine.tasks import define_task
from spinalprep.environment import MEMORY_LIMIT
from spinalprep.image import load, save
from spinalprep.image.sanity import check


@define_task(outputs=["image", "warnings"])
def Conform(image: File) -> tuple[NiftiGz, list[str]]:
    """Check an image and bring it to PAM50's voxel order, float32."""
    limit = float(os.environ.get(MEMORY_LIMIT, "inf"))  # a limit, not a parameter
    checked = check(Path(image.fspath), limit)
    return save(checked.image, Path("conform.nii.gz")), list(checked.warnings)


@define_task(outputs=["image"])
def Denoise(image: NiftiGz) -> NiftiGz:
    """Remove noise by non-local means."""
    from spinalprep.registration.bias import denoise

    return save(denoise(load(image.fspath)), Path("denoised.nii.gz"))


@define_task(outputs=["image"])
def CorrectBias(image: NiftiGz, sloppy: bool) -> NiftiGz:
    """Divide by the bias field (N4) measured inside the body."""
    from spinalprep.registration.bias import correct_bias, neck_mask

    source = load(image.fspath)
    corrected, _ = correct_bias(source, neck_mask(source), sloppy=sloppy)
    return save(corrected, Path("preproc.nii.gz"))


@define_task(outputs=["label"])
def ConformLabel(label: File, image: NiftiGz, role: str, value: int | None = None) -> NiftiGz:
    """Bring a manual label to the voxel order of its image, and its values to 0 to 1."""
    from spinalprep.image.drawn import read_drawn

    drawn = read_drawn(Path(label.fspath), load(image.fspath), role, value)
    return save(drawn, Path("label.nii.gz"))
