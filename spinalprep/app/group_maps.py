"""Maps over people: read one after the other, summed, written."""

import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinalprep.app.group import Group
from spinalprep.app.group_crops import read_observation, read_on_grid
from spinalprep.app.group_people import PersonFiles
from spinalprep.app.log import LOG
from spinalprep.bids.derivatives import template_uri
from spinalprep.bids.group_outputs import MAPS, group_path, map_sidecar, write_map
from spinalprep.bids.names import parse_name
from spinalprep.group.domain import Domain, Observation
from spinalprep.group.maps import MeanImage, Tally, probability_maps, scale_to_cord
from spinalprep.group.regions import measure_occupancy

MARGIN_MM = 12.0  # around the template's cord, of mean images
SAVED_EVERY = 25  # people of a mean image
ALL = "all"


@dataclass
class Sums:
    """What remains of the people once they have been read.

    Attributes
    ----------
    tallies : dict of str to Tally
        Everybody (``all``) and each cohort.
    occupancy : list of DataFrame
        One per person, in the order of the group.
    facts : list of dict
        Covered share and lesion volume of each person.
    lesions, covered : memmap of uint8, shape (N, V), or None
        For statistics; on disk, in the work folder.
    """

    tallies: dict[str, Tally]
    occupancy: list[pd.DataFrame] = field(default_factory=list)
    facts: list[dict[str, float]] = field(default_factory=list)
    lesions: Any = None
    covered: Any = None


def accumulate(group: Group, keep: bool) -> Sums:
    """Read everybody once; with ``keep`` the masks are laid down for the statistics."""
    size, cohorts = group.domain.size, group.cohorts()
    sums = Sums({name: Tally.empty(size) for name in (ALL, *cohorts)})
    group.work.mkdir(parents=True, exist_ok=True)
    if keep:
        shape = (len(group.people), size)
        sums.lesions, sums.covered = (_unnamed(group.work, shape) for _ in range(2))
    kept = 0
    for n, (person, known) in enumerate(_observations(group)):
        kept += known
        for name in (ALL, *(c for c, rows in cohorts.items() if n in rows)):
            sums.tallies[name].add(person)
        sums.occupancy.append(measure_occupancy(group.regions, person))
        volume = group.domain.voxel_mm3
        sums.facts.append(
            {
                "covered_share": float(person.covered.mean()),
                "lesion_mm3_template": float(person.lesion.sum()) * volume,
                "outside_mm3_template": person.outside_mm3,
            }
        )
        if keep:
            sums.lesions[n], sums.covered[n] = person.lesion, person.covered
    LOG.info("maps: %d people, %d of them from earlier runs", len(group.people), kept)
    return sums


