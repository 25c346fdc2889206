"""Masks and labels that people drew, found by the community's names."""

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from spinalprep.bids.lookups import label_value
from spinalprep.bids.names import image_stem
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
# what a new label is saved as: the first of its role in BIDS's own words
TO_DRAW = {
    "cord": "label-SC_seg",
    "lesion": "label-lesion_seg",
    "gm": "label-GM_seg",
    "discs": "label-discs_dlabel",
    "centerline": "centerline-manual",
}
NOT_WANTED = "--no-manual-labels"
_NIFTI = (".nii.gz", ".nii")
_LAST = len(ROLES)
SHOWN = 5

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
    value : int or None
        Which of its values is meant, if a look-up table beside it or the user says so.
    """

    path: Path
    role: str
    used: bool
    reason: str = ""
    relative: str = ""
    value: int | None = None

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

    @property
    def by_uri(self) -> dict[str, Path]:
        """The files that are used, by their BIDS URIs."""
        return {label.uri: label.path for label in self.found if label.used}

    @property
    def values(self) -> dict[str, int]:
        """The value that is meant, of the roles for which something says so."""
        used = (label for label in self.found if label.used)
        return {label.role: label.value for label in used if label.value is not None}

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


def label_path(folder: Path, image: str, role: str) -> Path:
    """Return where a person would save a label of an image.

    Parameters
    ----------
    folder : Path
        The folder of labels.
    image : str
        The raw image below the dataset, with forward slashes.
    role : str
        One of `ROLES`.
    """
    path = folder / image
    return path.with_name(f"{image_stem(path)}_{TO_DRAW[role]}.nii.gz")


def role_of(path: Path) -> str:
    """Return the role that the name of a label says; empty where it says none."""
    stem = image_stem(path)
    return next((role for end, role in ENDINGS.items() if stem.endswith(f"_{end}")), "")


def list_labels(place: Path, *stems: str) -> list[tuple[str, Path]]:
    """Return role and path of the NIfTI files of a folder that are named after an image.

    Parameters
    ----------
    place : Path
        The folder; it need not exist.
    *stems : str
        How their names begin.

    Returns
    -------
    labels : list of (str, Path)
        By role, the preferred one of each first: by the place of its ending in `ENDINGS`, then of
        its stem, then ``.nii.gz``. Files of no known ending come last, with an empty role.
    """
    found = []
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        for (n, stem), extension in product(enumerate(stems), _NIFTI):
            if path.name.startswith(f"{stem}_") and path.name.endswith(extension):
                ending = path.name[len(stem) + 1 : -len(extension)]
                role = ENDINGS.get(ending, "")
                place_of = (ROLES.index(role), list(ENDINGS).index(ending)) if role else (_LAST, 0)
                found.append((*place_of, n, path.suffix != ".gz", path.name, role, path))
                break
    return [(role, path) for *_, role, path in sorted(found)]


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
    for role, path in list_labels(place, scan.stem):
        taken = {label.role: label.path.name for label in found if label.used}
        reason = ""
        if not role:
            reason = "its ending is not one of " + ", ".join(ENDINGS)
        elif not settings.manual_labels:
            reason = NOT_WANTED
        elif role == "lesion" and "lesion" in settings.skip:
            reason = "--skip lesion"
        elif role in taken:
            reason = f"{taken[role]} is used"
        relative = path.relative_to(folder).as_posix()
        value = label_value(path, role, settings.label_values) if role and not reason else None
        found.append(Label(path, role, not reason, reason, relative, value))
    for label in found:
        _tell(label)
    return Labels(tuple(found))


def unfitting_labels(settings: Settings, label: str, known: Collection[Path]) -> str:
    """Return a line on the labels of a participant that fit no image; empty where all do.

    Parameters
    ----------
    settings : Settings
        ``derivatives``, ``bids_dir``, ``session_label`` and ``manual_labels`` count.
    label : str
        The participant, without ``sub-``.
    known : collection of Path
        Labels that `find_labels` has found for an image.
    """
    folder = labels_folder(settings) if settings.manual_labels else None
    if folder is None:
        return ""
    visits = {f"ses-{session.removeprefix('ses-')}" for session in settings.session_label}
    own = (Path(top, name) for top, _, names in os.walk(folder / f"sub-{label}") for name in names)
    odd = []
    for path in (*own, *folder.glob(f"sub-{label}_*")):
        other = visits and not visits.intersection(path.relative_to(folder).parts)
        named = path.name.endswith(_NIFTI) and not path.name.startswith(".") and role_of(path)
        if named and path not in known and not other:
            odd.append(path.relative_to(folder).as_posix())
    if not odd:
        return ""
    more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
    return (
        f"labels that are not used: {', '.join(sorted(odd)[:SHOWN])}{more}; they have to be named "
        "after the reference image, and lie below the folder of labels as it does below the dataset"
    )


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
        return f"{label} cannot be compared with {image.name} ({error})"
    if theirs.same_grid(ours, GRID_TOLERANCE * float(ours.voxel_sizes.min())):
        return None
    return (
        f"{label} is on a different grid from {image.name} ({_words(theirs)}; expected "
        f"{_words(ours)}): resample it onto the image, or remove it"
    )


def _grid(path: Path) -> Image:
    """Return the grid of a file, without its values, in the voxel order of all outputs."""
    volume: Any = nib.loadsave.load(path)
    nothing = np.broadcast_to(np.zeros(1, np.bool_), tuple(volume.shape[:3]))
    return reorient(Image(nothing, world_affine(volume)))


def _words(image: Image) -> str:
    shape = " x ".join(map(str, image.shape))
    sizes = " x ".join(f"{size:.3g}" for size in image.voxel_sizes)
    return f"{shape} voxels of {sizes} mm"
