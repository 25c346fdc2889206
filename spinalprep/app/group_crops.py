"""A person's maps cut to the template's cord, kept in the work folder.

A crop is a few kilobytes where the volumes are megabytes, so that a cohort to which one person is
added reads that person's volumes only. Its name is the content of what it was made from.
"""

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.app.group_people import PersonFiles
from spinalprep.errors import InputError
from spinalprep.group.domain import Domain, Observation

SCHEMA = "1"  # of the files; another one is never read as this one


def read_observation(files: PersonFiles, domain: Domain, folder: Path) -> tuple[Observation, bool]:
    """Return what a person shows, from the crop where there is one.

    Parameters
    ----------
    files : PersonFiles
        ``coverage`` and ``lesion`` are needed.
    domain : Domain
        The template's cord.
    folder : Path
        Where crops are kept; a file there appears whole or not at all.

    Returns
    -------
    observation : Observation
    kept : bool
        Whether it came from the crop.

    Raises
    ------
    InputError
        If a volume can't be read or is not on the template's grid.
    """
    path = folder / f"{files.candidate.name}_{_key(files, domain)}.npz"
    if path.is_file():
        try:
            return _load(path, domain.size), True
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
    observation = _crop(files, domain)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.npz"
    hit = np.flatnonzero(observation.lesion)
    soft = observation.soft
    some = np.flatnonzero(soft) if soft is not None else np.empty(0, np.int64)
    np.savez(
        temporary,
        covered=np.packbits(observation.covered),
        lesion=hit,
        soft_at=some,
        soft=soft[some] if soft is not None else np.empty(0, np.float32),
        has_soft=soft is not None,
        outside_mm3=observation.outside_mm3,
    )
    for old in folder.glob(f"{files.candidate.name}_*.npz"):
        old.unlink(missing_ok=True)
    os.replace(temporary, path)
    return observation, False


def read_on_grid(path: Path, domain: Domain) -> NDArray[Any]:
    """Read a volume of the template's space, in its own type, shape (I, J, K).

    Raises
    ------
    InputError
        If it can't be read, or lies on another grid.
    """
    try:
        volume: Any = nib.nifti1.Nifti1Image.from_filename(path)
        data: NDArray[Any] = np.asanyarray(volume.dataobj)
    except Exception as error:  # nibabel, zlib and the file system raise a dozen kinds
        raise InputError(
            f"{path} can't be read as NIfTI ({error}); expected a whole file"
        ) from error
    close = data.shape == domain.shape and np.allclose(volume.affine, domain.affine, atol=1e-3)
    if not close:
        raise InputError(
            f"{path} is not on the template's grid {domain.shape}; it was made with another "
            "template"
        )
    return data


def _key(files: PersonFiles, domain: Domain) -> str:
    """Return a digest of the volumes, of the template's cord and of the layout of crops."""
    digest = hashlib.sha256(f"{SCHEMA} {domain.shape}".encode())
    digest.update(domain.flat.tobytes())
    for key in ("coverage", "lesion", "soft"):
        digest.update(key.encode())
        if key in files.images:
            digest.update(hashlib.sha256(files.images[key].read_bytes()).digest())
    return digest.hexdigest()[:16]


def _load(path: Path, size: int) -> Observation:
    with np.load(path, allow_pickle=False) as kept:
        lesion = np.zeros(size, bool)
        lesion[kept["lesion"]] = True
        soft = None
        if bool(kept["has_soft"]):
            soft = np.zeros(size, np.float32)
            soft[kept["soft_at"]] = kept["soft"]
        covered = np.unpackbits(kept["covered"], count=size).astype(bool)
        return Observation(covered, lesion, soft, float(kept["outside_mm3"]))


def _crop(files: PersonFiles, domain: Domain) -> Observation:
    covered = domain.take(read_on_grid(files.images["coverage"], domain)) > 0
    volume = read_on_grid(files.images["lesion"], domain)
    lesion = domain.take(volume) > 0
    outside = (int(np.count_nonzero(volume)) - int(lesion.sum())) * domain.voxel_mm3
    soft = None
    if "soft" in files.images:
        values = domain.take(read_on_grid(files.images["soft"], domain)).astype(np.float32)
        soft = np.where(covered, np.clip(np.nan_to_num(values), 0.0, 1.0), 0.0).astype(np.float32)
    return Observation(covered, lesion & covered, soft, outside)
