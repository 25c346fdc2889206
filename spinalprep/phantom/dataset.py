"""A synthetic BIDS dataset with its truth."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spinalprep.bids.derivative_kinds import OUTPUTS, TRANSFORM, Kind
from spinalprep.bids.derivative_names import output_path, transform_path
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.names import ImageName, anat_folder
from spinalprep.cord.centerline import rasterise
from spinalprep.image import Image, save, to_voxel, to_world
from spinalprep.levels.discs import level_name
from spinalprep.phantom.anatomy import FIRST_TEST_SEED, LESION, Person, make_person, truth_cord
from spinalprep.phantom.images import las_grid, render
from spinalprep.registration.transform import Affine, write_itk

Grid = tuple[tuple[int, int, int], NDArray[np.float64]]
MOTION_DEG, MOTION_MM = (2.0, -1.5, 3.0), (2.0, -1.5, 1.0)
SIDECARS = {
    "T2w": {"EchoTime": 0.12, "RepetitionTime": 1.5, "MRAcquisitionType": "3D"},
    "T1w": {"EchoTime": 0.004, "RepetitionTime": 2.0, "MRAcquisitionType": "3D"},
    "T2starw": {"EchoTime": 0.014, "RepetitionTime": 0.6, "MRAcquisitionType": "2D"},
}
README = """Synthetic subjects made by spinalprep: this dataset contains no images of real people.

Each subject has a T2w, a T1w acquired after a small known motion, and a T2starw with thick slices.
derivatives/labels has one voxel per disc, as a rater would mark them. derivatives/truth has
the ground truth of each subject on the grid of the T2w: cord, centerline, levels, discs, lesions,
the cross-sectional area at each slice, and the transform that resamples the T1w onto the T2w.
In *_truth.json: t1w_motion maps RAS+ points (mm) from the position during the T2w to that
during the T1w; disc_s_mm is the arc length of the discs from the top of the
centerline; lesion_volume_mm3 is the analytic volume of each lesion.
"""


@dataclass(frozen=True)
class _Scan:
    """What is scanned: contrast, grid, and the motion before it (moved from still, RAS+ mm)."""

    contrast: str
    grid: Grid
    motion: NDArray[np.float64]


def write_dataset(out_dir: Path, people: int = 2, seed: int = FIRST_TEST_SEED) -> Path:
    """Write synthetic subjects as a BIDS dataset.

    Parameters
    ----------
    out_dir : Path
        A new or empty folder.
    people : int
        Every second one has lesions.
    seed : int
        Of the first person; the others follow.

    Returns
    -------
    out_dir : Path
        Holds ``sub-*/anat`` with T2w, T1w (after a known motion) and T2starw, disc labels in
        ``derivatives/labels``, and the truth in ``derivatives/truth`` under the names of the
        participant level's outputs: cord, centerline, vertebrae, discs, lesions, area per slice
        and the transform from T1w to T2w.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    describe_dataset(out_dir, "spinalprep phantom", "raw")
    rows = []
    for n in range(people):
        label, person = f"sub-{n + 1:02d}", make_person(seed + n, lesions=2 * (n % 2))
        _write_person(out_dir, label, person, seed + n)
        rows.append({"participant_id": label, "lesions": len(person.lesions)})
    for name in ("labels", "truth"):
        describe_dataset(out_dir / "derivatives" / name, f"phantom {name}", "derivative")
    pd.DataFrame(rows).to_csv(out_dir / "participants.tsv", sep="\t", index=False)
    _dump(
        out_dir / "participants.json", {"lesions": {"Description": "number of simulated lesions"}}
    )
    (out_dir / "README").write_text(README)
    unknown = f"*_{OUTPUTS['perslice'].suffix}.*\n*_{TRANSFORM}.*\n*_truth.json"
    for name, files in (("labels", "*_labels-*"), ("truth", unknown)):
        (out_dir / "derivatives" / name / ".bidsignore").write_text(files + "\n")
    return out_dir


