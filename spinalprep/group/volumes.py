"""Where a person's volumes in the template's space are, and how they are read."""

from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.errors import InputError
from spinalprep.group.domain import Domain


class Volumes(Protocol):
    """One person's volumes, all on the template's grid."""

    @property
    def name(self) -> str:
        """What sets the person apart, fit for a file name."""

    @property
    def coverage(self) -> Path:
        """Mask of what was seen."""

    @property
    def lesion(self) -> Path | None:
        """Mask of lesions; None where nobody looked for them."""

    @property
    def soft(self) -> Path | None:
        """Probability of a lesion."""

    @property
    def image(self) -> Path | None:
        """The image itself."""


def read_on_grid(path: Path, domain: Domain) -> NDArray[Any]:
    """Read a volume of the template's space, in its own type, shape (I, J, K).

    Raises
    ------
    InputError
        If it can't be read, lies on another grid, or holds NaN, which no run writes.
    """
    try:
        if not path.is_file():  # a named pipe would be waited for
            raise ValueError("it is no file")
        volume: Any = nib.nifti1.Nifti1Image.from_filename(path)
        data: NDArray[Any] = np.asanyarray(volume.dataobj)
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        raise InputError(
            f"{path} can't be read as NIfTI ({error}); expected a complete file"
        ) from error
    close = data.shape == domain.shape and np.allclose(volume.affine, domain.affine, atol=1e-3)
    if not close:
        raise InputError(
            f"{path} is not on the template's grid {domain.shape}; it was made with another "
            "template"
        )
    if data.dtype.kind not in "biuf" or not np.isfinite(data).all():
        raise InputError(
            f"{path} holds NaN or no plain numbers, which spinalprep never writes: delete it and "
            "run the participant again"
        )
    return data
