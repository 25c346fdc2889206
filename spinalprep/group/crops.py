"""What people show, read one after the other; cut to the template's cord and kept.

A crop is a few kilobytes where the volumes are megabytes, so that a cohort to which one person is
added reads that person's volumes only. Its name is the content of what it was made from.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from spinalprep.group.domain import Domain, Observation
from spinalprep.group.volumes import Volumes, read_on_grid

SCHEMA = "2"  # of the files; another one is never read as this one
AHEAD = 8  # people per process that are read before they are asked for


def observations(
    people: Sequence[Volumes], domain: Domain, folder: Path, workers: int = 1
) -> Iterator[tuple[Observation, bool]]:
    """Yield what people show, in their order, and whether it came from a crop.

    Parameters
    ----------
    people : sequence of Volumes
        Where their volumes are.
    domain : Domain
        The template's cord.
    folder : Path
        Where crops are kept.
    workers : int
        Processes that read ahead.

    Raises
    ------
    InputError
        If a volume can't be read or is not on the template's grid.
    """
    if workers == 1 or len(people) < 4:
        for person in people:
            yield read_observation(person, domain, folder)
        return
    start = (domain, folder)
    with ProcessPoolExecutor(workers, initializer=_start_reader, initargs=start) as pool:
        step = AHEAD * workers
        for at in range(0, len(people), step):
            yield from pool.map(_read, people[at : at + step])


def read_observation(person: Volumes, domain: Domain, folder: Path) -> tuple[Observation, bool]:
    """Return what a person shows, from the crop where there is one.

    Parameters
    ----------
    person : Volumes
        Where the volumes are.
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
    path = folder / f"{person.name}_{_key(person, domain)}.npz"
    if path.is_file():
        try:
            return _load(path, domain.size), True
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
    observation = _crop(person, domain)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.npz"
    _save(temporary, observation)
    for old in folder.glob(f"{person.name}_*.npz"):
        old.unlink(missing_ok=True)
    os.replace(temporary, path)
    return observation, False


_reader: list[Any] = []  # of a reading process: the domain and the folder of crops


def _start_reader(domain: Domain, folder: Path) -> None:
    _reader[:] = [domain, folder]


def _read(person: Volumes) -> tuple[Observation, bool]:
    return read_observation(person, *_reader)


def _key(person: Volumes, domain: Domain) -> str:
    """Return a digest of the volumes, of the template's cord and of the layout of crops."""
    digest = hashlib.sha256(f"{SCHEMA} {domain.shape}".encode())
    digest.update(domain.flat.tobytes())
    volumes = {"coverage": person.coverage, "lesion": person.lesion, "soft": person.soft}
    for key, path in volumes.items():
        digest.update(key.encode())
        if path is not None:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _crop(person: Volumes, domain: Domain) -> Observation:
    covered = domain.take(read_on_grid(person.coverage, domain)) > 0
    if person.lesion is None:
        return Observation(covered, None)
    volume = read_on_grid(person.lesion, domain)
    lesion = domain.take(volume) > 0
    outside = (int(np.count_nonzero(volume)) - int(lesion.sum())) * domain.voxel_mm3
    soft = None
    if person.soft is not None:
        values = domain.take(read_on_grid(person.soft, domain)).astype(np.float32)
        soft = np.where(covered, np.clip(np.nan_to_num(values), 0.0, 1.0), 0.0).astype(np.float32)
    return Observation(covered, lesion & covered, soft, outside)


def _save(path: Path, observation: Observation) -> None:
    soft, lesion = observation.soft, observation.lesion
    some = np.flatnonzero(soft) if soft is not None else np.empty(0, np.int64)
    np.savez(
        path,
        covered=np.packbits(observation.covered),
        lesion=np.flatnonzero(lesion) if lesion is not None else np.empty(0, np.int64),
        searched=lesion is not None,
        soft_at=some,
        soft=soft[some] if soft is not None else np.empty(0, np.float32),
        has_soft=soft is not None,
        outside_mm3=observation.outside_mm3,
    )


def _load(path: Path, size: int) -> Observation:
    with np.load(path, allow_pickle=False) as kept:
        covered = np.unpackbits(kept["covered"], count=size).astype(bool)
        if not bool(kept["searched"]):
            return Observation(covered, None)
        lesion = np.zeros(size, bool)
        lesion[kept["lesion"]] = True
        soft = None
        if bool(kept["has_soft"]):
            soft = np.zeros(size, np.float32)
            soft[kept["soft_at"]] = kept["soft"]
        return Observation(covered, lesion, soft, float(kept["outside_mm3"]))
