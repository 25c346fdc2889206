"""The embedded generic template: the average synthetic subject, upright."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinalprep.cord.centerline import fit_centerline
from spinalprep.image import Image, grid_points, save
from spinalprep.phantom.anatomy import CSF, GM, VERTEBRA_MM, WM, Person
from spinalprep.phantom.images import INTENSITY

SHAPE = (81, 81, 170)
SPACING_MM = (0.5, 0.5, 1.0)
INFO = """# Template labels
# Keyword=IndivLabels (Please DO NOT change this line)
# ID, name, file
1, T2-weighted template, Generic_t2.nii.gz
3, spinal cord mask (binary), Generic_cord.nii.gz
4, white matter mask (probabilistic), Generic_wm.nii.gz
5, gray matter mask (probabilistic), Generic_gm.nii.gz
6, cerebrospinal fluid mask (binary), Generic_csf.nii.gz
7, spinal cord mask with discrete vertebral levels, Generic_levels.nii.gz
10, point-wise intervertebral disc labels, Generic_label_disc.nii.gz
13, spinal cord centerline, Generic_centerline.nii.gz
"""


def average_person() -> Person:
    """Return the straight, average person; disc 2 lies at z = 0 mm."""
    top = 10.0
    z = np.linspace(top, top - SHAPE[2], 200)
    line = fit_centerline(np.stack([0 * z, 0 * z, z], axis=-1))
    levels = sorted(VERTEBRA_MM)
    tops = np.concatenate([[0.0], np.cumsum([VERTEBRA_MM[n] for n in levels])])
    disc_s = {n: float(t + top) for n, t in zip([*levels, 10], tops, strict=True)}
    return Person(line, disc_s, size=1.0, turn_deg=0.0)


def template_grid() -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return shape and affine (LAS voxels to RAS+ mm) of the generic template."""
    affine = np.diag([-SPACING_MM[0], SPACING_MM[1], SPACING_MM[2], 1.0])
    affine[:3, 3] = 20.0, -20.0, 9.5 - (SHAPE[2] - 1)
    return SHAPE, affine


def write_generic(folder: Path) -> Path:
    """Write the template in PAM50's release layout: ``folder/template/Generic_*.nii.gz``.

    Returns
    -------
    folder : Path
    """
    person = average_person()
    shape, affine = template_grid()
    shares = person.labels_on(shape, affine, fine=2)
    cord = (shares[WM] + shares[GM]) >= 0.5
    z = grid_points((1, 1, shape[2]), affine)[0, 0, :, 2]
    s = person.centerline.arc[0] + (person.centerline.points[0, 2] - z)
    level = np.floor(person.level_at(s)).astype(int)
    level[(level < 2) | (level > 9)] = 0
    volumes: dict[str, tuple[NDArray[np.generic], type]] = {
        "cord": (cord & (level > 0), np.uint8),
        "wm": (np.round(shares[WM] * (level > 0), 2), np.float32),
        "gm": (np.round(shares[GM] * (level > 0), 2), np.float32),
        "csf": ((shares[CSF] >= 0.5) & (level > 0), np.uint8),
        "levels": (cord * level, np.uint8),
        "label_disc": (_discs(person, shape, affine), np.uint8),
        "centerline": (_middle(shape, level), np.uint8),
        "t2": (np.round(np.tensordot(INTENSITY["T2w"], shares, axes=1) * 250), np.uint8),
    }
    home = folder / "template"
    home.mkdir(parents=True, exist_ok=True)
    for name, (data, dtype) in volumes.items():
        save(Image(data, affine), home / f"Generic_{name}.nii.gz", dtype)
    (home / "info_label.txt").write_text(INFO)
    return folder


def _middle(shape: tuple[int, int, int], level: NDArray[np.int_]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[shape[0] // 2, shape[1] // 2, level > 0] = True
    return mask


def _discs(
    person: Person, shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Mark each disc by one voxel on the axis."""
    labels = np.zeros(shape, np.uint8)
    for disc, s in person.disc_s.items():
        z = person.centerline.at(s)[2]
        k = round((z - affine[2, 3]) / affine[2, 2])
        if 0 <= k < shape[2]:
            labels[shape[0] // 2, shape[1] // 2, k] = disc
    return labels
