"""A cohort of synthetic subjects as the participant level would have left them, with known truth.

Lesions are planted in the template's space from a known distribution, each person shows a part of
the cord, and some of the people are such that the group level must leave them out.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinalprep.bids.atomic import end_temporary, put_bytes, put_json, put_text
from spinalprep.bids.derivative_kinds import IMAGE, Kind
from spinalprep.bids.derivative_names import output_path, plain_name
from spinalprep.bids.derivatives import (
    Provenance,
    image_sidecar,
    sidecar_path,
    template_uri,
    with_identity,
    write_table,
)
from spinalprep.bids.names import join_name
from spinalprep.bids.saved_tables import MISSING
from spinalprep.bids.session import Scan
from spinalprep.bids.status import Status, rebuild_status, write_own_status
from spinalprep.defaults import MIN_LESION_MM3
from spinalprep.group.domain import Domain
from spinalprep.image import load, to_world
from spinalprep.levels.discs import level_name
from spinalprep.template.files import Template

COHORTS = ("MS", "NMO")
BACKGROUND = 1.5  # lesions of a person, on average, in either cohort
PLANTED_SHARE = 0.5  # of the first cohort with one more lesion, dorsal in the middle of C3
HALF_LENGTH_MM, HALF_WIDTH_MM = (2.0, 6.0), (1.0, 2.5)
TRUTH_PEOPLE = 20_000  # of the Monte Carlo that gives the expected probability
MODEL = {"name": "cord", "version": "phantom", "sha256": "0" * 64}
PARAMETERS = {
    "n4": True,
    "seed": 0,
    "lesion_threshold": 0.8,
    "min_lesion_mm3": MIN_LESION_MM3,
}
AREA_MM2, AREA_SD, AREA_LOSS = 75.0, 6.0, 6.0  # the first cohort is thinner at C2 and C3
UNUSABLE = {4: "gate", 8: "levels", 12: "failed"}  # by index; 20 and 21 are one person


@dataclass(frozen=True)
class _Person:
    """Who somebody is, and why the group level must leave them out, if it must."""

    label: str
    cohort: str
    trouble: str

    @property
    def is_first(self) -> bool:
        """Whether they are of the cohort in which lesions are planted."""
        return self.cohort == COHORTS[0]


@dataclass(frozen=True)
class _Shown:
    """What an image shows of a person: lesions, and voxels that are in view, shape (V,)."""

    lesion: NDArray[np.bool_]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class _Space:
    """Where lesions are planted: the cord with distances in mm, and chances of a center."""

    template: Template
    domain: Domain
    points: NDArray[np.float64]
    levels: NDArray[np.int64]
    anywhere: NDArray[np.float64]
    planted: NDArray[np.float64]

    def lesions(self, rng: np.random.Generator, first: bool) -> NDArray[np.bool_]:
        """Return the lesions of one person, shape (V,)."""
        mask = np.zeros(self.domain.size, bool)
        for _ in range(rng.poisson(BACKGROUND)):
            mask[self._ellipsoid(rng, self.anywhere)] = True
        if first and rng.random() < PLANTED_SHARE:
            mask[self._ellipsoid(rng, self.planted)] = True
        return mask

    def _ellipsoid(self, rng: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the voxels of a lesion around a random center."""
        centre = self.points[np.searchsorted(chance, rng.random())]
        axes = np.array([*rng.uniform(*HALF_WIDTH_MM, 2), rng.uniform(*HALF_LENGTH_MM)])
        near = np.flatnonzero(np.abs(self.points[:, 2] - centre[2]) <= axes[2])
        apart = (((self.points[near] - centre) / axes) ** 2).sum(axis=1)
        inside: NDArray[np.intp] = near[apart <= 1]
        return inside


def write_cohort(
    out_dir: Path,
    template: Template,
    people: int = 200,
    seed: int = 100_000,
    truth_people: int = TRUTH_PEOPLE,
) -> Path:
    """Write a dataset of synthetic subjects with derivatives of the participant level.

    Parameters
    ----------
    out_dir : Path
        A new or empty folder.
    template : Template
        Whose space the people are in.
    people : int
        Two cohorts in turn, ``MS`` and ``NMO``.
    seed : int
    truth_people : int
        Of the Monte Carlo.

    Returns
    -------
    out_dir : Path
        ``participants.tsv`` (``cohort``, ``person``, ``sex``, ``age``), ``derivatives/spinalprep``
        as the participant level would leave it, and ``derivatives/truth``: the expected lesion
        probability of each cohort, from 20,000 people of another seed (standard error at most
        0.0036), and where the planted lesions have their centers.
    """
    space = _make_space(template)
    rows = []
    results = out_dir / "derivatives" / "spinalprep"
    for n in range(people):
        rng = np.random.default_rng([seed, n])
        person = _Person(f"{n + 1:04d}", COHORTS[n % 2], UNUSABLE.get(n, ""))
        rows.append(
            {
                "participant_id": f"sub-{person.label}",
                "cohort": person.cohort,
                "person": "twice" if n in (20, 21) else f"p{person.label}",
                "sex": "FM"[int(rng.integers(2))],
                "age": round(float(rng.uniform(20, 60)), 1),
            }
        )
        _write_person(results, person, space, rng)
    rebuild_status(results)
    _describe(out_dir, results, pd.DataFrame(rows))
    _write_truth(out_dir / "derivatives" / "truth", space, seed, truth_people)
    end_temporary(results)
    return out_dir