def _unnamed(folder: Path, shape: tuple[int, int]) -> Any:
    """Return a memory map whose file has no name any more: it is this run's, and goes with it."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".masks-") as stream:
        return np.memmap(stream, np.uint8, "w+", shape=shape)


_reader: list[Any] = []  # of a reading process: the domain and the folder of crops


def _start_reader(domain: Domain, folder: Path) -> None:
    _reader[:] = [domain, folder]


def _read(files: PersonFiles) -> tuple[Observation, bool]:
    return read_observation(files, *_reader)


def _observations(group: Group) -> Iterator[tuple[Observation, bool]]:
    """Yield people in order; a few are read ahead by other processes."""
    folder, workers = group.work / "people", group.settings.nprocs
    if workers == 1 or len(group.people) < 4:
        for files in group.people:
            yield read_observation(files, group.domain, folder)
        return
    start = (group.domain, folder)
    with ProcessPoolExecutor(workers, initializer=_start_reader, initargs=start) as pool:
        step = 8 * workers  # so many are read ahead, however many there are
        for at in range(0, len(group.people), step):
            yield from pool.map(_read, group.people[at : at + step])


def write_maps(group: Group, sums: Sums) -> None:
    """Write probability, interval, soft mean and coverage, of all and of each cohort."""
    rows = {ALL: np.arange(len(group.people)), **group.cohorts()}
    for name, tally in sums.tallies.items():
        maps = probability_maps(tally, group.settings.min_n)
        people = [group.names[n] for n in rows[name]]
        for key, (ending, text) in MAPS.items():
            if key == "soft" and not tally.soft_covering.any():
                continue
            fill = 0.0 if key == "coverage" else np.nan
            volume = group.domain.put(getattr(maps, key), fill)
            cohort = None if name == ALL else name
            path = group_path(group.settings.out_dir, group.template.name, ending, cohort)
            sidecar = sidecar_of(group, text, people)
            write_map(group.settings.out_dir, path, volume, group.domain.affine, sidecar)


def sidecar_of(
    group: Group, text: str, people: list[str], more: dict[str, object] | None = None
) -> dict[str, Any]:
    """Return the JSON of a map of these people."""
    template = group.template
    reference = template_uri(template.name, template.release, template.identity)
    thresholds = {
        f.origin.parameters["lesion_threshold"]
        for f in group.people
        if f.candidate.name in people and "lesion_threshold" in f.origin.parameters
    }
    shared: dict[str, object] = {"MinimumCoverage": group.settings.min_n}
    if thresholds:
        several = sorted(thresholds, key=str)
        shared["Threshold"] = several[0] if len(several) == 1 else several
    if group.warnings:
        shared["Warnings"] = list(group.warnings)
    return map_sidecar(text, people, reference, shared | (more or {}))


def write_means(group: Group) -> None:
    """Write the mean image of every contrast; people of earlier runs are not read again."""
    contrasts: dict[str, list[PersonFiles]] = {}
    for files in group.people:
        if "image" in files.images:
            contrasts.setdefault(mean_name(files.images["image"]), []).append(files)
    box = _box(group.domain)
    for name, people in contrasts.items():
        mean = _mean(group, name, people, box)
        volume = np.full(group.domain.shape, np.nan, np.float32)
        volume[box] = mean.mean(group.settings.min_n)
        path = group_path(group.settings.out_dir, group.template.name, name)
        names = [files.candidate.name for files in people]
        text = "mean over people, each scaled so that the median of the cord is 1"
        sidecar = sidecar_of(group, text, names, {"SkullStripped": False})
        write_map(group.settings.out_dir, path, volume, group.domain.affine, sidecar)
        LOG.info("mean %s of %d people", name.rpartition("_")[2], len(people))


def mean_name(image: Path) -> str:
    """Return what the mean of such images is called; MTS says its pulse, as BIDS wants.

    Examples
    --------
    >>> mean_name(Path("sub-1_flip-1_mt-on_space-PAM50_desc-preproc_MTS.nii.gz"))
    'flip-1_mt-on_desc-mean_MTS'
    """
    entities, contrast, _ = parse_name(image.name)
    pulse = [f"{key}-{entities[key]}" for key in ("flip", "mt") if key in entities]
    return "_".join([*pulse, "desc-mean", contrast])


def _box(domain: Domain) -> tuple[slice, ...]:
    """Return the box of the cord with a margin in plane."""
    sizes = np.linalg.norm(domain.affine[:3, :3], axis=0)
    margin = np.array([*np.ceil(MARGIN_MM / sizes[:2]), 0]).astype(int)
    low = np.maximum(domain.ijk.min(axis=0) - margin, 0)
    high = np.minimum(domain.ijk.max(axis=0) + margin + 1, domain.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _mean(group: Group, name: str, people: list[PersonFiles], box: tuple[slice, ...]) -> MeanImage:
    """Return the sum so far plus the people that it lacks."""
    path = group.work / f"{name}.npz"
    keys = {f"{files.candidate.name} {_content(files)}": files for files in people}
    shape = tuple(part.stop - part.start for part in box)
    mean, have = MeanImage.empty(shape), set[str]()
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as kept:
                earlier = set(kept["keys"].tolist())
                if earlier <= set(keys) and kept["total"].shape == shape:
                    mean, have = MeanImage(kept["total"], kept["count"]), earlier
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
    cord = group.domain.put(np.ones(group.domain.size), 0.0)[box] > 0
    missing = [key for key in keys if key not in have]
    for n, key in enumerate(missing, start=1):
        mean.add(_scaled(keys[key], group.domain, box, cord))
        have.add(key)
        if n % SAVED_EVERY == 0 or n == len(missing):  # an interrupted run goes on from here
            _keep(path, mean, have)
    return mean


def _keep(path: Path, mean: MeanImage, have: set[str]) -> None:
    """Write a sum with who is in it; whole or not at all."""
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    with temporary.open("wb") as stream:
        np.savez(stream, keys=np.array(sorted(have)), total=mean.total, count=mean.count)
    temporary.replace(path)


def _content(files: PersonFiles) -> str:
    digest = sha256()
    for key in ("image", "coverage"):
        digest.update(sha256(files.images[key].read_bytes()).digest())
    return digest.hexdigest()


def _scaled(
    files: PersonFiles, domain: Domain, box: tuple[slice, ...], cord: np.ndarray
) -> np.ndarray:
    """Return the box of a person's image, scaled; NaN outside the field of view."""
    image = np.asarray(read_on_grid(files.images["image"], domain)[box], np.float32)
    covered = read_on_grid(files.images["coverage"], domain)[box] > 0
    return scale_to_cord(np.where(covered, image, np.float32(np.nan)), cord)
