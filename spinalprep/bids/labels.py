"""Masks and labels that people drew, found by the community's names."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from spinalprep.bids.session import Scan
from spinalprep.errors import InputError, UsageError
from spinalprep.image import Image, reorient
from spinalprep.image.sanity import GRID_TOLERANCE, check_header
from spinalprep.image.volume import world_affine
from spinalprep.settings import Settings

ROLES = ("cord", "lesion", "gm", "discs", "centerline")

# <source stem>_<ending>; of two endings for one role the first that is there wins
ENDINGS = {
    "seg-manual": "cord",
    "label-SC_seg": "cord",
    "label-SC_mask": "cord",
    "lesion-manual": "lesion",
    "label-lesion_seg": "lesion",
    "label-lesion_mask": "lesion",
    "gmseg-manual": "gm",
    "label-GM_seg": "gm",
    "label-GM_mask": "gm",
    "labels-disc-manual": "discs",
    "label-discs_dlabel": "discs",
    "centerline-manual": "centerline",
    "label-centerline_mask": "centerline",
}
NOT_WANTED = "--no-manual-labels"
_NIFTI = (".nii.gz", ".nii")

_log = logging.getLogger("spinalprep")


@dataclass(frozen=True)
class Label:
    """One label file of an image.

    Attributes
    ----------
    path : Path
        The file.
    role : str
        ``cord``, ``lesion``, ``gm``, ``discs``, ``centerline``; empty where the name says
        nothing that is known.
    used : bool
        Whether it replaces the automatic result.
    reason : str
        Why it is ignored.
    relative : str
        The file below the folder of labels, with forward slashes.
    """

    path: Path
    role: str
    used: bool
    reason: str = ""
    relative: str = ""

    @property
    def uri(self) -> str:
        """The file as a BIDS URI, as it stands in ``Sources``."""
        return f"bids:labels:{self.relative}"


@dataclass(frozen=True)
class Labels:
    """The labels of one image, those that are used and those that are not."""

    found: tuple[Label, ...] = ()

    @property
    def paths(self) -> dict[str, Path]:
        """The file of every role that a person drew."""
        return {label.role: label.path for label in self.found if label.used}

    def path(self, role: str) -> Path | None:
        """Return the file of a role, None if nobody drew it."""
        return self.paths.get(role)

    def uri(self, role: str) -> str | None:
        """Return the BIDS URI of a role's file, None if nobody drew it."""
        return next((label.uri for label in self.found if label.used and label.role == role), None)


def labels_folder(settings: Settings) -> Path | None:
    """Return where manual labels are read from; None if there is no such folder.

    Raises
    ------
    UsageError
        If the folder given with ``-d labels=PATH`` does not exist.
    """
    given = settings.derivatives.get("labels")
    if given is not None and not given.is_dir():
        raise UsageError(f"-d labels={given} is not a folder; expected sub-*/ with manual labels")
    folder = given or settings.bids_dir / "derivatives" / "labels"
    return folder if folder.is_dir() else None


def find_labels(settings: Settings, scan: Scan) -> Labels:
    """Find the labels of an image, decide which are used, and log both.

    Files are looked for in the same place below the folder of labels as the image has below
    the dataset, as ``<name of the image>_<ending>.nii.gz`` (pybids drops such names).

    Parameters
    ----------
    settings : Settings
        ``derivatives``, ``bids_dir`` and ``manual_labels`` count.
    scan : Scan
        The raw image.
    """
    folder = labels_folder(settings)
    if folder is None:
        return Labels()
    place = (folder / scan.relative).parent
    found: list[Label] = []
    for role, path in sorted(_candidates(place, scan.stem), key=_preference):
        taken = {label.role: label.path.name for label in found if label.used}
        reason = ""
        if not role:
            reason = "its ending is not one of " + ", ".join(ENDINGS)
        elif not settings.manual_labels:
            reason = NOT_WANTED
        elif role in taken:
            reason = f"{taken[role]} is used"
        relative = path.relative_to(folder).as_posix()
        found.append(Label(path, role, not reason, reason, relative))
    for label in found:
        _tell(label)
    return Labels(tuple(found))


def _tell(label: Label) -> None:
    """Log whether a label is used; one that is not wanted is only counted, by the run."""
    if label.used:
        _log.info("manual %s: %s", label.role, label.path)
    else:
        level = logging.DEBUG if label.reason == NOT_WANTED else logging.INFO
        _log.log(level, "ignored label: %s (%s)", label.path, label.reason)


def check_same_grid(label: Path, image: Path) -> str | None:
    """Return what is wrong with the grid of a label, from the headers alone; None if nothing.

    The voxels may be stored in another order; corners may differ by 0.3 voxel (rounding).
    """
    try:
        check_header(label)
        ours, theirs = _grid(image), _grid(label)
    except InputError as error:
        return str(error)
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        return f"{label} can't be compared with {image.name} ({error})"
    if theirs.same_grid(ours, GRID_TOLERANCE * float(ours.voxel_sizes.min())):
        return None
    return (
        f"{label} lies on another grid than {image.name} "
        f"({_words(theirs)}; expected {_words(ours)}): resample it onto the image, or remove it"
    )


def _candidates(place: Path, stem: str) -> Iterator[tuple[str, Path]]:
    """Yield role and path of the NIfTI files whose name begins with the image's."""
    if not place.is_dir():
        return
    for path in place.iterdir():
        for extension in _NIFTI:
            if path.name.startswith(f"{stem}_") and path.name.endswith(extension):
                ending = path.name[len(stem) + 1 : -len(extension)]
                yield ENDINGS.get(ending, ""), path
                break


def _preference(candidate: tuple[str, Path]) -> tuple[int, int, str]:
    """Order by role, then by the place of the ending in the table, then .nii.gz first."""
    role, path = candidate
    if not role:
        return len(ROLES), 0, path.name
    ending = next(i for i, e in enumerate(ENDINGS) if f"_{e}." in path.name)
    return ROLES.index(role), ending, "" if path.suffix == ".gz" else path.name


def _grid(path: Path) -> Image:
    """Return the grid of a file, without its values, in the voxel order of all outputs."""
    volume: Any = nib.loadsave.load(path)
    nothing = np.broadcast_to(np.zeros(1, np.bool_), tuple(volume.shape[:3]))
    return reorient(Image(nothing, world_affine(volume)))


def _words(image: Image) -> str:
    shape = " x ".join(map(str, image.shape))
    sizes = " x ".join(f"{size:.3g}" for size in image.voxel_sizes)
    return f"{shape} voxels of {sizes} mm"