def _make_space(template: Template) -> _Space:
    """Lay chances of a lesion's center over the template's cord."""
    domain = Domain.of(load(template.cord))
    points = to_world(domain.ijk.astype(float), domain.affine)
    level = domain.take(load(template.levels).data).astype(np.int64)
    front = np.zeros(domain.size)
    side = np.zeros(domain.size)
    for k in np.unique(domain.slices):
        here = domain.slices == k
        middle = points[here].mean(axis=0)
        half = np.maximum(np.ptp(points[here], axis=0) / 2, 0.5)
        side[here] = np.abs(points[here, 0] - middle[0]) / half[0]
        front[here] = (points[here, 1] - middle[1]) / half[1]
    dorsal, lateral = front < -0.3, side > 0.5
    weight = np.where(dorsal, 2.0, np.where(lateral, 1.5, 0.6)) * np.where(level <= 7, 1.0, 0.4)
    third = domain.slices[level == 3]
    central = np.abs(domain.slices - third.mean()) <= np.ptp(third) / 4 if len(third) else False
    planted = ((front < 0) & (side < 0.4) & (level == 3) & central).astype(float)
    return _Space(template, domain, points, level, _cumulated(weight), _cumulated(planted))


def _cumulated(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.cumsum(weight)
    share: NDArray[np.float64] = total / total[-1]
    return share


def _write_person(results: Path, person: _Person, space: _Space, rng: np.random.Generator) -> None:
    """Write what the participant level would have left of one person."""
    label, trouble = person.label, person.trouble
    scan = Scan(results, f"sub-{label}/anat/sub-{label}_T2w.nii.gz", label, None, "T2w")
    state = "failed" if trouble == "failed" else "finished"
    reason = "input: no cord" if state == "failed" else MISSING
    write_own_status(results, Status(f"sub-{label}", state=state, reason=reason, wall_s=1.0))
    if trouble == "failed":
        return
    low, high = _field_of_view(space, rng)
    seen = (space.domain.slices >= low) & (space.domain.slices <= high)
    lesion = space.lesions(rng, person.is_first) & seen
    soft = np.where(lesion, rng.uniform(0.8, 1.0, len(lesion)), 0.0)
    whole = np.zeros(space.domain.shape, np.uint8)
    whole[:, :, low : high + 1] = 1
    volumes: dict[Kind, NDArray[np.generic]] = {
        "cord_template": _volume(space.domain, seen, np.uint8),
        "lesion_template": _volume(space.domain, lesion, np.uint8),
        "lesion_probability_template": _volume(space.domain, soft, np.float32),
        "coverage_template": whole,
    }
    height = "unknown" if trouble == "levels" else "manual"
    template = space.template
    reference = template_uri(template.name, template.release, template.identity)
    for key, data in volumes.items():
        path = output_path(results, key, scan, template=template.name)
        put_bytes(results, path, _nifti(data, space.domain.affine))
        model = None if key == "coverage_template" else MODEL
        made = Provenance(
            (scan.uri,), reference, PARAMETERS, model, manual=False, level_source=height
        )
        put_json(results, sidecar_path(path), image_sidecar(key, made))
    tables = _tables(person, space, _Shown(lesion, seen), rng)
    for key, content in tables.items():
        path = output_path(results, key, scan, template=template.name)
        write_table(results, path, with_identity(content, scan))


def _field_of_view(space: _Space, rng: np.random.Generator) -> tuple[int, int]:
    """Return the lowest and highest template slice that is shown: mostly the neck."""
    neck = space.domain.slices[(space.levels > 0) & (space.levels <= 7)]
    top, bottom = int(space.domain.slices.max()), int(space.domain.slices.min())
    low = int(neck.min()) if len(neck) else bottom
    length = max(top - low, 4)
    draw = rng.random()
    if draw < 0.1:
        return bottom, top
    if draw < 0.25:  # the thorax
        return max(low - int(rng.uniform(0.5, 1.5) * length), bottom), low + length // 4
    return low + int(rng.uniform(-0.3, 0.5) * length), top - int(rng.uniform(0, 0.2) * length)


def _tables(
    person: _Person, space: _Space, shown: _Shown, rng: np.random.Generator
) -> dict[Kind, pd.DataFrame]:
    """Return areas per slice and level, lesions and gates, by the key of their output."""
    slices = np.unique(space.domain.slices[shown.seen])[::-1]
    level_of = {int(k): int(n) for k, n in zip(space.domain.slices, space.levels, strict=True)}
    levels = np.array([level_of[int(k)] for k in slices])
    own = AREA_MM2 + AREA_SD * rng.normal()
    thin = AREA_LOSS * person.is_first * np.isin(levels, (2, 3))
    area = (
        own
        - thin
        + 1.5 * np.sin(slices / 9.0 + rng.uniform(0, 6))
        + 0.5 * rng.normal(size=len(slices))
    )
    table = pd.DataFrame({"template_slice": slices, "area_mm2": area, "level": levels})
    table["gm_area_mm2"] = 0.17 * area
    table["doubtful"] = False
    table = table[table["level"] > 0]
    table["vertebral_level"] = [level_name(int(n)) for n in table["level"]]
    perlevel = table.groupby("level")["area_mm2"].agg(["size", "mean", "std"]).reset_index()
    perlevel.columns = pd.Index(["level", "slices", "area_mm2", "area_mm2_sd"])
    perlevel["vertebral_level"] = [level_name(int(n)) for n in perlevel["level"]]
    volume = float(shown.lesion.sum()) * space.domain.voxel_mm3
    lesions = pd.DataFrame({"vertebral_level": [MISSING], "lesion": [1], "volume_mm3": [volume]})
    gates = [("dice_template", 0.9 + 0.08 * rng.random()), ("jacobian_min", rng.uniform(0.4, 0.9))]
    failed = person.trouble == "gate"
    qc = pd.DataFrame(
        [
            {
                "metric": name,
                "value": value,
                "threshold": "n/a",
                "result": "FAIL" if failed else "PASS",
                "action": MISSING,
            }
            for name, value in gates
        ]
    )
    return {
        "template_slices": table.drop(columns="level"),
        "perlevel": perlevel.drop(columns="level"),
        "lesion_table": lesions if volume > 0 else lesions.iloc[:0],
        "qc": qc,
    }


def _write_truth(folder: Path, space: _Space, seed: int, count: int) -> None:
    """Write the expected probability of each cohort, and what differs between them."""
    template = space.template
    for name, first in zip(COHORTS, (True, False), strict=True):
        total = np.zeros(space.domain.size, np.int64)
        for lesions in _crowd(space, seed, first, count):
            total += lesions
        volume = space.domain.put(total / count, 0.0)
        stem = f"cohort-{name}_space-{template.name}"
        path = folder / plain_name(stem, "lesion_probability_template")
        put_bytes(folder, path, _nifti(volume, space.domain.affine))
    planted = np.diff(space.planted, prepend=0.0) > 0
    path = folder / join_name({"space": template.name, "label": "planted"}, "mask", IMAGE)
    put_bytes(folder, path, _nifti(_volume(space.domain, planted, np.uint8), space.domain.affine))
    text = (
        f"Subjects of {COHORTS[0]} have, with probability {PLANTED_SHARE}, one more lesion with "
        f"its center in label-planted, and {AREA_LOSS} mm2 less area at C2 and C3; nothing else "
        "differs between the cohorts.\n"
    )
    put_text(folder, folder / "README", text)
    end_temporary(folder)


def _crowd(space: _Space, seed: int, first: bool, count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield lesions of people that are in no cohort."""
    rng = np.random.default_rng([seed, 1, int(first)])
    for _ in range(count):
        yield space.lesions(rng, first)


def _describe(out_dir: Path, results: Path, people: pd.DataFrame) -> None:
    """Write what makes the folders datasets."""
    raw = {"Name": "spinalprep phantom cohort", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    made = {"DatasetType": "derivative", "DatasetLinks": {"raw": "../.."}}
    maker = [{"Name": "spinalprep", "Version": "phantom"}]
    for folder, content in ((out_dir, raw), (results, raw | made | {"GeneratedBy": maker})):
        put_json(folder, folder / "dataset_description.json", content)
        write_table(folder, folder / "participants.tsv", people)
        put_text(
            folder,
            folder / "README",
            "Synthetic subjects: this dataset contains no images of real people.\n",
        )
        end_temporary(folder)


def _volume(domain: Domain, values: NDArray[np.generic], dtype: type) -> NDArray[np.generic]:
    """Return a volume with values at the domain's voxels, 0 elsewhere."""
    volume: NDArray[np.generic] = np.zeros(domain.shape, dtype)
    volume.reshape(-1)[domain.flat] = values
    return volume


def _nifti(data: NDArray[np.generic], affine: NDArray[np.float64]) -> bytes:
    """Return a compressed NIfTI file: fast, and without a time in it."""
    volume = nib.nifti1.Nifti1Image(data, affine)
    volume.set_sform(affine, code=1)
    volume.set_qform(affine, code=1)
    return gzip.compress(volume.to_bytes(), compresslevel=1, mtime=0)