def motion_matrix() -> NDArray[np.float64]:
    """Return the rigid motion of the T1w scan: RAS+ points of the still person to moved ones."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", MOTION_DEG, degrees=True).as_matrix()
    matrix[:3, 3] = MOTION_MM
    return matrix


def _write_person(root: Path, label: str, person: Person, seed: int) -> None:
    """Write images, disc labels and truth of one person."""
    sagittal, axial = _grid((56, 80, 112), (1.0, 1.0, 1.0)), _grid((96, 112, 12), (0.6, 0.6, 5.0))
    scans = (
        _Scan("T2w", sagittal, np.eye(4)),
        _Scan("T1w", sagittal, motion_matrix()),
        _Scan("T2starw", axial, np.eye(4)),
    )
    anat = root / label / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    for scan in scans:
        still = np.linalg.inv(scan.motion) @ scan.grid[1]  # where the moved voxels look
        image = render(person, scan.contrast, (scan.grid[0], still), seed)
        save(Image(image.data, scan.grid[1]), anat / f"{label}_{scan.contrast}.nii.gz", np.int16)
        _dump(anat / f"{label}_{scan.contrast}.json", SIDECARS[scan.contrast])
    like = Image(np.zeros(sagittal[0], np.float32), sagittal[1])
    labels = root / "derivatives" / "labels" / label / "anat"
    labels.mkdir(parents=True, exist_ok=True)
    discs = like.with_data(_discs(person, like))
    save(discs, labels / f"{label}_T2w_labels-disc-manual.nii.gz", np.uint8)
    _write_truth(root / "derivatives" / "truth", label, person, like)


def _grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """Return a grid centered on the origin, a little to the front."""
    return las_grid(shape, spacing, (0.0, 4.0, 0.0))


def _discs(person: Person, like: Image) -> NDArray[np.uint8]:
    """Mark each disc by one voxel, in the middle of the cord."""
    data = np.zeros(like.shape, np.uint8)
    for disc, s in person.disc_s.items():
        ijk = np.rint(to_voxel(person.centerline.at(s), like.affine)).astype(int)
        if np.all((ijk >= 0) & (ijk < like.shape)):
            data[tuple(ijk)] = disc
    return data


def _write_truth(root: Path, label: str, person: Person, like: Image) -> None:
    """Write what is true of a person on the grid of the T2w image."""
    image = ImageName.of(f"{label}_T2w.nii.gz")
    folder = anat_folder(root, image)
    folder.mkdir(parents=True, exist_ok=True)
    share = truth_cord(person, like)
    cord = share >= 0.5
    lesion = person.labels_on(like.shape, like.affine, fine=2)[LESION] >= 0.5
    sxy = person.centerline.project(to_world(np.argwhere(cord).astype(float), like.affine))
    level, number = np.zeros(like.shape, np.uint8), np.zeros(like.shape, np.uint8)
    level[cord] = np.floor(person.level_at(sxy[:, 0]))
    number[cord] = _nearest_lesion(person, sxy)
    volumes: dict[Kind, tuple[NDArray[np.generic], type]] = {
        "cord": (cord, np.uint8),
        "cord_probability": (share, np.float32),
        "centerline": (rasterise(person.centerline, like), np.uint8),
        "lesion": (lesion, np.uint8),
        "lesions": (number * lesion, np.uint8),
        "vertebrae": (level, np.uint8),
        "discs": (_discs(person, like), np.uint8),
    }
    for kind, (data, dtype) in volumes.items():
        path = output_path(root, kind, image)
        save(like.with_data(data), path, dtype)
        reference = {"SpatialReference": f"bids:raw:{label}/anat/{label}_T2w.nii.gz"}
        _dump(sidecar_path(path), reference)
    path = output_path(root, "perslice", image)
    _areas(person, like).to_csv(path, sep="\t", index=False, float_format="%.4f")
    moved = ImageName.of(f"{label}_T1w.nii.gz")
    write_itk(Affine(motion_matrix()), transform_path(root, moved, image, ".txt"))
    truth = {
        "t1w_motion": motion_matrix().tolist(),
        "disc_s_mm": {str(n): s for n, s in person.disc_s.items()},
        "lesion_volume_mm3": [lesion.volume_mm3 for lesion in person.lesions],
    }
    _dump(folder / f"{label}_truth.json", truth)


def _nearest_lesion(person: Person, sxy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the number, from 1, of the lesion that is nearest to each point; 0 without one."""
    apart = [
        (((sxy - lesion.centre) / lesion.half_axes) ** 2).sum(axis=-1) for lesion in person.lesions
    ]
    if not apart:
        return np.zeros(sxy.shape[:-1], np.uint8)
    return np.asarray(np.argmin(apart, axis=0) + 1, np.uint8)


def _areas(person: Person, like: Image) -> pd.DataFrame:
    """Return the area across the cord where the centerline meets each slice."""
    z = like.affine[2, 3] + np.arange(like.shape[2]) * like.affine[2, 2]
    s = np.interp(-z, -person.centerline.points[:, 2], person.centerline.arc)
    levels = [level_name(int(level)) for level in person.level_at(s)]
    return pd.DataFrame(
        {
            "slice": np.arange(len(z)),
            "z_mm": z,
            "s_mm": s,
            "vertebral_level": levels,
            "area_mm2": person.area_at(s),
        }
    )


def describe_dataset(folder: Path, name: str, kind: str) -> None:
    """Write ``dataset_description.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, object] = {
        "Name": name,
        "BIDSVersion": "1.10.0",
        "DatasetType": kind,
        "License": "CC0",
        "GeneratedBy": [{"Name": "spinalprep phantom"}],
    }
    if kind == "derivative":
        content["DatasetLinks"] = {"raw": "../.."}
    _dump(folder / "dataset_description.json", content)


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
