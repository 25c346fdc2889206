"""The atlas in one small file: 37 compressed volumes of a whole template take too long to read."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinalprep.image.gzipped import nonzero_voxels
from spinalprep.image.volume import Image, read_grid, to_world
from spinalprep.template.files import Template

SCALE = 65535  # a share of 1
_log = logging.getLogger("spinalprep")


def packed_atlas(template: Template, folder: Path, threads: int = 1) -> Path | None:
    """Return the atlas of a template as one uncompressed file, made once.

    Parameters
    ----------
    template : Template
    folder : Path
        Where packed atlases are kept; the name follows the content of the atlas's files.
    threads : int
        That read volumes at the same time.

    Returns
    -------
    path : Path or None
        A 4D NIfTI file of the box that holds all regions, whole numbers of 0 to 65535 for shares
        of 0 to 1; None where the template has no atlas.
    """
    if not template.atlas:
        return None
    digest = hashlib.sha256()
    for file in template.atlas:
        digest.update(file.read_bytes())
    path = folder / f"atlas-{template.name}-{digest.hexdigest()[:12]}.nii"
    if path.is_file():
        return path
    _log.info(
        "packing the atlas of %s into one file (only once, takes a few seconds): %s",
        template.name,
        path,
        extra={"only_once": True},
    )
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(threads) as pool:
        regions = list(pool.map(_sparse, template.atlas))
    handle, name = tempfile.mkstemp(".nii", dir=folder)
    os.close(handle)
    _write(regions, template, Path(name))
    Path(name).replace(path)  # whole or not at all, also where several jobs make it at once
    return path


def read_packed(path: Path) -> Iterator[Image]:
    """Yield the regions of a packed atlas in their order, float32 shares of 0 to 1."""
    volume: Any = nib.loadsave.load(path)
    for n in range(volume.shape[3]):
        share = np.asarray(volume.dataobj[..., n], np.float32) / SCALE
        yield Image(share, np.asarray(volume.affine, np.float64))


def _sparse(file: Path) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Return the voxels of a region that are not zero, shape (N, 3), and their values."""
    places, values, shape = nonzero_voxels(file)
    share = np.clip(np.nan_to_num(values), 0.0, 1.0)
    whole = np.rint(share * SCALE).astype(np.uint16)
    ijk = np.column_stack(np.unravel_index(places, shape[:3], order="F"))
    return ijk[whole > 0], whole[whole > 0]


def _write(
    regions: list[tuple[NDArray[np.int64], NDArray[np.uint16]]], template: Template, path: Path
) -> None:
    """Write the box around all regions, with a rim of zeros, as 4D NIfTI."""
    filled = [ijk for ijk, _ in regions if len(ijk)] or [np.zeros((1, 3), np.int64)]
    low = np.min([ijk.min(axis=0) for ijk in filled], axis=0) - 1
    high = np.max([ijk.max(axis=0) for ijk in filled], axis=0) + 2
    box = np.zeros((*(high - low), len(regions)), np.uint16, order="F")
    for n, (ijk, values) in enumerate(regions):
        box[(*(ijk - low).T, n)] = values
    affine = read_grid(template.atlas[0])[1].copy()
    affine[:3, 3] = to_world(low.astype(np.float64), affine)
    volume = nib.nifti1.Nifti1Image(box, affine)
    volume.set_sform(affine, code=1)
    volume.set_qform(affine, code=1)
    volume.to_filename(path)
