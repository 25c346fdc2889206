"""What is to be judged: predictions in a derivative folder, or of networks that run now."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinalprep.bids.derivative_kinds import Kind
from spinalprep.bids.derivative_names import output_path
from spinalprep.bids.derivatives import sidecar_path
from spinalprep.bids.names import SHOWS_GM, ImageName
from spinalprep.cord.centerline import Centerline, cross_slices
from spinalprep.errors import NoCordError
from spinalprep.image import Image, load, reorient, resample_like, to_voxel
from spinalprep.image.sanity import conform
from spinalprep.lesion.calling import LesionRule, call_lesions
from spinalprep.memory import peak_mib, reset_peak
from spinalprep.networks.cascade import Networks, by_task, find_cord
from spinalprep.networks.postprocess import EDGE
from spinalprep.networks.postprocess import post_process as run_steps
from spinalprep.networks.weights import Model

MASKS: dict[str, Kind] = {"cord": "cord", "gm": "gm_probability", "lesion": "lesion"}
SOFT: dict[str, Kind] = {  # lesions are few, and judged one by one
    "cord": "cord_probability",
    "gm": "gm_probability",
}


@dataclass(frozen=True)
class Predictions:
    """What was predicted in one image.

    Attributes
    ----------
    masks : dict of Image
        ``cord``, ``gm``, ``lesion``; what is missing was not predicted, an empty mask was.
    line : ndarray of float, shape (K, 2), or None
        First two voxel coordinates of the centerline in every slice of the image, LAS.
    seconds : float
        Time of the networks on this machine; NaN for a folder.
    peak_mib : float
        Peak memory of the process in that time, MiB; NaN for a folder.
    sha256 : frozenset of str
        Of the weights that made it, as far as that is known.
    soft : dict of Image
        Probabilities of ``cord`` and ``gm``, where they are known.
    """

    masks: dict[str, Image]
    line: NDArray[np.float64] | None
    seconds: float = np.nan
    peak_mib: float = np.nan
    sha256: frozenset[str] = frozenset()
    soft: dict[str, Image] = field(default_factory=dict)


def from_folder(out_dir: Path, image: Path) -> Predictions:
    """Read what a run of ``spinalprep`` found in an image.

    Of a mask that a person drew, its automatic neighbor (``desc-auto``) is taken; where there
    is none, nothing was predicted: a label agrees with itself. Likewise the centerline of a run
    that was given the cord.

    Parameters
    ----------
    out_dir : Path
        Derivative folder.
    image : Path
        The raw image.
    """
    grid, masks, weights = reorient(load(image)), {}, set()
    for role, kind in MASKS.items():
        path = _automatic(out_dir, image, kind)
        if path is not None:
            there = resample_like(reorient(load(path)), grid)
            masks[role] = there.with_data(there.data >= 0.5)
            weights |= set(re.findall(r"[0-9a-f]{64}", json.dumps(_sidecar(path).get("Model"))))
    soft = {}
    for role, kind in SOFT.items():
        path = _automatic(out_dir, image, kind)
        if path is not None and role in masks:
            soft[role] = resample_like(reorient(load(path)), grid)
    path = _automatic(out_dir, image, "centerline")
    line = None
    if path is not None and not _cord_was_drawn(out_dir, image):
        line = _middles(resample_like(reorient(load(path)), grid, order=0).data > 0)
    return Predictions(masks, line, sha256=frozenset(weights), soft=soft)


def from_networks(
    image: Path,
    models: tuple[Model, ...],
    lesion_threshold: float,
    post_process: tuple[str, ...] = (),
) -> Predictions:
    """Run networks on an image as the App does, each by the task on its card.

    The network of gray matter is asked where the contrast shows it; elsewhere nothing is predicted
    for gray matter. Where no cord is seen, all masks are empty.
    """
    started = time.monotonic()
    reset_peak()
    weights = frozenset(model.card["sha256"] for model in models)
    grid = conform(image)
    empty = grid.with_data(np.zeros(grid.shape, bool))
    tasks = by_task(models)
    silent = "gm" in tasks and ImageName.of(image.name).contrast not in SHOWS_GM
    if silent:
        del tasks["gm"]
    told = [role for role in MASKS if role != "gm" or not silent]
    try:
        found = find_cord(grid, Networks(**tasks), at_edge=EDGE in post_process)
        found = run_steps(found, grid, post_process)
    except NoCordError:
        nowhere = np.full((grid.shape[2], 2), np.nan)
        nothing = dict.fromkeys(told, empty)
        return Predictions(nothing, nowhere, time.monotonic() - started, peak_mib(), weights)
    rule = LesionRule(lesion_threshold)
    called = call_lesions(found.lesion, grid, found.cord, found.centerline, rule)
    masks = {
        "cord": found.cord,
        "gm": grid.with_data((found.gm.data >= 0.5) & (found.cord.data > 0)),
        "lesion": grid.with_data(called.labels > 0),
    }
    masks = {role: masks[role] for role in told}
    line = _crossings(found.centerline, grid)
    probable = {"cord": found.probability, "gm": found.gm}
    soft = {role: probable[role] for role in SOFT if role in told}
    return Predictions(masks, line, time.monotonic() - started, peak_mib(), weights, soft)


def _automatic(out_dir: Path, image: Path, kind: Kind) -> Path | None:
    """Return the file that no person drew, None if there is none."""
    source = ImageName.of(image.name)
    for auto in (True, False):
        path = output_path(out_dir, kind, source, auto=auto)
        if path.is_file() and not _sidecar(path).get("Manual", False):
            return path
    return None


def _cord_was_drawn(out_dir: Path, image: Path) -> bool:
    """Tell whether a person drew the cord: the centerline then follows what they drew."""
    path = output_path(out_dir, "cord", ImageName.of(image.name))
    return bool(_sidecar(path).get("Manual", False))


def _sidecar(path: Path) -> dict[str, Any]:
    """Return the JSON beside an image, empty where there is none."""
    sidecar = sidecar_path(path)
    facts: dict[str, Any] = json.loads(sidecar.read_text()) if sidecar.is_file() else {}
    return facts


def _middles(line: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean voxel of a mask in every slice, shape (K, 2); NaN where it is empty."""
    points = np.full((line.shape[2], 2), np.nan)
    for k in np.flatnonzero(line.any(axis=(0, 1))):
        points[k] = np.argwhere(line[:, :, k]).mean(axis=0)
    return points


def _crossings(line: Centerline, image: Image) -> NDArray[np.float64]:
    """Return where a centerline crosses every slice, shape (K, 2); NaN beyond its ends."""
    ijk = to_voxel(line.points, image.affine)
    slices = np.arange(image.shape[2])
    points = cross_slices(ijk, slices)
    points[(slices < ijk[:, 2].min() - 0.5) | (slices > ijk[:, 2].max() + 0.5)] = np.nan
    return points
